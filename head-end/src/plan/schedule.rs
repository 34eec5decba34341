//! When a plan runs.

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, Time},
    tz::TimeZone,
};
use sha2::{Digest, Sha256};

use super::Cadence;
use crate::meter::MeterId;

/// One run of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// When its window opens.
    pub opens: Timestamp,
    /// Captures up to this moment are due, itself included: the one at midnight ends the day.
    pub target: Timestamp,
}

/// When a plan runs. Runs follow the local time of the plan: on the days when clocks change there is one run as on
/// every other day, at the first moment that exists at or after its time.
#[derive(Clone, Debug)]
pub struct Schedule {
    zone: TimeZone,
    cadence: Cadence,
    start_s: u32,
    window_s: u32,
}

impl Schedule {
    pub(super) fn new(zone: TimeZone, cadence: Cadence, start_s: u32, window_s: u32) -> Self {
        Self { zone, cadence, start_s, window_s }
    }

    /// Its time zone.
    #[must_use]
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The last run whose window has opened at `moment`.
    #[must_use]
    pub fn latest(&self, moment: Timestamp) -> Run {
        if let Cadence::Seconds(_) = self.cadence {
            return self.regular(moment, 0);
        }
        let mut date = self.floor(moment.to_zoned(self.zone.clone()).date());
        loop {
            let run = self.on(date);
            if run.opens <= moment {
                return run;
            }
            let Some(before) = self.step(date, -1) else { return run };
            date = before;
        }
    }

    /// The run after `run`.
    #[must_use]
    pub fn after(&self, run: Run) -> Run {
        if let Cadence::Seconds(_) = self.cadence {
            return self.regular(run.opens, 1);
        }
        let date = self.floor(run.target.to_zoned(self.zone.clone()).date());
        self.step(date, 1).map_or(run, |next| self.on(next))
    }

    /// The run for which captures of `moment` are due first.
    #[must_use]
    pub fn of(&self, moment: Timestamp) -> Run {
        let mut run = self.latest(moment);
        while run.target < moment {
            let next = self.after(run);
            if next == run {
                break;
            }
            run = next;
        }
        run
    }

    /// How long after the opening of a window a meter has its turn: always the same, so that meters are spread over the
    /// window and each has its time.
    #[must_use]
    pub fn offset(&self, meter: &MeterId) -> SignedDuration {
        let window = match self.cadence {
            Cadence::Seconds(every) => self.window_s.min(every),
            _ => self.window_s,
        };
        let hash = Sha256::digest(meter.as_str());
        let number = hash.iter().take(8).fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
        let over = number.checked_rem(window.into()).unwrap_or_default();
        SignedDuration::from_secs(i64::try_from(over).unwrap_or_default())
    }

    fn regular(&self, moment: Timestamp, later: i64) -> Run {
        let every = i64::from(self.cadence.seconds()).max(1);
        let seconds = (moment.as_second().div_euclid(every) + later).saturating_mul(every);
        let opens = Timestamp::from_second(seconds).unwrap_or(moment);
        Run { opens, target: opens }
    }

    fn floor(&self, date: Date) -> Date {
        if self.cadence == Cadence::Month { date.first_of_month() } else { date }
    }

    fn step(&self, date: Date, by: i32) -> Option<Date> {
        let step = if self.cadence == Cadence::Month { by.months() } else { by.days() };
        date.checked_add(step).ok()
    }

    fn on(&self, date: Date) -> Run {
        let midnight = self.local(date, 0);
        Run { opens: self.local(date, self.start_s), target: midnight }
    }

    fn local(&self, date: Date, seconds: u32) -> Timestamp {
        let time = Time::midnight().wrapping_add(i64::from(seconds).seconds());
        let zoned = date.to_datetime(time).to_zoned(self.zone.clone());
        zoned.map_or(Timestamp::MAX, |zoned| zoned.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn daily(zone: &str, start_s: u32) -> Schedule {
        Schedule::new(TimeZone::get(zone).unwrap(), Cadence::Day, start_s, 3_600)
    }

    /// Opening and target of the runs from `from` on.
    fn runs(schedule: &Schedule, from: &str, count: usize) -> Vec<[String; 2]> {
        let mut run = schedule.latest(at(from));
        let mut all = Vec::new();
        for _ in 0..count {
            all.push([run.opens.to_string(), run.target.to_string()]);
            run = schedule.after(run);
        }
        all
    }

    #[test]
    fn days_follow_local_midnight_through_both_changes() {
        let half_past_two = daily("Europe/Berlin", 9_000);
        assert_eq!(
            runs(&half_past_two, "2026-03-28T12:00:00Z", 3),
            [
                ["2026-03-28T01:30:00Z", "2026-03-27T23:00:00Z"],
                // 02:30 does not exist on that day.
                ["2026-03-29T01:30:00Z", "2026-03-28T23:00:00Z"],
                ["2026-03-30T00:30:00Z", "2026-03-29T22:00:00Z"],
            ]
        );
        assert_eq!(
            runs(&half_past_two, "2026-10-24T12:00:00Z", 3),
            [
                ["2026-10-24T00:30:00Z", "2026-10-23T22:00:00Z"],
                // 02:30 comes twice; the first is meant.
                ["2026-10-25T00:30:00Z", "2026-10-24T22:00:00Z"],
                ["2026-10-26T01:30:00Z", "2026-10-25T23:00:00Z"],
            ]
        );
        // Between the two moments that are half past two there is no other run.
        assert_eq!(half_past_two.latest(at("2026-10-25T01:30:00Z")).opens, at("2026-10-25T00:30:00Z"));
    }

    #[test]
    fn months_begin_on_the_first_and_quarter_hours_on_the_grid() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let monthly = Schedule::new(zone.clone(), Cadence::Month, 3_600, 60);
        assert_eq!(
            runs(&monthly, "2026-12-31T23:30:00Z", 2),
            [["2026-12-01T00:00:00Z", "2026-11-30T23:00:00Z"], ["2027-01-01T00:00:00Z", "2026-12-31T23:00:00Z"]]
        );
        let quarters = Schedule::new(zone, Cadence::Seconds(900), 0, 300);
        assert_eq!(
            runs(&quarters, "2026-10-25T00:59:59Z", 2),
            [["2026-10-25T00:45:00Z", "2026-10-25T00:45:00Z"], ["2026-10-25T01:00:00Z", "2026-10-25T01:00:00Z"]]
        );
    }

    #[test]
    fn a_capture_is_due_with_the_first_run_behind_it() {
        let daily = daily("Europe/Berlin", 3_600);
        assert_eq!(daily.of(at("2026-11-20T23:00:00Z")).target, at("2026-11-20T23:00:00Z"), "midnight ends the day");
        assert_eq!(daily.of(at("2026-11-20T23:15:00Z")).target, at("2026-11-21T23:00:00Z"));
    }

    #[test]
    fn meters_have_fixed_turns_spread_over_the_window() {
        let schedule = daily("UTC", 0);
        let offset = |n: u32| schedule.offset(&format!("m{n}").parse().unwrap()).as_secs();
        let all: Vec<i64> = (0..600).map(offset).collect();
        assert!(all.iter().all(|offset| (0..3_600).contains(offset)));
        for tenth in 0..10 {
            let turns = all.iter().filter(|offset| *offset / 360 == tenth).count();
            assert!((30..100).contains(&turns), "{turns} of 600 meters in tenth {tenth} of the window");
        }
        assert_eq!(offset(7), offset(7));
    }
}
