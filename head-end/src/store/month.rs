//! Months, by which readings are divided.

use std::fmt;
#[cfg(feature = "postgres")]
use std::ops::Range;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// A calendar month in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Month {
    year: i16,
    month: i8,
}

const FIRST: Month = Month { year: 1970, month: 1 };
const LAST: Month = Month { year: 2099, month: 12 };

impl Month {
    /// The month among which captures of `time` are kept. A meter whose clock says anything at all would make a part for
    /// each month of twenty thousand years: what lies before and behind all that is likely goes into the first and the last.
    pub(super) fn of(time: Timestamp) -> Self {
        let date = TimeZone::UTC.to_datetime(time).date();
        (Self { year: date.year(), month: date.month() }).clamp(FIRST, LAST)
    }

    /// The month before.
    pub(super) fn previous(self) -> Self {
        match self.month {
            1 => Self { year: self.year.saturating_sub(1), month: 12 },
            month => Self { month: month - 1, ..self },
        }
    }

    /// The times of its captures, in milliseconds since 1970: open at the ends of the first and the last month.
    #[cfg(feature = "postgres")]
    pub(super) fn millis(self) -> Range<i64> {
        let first = |year, month| {
            let date = Date::new(year, month, 1).ok()?;
            date.to_zoned(TimeZone::UTC).ok().map(|midnight| midnight.timestamp().as_millisecond())
        };
        let next = if self.month == 12 { (self.year.saturating_add(1), 1) } else { (self.year, self.month + 1) };
        let start = first(self.year, self.month).filter(|_| self > FIRST);
        let end = first(next.0, next.1).filter(|_| self < LAST);
        start.unwrap_or(i64::MIN)..end.unwrap_or(i64::MAX)
    }

    /// `2026_11`, for names of tables.
    #[cfg(feature = "postgres")]
    pub(super) fn suffix(self) -> String {
        format!("{:04}_{:02}", self.year, self.month)
    }

    /// A month by its number from 1 on, if there is such a month.
    pub(super) fn new(year: i16, month: i8) -> Option<Self> {
        Date::new(year, month, 1).ok().map(|_| Self { year, month })
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "readings-{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_change_at_midnight_utc() {
        let month = |text: &str| Month::of(text.parse().unwrap()).to_string();
        assert_eq!(month("2026-10-31T23:59:59.999Z"), "readings-2026-10");
        assert_eq!(month("2026-11-01T00:00:00Z"), "readings-2026-11");
    }

    #[test]
    fn the_number_of_months_is_bounded_whatever_clocks_say() {
        let month = |text: &str| Month::of(text.parse().unwrap()).to_string();
        assert_eq!(month("0001-05-01T00:00:00Z"), "readings-1970-01");
        assert_eq!(month("1970-02-01T00:00:00Z"), "readings-1970-02");
        assert_eq!(month("2099-12-31T23:59:59Z"), "readings-2099-12");
        assert_eq!(month("9999-01-01T00:00:00Z"), "readings-2099-12");
        assert_eq!((Month::of(Timestamp::MIN), Month::of(Timestamp::MAX)), (FIRST, LAST));
    }
}
