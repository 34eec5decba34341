//! COSEM dates and times: kept as the octets that travelled, read field by field.
//!
//! Every field may be "not specified", and day and month may be relative ("last day", "start of daylight saving").
//! Nothing here converts silently: UTC is only given when the deviation is known. Deviation is what must be
//! **added to local time to get UTC** (Blue Book, `date_time`): -60 in central European winter. Some meters
//! invert it; see [`DateTime::with_inverted_deviation`].

mod calendar;
mod parts;
mod text;

pub use text::ParseTimeError;

/// A calendar date, five octets: year, month, day of month, day of week.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Date(pub(crate) [u8; 5]);

/// A time of day, four octets: hour, minute, second, hundredths.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Time(pub(crate) [u8; 4]);

/// A date, a time, a deviation from UTC and a clock status: twelve octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime(pub(crate) [u8; 12]);

/// The state of the clock that a timestamp came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClockStatus(pub u8);

impl ClockStatus {
    /// Nothing to report.
    pub const OK: Self = Self(0x00);
    /// Daylight saving is active, and contained in the local time and the deviation.
    pub const DAYLIGHT_SAVING: Self = Self(0x80);
    /// Not specified.
    pub const UNSPECIFIED: Self = Self(0xFF);

    /// The time could not be recovered after a power failure.
    #[must_use]
    pub const fn invalid(self) -> bool {
        self.has(0x01)
    }

    /// The time could be recovered after a power failure, but may be wrong.
    #[must_use]
    pub const fn doubtful(self) -> bool {
        self.has(0x02)
    }

    /// At least one part was taken from another timing source than the clock base.
    #[must_use]
    pub const fn different_clock_base(self) -> bool {
        self.has(0x04)
    }

    /// The status octet itself is invalid.
    #[must_use]
    pub const fn invalid_status(self) -> bool {
        self.has(0x08)
    }

    /// Daylight saving is active.
    #[must_use]
    pub const fn daylight_saving(self) -> bool {
        self.has(0x80)
    }

    const fn has(self, mask: u8) -> bool {
        self.0 != 0xFF && self.0 & mask != 0
    }
}

impl DateTime {
    /// No field specified.
    pub const UNSPECIFIED: Self = Self([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x80, 0x00, 0xFF]);
    /// The deviation field's "not specified".
    const DEVIATION_UNSPECIFIED: i16 = i16::MIN;

    /// The date-time in twelve octets.
    #[must_use]
    pub const fn from_bytes(octets: &[u8; 12]) -> Self {
        Self(*octets)
    }

    /// The date-time in `octets`, or `None` when there are not exactly twelve.
    #[must_use]
    pub fn from_slice(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok().map(Self)
    }

    /// The date-time in the content of an octet-string: twelve octets, or none at all, with which meters say
    /// "not specified".
    ///
    /// # Errors
    /// `Truncated` for fewer than twelve octets, `TrailingOctets` for more.
    pub fn decode(octets: &[u8]) -> Result<Self, crate::axdr::DecodeError> {
        if octets.is_empty() {
            return Ok(Self::UNSPECIFIED);
        }
        let mut reader = crate::axdr::Reader::new(octets);
        let value = Self(reader.array()?);
        reader.finish()?;
        Ok(value)
    }

    /// Puts the parts together. `deviation_minutes` is added to local time to get UTC; `None` leaves it open.
    #[must_use]
    pub const fn new(date: Date, time: Time, deviation_minutes: Option<i16>, status: ClockStatus) -> Self {
        let [y0, y1, month, day, weekday] = date.0;
        let [hour, minute, second, hundredths] = time.0;
        let deviation = match deviation_minutes {
            Some(minutes) => minutes,
            None => Self::DEVIATION_UNSPECIFIED,
        };
        let [d0, d1] = deviation.to_be_bytes();
        Self([y0, y1, month, day, weekday, hour, minute, second, hundredths, d0, d1, status.0])
    }

    /// The moment `seconds` after 1970-01-01 00:00 UTC, as a clock with `deviation_min` shows it, with hundredths 0.
    ///
    /// A moment outside the years 1 to 65534, which the format cannot hold, becomes the nearest one it can.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64, deviation_min: i16, status: ClockStatus) -> Self {
        let local = seconds.saturating_sub(i64::from(deviation_min).saturating_mul(60));
        let (date, time) = calendar::civil_from_seconds(local);
        Self::new(date, time, Some(deviation_min), status)
    }

    /// The twelve octets.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 12] {
        self.0
    }

    /// The twelve octets, borrowed.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// The date part.
    #[must_use]
    pub const fn date(self) -> Date {
        let [y0, y1, month, day, weekday, ..] = self.0;
        Date([y0, y1, month, day, weekday])
    }

    /// The time part.
    #[must_use]
    pub const fn time(self) -> Time {
        let [_, _, _, _, _, hour, minute, second, hundredths, ..] = self.0;
        Time([hour, minute, second, hundredths])
    }

    /// Year, see [`Date::year`].
    #[must_use]
    pub const fn year(self) -> Option<u16> {
        self.date().year()
    }

    /// Month, see [`Date::month`].
    #[must_use]
    pub const fn month(self) -> Option<u8> {
        self.date().month()
    }

    /// Day of the month, see [`Date::day`].
    #[must_use]
    pub const fn day(self) -> Option<u8> {
        self.date().day()
    }

    /// Day of the week, see [`Date::weekday`].
    #[must_use]
    pub const fn weekday(self) -> Option<u8> {
        self.date().weekday()
    }

    /// Hour, see [`Time::hour`].
    #[must_use]
    pub const fn hour(self) -> Option<u8> {
        self.time().hour()
    }

    /// Minute, see [`Time::minute`].
    #[must_use]
    pub const fn minute(self) -> Option<u8> {
        self.time().minute()
    }

    /// Second, see [`Time::second`].
    #[must_use]
    pub const fn second(self) -> Option<u8> {
        self.time().second()
    }

    /// Hundredths of a second, see [`Time::hundredths`].
    #[must_use]
    pub const fn hundredths(self) -> Option<u8> {
        self.time().hundredths()
    }

    /// Minutes to be added to local time to get UTC, daylight saving included. `None` when not specified, and for
    /// what no place on earth has: FFFF, which some meters send for "not specified", and more than 14 hours.
    #[must_use]
    pub const fn deviation_minutes(self) -> Option<i16> {
        let [.., high, low, _] = self.0;
        match i16::from_be_bytes([high, low]) {
            -1 => None,
            minutes @ -840..=840 => Some(minutes),
            _ => None,
        }
    }

    /// Clock status; `None` when not specified.
    #[must_use]
    pub const fn status(self) -> Option<ClockStatus> {
        let [.., status] = self.0;
        match status {
            0xFF => None,
            status => Some(ClockStatus(status)),
        }
    }

    /// The same with the deviation's sign turned, for meters that send UTC to local instead of local to UTC.
    /// A deviation that is not specified stays so.
    #[must_use]
    pub const fn with_inverted_deviation(self) -> Self {
        match self.deviation_minutes() {
            Some(minutes) => self.with_deviation(Some(minutes.wrapping_neg())),
            None => self,
        }
    }

    /// The same with another deviation.
    #[must_use]
    pub const fn with_deviation(self, minutes: Option<i16>) -> Self {
        let [.., status] = self.0;
        Self::new(self.date(), self.time(), minutes, ClockStatus(status))
    }

    /// Seconds from 1970-01-01 00:00 to this moment, both in local time; `None` unless year to minute are specified
    /// and name a moment of the calendar.
    #[must_use]
    pub fn to_local_seconds(self) -> Option<i64> {
        let days = self.date().to_unix_days()?;
        let seconds = i64::from(self.time().to_seconds()?);
        days.checked_mul(calendar::SECONDS_PER_DAY)?.checked_add(seconds)
    }

    /// Seconds from 1970-01-01 00:00 UTC; `None` when the local moment or the deviation is not specified.
    #[must_use]
    pub fn to_unix_seconds(self) -> Option<i64> {
        self.to_unix_seconds_or(self.deviation_minutes()?)
    }

    /// Seconds from 1970-01-01 00:00 UTC, with `deviation_min` where none is specified.
    #[must_use]
    pub fn to_unix_seconds_or(self, deviation_min: i16) -> Option<i64> {
        let deviation = i64::from(self.deviation_minutes().unwrap_or(deviation_min));
        self.to_local_seconds()?.checked_add(deviation.checked_mul(60)?)
    }

    /// The moment `seconds` later on the same clock: deviation and status stay. `None` when the local moment is not
    /// fully specified.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Option<Self> {
        let (date, time) = calendar::civil_from_seconds(self.to_local_seconds()?.checked_add(seconds)?);
        let [.., d0, d1, status] = self.0;
        let mut moved = Self::new(date, time, Some(i16::from_be_bytes([d0, d1])), ClockStatus(status));
        let ([.., to, _, _, _], [.., from, _, _, _]) = (&mut moved.0, self.0);
        *to = from;
        Some(moved)
    }
}

#[cfg(test)]
mod tests;
