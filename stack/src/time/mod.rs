//! COSEM dates and times: kept as the octets that travelled, read field by field.
//!
//! Every field may be "not specified", and day and month may be relative ("last day", "start of daylight saving").
//! Nothing here converts silently: UTC is only given when the deviation is known. Deviation is what must be
//! **added to local time to get UTC** (Blue Book, `date_time`): -60 in central European winter. Some meters
//! invert it; see [`DateTime::with_inverted_deviation`].

mod calendar;
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

const fn specified(octet: u8) -> Option<u8> {
    if octet == 0xFF { None } else { Some(octet) }
}

const fn year_of(high: u8, low: u8) -> Option<u16> {
    // 0 instead of FFFF is sent by some meters.
    match u16::from_be_bytes([high, low]) {
        0 | 0xFFFF => None,
        year => Some(year),
    }
}

impl Date {
    /// Month octet for "the month in which daylight saving begins".
    pub const DAYLIGHT_SAVING_BEGIN: u8 = 0xFE;
    /// Month octet for "the month in which daylight saving ends".
    pub const DAYLIGHT_SAVING_END: u8 = 0xFD;
    /// Day octet for "the last day of the month".
    pub const LAST_DAY: u8 = 0xFE;
    /// Day octet for "the second last day of the month".
    pub const SECOND_LAST_DAY: u8 = 0xFD;
    /// No field specified.
    pub const UNSPECIFIED: Self = Self([0xFF; 5]);

    /// The date in five octets.
    #[must_use]
    pub const fn from_bytes(octets: &[u8; 5]) -> Self {
        Self(*octets)
    }

    /// The date in `octets`, or `None` when there are not exactly five.
    #[must_use]
    pub fn from_slice(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok().map(Self)
    }

    /// A date with its day of the week, or `None` for one that the calendar does not have.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        if year == 0 || year == 0xFFFF || day == 0 || day > calendar::days_in_month(year, month)? {
            return None;
        }
        let weekday = calendar::weekday(calendar::days_from_civil(year, month, day)?);
        let [high, low] = year.to_be_bytes();
        Some(Self([high, low, month, day, weekday]))
    }

    /// The five octets.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 5] {
        self.0
    }

    /// Year; `None` when not specified (also for 0, which some meters send).
    #[must_use]
    pub const fn year(self) -> Option<u16> {
        let [high, low, ..] = self.0;
        year_of(high, low)
    }

    /// Month, 1 to 12, or [`DAYLIGHT_SAVING_BEGIN`](Self::DAYLIGHT_SAVING_BEGIN) or
    /// [`DAYLIGHT_SAVING_END`](Self::DAYLIGHT_SAVING_END); `None` when not specified.
    #[must_use]
    pub const fn month(self) -> Option<u8> {
        let [_, _, month, ..] = self.0;
        specified(month)
    }

    /// Day of the month, 1 to 31, or [`LAST_DAY`](Self::LAST_DAY) or
    /// [`SECOND_LAST_DAY`](Self::SECOND_LAST_DAY); `None` when not specified.
    #[must_use]
    pub const fn day(self) -> Option<u8> {
        let [_, _, _, day, _] = self.0;
        specified(day)
    }

    /// Day of the week, 1 Monday to 7 Sunday; `None` when not specified.
    #[must_use]
    pub const fn weekday(self) -> Option<u8> {
        let [.., weekday] = self.0;
        specified(weekday)
    }

    /// Days since 1970-01-01; `None` unless year, month and day name one day of the calendar.
    /// The day of the week is not looked at: meters send it wrong.
    #[must_use]
    pub fn to_unix_days(self) -> Option<i64> {
        calendar::days_from_civil(self.year()?, self.month()?, self.day()?)
    }
}

impl Time {
    /// No field specified.
    pub const UNSPECIFIED: Self = Self([0xFF; 4]);
    /// 00:00:00.00.
    pub const MIDNIGHT: Self = Self([0; 4]);

    /// The time in four octets.
    #[must_use]
    pub const fn from_bytes(octets: &[u8; 4]) -> Self {
        Self(*octets)
    }

    /// The time in `octets`, or `None` when there are not exactly four.
    #[must_use]
    pub fn from_slice(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok().map(Self)
    }

    /// A time of day with hundredths 0, or `None` when a field is out of range.
    #[must_use]
    pub const fn new(hour: u8, minute: u8, second: u8) -> Option<Self> {
        if hour > 23 || minute > 59 || second > 59 { None } else { Some(Self([hour, minute, second, 0])) }
    }

    /// The four octets.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0
    }

    /// Hour; `None` when not specified.
    #[must_use]
    pub const fn hour(self) -> Option<u8> {
        let [hour, ..] = self.0;
        specified(hour)
    }

    /// Minute; `None` when not specified.
    #[must_use]
    pub const fn minute(self) -> Option<u8> {
        let [_, minute, ..] = self.0;
        specified(minute)
    }

    /// Second; `None` when not specified.
    #[must_use]
    pub const fn second(self) -> Option<u8> {
        let [_, _, second, _] = self.0;
        specified(second)
    }

    /// Hundredths of a second; `None` when not specified.
    #[must_use]
    pub const fn hundredths(self) -> Option<u8> {
        let [.., hundredths] = self.0;
        specified(hundredths)
    }

    /// Seconds since midnight; `None` unless hour and minute are specified and in range.
    ///
    /// A second that is not specified counts as 0. Hour 24 is the end of the day and second 60 is taken as 59:
    /// both have been announced by meters, and a reading is worth more than its strictness.
    #[must_use]
    pub fn to_seconds(self) -> Option<u32> {
        let (hour, minute, second) = (self.hour()?, self.minute()?, self.second().unwrap_or(0));
        if hour > 24 || minute > 59 || second > 60 {
            return None;
        }
        let minutes = u32::from(hour).wrapping_mul(60).wrapping_add(u32::from(minute));
        Some(minutes.wrapping_mul(60).wrapping_add(u32::from(second.min(59))))
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
