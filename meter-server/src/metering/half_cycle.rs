//! RMS voltages of one cycle, renewed each half cycle, and the dips and swells they show (IEC 61000-4-30, U_rms(1/2)).
//!
//! Half cycles are cut by the period that the engine follows and not at zero crossings, so that they go on while the
//! voltage is away. The RMS value of a whole cycle does not depend on where it is cut.

use super::PHASES;
use super::settings::Thresholds;

/// What is wrong with a voltage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisturbanceKind {
    /// Too low; an interruption when next to nothing is left.
    Dip,
    /// Too high.
    Swell,
}

/// A dip or swell that has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disturbance {
    /// Dip or swell.
    pub kind: DisturbanceKind,
    /// The phase, from 0.
    pub phase: usize,
    /// Number of the sample at which it began, counted from the engine's start.
    pub start_sample: u64,
    /// How long it lasted, in milliseconds.
    pub duration_ms: f64,
    /// The lowest voltage of a dip (its residual voltage) or the highest of a swell, in volts.
    pub extreme_volts: f64,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    start: u64,
    extreme: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Phase {
    /// Sum of squares of the running half cycle and of the one before.
    running: f64,
    before: Option<f64>,
    dip: Option<Running>,
    swell: Option<Running>,
}

/// Watches three voltages.
#[derive(Clone, Debug)]
pub(super) struct HalfCycles {
    phases: [Phase; PHASES],
    /// Samples until the running half cycle ends, and its length and that of the one before.
    left: f64,
    length: f64,
    before: f64,
    dip: (f64, f64),
    swell: (f64, f64),
    sample_rate: f64,
}

impl HalfCycles {
    pub(super) fn new(nominal: f64, thresholds: Thresholds, frequency: f64, sample_rate: f64) -> Self {
        let length = sample_rate / frequency / 2.0;
        let Thresholds { dip, swell, hysteresis } = thresholds;
        Self {
            phases: [Phase::default(); PHASES],
            left: length,
            length,
            before: 0.0,
            dip: (nominal * dip, nominal * (dip + hysteresis)),
            swell: (nominal * swell, nominal * (swell - hysteresis)),
            sample_rate,
        }
    }

    /// Takes the squares of three voltages of sample `number`, in square volts; tells disturbances that end. The next
    /// half cycle is one of `frequency`.
    pub(super) fn sample(
        &mut self,
        squares: [f64; PHASES],
        number: u64,
        frequency: f64,
        mut ended: impl FnMut(Disturbance),
    ) {
        if self.left > 1.0 {
            self.left -= 1.0;
            for (phase, square) in self.phases.iter_mut().zip(squares) {
                phase.running += square;
            }
            return;
        }
        let (part, whole) = (self.left, self.length + self.before);
        for (index, (phase, square)) in self.phases.iter_mut().zip(squares).enumerate() {
            let finished = phase.running + part * square;
            phase.running = (1.0 - part) * square;
            let Some(before) = phase.before.replace(finished) else { continue };
            let voltage = libm::sqrt((finished + before) / whole);
            let disturbance = |kind, running: Running| Disturbance {
                kind,
                phase: index,
                start_sample: running.start,
                duration_ms: number.saturating_sub(running.start) as f64 * 1000.0 / self.sample_rate,
                extreme_volts: running.extreme,
            };
            match &mut phase.dip {
                None if voltage < self.dip.0 => phase.dip = Some(Running { start: number, extreme: voltage }),
                Some(dip) if voltage >= self.dip.1 => {
                    ended(disturbance(DisturbanceKind::Dip, *dip));
                    phase.dip = None;
                }
                Some(dip) => dip.extreme = dip.extreme.min(voltage),
                None => {}
            }
            match &mut phase.swell {
                None if voltage > self.swell.0 => phase.swell = Some(Running { start: number, extreme: voltage }),
                Some(swell) if voltage <= self.swell.1 => {
                    ended(disturbance(DisturbanceKind::Swell, *swell));
                    phase.swell = None;
                }
                Some(swell) => swell.extreme = swell.extreme.max(voltage),
                None => {}
            }
        }
        self.before = self.length;
        self.length = self.sample_rate / frequency / 2.0;
        self.left = self.length - (1.0 - part);
    }

    /// Whether a dip or swell is running on any phase.
    pub(super) fn is_disturbed(&self) -> bool {
        self.phases.iter().any(|phase| phase.dip.is_some() || phase.swell.is_some())
    }
}
