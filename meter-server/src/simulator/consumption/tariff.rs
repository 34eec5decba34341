//! Which rate a quarter of an hour belongs to: given by whoever has the calendar.
//!
//! # For the owner of a calendar
//!
//! Implement [`Tariff`] and hand it to [`Consumption::energy`](super::Consumption::energy) and its neighbours. Days are
//! numbered from 1970-01-01 and cut into quarters by *local standard time*, all year: while daylight saving is in
//! force the profile of a day is the calendar's, shifted by the deviation, and the two days on which it changes are
//! spans of their own. So is a special day, and the day on which a passive calendar became the active one.
//!
//! Whatever repeats from week to week costs about as much as two weeks of days, however long it is; where one span
//! follows another, only the quarters whose rate changes cost anything. A read walks the spans from the installation on only when the meter was not asked about
//! a day near by before; after that it walks the days in between. What was said about the past is remembered: call
//! [`Consumption::forget`](super::Consumption::forget) whenever `span` would now say something else about a day that
//! has begun.

use super::curve::{QUARTERS, RATES};

/// The rate of each quarter of a day, from 0 (the register with value group E of 1) to [`RATES`] less 1.
pub(crate) type DayRates = [u8; QUARTERS];

/// A run of days whose rates repeat from week to week.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    /// The first day behind it. A day that is not behind the one asked for is taken as a span of that day.
    pub(crate) end: i64,
    /// The rates of Monday to Sunday.
    pub(crate) week: [&'a DayRates; 7],
}

/// A calendar of rates.
pub(crate) trait Tariff {
    /// What holds on `day`, and until when: days since 1970-01-01 of local standard time.
    fn span(&self, day: i64) -> Span<'_>;

    /// The rate, from 0, of a quarter of `day`.
    fn rate(&self, day: i64, quarter: usize) -> usize {
        let of_day = self.span(day).week[weekday(day)];
        usize::from(of_day[quarter % QUARTERS]).min(RATES - 1)
    }
}

/// Monday is 0. The first day of 1970 was a Thursday.
pub(crate) fn weekday(day: i64) -> usize {
    usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0)
}

/// The same rates on every day, for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Daily(pub(crate) DayRates);

impl Tariff for Daily {
    fn span(&self, _: i64) -> Span<'_> {
        Span { end: i64::MAX, week: [&self.0; 7] }
    }
}

/// One rate.
pub(crate) static SINGLE: Daily = Daily([0; QUARTERS]);

/// The rates of a meter without a calendar, hour by hour: day, night, evening peak, late evening.
pub(crate) static USUAL: Daily = {
    const OF_HOUR: [u8; 24] = [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 3, 3, 1, 1];
    let mut quarters = [0; QUARTERS];
    let mut quarter = 0;
    while quarter < QUARTERS {
        quarters[quarter] = OF_HOUR[quarter / 4];
        quarter += 1;
    }
    Daily(quarters)
};
