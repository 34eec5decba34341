//! What null-data means in a buffer.

use super::{CaptureObject, SortMethod};
use crate::axdr::Data;

/// What null-data means in a buffer. The octets do not say; it is a property of the meter model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// No value.
    Missing,
    /// The value of the row before; in a column with the time of a clock, the time of the row before and a step.
    AsBefore {
        /// Seconds from row to row, negative when the newest row comes first, 0 when not known: then null-data in a
        /// clock's column stays.
        step_seconds: i64,
    },
}

impl Nulls {
    /// As the Blue Book has it for a profile with this capture period and order.
    #[must_use]
    pub fn as_before(capture_period: u32, sort_method: SortMethod) -> Self {
        let period = i64::from(capture_period);
        let step_seconds = match sort_method {
            SortMethod::Lifo | SortMethod::Largest => period.wrapping_neg(),
            _ => period,
        };
        Self::AsBefore { step_seconds }
    }

    /// The value that `cell` stands for in `column`, after `before` in the row before. `None` for a delta that `before`
    /// cannot take.
    pub(super) fn restored<'a>(
        self,
        cell: Data<'a>,
        before: Data<'a>,
        column: Option<&CaptureObject>,
    ) -> Option<Data<'a>> {
        let clock = column.is_some_and(CaptureObject::is_clock_time);
        if !cell.is_null() {
            let restored = cell.restored(&before)?;
            // One type for all times, as those that are computed have no octets to be borrowed from.
            let time = if clock && restored.as_bytes().is_some() { restored.as_date_time() } else { None };
            return Some(time.map_or(restored, Data::DateTime));
        }
        let Self::AsBefore { step_seconds } = self else { return Some(Data::Null) };
        if !clock {
            return Some(before);
        }
        Some(if step_seconds == 0 { None } else { later(before, step_seconds) }.unwrap_or(Data::Null))
    }
}

/// A clock's time `seconds` later: a date-time, or Unix time as newer profiles have it.
fn later(before: Data<'_>, seconds: i64) -> Option<Data<'static>> {
    match before {
        Data::DoubleLongUnsigned(unix) => {
            i64::from(unix).checked_add(seconds)?.try_into().ok().map(Data::DoubleLongUnsigned)
        }
        Data::DateTime(time) => time.plus_seconds(seconds).map(Data::DateTime),
        _ => None,
    }
}
