//! Stretches of time that values are gathered in: in a time zone, so that a day may have 23 or 25 hours.

use std::fmt;

use jiff::{SignedDuration, Timestamp, ToSpan, Unit, ZonedRound, civil::Date, tz::TimeZone};

/// How long buckets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// So many minutes, a divisor of 60, counted from the full hour.
    Minutes(u8),
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

/// A resolution that does not divide the hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} minutes do not divide an hour")]
pub struct ResolutionError(pub u32);

impl Resolution {
    /// Buckets of `minutes` minutes.
    ///
    /// # Errors
    /// [`ResolutionError`] when they do not divide the hour.
    pub fn minutes(minutes: u32) -> Result<Self, ResolutionError> {
        match u8::try_from(minutes) {
            Ok(60) => Ok(Self::Hour),
            Ok(short) if short > 0 && 60 % short == 0 => Ok(Self::Minutes(short)),
            _ => Err(ResolutionError(minutes)),
        }
    }

    /// The bucket that holds `time`: its beginning, which is not part of it, and its end, which is. A capture
    /// at the full hour tells of the hour before it.
    ///
    /// `None` at the ends of representable time.
    #[must_use]
    pub fn around(self, time: Timestamp, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let begin = self.floor(time, zone)?;
        if begin == time {
            let before = time.checked_sub(SignedDuration::from_nanos(1)).ok()?;
            return Some((self.floor(before, zone)?, time));
        }
        Some((begin, self.after(begin, zone)?))
    }

    /// The last beginning at or before `time`.
    fn floor(self, time: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = time.to_zoned(zone.clone());
        let first = |date: Date| date.to_zoned(zone.clone()).ok();
        let down = |unit, increment| ZonedRound::new().smallest(unit).increment(increment).mode(jiff::RoundMode::Floor);
        Some(match self {
            Self::Minutes(minutes) => local.round(down(Unit::Minute, minutes.into())).ok()?.timestamp(),
            Self::Hour => local.round(down(Unit::Hour, 1)).ok()?.timestamp(),
            Self::Day => first(local.date())?.timestamp(),
            Self::Month => first(local.date().first_of_month())?.timestamp(),
        })
    }

    /// The beginning that follows the beginning `begin`.
    #[must_use]
    pub fn after(self, begin: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let minutes = |minutes: i64| begin.checked_add(SignedDuration::from_mins(minutes)).ok();
        let date = |date: Date| date.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp());
        let local = zone.to_datetime(begin).date();
        match self {
            Self::Minutes(step) => minutes(step.into()),
            Self::Hour => minutes(60),
            Self::Day => date(local.tomorrow().ok()?),
            Self::Month => date(local.first_of_month().checked_add(1.month()).ok()?),
        }
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minutes(minutes) => write!(f, "{minutes} min"),
            Self::Hour => f.write_str("hour"),
            Self::Day => f.write_str("day"),
            Self::Month => f.write_str("month"),
        }
    }
}
