//! Dates and times as text: `2025-05-29T10:15:30.00+02:00`, with `*` for what is not specified.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use super::{ClockStatus, Date, DateTime, Time};

/// The text is not a date or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a date or time; expected such as 2025-05-29, 10:15:30 or 2025-05-29T10:15:30+02:00")]
pub struct ParseTimeError;

struct Octet(Option<u8>);

impl fmt::Display for Octet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(f, "{value:02}"),
            None => f.write_str("*"),
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.year() {
            Some(year) => write!(f, "{year:04}-")?,
            None => f.write_str("*-")?,
        }
        match self.month() {
            Some(Self::DAYLIGHT_SAVING_BEGIN) => f.write_str("dst-begin-")?,
            Some(Self::DAYLIGHT_SAVING_END) => f.write_str("dst-end-")?,
            month => write!(f, "{}-", Octet(month))?,
        }
        match self.day() {
            Some(Self::LAST_DAY) => f.write_str("last"),
            Some(Self::SECOND_LAST_DAY) => f.write_str("second-last"),
            day => write!(f, "{}", Octet(day)),
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", Octet(self.hour()), Octet(self.minute()), Octet(self.second()))?;
        match self.hundredths() {
            None | Some(0) => Ok(()),
            hundredths => write!(f, ".{}", Octet(hundredths)),
        }
    }
}

/// Like RFC 3339, with the offset from UTC that people expect: +02:00 for a deviation of -120. No offset when none is
/// specified. The clock status is not shown.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}", self.date(), self.time())?;
        match self.deviation_minutes() {
            None => Ok(()),
            Some(0) => f.write_str("Z"),
            Some(minutes) => {
                let sign = if minutes < 0 { '+' } else { '-' };
                let minutes = minutes.unsigned_abs();
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

macro_rules! debug_as_display {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({} "), self)?;
                self.0.iter().try_for_each(|octet| write!(f, "{octet:02X}"))?;
                f.write_str(")")
            }
        }
    )*};
}
debug_as_display!(Date Time DateTime);

fn number(text: &str, digits: usize) -> Result<u16, ParseTimeError> {
    if text.len() != digits || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(ParseTimeError);
    }
    text.parse().map_err(|_| ParseTimeError)
}

/// Two digits up to `max`, or `*`.
fn field(text: &str, max: u8) -> Result<u8, ParseTimeError> {
    if text == "*" {
        return Ok(0xFF);
    }
    u8::try_from(number(text, 2)?).ok().filter(|value| *value <= max).ok_or(ParseTimeError)
}

/// `YYYY-MM-DD`; year, month and day may each be `*`, the month `dst-begin` or `dst-end`, the day `last` or
/// `second-last`. The day of the week is computed for a complete date, else not specified.
impl FromStr for Date {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        let (year, rest) = text.split_once('-').ok_or(ParseTimeError)?;
        let year = if year == "*" {
            0xFFFF
        } else {
            number(year, year.len().clamp(4, 5))
                .ok()
                .filter(|year| !matches!(year, 0 | 0xFFFF))
                .ok_or(ParseTimeError)?
        };
        let (month, day) = if let Some(day) = rest.strip_prefix("dst-begin-") {
            (Self::DAYLIGHT_SAVING_BEGIN, day)
        } else if let Some(day) = rest.strip_prefix("dst-end-") {
            (Self::DAYLIGHT_SAVING_END, day)
        } else {
            let (month, day) = rest.split_once('-').ok_or(ParseTimeError)?;
            (field(month, 12).ok().filter(|month| *month != 0).ok_or(ParseTimeError)?, day)
        };
        let day = match day {
            "last" => Self::LAST_DAY,
            "second-last" => Self::SECOND_LAST_DAY,
            day => field(day, 31).ok().filter(|day| *day != 0).ok_or(ParseTimeError)?,
        };
        if year != 0xFFFF && month <= 12 && day <= 31 {
            return Self::new(year, month, day).ok_or(ParseTimeError);
        }
        let [high, low] = year.to_be_bytes();
        Ok(Self([high, low, month, day, 0xFF]))
    }
}

/// `HH:MM:SS`, with `*` for a field that is not specified, optionally followed by a fraction of a second. Without a
/// fraction the hundredths are 0, or not specified when the second is not.
impl FromStr for Time {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        let mut parts = text.splitn(3, ':');
        let (Some(hour), Some(minute)) = (parts.next(), parts.next()) else { return Err(ParseTimeError) };
        let second = parts.next().unwrap_or("00");
        let (second, fraction) = match second.split_once('.') {
            Some((second, fraction)) => (second, Some(fraction)),
            None => (second, None),
        };
        let second = field(second, 59)?;
        let hundredths = match fraction {
            None if second == 0xFF => 0xFF,
            None => 0,
            Some("*") => 0xFF,
            Some(digits) => {
                if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
                    return Err(ParseTimeError);
                }
                let mut digits = digits.bytes().chain([b'0']).map(|octet| octet.wrapping_sub(b'0'));
                let (tens, ones) = (digits.next().unwrap_or(0), digits.next().unwrap_or(0));
                tens.wrapping_mul(10).wrapping_add(ones)
            }
        };
        Ok(Self([field(hour, 23)?, field(minute, 59)?, second, hundredths]))
    }
}

/// A date, `T` or a blank, a time and optionally `Z`, `+HH:MM` or `-HH:MM`. The clock status is not specified.
impl FromStr for DateTime {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        let (date, rest) = text.split_once(['T', ' ']).ok_or(ParseTimeError)?;
        let (time, deviation) = match rest.strip_suffix(['Z', 'z']) {
            Some(time) => (time, Some(0)),
            None => match rest.split_once(['+', '-']) {
                Some((time, offset)) => {
                    let (hours, minutes) = offset.split_once(':').ok_or(ParseTimeError)?;
                    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
                    if hours > 14 || minutes > 59 {
                        return Err(ParseTimeError);
                    }
                    let minutes = hours.wrapping_mul(60).wrapping_add(minutes);
                    let minutes = i16::try_from(minutes).map_err(|_| ParseTimeError)?;
                    let east = rest.as_bytes().get(time.len()) == Some(&b'+');
                    let deviation = if east { minutes.wrapping_neg() } else { minutes };
                    // More than 14 hours, and the one minute whose octets say "not specified".
                    if minutes > 840 || deviation == -1 {
                        return Err(ParseTimeError);
                    }
                    (time, Some(deviation))
                }
                None => (rest, None),
            },
        };
        Ok(Self::new(date.parse()?, time.parse()?, deviation, ClockStatus::UNSPECIFIED))
    }
}
