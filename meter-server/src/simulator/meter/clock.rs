//! A meter's own clock: set at some moment, drifting since.

use std::collections::VecDeque;

use crate::moment::Moment;
use crate::objects::ClockSettings;

/// Adjustments that are remembered, for the "clock adjusted" bit of profile rows.
const ADJUSTMENTS_MAX: usize = 32;

/// The clock of one simulated meter.
#[derive(Clone, Debug)]
pub(crate) struct MeterClock {
    pub(crate) settings: ClockSettings,
    /// True moment at which the clock was set, and what it showed then.
    set_at: Moment,
    set_to: Moment,
    /// Parts per million by which it runs fast.
    drift_ppm: f64,
    adjusted: VecDeque<Moment>,
}

impl MeterClock {
    /// A clock that shows `shown` at the true moment `at`.
    pub(crate) const fn new(settings: ClockSettings, at: Moment, shown: Moment, drift_ppm: f64) -> Self {
        Self { settings, set_at: at, set_to: shown, drift_ppm, adjusted: VecDeque::new() }
    }

    /// What it shows at a true moment.
    pub(crate) fn shown(&self, at: Moment) -> Moment {
        let elapsed = at.as_millis().saturating_sub(self.set_at.as_millis());
        let drift = (elapsed as f64 * self.drift_ppm / 1e6).round() as i64;
        self.set_to.plus_millis(elapsed.saturating_add(drift))
    }

    /// Sets it.
    pub(crate) fn set(&mut self, at: Moment, shown: Moment) {
        if self.adjusted.len() >= ADJUSTMENTS_MAX {
            self.adjusted.pop_front();
        }
        self.adjusted.push_back(at);
        (self.set_at, self.set_to) = (at, shown);
    }

    /// Whether it was set after `from`, at `to` at the latest.
    pub(crate) fn was_adjusted(&self, from: Moment, to: Moment) -> bool {
        self.adjusted.iter().any(|at| from < *at && *at <= to)
    }
}
