//! Averages over periods (class 5): where block and sliding periods begin and end.
//!
//! A demand register divides what was counted since the start of its window by the window's whole length. Whoever can
//! tell a cumulative register's value at a moment can therefore answer for it from two such values: a meter with the last
//! few in a ring, or a simulator that computes them.

use crate::moment::Moment;

/// Longest period in seconds: a day.
pub const PERIOD_SECONDS_MAX: u32 = 86_400;
/// Most periods of a sliding window.
pub const PERIODS_MAX: u16 = 96;

/// How a demand register averages, and what clients did to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemandWindow {
    pub(crate) period_s: u32,
    pub(crate) periods: u16,
    /// Periods are counted from here; by the clock's multiples of the period while it is the epoch.
    pub(crate) origin: Moment,
    /// What was counted before does not count.
    pub(crate) since: Moment,
    /// The period that was ended early, from when to when.
    pub(crate) cut: Option<(Moment, Moment)>,
}

/// A span of time over which was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Its start.
    pub from: Moment,
    /// Its end.
    pub to: Moment,
}

impl DemandWindow {
    /// Averages over `periods` periods of `period_s` seconds each, one for block demand, aligned to the clock. `None` for
    /// what no register does: none, a period of more than a day, or a window of more than 96 periods.
    #[must_use]
    pub const fn new(period_s: u32, periods: u16) -> Option<Self> {
        if period_s == 0 || period_s > PERIOD_SECONDS_MAX || periods == 0 || periods > PERIODS_MAX {
            return None;
        }
        let (origin, since) = (Moment::from_millis(0), Moment::from_millis(i64::MIN));
        Some(Self { period_s, periods, origin, since, cut: None })
    }

    /// Seconds of a period (attribute 8).
    #[must_use]
    pub const fn period_s(self) -> u32 {
        self.period_s
    }

    /// Periods of the window (attribute 9).
    #[must_use]
    pub const fn periods(self) -> u16 {
        self.periods
    }

    const fn period_ms(self) -> i64 {
        (self.period_s as i64).saturating_mul(1000)
    }

    /// What the counted amount is divided by: the whole window, in milliseconds.
    #[must_use]
    pub const fn window_ms(self) -> i64 {
        self.period_ms().saturating_mul(self.periods as i64)
    }

    /// Start of the running period.
    #[must_use]
    pub fn period_start(self, at: Moment) -> Moment {
        let passed = at.as_millis().saturating_sub(self.origin.as_millis());
        at.plus_millis(passed.rem_euclid(self.period_ms().max(1)).saturating_neg())
    }

    /// When the running period ends.
    #[must_use]
    pub fn period_end(self, at: Moment) -> Moment {
        self.period_start(at).plus_millis(self.period_ms())
    }

    fn counted(self, from: Moment, to: Moment) -> Counted {
        let from = from.max(self.since);
        Counted { from: from.min(to), to }
    }

    /// What the current average counts: from the start of its window until now (attributes 2 and 7).
    #[must_use]
    pub fn current(self, at: Moment) -> Counted {
        let before = self.period_ms().saturating_mul(i64::from(self.periods).saturating_sub(1));
        self.counted(self.period_start(at).plus_millis(before.saturating_neg()), at)
    }

    /// What the last average counted (attributes 3 and 6): the window that ended with the last complete period, or with
    /// the one that was ended early.
    #[must_use]
    pub fn last(self, at: Moment) -> Counted {
        let end = self.period_start(at);
        if let Some((from, to)) = self.cut
            && end == to
        {
            return self.counted(from, to);
        }
        self.counted(end.plus_millis(self.window_ms().saturating_neg()), end)
    }

    /// Clears both averages and begins anew at this moment (method 1).
    pub fn reset(&mut self, at: Moment) {
        (self.origin, self.since, self.cut) = (at, at, None);
    }

    /// Ends the running period early; the next one begins at this moment (method 2).
    pub fn next_period(&mut self, at: Moment) {
        let window = self.current(at);
        self.cut = Some((window.from, at));
        self.origin = at;
    }

    /// Averages over other periods; what was counted so far does not count any more, and periods follow the clock.
    pub fn set(&mut self, period_s: u32, periods: u16, at: Moment) -> bool {
        match Self::new(period_s, periods) {
            Some(new) => {
                *self = Self { since: at, ..new };
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Moment {
        Moment::from_seconds(seconds)
    }

    fn span(counted: Counted) -> (i64, i64) {
        (counted.from.as_seconds(), counted.to.as_seconds())
    }

    #[test]
    fn block_demand_follows_the_clock() {
        let window = DemandWindow::new(900, 1).unwrap();
        assert_eq!(span(window.current(at(1_000))), (900, 1_000));
        assert_eq!(span(window.last(at(1_000))), (0, 900));
        assert_eq!(span(window.last(at(900))), (0, 900));
        assert_eq!(span(window.current(at(900))), (900, 900));
        assert_eq!((window.period_end(at(900)), window.window_ms()), (at(1_800), 900_000));
    }

    #[test]
    fn sliding_demand_covers_several_periods_and_moves_by_one() {
        let window = DemandWindow::new(300, 3).unwrap();
        assert_eq!(span(window.current(at(1_000))), (300, 1_000));
        assert_eq!(span(window.last(at(1_000))), (0, 900));
        assert_eq!(span(window.last(at(1_200))), (300, 1_200));
        assert_eq!(window.window_ms(), 900_000);
    }

    #[test]
    fn a_reset_forgets_and_a_period_ended_early_is_the_last_one() {
        let mut window = DemandWindow::new(900, 1).unwrap();
        window.next_period(at(1_000));
        assert_eq!(span(window.last(at(1_000))), (900, 1_000));
        assert_eq!(span(window.last(at(1_899))), (900, 1_000));
        assert_eq!(span(window.current(at(1_500))), (1_000, 1_500));
        assert_eq!(span(window.last(at(1_900))), (1_000, 1_900));
        window.reset(at(2_000));
        assert_eq!(span(window.last(at(2_100))), (2_000, 2_000));
        assert_eq!(span(window.current(at(2_100))), (2_000, 2_100));
        assert_eq!(span(window.last(at(2_900))), (2_000, 2_900));
        assert!(window.set(60, 1, at(3_010)));
        assert_eq!(span(window.last(at(3_030))), (3_000, 3_000));
        assert_eq!(span(window.last(at(3_060))), (3_010, 3_060));
        assert!(!window.set(0, 1, at(4_000)) && !window.set(60, 0, at(4_000)) && !window.set(86_401, 1, at(4_000)));
        assert_eq!(DemandWindow::new(60, 97), None);
    }

    proptest! {
        /// Whatever was done to it, what is counted lies in the past, is no longer than the window and never before a reset.
        #[test]
        fn windows_are_sound(
            period in 1_u32..4_000,
            periods in 1_u16..20,
            steps in proptest::collection::vec((1_i64..5_000, 0_u8..4), 1..50),
        ) {
            let mut window = DemandWindow::new(period, periods).unwrap();
            let (mut now, mut reset) = (1_000_000, i64::MIN);
            for (wait, what) in steps {
                now += wait;
                match what {
                    0 => { window.reset(at(now)); reset = now; }
                    1 => window.next_period(at(now)),
                    _ => {}
                }
                for counted in [window.current(at(now)), window.last(at(now))] {
                    let (from, to) = span(counted);
                    prop_assert!(from <= to && to <= now && from >= reset.min(to));
                    prop_assert!((to - from) * 1000 <= window.window_ms());
                }
                prop_assert!(window.period_end(at(now)) > at(now));
            }
        }
    }
}
