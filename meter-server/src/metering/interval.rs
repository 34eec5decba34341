//! What was measured over an interval.

use super::PHASES;

/// Values of one phase.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PhaseValues {
    /// RMS voltage in volts.
    pub voltage: f64,
    /// RMS current in amperes.
    pub current: f64,
    /// Active power in watts, negative when exported.
    pub active_power: f64,
    /// Reactive power of the fundamental in var, positive when current lags voltage.
    pub reactive_power: f64,
    /// Apparent power in volt-amperes.
    pub apparent_power: f64,
    /// Angle of the fundamental current behind the fundamental voltage in radians.
    pub angle: f64,
    /// Distortion of the voltage as a part of its fundamental, as measured last; `None` before that or without voltage.
    pub voltage_thd: Option<f64>,
    /// The same of the current.
    pub current_thd: Option<f64>,
}

impl PhaseValues {
    /// Active over apparent power; 1 when nothing flows.
    #[must_use]
    pub fn power_factor(&self) -> f64 {
        factor(self.active_power, self.apparent_power)
    }
}

fn factor(active: f64, apparent: f64) -> f64 {
    if apparent > 0.0 { (active / apparent).clamp(-1.0, 1.0) } else { 1.0 }
}

/// Values of a fifth of a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Number of the first sample behind it, counted from the engine's start.
    pub end_sample: u64,
    /// In hertz; `None` without voltage, and until the engine has found the grid: in the first three intervals, and in
    /// two after a jump of more than a hertz. Powers of the fundamental and distortions are not to be relied on then.
    pub frequency: Option<f64>,
    /// L1, L2, L3.
    pub phases: [PhaseValues; PHASES],
    /// Whether a dip or swell touched it. IEC 61000-4-30 flags such values.
    pub disturbed: bool,
}

impl Interval {
    /// Active power of all phases in watts.
    #[must_use]
    pub fn active_power(&self) -> f64 {
        self.phases.iter().map(|phase| phase.active_power).sum()
    }

    /// Reactive power of all phases in var.
    #[must_use]
    pub fn reactive_power(&self) -> f64 {
        self.phases.iter().map(|phase| phase.reactive_power).sum()
    }

    /// Apparent power of all phases in volt-amperes: the sum of theirs.
    #[must_use]
    pub fn apparent_power(&self) -> f64 {
        self.phases.iter().map(|phase| phase.apparent_power).sum()
    }

    /// Active over apparent power; 1 when nothing flows.
    #[must_use]
    pub fn power_factor(&self) -> f64 {
        factor(self.active_power(), self.apparent_power())
    }
}
