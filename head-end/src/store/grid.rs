//! The regular moments at which a profile captures, numbered.

use std::ops::Range;

use dlms::time::DateTime;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The regular moments at which a profile captures, numbered from 1970: the slots of its coverage.
///
/// Periods under a day count in UTC, so that no slot is lost or comes twice when clocks change. Periods of whole days
/// count local dates, because the days of a change have 23 and 25 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    period: i64,
}

impl Grid {
    /// The grid of a capture period in seconds; none for captures on events or by hand.
    #[must_use]
    pub fn new(period_s: u32) -> Option<Self> {
        (period_s > 0).then_some(Self { period: i64::from(period_s) })
    }

    /// The capture period in seconds.
    #[must_use]
    pub fn period_s(self) -> u32 {
        u32::try_from(self.period).unwrap_or(u32::MAX)
    }

    /// Days in a slot where it has whole days.
    fn days(self) -> Option<i64> {
        (self.period % DAY == 0).then_some(self.period / DAY)
    }

    /// The slot that a capture stands for; `clock` is the meter's own date-time.
    #[must_use]
    pub fn slot(self, time: Timestamp, clock: Option<&DateTime>) -> i64 {
        let seconds = time.as_second();
        match self.days() {
            Some(days) => {
                let local = clock.and_then(|clock| clock.to_local_seconds()).unwrap_or(seconds);
                // A capture around midnight belongs to the day that begins.
                (local + DAY / 2).div_euclid(DAY).div_euclid(days)
            }
            None => (seconds + self.early()).div_euclid(self.period),
        }
    }

    /// By how much a capture may come before the moment of its slot. Not half a period: local hours of zones with half
    /// an hour lie there, and a second more or less must not change their slot.
    const fn early(self) -> i64 {
        self.period - self.period * 3 / 8
    }

    /// The slots whose moments lie in `span`.
    #[must_use]
    pub fn slots(self, span: Range<Timestamp>, zone: &TimeZone) -> Range<i64> {
        let first = |moment: Timestamp| {
            // The first whole second at or after it.
            let seconds = moment.as_second() + i64::from(moment.subsec_nanosecond() > 0);
            let local = match self.days() {
                Some(_) => seconds + i64::from(zone.to_offset(moment).seconds()),
                None => seconds,
            };
            -(-local).div_euclid(self.period)
        };
        let (start, end) = (first(span.start), first(span.end));
        start..end.max(start)
    }

    /// The regular moment of a slot.
    #[must_use]
    pub fn moment(self, slot: i64, zone: &TimeZone) -> Timestamp {
        let seconds = slot.saturating_mul(self.period);
        let moment = match self.days() {
            Some(_) => local_midnight(seconds.div_euclid(DAY), zone),
            None => Timestamp::from_second(seconds).ok(),
        };
        moment.unwrap_or(if slot < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }

    /// The time in which captures of `slots` lie.
    #[must_use]
    pub fn span(self, slots: Range<i64>, zone: &TimeZone) -> Range<Timestamp> {
        let early = SignedDuration::from_secs(if self.days().is_some() { DAY / 2 } else { self.early() });
        let bound = |slot| self.moment(slot, zone).checked_sub(early).unwrap_or(Timestamp::MIN);
        bound(slots.start)..bound(slots.end)
    }

    /// The day since 1970 whose bitmap holds `slot`.
    #[must_use]
    pub fn day(self, slot: i64) -> i64 {
        slot.saturating_mul(self.period).div_euclid(DAY)
    }

    /// The first slot of a day.
    #[must_use]
    pub fn first(self, day: i64) -> i64 {
        -(-day.saturating_mul(DAY)).div_euclid(self.period)
    }
}

fn local_midnight(day: i64, zone: &TimeZone) -> Option<Timestamp> {
    let date = Date::new(1970, 1, 1).ok()?.checked_add(SignedDuration::from_hours(day.checked_mul(24)?)).ok()?;
    date.to_zoned(zone.clone()).ok().map(|midnight| midnight.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlms::time::ClockStatus;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn quarter_hours_have_their_slots_also_when_the_clock_is_a_little_off() {
        let grid = Grid::new(900).unwrap();
        let slot = grid.slot(at("2026-11-21T10:15:00Z"), None);
        assert_eq!(grid.slot(at("2026-11-21T10:15:07Z"), None), slot);
        assert_eq!(grid.slot(at("2026-11-21T10:14:40Z"), None), slot);
        assert_eq!(grid.slot(at("2026-11-21T10:30:00Z"), None), slot + 1);
        assert_eq!(grid.moment(slot, &TimeZone::UTC), at("2026-11-21T10:15:00Z"));
        let day = at("2026-11-21T00:00:00Z")..at("2026-11-22T00:00:00Z");
        let slots = grid.slots(day, &TimeZone::UTC);
        assert_eq!(slots.end - slots.start, 96);
        assert_eq!((grid.day(slots.start), grid.first(grid.day(slot))), (grid.day(slots.end - 1), slots.start));
    }

    #[test]
    fn hours_of_zones_with_half_an_hour_are_told_apart() {
        let grid = Grid::new(3_600).unwrap();
        let early = grid.slot(at("2026-11-21T10:29:50Z"), None);
        assert_eq!(grid.slot(at("2026-11-21T10:30:10Z"), None), early);
        assert_eq!(grid.slot(at("2026-11-21T11:30:00Z"), None), early + 1);
        let span = grid.span(early..early + 1, &TimeZone::UTC);
        assert!(span.contains(&at("2026-11-21T10:30:00Z")) && !span.contains(&at("2026-11-21T11:30:00Z")));
    }

    #[test]
    fn days_are_local_dates_through_both_changes_of_the_clock() {
        let grid = Grid::new(86_400).unwrap();
        for (zone, from, to, days) in [
            ("Europe/Berlin", "2026-03-27T23:00:00Z", "2026-03-30T22:00:00Z", 3),
            ("Europe/Berlin", "2026-10-23T22:00:00Z", "2026-10-26T23:00:00Z", 3),
            ("Pacific/Auckland", "2026-09-25T12:00:00Z", "2026-09-28T11:00:00Z", 3),
        ] {
            let zone = TimeZone::get(zone).unwrap();
            let slots = grid.slots(at(from)..at(to), &zone);
            assert_eq!(slots.end - slots.start, days, "{from}");
            for slot in slots {
                let midnight = grid.moment(slot, &zone);
                let deviation = -zone.to_offset(midnight).seconds() / 60;
                let clock = DateTime::from_unix_seconds(
                    midnight.as_second(),
                    i16::try_from(deviation).unwrap(),
                    ClockStatus(0),
                );
                assert_eq!(grid.slot(midnight, Some(&clock)), slot, "{midnight}");
                assert!(grid.span(slot..slot + 1, &zone).contains(&midnight), "{midnight}");
            }
        }
    }

    #[test]
    fn periods_that_do_not_divide_a_day_lose_no_slot_at_midnight() {
        let grid = Grid::new(420).unwrap();
        for slot in 5_000_000..5_000_400 {
            let day = grid.day(slot);
            assert!((grid.first(day)..grid.first(day + 1)).contains(&slot));
        }
        assert_eq!(Grid::new(0), None);
    }
}
