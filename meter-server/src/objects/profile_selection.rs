//! Selective access to a profile's buffer: which rows, and which of their columns.

use dlms::apdu::{DataAccessResult, Selection};
use dlms::axdr::Data;
use dlms::cosem::FromData;
use dlms::cosem::profile_generic::{CaptureObject, EntryDescriptor, RangeDescriptor};
use dlms::time::{ClockStatus, Date, DateTime, Time};

use super::RowRange;
use super::clock::ClockSettings;
use crate::moment::Moment;

/// Columns that a profile can have at most: one bit each in [`Columns`].
pub(super) const COLUMNS_MAX: usize = 64;

/// Selected columns, in the order of the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Columns(u64);

impl Columns {
    const ALL: Self = Self(u64::MAX);

    const fn bit(index: usize) -> u64 {
        if index < COLUMNS_MAX { 1 << index } else { 0 }
    }

    /// Whether column `index` (from 0) is selected.
    pub(super) const fn contains(self, index: usize) -> bool {
        self.0 & Self::bit(index) != 0
    }

    /// How many of the first `count` columns are selected.
    pub(super) fn of(self, count: usize) -> usize {
        (0..count).filter(|index| self.contains(*index)).count()
    }
}

/// Selected rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowSelection {
    All,
    /// Moments, both included.
    Between(Moment, Moment),
    /// Row numbers from 1, both included.
    Entries(u32, u32),
}

/// What a client selected of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BufferSelection {
    pub(super) rows: RowSelection,
    pub(super) columns: Columns,
}

impl BufferSelection {
    /// Understands `selection` for a profile with these columns and clock.
    ///
    /// # Errors
    /// `TypeUnmatched` for parameters of the wrong form, for a range of anything but the clock, and for columns that
    /// the profile does not have.
    pub(super) fn new(
        selection: Option<Selection<'_>>,
        columns: &[CaptureObject],
        clock: &ClockSettings,
    ) -> Result<Self, DataAccessResult> {
        let parsed = match selection {
            None => Some(Self { rows: RowSelection::All, columns: Columns::ALL }),
            Some(Selection { selector: RangeDescriptor::SELECTOR, parameters }) => {
                FromData::from_exact(&parameters).and_then(|range| by_range(range, columns, clock))
            }
            Some(Selection { selector: EntryDescriptor::SELECTOR, parameters }) => {
                FromData::from_exact(&parameters).and_then(|entries| by_entry(entries, columns))
            }
            Some(_) => None,
        };
        parsed.ok_or(DataAccessResult::TypeUnmatched)
    }

    /// The sequence number of the first selected row and the number of selected rows, of the rows in `range`;
    /// `lower_bound` tells the first row captured at or after a moment.
    pub(super) fn rows(&self, range: RowRange, lower_bound: impl Fn(Moment) -> u64) -> (u64, u32) {
        let end = range.first.saturating_add(u64::from(range.count));
        let (first, end) = match self.rows {
            RowSelection::All => (range.first, end),
            RowSelection::Between(from, to) => {
                (lower_bound(from).clamp(range.first, end), lower_bound(to.plus_millis(1)).clamp(range.first, end))
            }
            RowSelection::Entries(from, to) => {
                let skipped = u64::from(from.saturating_sub(1));
                let last = if to == 0 { range.count } else { to.min(range.count) };
                (range.first.saturating_add(skipped).min(end), range.first.saturating_add(u64::from(last)))
            }
        };
        (first, u32::try_from(end.saturating_sub(first)).unwrap_or(u32::MAX))
    }
}

fn by_range(range: RangeDescriptor<'_>, columns: &[CaptureObject], clock: &ClockSettings) -> Option<BufferSelection> {
    if !range.restricting_object.is_clock_time() {
        return None;
    }
    let from = bound(range.from_value, clock, Edge::Lower)?;
    let to = bound(range.to_value, clock, Edge::Upper)?;
    let mut chosen = 0;
    for wanted in range.selected_values.exact() {
        let wanted = wanted?;
        chosen |= Columns::bit(columns.iter().position(|column| *column == wanted)?);
    }
    let columns = if chosen == 0 { Columns::ALL } else { Columns(chosen) };
    Some(BufferSelection { rows: RowSelection::Between(from, to), columns })
}

fn by_entry(entries: EntryDescriptor, columns: &[CaptureObject]) -> Option<BufferSelection> {
    let rows = RowSelection::Entries(entries.from_entry, entries.to_entry);
    let chosen = entries.column_range(columns.len()).fold(0, |bits, index| bits | Columns::bit(index));
    // Not one column left is a request for something that is not there.
    (chosen != 0).then_some(BufferSelection { rows, columns: Columns(chosen) })
}

#[derive(Clone, Copy)]
enum Edge {
    Lower,
    Upper,
}

/// A bound of a range. Fields with wildcards take the value that makes the range widest, and a bound without a year
/// leaves it open; a deviation that is not specified is that of the meter's clock.
fn bound(data: Data<'_>, clock: &ClockSettings, edge: Edge) -> Option<Moment> {
    let time = data.as_date_time()?;
    let open = match edge {
        Edge::Lower => Moment::from_millis(i64::MIN),
        Edge::Upper => Moment::from_millis(i64::MAX),
    };
    let Some(year) = time.year() else { return Some(open) };
    let widest = |value: Option<u8>, lower: u8, upper: u8| match edge {
        Edge::Lower => value.unwrap_or(lower),
        Edge::Upper => value.unwrap_or(upper),
    };
    let month = widest(time.month(), 1, 12);
    let date = match (time.day(), edge) {
        (Some(day), _) => Date::new(year, month, day)?,
        (None, Edge::Lower) => Date::new(year, month, 1)?,
        (None, Edge::Upper) => (28..=31).rev().find_map(|day| Date::new(year, month, day))?,
    };
    let of_day = Time::new(widest(time.hour(), 0, 23), widest(time.minute(), 0, 59), widest(time.second(), 0, 59))?;
    let whole =
        DateTime::new(date, of_day, time.deviation_minutes(), time.status().unwrap_or(ClockStatus::UNSPECIFIED));
    let moment = clock.utc(whole)?;
    Some(match edge {
        Edge::Lower => moment,
        // Seconds are whole: the last millisecond of the second belongs to the range.
        Edge::Upper => moment.plus_millis(999),
    })
}

#[cfg(test)]
mod tests;
