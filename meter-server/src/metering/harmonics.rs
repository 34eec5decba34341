//! Amplitudes of the harmonics of one channel (Goertzel's algorithm).

use core::f64::consts::TAU;

use super::{HARMONICS, window};

#[derive(Clone, Copy, Debug, Default)]
struct Filter {
    /// Twice the cosine of the angle of one sample; 0 for a harmonic that cannot be seen at this sampling rate.
    coefficient: f64,
    last: f64,
    before: f64,
}

/// A filter for each harmonic, the fundamental first.
#[derive(Clone, Debug)]
pub(super) struct Bank {
    filters: [Filter; HARMONICS],
    /// Harmonics below half the sampling rate.
    seen: usize,
}

impl Bank {
    pub(super) const fn new() -> Self {
        Self { filters: [Filter { coefficient: 0.0, last: 0.0, before: 0.0 }; HARMONICS], seen: 0 }
    }

    /// Starts an interval with a fundamental that turns by `angle` radians with each sample.
    pub(super) fn restart(&mut self, angle: f64) {
        self.seen = 0;
        let mut harmonic = 0.0;
        for filter in &mut self.filters {
            harmonic += angle;
            // A little below the limit, for the width of the window.
            if harmonic < TAU * 0.49 {
                self.seen = self.seen.saturating_add(1);
            }
            *filter = Filter { coefficient: 2.0 * libm::cos(harmonic), ..Filter::default() };
        }
    }

    /// A sample, weighted.
    pub(super) fn sample(&mut self, weighted: f64) {
        for filter in &mut self.filters {
            let next = weighted + filter.coefficient * filter.last - filter.before;
            filter.before = filter.last;
            filter.last = next;
        }
    }

    /// The distortion as a part of the fundamental, which was `bins` off what was looked for; `None` without a
    /// fundamental above `floor` (a weighted sum).
    pub(super) fn distortion(&self, bins: f64, floor: f64) -> Option<f64> {
        let mut squares = self.filters.iter().take(self.seen).scan(0.0, |offset, filter| {
            *offset += bins;
            let power = filter.last * filter.last + filter.before * filter.before
                - filter.coefficient * filter.last * filter.before;
            // Half of the tone is left one bin off; further off there is nothing to be mended.
            let gain = if offset.abs() < 1.0 { window::gain(*offset) } else { 1.0 };
            Some(power.max(0.0) / (gain * gain))
        });
        let fundamental = squares.next()?;
        (fundamental > floor * floor).then(|| libm::sqrt(squares.sum::<f64>() / fundamental))
    }
}
