//! The rates of all quarters of an hour, worked out of a calendar ahead.
//!
//! Consumption counts whole quarters by local standard time: a switch within a quarter counts from the next one on.

use std::collections::HashMap;

use crate::moment::Moment;
use crate::objects::ClockSettings;
use crate::simulator::consumption::tariff::{DayRates, Span, Tariff, weekday};
use crate::tariff::{Calendar, SpecialDays};

const DAY_SECONDS: i64 = 86_400;
const QUARTER_SECONDS: i64 = 900;
const QUARTERS: i64 = DAY_SECONDS / QUARTER_SECONDS;

/// Days that are worked out from where a table begins: twelve years. What comes later is taken to go on as the last
/// week did.
const DAYS_AHEAD: i64 = 12 * 366;

/// What the rates of a table come from.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) calendar: &'a Calendar,
    pub(crate) special: &'a SpecialDays,
    pub(crate) clock: &'a ClockSettings,
    /// The rate, from 0, that each script puts in force.
    pub(crate) rate_of: &'a dyn Fn(u16) -> u8,
}

/// A run of days whose rates repeat from week to week: numbers of the days in the table.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Days {
    end: i64,
    week: [u16; 7],
}

/// A day of the week that a span has not.
const FREE: u16 = u16::MAX;

/// The rates of all days.
#[derive(Clone, Debug)]
pub(crate) struct RateTable {
    days: Vec<DayRates>,
    spans: Vec<Days>,
}

/// What decides about the rates of a day: the rate that the day before left, two day profiles, and daylight saving at
/// its ends.
type Key = (u8, Option<u8>, Option<u8>, i64, i64);

impl Plan<'_> {
    /// Seconds by which the clock is ahead of standard time.
    fn ahead(&self, standard: i64) -> i64 {
        let zone = i64::from(self.clock.time_zone_min);
        let (deviation, _) = self.clock.deviation(Moment::from_seconds(standard + zone * 60));
        (zone - i64::from(deviation)) * 60
    }

    fn rate(&self, local: i64) -> u8 {
        // Before the first script there is the first rate.
        let active = self.calendar.active(self.special, local);
        active.map_or(0, |switching| (self.rate_of)(switching.action.script_selector))
    }

    fn day(&self, day: i64) -> DayRates {
        std::array::from_fn(|quarter| {
            let standard = day * DAY_SECONDS + i64::try_from(quarter).unwrap_or(0) * QUARTER_SECONDS;
            self.rate(standard + self.ahead(standard))
        })
    }

    fn day_id(&self, day: i64) -> Option<u8> {
        self.calendar.day_at(self.special, (day + 1) * DAY_SECONDS - 1).map(|day| day.id)
    }
}

impl RateTable {
    /// The rates of `plan` from `first` on, days since 1970-01-01 of local standard time, for so many days if that is said.
    pub(crate) fn new(first: i64, days: Option<i64>, plan: &Plan<'_>) -> Self {
        let mut table = Self { days: Vec::new(), spans: Vec::new() };
        let mut known: HashMap<Key, u16> = HashMap::new();
        // A season that begins within a day, or a clock that is put back in summer, is looked at day by day.
        let midnight = |season: &crate::tariff::Season| season.start.time().to_seconds().unwrap_or(0) == 0;
        let regular = plan.calendar.seasons.iter().all(midnight) && plan.clock.daylight_deviation_min >= 0;
        let mut carried = plan.rate(first * DAY_SECONDS - 1);
        let (mut today, mut ahead) = (plan.day_id(first), plan.ahead(first * DAY_SECONDS));
        for day in first..first + days.unwrap_or(DAYS_AHEAD).clamp(1, DAYS_AHEAD) {
            let tomorrow = plan.day_id(day + 1);
            let ahead_then = plan.ahead((day + 1) * DAY_SECONDS);
            let key = (carried, today, tomorrow, ahead, ahead_then);
            let number = match known.get(&key) {
                Some(number) if regular => *number,
                _ => {
                    let number = table.number(plan.day(day));
                    known.insert(key, number);
                    number
                }
            };
            table.append(day, number);
            carried = table.days[usize::from(number)][95];
            (today, ahead) = (tomorrow, ahead_then);
        }
        table
    }

    /// The number of a day with these rates.
    fn number(&mut self, rates: DayRates) -> u16 {
        let index = self.days.iter().position(|known| *known == rates).unwrap_or_else(|| {
            self.days.push(rates);
            self.days.len() - 1
        });
        u16::try_from(index).unwrap_or(0)
    }

    /// Lets the table end with a day more.
    fn append(&mut self, day: i64, number: u16) {
        let place = weekday(day);
        if let Some(last) = self.spans.last_mut()
            && (last.week[place] == number || last.week[place] == FREE)
        {
            last.week[place] = number;
            last.end = day + 1;
            return;
        }
        let mut week = [FREE; 7];
        week[place] = number;
        self.spans.push(Days { end: day + 1, week });
    }

    /// The rates of a day.
    fn rates(&self, day: i64) -> DayRates {
        *self.span(day).week[weekday(day)]
    }

    /// Quarters since 1970 of local standard time, the next one if the moment is within one.
    pub(crate) fn quarter_from(at: Moment, clock: &ClockSettings) -> i64 {
        let standard = at.as_millis() - i64::from(clock.time_zone_min) * 60_000;
        -(-standard).div_euclid(QUARTER_SECONDS * 1000)
    }

    /// The day that a quarter belongs to.
    pub(crate) const fn day_of_quarter(quarter: i64) -> i64 {
        quarter.div_euclid(QUARTERS)
    }

    /// The moment at which a quarter begins.
    pub(crate) fn start_of_quarter(quarter: i64, clock: &ClockSettings) -> Moment {
        let standard = quarter.saturating_mul(QUARTER_SECONDS * 1000);
        Moment::from_millis(standard.saturating_add(i64::from(clock.time_zone_min) * 60_000))
    }

    /// From `quarter` on, everything as in `other`, which must begin with that day at the latest.
    pub(crate) fn go_on_with(&mut self, quarter: i64, other: &Self) {
        let day = quarter.div_euclid(QUARTERS);
        let (mut mixed, then) = (self.rates(day), other.rates(day));
        for (number, rate) in mixed.iter_mut().enumerate() {
            if day * QUARTERS + i64::try_from(number).unwrap_or(0) >= quarter {
                *rate = then[number];
            }
        }
        let kept = self.spans.partition_point(|span| span.end < day);
        self.spans.truncate(kept + 1);
        if let Some(last) = self.spans.last_mut() {
            last.end = last.end.min(day);
        }
        let number = self.number(mixed);
        self.spans.push(Days { end: day + 1, week: [number; 7] });
        for span in other.spans.iter().filter(|span| span.end > day + 1) {
            let week = span
                .week
                .map(|number| if number == FREE { FREE } else { self.number(other.days[usize::from(number)]) });
            self.spans.push(Days { end: span.end, week });
        }
    }

    /// From quarter `from` to before `to`, `rate` alone.
    pub(crate) fn put_between(&mut self, from: i64, to: i64, rate: u8) {
        if from >= to {
            return;
        }
        for day in from.div_euclid(QUARTERS)..=(to - 1).div_euclid(QUARTERS) {
            let mut rates = self.rates(day);
            for (number, known) in rates.iter_mut().enumerate() {
                if (from..to).contains(&(day * QUARTERS + i64::try_from(number).unwrap_or(0))) {
                    *known = rate;
                }
            }
            let number = self.number(rates);
            let at = self.spans.partition_point(|span| span.end <= day);
            let Some(found) = self.spans.get(at).copied() else { return };
            // What was one span becomes up to three: before, the day, and behind.
            let begin = at.checked_sub(1).map_or(i64::MIN, |before| self.spans[before].end);
            let before = (begin < day).then_some(Days { end: day, ..found });
            let behind = (found.end > day + 1).then_some(found);
            let parts = [before, Some(Days { end: day + 1, week: [number; 7] }), behind];
            self.spans.splice(at..=at, parts.into_iter().flatten());
        }
    }
}

impl Tariff for RateTable {
    fn span(&self, day: i64) -> Span<'_> {
        const NOTHING: &DayRates = &[0; 96];
        let at = self.spans.partition_point(|span| span.end <= day);
        let found = self.spans.get(at).or(self.spans.last());
        let Some(found) = found else { return Span { end: i64::MAX, week: [NOTHING; 7] } };
        let day_of = |number: u16| self.days.get(usize::from(number)).unwrap_or(NOTHING);
        let end = if at < self.spans.len() { found.end } else { i64::MAX };
        Span { end, week: found.week.map(day_of) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::model::Model;
    use dlms::time::Date;

    fn day(year: u16, month: u8, day: u8) -> i64 {
        Date::new(year, month, day).unwrap().to_unix_days().unwrap()
    }

    /// The rates of the built-in model from 2024 on.
    fn with_plan<T>(ask: impl FnOnce(&Plan<'_>) -> T) -> T {
        let model = Model::built_in();
        let tariffs = &model.tariffs;
        let rate_of = |script: u16| tariffs.rate_of(script);
        ask(&Plan { calendar: &tariffs.active, special: &tariffs.special, clock: &model.clock, rate_of: &rate_of })
    }

    #[test]
    fn the_table_says_of_each_quarter_what_the_calendar_says() {
        with_plan(|plan| {
            let first = day(2024, 1, 1);
            let table = RateTable::new(first, None, plan);
            // A year and a half with both changes of the clock, quarter by quarter.
            for day in first + 60..first + 600 {
                assert_eq!(table.rates(day), plan.day(day), "day {day}");
                assert!(table.span(day).end > day);
            }
            assert!(table.spans.len() < 1_024, "{} spans", table.spans.len());
        });
    }

    #[test]
    fn changes_count_from_their_quarter_on_and_leave_the_past_alone() {
        with_plan(|plan| {
            let first = day(2024, 1, 1);
            let before = RateTable::new(first, None, plan);
            let mut table = before.clone();
            let at = (first + 300) * QUARTERS;
            table.put_between(at + 40, at + 250, 7);
            for quarter in at - 1_000..at + 1_000 {
                let (day, number) = (quarter.div_euclid(QUARTERS), quarter.rem_euclid(QUARTERS) as usize);
                let expected = if (at + 40..at + 250).contains(&quarter) { 7 } else { before.rates(day)[number] };
                assert_eq!(table.rates(day)[number], expected, "quarter {quarter}");
            }
            let rate_of = |_: u16| 5;
            let other = RateTable::new(first + 301, None, &Plan { rate_of: &rate_of, ..*plan });
            table.go_on_with(at + 96 + 10, &other);
            for quarter in at - 1_000..at + 5_000 {
                let (day, number) = (quarter.div_euclid(QUARTERS), quarter.rem_euclid(QUARTERS) as usize);
                let expected = match quarter - at {
                    106.. => 5,
                    40..106 => 7,
                    _ => before.rates(day)[number],
                };
                assert_eq!(table.rates(day)[number], expected, "quarter {quarter}");
            }
        });
    }

    #[test]
    fn a_moment_within_a_quarter_belongs_to_the_next_one() {
        let clock = &Model::built_in().clock;
        let quarter = |ms| RateTable::quarter_from(Moment::from_millis(ms), clock);
        assert_eq!([0, 1, 899_999, 900_000, 900_001].map(quarter), [4, 5, 5, 5, 6]);
    }
}
