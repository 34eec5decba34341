//! The frequency of the grid: found by zero crossings, measured by the phase of the fundamental.

use core::f64::consts::{FRAC_1_SQRT_2, PI, TAU};

use super::window;

/// Zero crossings and the reference may differ by this much, in hertz, for the phase to be believed. An ambiguity of the
/// phase is five hertz wide.
const BELIEVED: f64 = 1.0;

/// A Butterworth low-pass of second order, which leaves the fundamental.
#[derive(Clone, Debug)]
struct LowPass {
    b: f64,
    a1: f64,
    a2: f64,
    /// The state of the transposed direct form II.
    state: (f64, f64),
}

impl LowPass {
    fn new(cutoff: f64, sample_rate: f64) -> Self {
        let k = libm::tan(PI * cutoff / sample_rate);
        let norm = 1.0 / (1.0 + k / FRAC_1_SQRT_2 + k * k);
        let (a1, a2) = (2.0 * (k * k - 1.0) * norm, (1.0 - k / FRAC_1_SQRT_2 + k * k) * norm);
        Self { b: k * k * norm, a1, a2, state: (0.0, 0.0) }
    }

    fn step(&mut self, input: f64) -> f64 {
        let output = self.b * input + self.state.0;
        self.state = (2.0 * self.b * input - self.a1 * output + self.state.1, self.b * input - self.a2 * output);
        output
    }
}

/// Follows the frequency of one voltage.
#[derive(Clone, Debug)]
pub(super) struct Tracker {
    sample_rate: f64,
    filter: LowPass,
    /// A crossing counts when the filtered voltage has been this far below zero before.
    hysteresis: f64,
    armed: bool,
    last: f64,
    position: f64,
    /// First and last crossing of the interval and the turns between.
    crossings: Option<(f64, f64, f64)>,
    /// The fundamental's phase in the middle of the interval before.
    phase: Option<f64>,
    reference: f64,
}

/// What an interval says about the frequency.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// In hertz; `None` until the phase has been followed over two intervals.
    pub(super) frequency: Option<f64>,
    /// Turns per interval by which the fundamental was off the reference.
    pub(super) bins: f64,
}

impl Tracker {
    /// For voltages in steps of the converter, `hysteresis` of them being far from zero.
    pub(super) fn new(sample_rate: f64, nominal: f64, hysteresis: f64) -> Self {
        Self {
            sample_rate,
            filter: LowPass::new(nominal * 1.2, sample_rate),
            hysteresis,
            armed: false,
            last: 0.0,
            position: 0.0,
            crossings: None,
            phase: None,
            reference: nominal,
        }
    }

    /// The frequency that the next interval looks for.
    pub(super) const fn reference(&self) -> f64 {
        self.reference
    }

    /// Radians by which the fundamental turns with each sample.
    pub(super) fn angle(&self) -> f64 {
        TAU * self.reference / self.sample_rate
    }

    /// A voltage in steps.
    pub(super) fn sample(&mut self, voltage: f64) {
        let filtered = self.filter.step(voltage);
        if filtered < -self.hysteresis {
            self.armed = true;
        }
        if self.armed && filtered >= 0.0 {
            self.armed = false;
            let rise = filtered - self.last;
            let at = self.position - if rise > 0.0 { filtered / rise } else { 0.0 };
            self.crossings = Some(match self.crossings {
                Some((first, _, turns)) => (first, at, turns + 1.0),
                None => (at, at, 0.0),
            });
        }
        self.last = filtered;
        self.position += 1.0;
    }

    /// The interval ends: `pointer` is its weighted sum at the reference, of `samples`.
    pub(super) fn finish(&mut self, pointer: (f64, f64), samples: f64) -> Found {
        let crossings = self.crossings.take();
        self.position = 0.0;
        let seconds = samples / self.sample_rate;
        let angle = self.angle();
        let coarse = crossings.and_then(|(first, last, turns)| {
            (turns >= 2.0 && last > first).then(|| turns * self.sample_rate / (last - first))
        });
        let Some(coarse) = coarse else {
            self.phase = None;
            return Found { frequency: None, bins: 0.0 };
        };
        if (coarse - self.reference).abs() > BELIEVED {
            let bins = (coarse - self.reference) * seconds;
            self.reference = coarse;
            self.phase = None;
            return Found { frequency: None, bins };
        }
        let phase = window::wrap(libm::atan2(pointer.1, pointer.0) + angle * samples / 2.0);
        let before = self.phase.replace(phase);
        let frequency = before.map(|before| {
            let part = (phase - before) / TAU;
            (libm::round(coarse * seconds - part) + part) / seconds
        });
        let frequency = frequency.filter(|frequency| (frequency - coarse).abs() <= BELIEVED);
        let actual = frequency.unwrap_or(coarse);
        let bins = (actual - self.reference) * seconds;
        self.reference = actual;
        Found { frequency, bins }
    }
}
