//! Durations as people write them.

use std::{fmt, str::FromStr, time::Duration};

use serde::Deserialize;

/// A positive duration, written as `500ms`, `10s`, `2m` or `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(Duration);

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration such as 500ms, 10s, 2m or 1h")]
pub struct SpanError(String);

/// Longest duration: beyond it a deadline could not be counted on every platform.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

impl Span {
    /// The duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let wrong = || SpanError(text.to_owned());
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (digits, unit) = text.split_at(split);
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        let unit_ms = match unit.trim_start() {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            _ => return Err(wrong()),
        };
        let duration = number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(wrong)?;
        if duration.is_zero() || duration > LONGEST { Err(wrong()) } else { Ok(Self(duration)) }
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;

    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A whole number of days, written as `90d`: how long rows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Days(u32);

/// Why a text is not a number of days.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a number of days from 2d to 36500d")]
pub struct DaysError(String);

impl Days {
    /// The duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64 * 86_400)
    }
}

impl FromStr for Days {
    type Err = DaysError;

    fn from_str(text: &str) -> Result<Self, DaysError> {
        let days = text.strip_suffix('d').and_then(|digits| digits.parse().ok());
        // What was cut off within a day is counted.
        days.filter(|days| (2..=36_500).contains(days)).map(Self).ok_or_else(|| DaysError(text.to_owned()))
    }
}

impl TryFrom<String> for Days {
    type Error = DaysError;

    fn try_from(text: String) -> Result<Self, DaysError> {
        text.parse()
    }
}
