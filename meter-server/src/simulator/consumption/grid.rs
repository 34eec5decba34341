//! Voltage, frequency, and how the load is spread over the phases.

use std::f64::consts::TAU;

use super::curve::DAY;
use super::noise::Noise;
use super::quality::{Disturbance, DisturbanceKind, Quality};

/// How long voltage and frequency keep a value, in milliseconds.
const HOLD_MS: i64 = 5_000;

/// A phase of a three-phase meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// L1.
    L1,
    /// L2.
    L2,
    /// L3.
    L3,
}

impl Phase {
    /// All three.
    pub(crate) const ALL: [Self; 3] = [Self::L1, Self::L2, Self::L3];

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::L1 => 0,
            Self::L2 => 1,
            Self::L3 => 2,
        }
    }
}

/// The low-voltage grid at one meter.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    voltage: f64,
    frequency: f64,
    /// Part of the load on each phase; adds up to 1.
    shares: [f64; 3],
    noise: Noise,
    single_phase: bool,
    /// What happens to the voltage.
    quality: Quality,
}

impl Grid {
    /// A grid with nominal `voltage` and `frequency`; all of the load is on L1 where there is one phase only.
    pub(crate) fn new(voltage: f64, frequency: f64, single_phase: bool, noise: Noise, quality: Quality) -> Self {
        let weights = match single_phase {
            true => [1.0, 0.0, 0.0],
            false => [0, 1, 2].map(|phase| 0.6 + noise.stream(9).unit(phase)),
        };
        let whole: f64 = weights.iter().sum();
        Self { voltage, frequency, shares: weights.map(|weight| weight / whole), noise, single_phase, quality }
    }

    /// What is disturbed now. The loss of an only phase would be the meter's own.
    fn disturbance(&self, at_ms: i64) -> Option<Disturbance> {
        self.quality.at(at_ms).filter(|found| !self.single_phase || found.kind != DisturbanceKind::Cut)
    }

    /// Part of the load on `phase`. While a phase is away, the others carry its part.
    pub(crate) fn share(&self, phase: Phase, at_ms: i64) -> f64 {
        let share = self.shares[phase.index()];
        match self.disturbance(at_ms) {
            Some(away) if away.kind == DisturbanceKind::Cut => {
                if away.phase == phase {
                    0.0
                } else {
                    share / (1.0 - self.shares[away.phase.index()])
                }
            }
            _ => share,
        }
    }

    /// Nominal voltage in volts.
    pub(crate) const fn nominal_voltage(&self) -> f64 {
        self.voltage
    }

    /// Volts: within three percent of the nominal value, lowest in the evening, unless the phase is disturbed.
    pub(crate) fn voltage(&self, phase: Phase, at_ms: i64) -> f64 {
        let day_ms = DAY * 1000;
        if let Some(disturbance) = self.disturbance(at_ms).filter(|disturbance| disturbance.phase == phase) {
            return self.voltage * disturbance.level;
        }
        let of_day = TAU * (at_ms.rem_euclid(day_ms) as f64 / day_ms as f64 - 0.2);
        let stray = self.noise.stream(phase.index() as u64).signed(at_ms.div_euclid(HOLD_MS));
        self.voltage * (1.0 + 0.015 * of_day.cos() + 0.01 * stray)
    }

    /// Hertz: within a tenth of a percent of the nominal value.
    pub(crate) fn frequency(&self, at_ms: i64) -> f64 {
        self.frequency * (1.0 + 0.0008 * self.noise.stream(5).signed(at_ms.div_euclid(HOLD_MS)))
    }
}
