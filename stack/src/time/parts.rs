//! The fields of dates and of times of day.

use super::{Date, Time, calendar};

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
