//! A meter's own clock: set at some moment, drifting since.

use std::collections::VecDeque;

use dlms::time::ClockStatus;

use super::supply::Eras;
use crate::moment::Moment;
use crate::objects::ClockSettings;

/// Adjustments that are remembered, for the "clock adjusted" bit of profile rows.
const ADJUSTMENTS_MAX: usize = 32;

/// Status of a clock whose time is not to be believed.
const INVALID: ClockStatus = ClockStatus(0x01);

/// The clock of one simulated meter.
#[derive(Clone, Debug)]
pub(crate) struct MeterClock {
    pub(crate) settings: ClockSettings,
    /// True moment at which the clock was set, and what it showed then.
    pub(super) set_at: Moment,
    pub(super) set_to: Moment,
    /// Parts per million by which it runs fast.
    drift_ppm: f64,
    pub(super) adjusted: VecDeque<Moment>,
    /// Whether it shows a time that is to be believed.
    pub(super) valid: Eras<bool>,
}

impl MeterClock {
    /// A clock that shows `shown` at the true moment `at`.
    pub(crate) const fn new(settings: ClockSettings, at: Moment, shown: Moment, drift_ppm: f64) -> Self {
        Self { settings, set_at: at, set_to: shown, drift_ppm, adjusted: VecDeque::new(), valid: Eras::new(true) }
    }

    /// What it shows at a true moment.
    pub(crate) fn shown(&self, at: Moment) -> Moment {
        let elapsed = at.as_millis().saturating_sub(self.set_at.as_millis());
        let drift = (elapsed as f64 * self.drift_ppm / 1e6).round() as i64;
        self.set_to.plus_millis(elapsed.saturating_add(drift))
    }

    /// The first true moment at which it shows `shown` or more, unless it is set meanwhile.
    pub(crate) fn when_shown(&self, shown: Moment) -> Moment {
        let ahead = shown.as_millis().saturating_sub(self.set_to.as_millis());
        let elapsed = (ahead as f64 / (1.0 + self.drift_ppm / 1e6)).round() as i64;
        // Rounding may be off by a millisecond or two either way.
        let guess = self.set_at.plus_millis(elapsed.saturating_sub(3));
        (0..6).map(|later| guess.plus_millis(later)).find(|at| self.shown(*at) >= shown).unwrap_or(guess)
    }

    /// It is to be believed from a moment on, or not: what a client sets is.
    pub(crate) fn is_valid(&mut self, valid: bool, at: Moment) {
        self.valid.set(at, valid);
    }

    /// Status bits that say how far it could be trusted at a moment.
    pub(crate) fn trust(&self, at: Moment) -> ClockStatus {
        if *self.valid.at(at) { ClockStatus::OK } else { INVALID }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_at_which_a_time_is_shown_is_the_first_one() {
        let settings = crate::simulator::Model::built_in().clock;
        for drift_ppm in [-50.0, -1.3, 0.0, 2.0, 77.7] {
            let set_at = Moment::from_millis(1_780_000_000_123);
            let clock = MeterClock::new(settings.clone(), set_at, set_at.plus_millis(-777), drift_ppm);
            for later in [0, 1, 999, 60_000, 86_400_000, 31_536_000_000] {
                let shown = set_at.plus_millis(later);
                let at = clock.when_shown(shown);
                assert!(clock.shown(at) >= shown, "{drift_ppm} {later}");
                assert!(clock.shown(at.plus_millis(-1)) < shown, "{drift_ppm} {later}");
            }
        }
    }
}
