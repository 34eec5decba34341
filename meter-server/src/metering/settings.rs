//! What the engine has to know about the converter and the grid.

use thiserror::Error;

use super::{INTERVALS_PER_SECOND, PHASES};

/// Sampling rates that the engine takes, in hertz. Below, harmonics up to the 40th do not fit; above, an interval's
/// sums of products of 24 bits might leave 64 bits.
const SAMPLE_RATE: core::ops::RangeInclusive<u32> = 2_000..=128_000;

/// What one step of the converter is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Volts of one step, by phase.
    pub volts_per_step: [f64; PHASES],
    /// Amperes of one step, by phase; negative for a current transformer that is connected the other way round.
    pub amperes_per_step: [f64; PHASES],
}

impl Calibration {
    /// A converter of `bits` (sign included, 2 to 24) that reaches its end at these peak values.
    #[must_use]
    pub fn full_scale(bits: u32, peak_volts: f64, peak_amperes: f64) -> Self {
        let steps = f64::from((1_u32 << bits.clamp(2, 24).saturating_sub(1)).saturating_sub(1));
        Self { volts_per_step: [peak_volts / steps; PHASES], amperes_per_step: [peak_amperes / steps; PHASES] }
    }
}

/// When a voltage counts as disturbed, as parts of the nominal voltage (IEC 61000-4-30).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// A dip begins below this.
    pub dip: f64,
    /// A swell begins above this.
    pub swell: f64,
    /// A dip ends this much above its threshold, a swell as much below its own.
    pub hysteresis: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { dip: 0.9, swell: 1.1, hysteresis: 0.02 }
    }
}

/// Settings of an [`Engine`](super::Engine).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Samples of each channel in a second; a multiple of [`INTERVALS_PER_SECOND`].
    pub sample_rate: u32,
    /// Nominal frequency in hertz.
    pub nominal_frequency: f64,
    /// Nominal voltage between phase and neutral in volts.
    pub nominal_voltage: f64,
    /// The converter.
    pub calibration: Calibration,
    /// Dips and swells.
    pub thresholds: Thresholds,
}

/// Why an engine cannot work with these settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Outside of what the engine can do, or no whole number of samples in an interval.
    #[error("a sampling rate of {0} Hz is not a multiple of {per} Hz from {from} to {to}", per = INTERVALS_PER_SECOND, from = SAMPLE_RATE.start(), to = SAMPLE_RATE.end())]
    SampleRate(u32),
    /// Fewer than eight cycles in an interval, or harmonics beyond what is sampled.
    #[error("the nominal frequency is not from 45 to 66 Hz")]
    Frequency,
    /// Not above zero.
    #[error("the nominal voltage is not above zero")]
    Voltage,
    /// Not in the order hysteresis above 0, dip below 1, swell above 1.
    #[error("thresholds of dips and swells are not around the nominal voltage")]
    Thresholds,
}

impl Settings {
    /// Looks whether an engine can work with them.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        if !SAMPLE_RATE.contains(&self.sample_rate) || !self.sample_rate.is_multiple_of(INTERVALS_PER_SECOND) {
            return Err(SettingsError::SampleRate(self.sample_rate));
        }
        if !(45.0..=66.0).contains(&self.nominal_frequency) {
            return Err(SettingsError::Frequency);
        }
        if !(self.nominal_voltage > 0.0 && self.nominal_voltage.is_finite()) {
            return Err(SettingsError::Voltage);
        }
        let Thresholds { dip, swell, hysteresis } = self.thresholds;
        if !(hysteresis >= 0.0 && dip > 0.0 && dip + hysteresis < 1.0 && swell - hysteresis > 1.0 && swell.is_finite())
        {
            return Err(SettingsError::Thresholds);
        }
        Ok(())
    }

    /// Samples of an interval.
    pub(super) fn interval_samples(&self) -> u32 {
        self.sample_rate.checked_div(INTERVALS_PER_SECOND).unwrap_or(0)
    }
}
