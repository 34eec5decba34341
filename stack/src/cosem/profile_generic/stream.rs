//! The rows of a buffer that arrives in blocks.

use alloc::vec::Vec;

use super::{CaptureObject, Nulls, RowError, RowErrorKind};
use crate::axdr::stream::{Head, Scan};
use crate::axdr::{Data, DecodeError, DecodeErrorKind, Reader, Value};

/// Octets that one row may have. Rows of real profiles have tens to hundreds.
pub const ROW_OCTETS_MAX: usize = 64 * 1024;

/// Reads rows while the blocks of a long GET response arrive, however they are cut.
///
/// ```text
/// push(block) ─▶ next_row()* ─▶ push(block) ─▶ next_row()* ─▶ ... ─▶ finish()
/// ```
///
/// Memory holds one row, and of the octets the last block and the row that it cut. The rows are those of
/// [`Rows`](super::Rows); a row that cannot be decoded ends the reading, as there is no telling where the next one
/// begins.
#[derive(Debug)]
pub struct RowReader {
    columns: Vec<CaptureObject>,
    nulls: Nulls,
    row: Vec<Value>,
    /// Octets that are not read yet, after the first `start`.
    octets: Vec<u8>,
    start: usize,
    /// Octets in front of `octets`, dropped already.
    dropped: usize,
    state: State,
    next: usize,
}

#[derive(Debug)]
enum State {
    /// Nothing was read yet.
    Head,
    /// An array of rows.
    Tagged {
        /// Rows to come.
        missing: usize,
        /// How far the first of them was looked at.
        scan: Scan,
        /// Octets of it that were looked at.
        seen: usize,
    },
    /// A compact array.
    Compact {
        /// What its elements are.
        description: Vec<u8>,
        /// Octets of contents to come, counted from `start`.
        missing: usize,
        /// Values in a row, containers counted.
        values: usize,
        /// Values that the rows to come may have, see `COMPACT_VALUES_PER_OCTET`.
        budget: usize,
    },
    Failed(RowErrorKind),
}

impl RowReader {
    /// A reader for a buffer with these columns, those that were selected; empty when they are not known.
    #[must_use]
    pub fn new(columns: &[CaptureObject], nulls: Nulls) -> Self {
        Self {
            columns: columns.into(),
            nulls,
            row: Vec::new(),
            octets: Vec::new(),
            start: 0,
            dropped: 0,
            state: State::Head,
            next: 0,
        }
    }

    /// Takes the next block of the encoded buffer attribute. Rows that were not read yet stay readable.
    pub fn push(&mut self, block: &[u8]) {
        if self.start > 0 {
            self.octets.drain(..self.start.min(self.octets.len()));
            self.dropped = self.dropped.saturating_add(self.start);
            self.start = 0;
        }
        self.octets.extend_from_slice(block);
    }

    /// The next row, or `None` when more octets are needed or all rows were read.
    ///
    /// # Errors
    /// [`RowError`]. After `Columns`, `NoStructure` and `Delta` the next row can be asked for; any other error is final
    /// and is given again.
    pub fn next_row(&mut self) -> Result<Option<&[Value]>, RowError> {
        let row = self.next;
        match self.advance() {
            Ok(true) => Ok(Some(&self.row)),
            Ok(false) => Ok(None),
            Err(kind) => Err(RowError { row, kind }),
        }
    }

    /// Rows read so far, unreadable ones included.
    #[must_use]
    pub const fn rows_read(&self) -> usize {
        self.next
    }

    /// Ends the reading, after the last block.
    ///
    /// # Errors
    /// `Incomplete` when rows are missing, `TrailingOctets` when something is left after the last one.
    pub fn finish(self) -> Result<(), RowError> {
        let left = self.octets.len().saturating_sub(self.start);
        let kind = match self.state {
            State::Failed(kind) => kind,
            State::Tagged { missing: 0, .. } | State::Compact { missing: 0, .. } => {
                if left == 0 {
                    return Ok(());
                }
                let offset = self.dropped.saturating_add(self.start);
                DecodeError { offset, kind: DecodeErrorKind::TrailingOctets { count: left } }.into()
            }
            _ => RowErrorKind::Incomplete,
        };
        Err(RowError { row: self.next, kind })
    }
}

impl RowReader {
    /// Reads a row into `self.row` if it is there.
    fn advance(&mut self) -> Result<bool, RowErrorKind> {
        if let State::Failed(kind) = self.state {
            return Err(kind);
        }
        let result = self.take_head().and_then(|ready| if ready { self.take_row() } else { Ok(false) });
        if let Err(kind) = result
            && matches!(kind, RowErrorKind::Decode(_) | RowErrorKind::NoArray { .. } | RowErrorKind::TooLong { .. })
        {
            self.state = State::Failed(kind);
        }
        result
    }

    /// Reads what comes before the rows, if it is there.
    fn take_head(&mut self) -> Result<bool, RowErrorKind> {
        if !matches!(self.state, State::Head) {
            return Ok(true);
        }
        let unread = self.octets.get(self.start..).unwrap_or_default();
        let mut reader = Reader::with_offset(unread, self.dropped.saturating_add(self.start));
        self.state = match Head::decode(&mut reader) {
            Ok(Head::Array { count }) => State::Tagged { missing: count, scan: Scan::element(), seen: 0 },
            Ok(Head::Compact { description, octets, values, budget }) => {
                State::Compact { description: description.into(), missing: octets, values, budget }
            }
            Ok(Head::Other { found }) => return Err(RowErrorKind::NoArray { found }),
            Err(error) => return need_more(error, unread.len()),
        };
        self.start = self.start.saturating_add(unread.len().saturating_sub(reader.remaining()));
        Ok(true)
    }

    fn take_row(&mut self) -> Result<bool, RowErrorKind> {
        let unread = self.octets.get(self.start..).unwrap_or_default();
        let offset = self.dropped.saturating_add(self.start);
        let (data, length) = match &mut self.state {
            State::Head | State::Failed(_) => return Ok(false),
            State::Tagged { missing, scan, seen } => {
                let Some(after) = missing.checked_sub(1) else { return Ok(false) };
                let unseen = unread.get(*seen..).unwrap_or_default();
                let mut reader = Reader::with_offset(unseen, offset.saturating_add(*seen));
                let result = scan.run(&mut reader, ROW_OCTETS_MAX);
                let length = unread.len().saturating_sub(reader.remaining());
                if let Err(error) = result {
                    *seen = length;
                    return need_more(error, unread.len());
                }
                too_long(length)?;
                (*missing, *scan, *seen) = (after, Scan::element(), 0);
                let row = unread.get(..length).unwrap_or_default();
                (Data::from_checked(&mut Reader::new(row)), length)
            }
            State::Compact { description, missing, values, budget } => {
                if *missing == 0 {
                    return Ok(false);
                }
                let contents = unread.get(..unread.len().min(*missing)).unwrap_or_default();
                let mut reader = Reader::with_offset(contents, offset);
                let mut types = Reader::new(description);
                // Before the row is looked at, as looking at it is the work that is bounded.
                let refused = DecodeError { offset, kind: DecodeErrorKind::TooManyValues };
                let budget_after = budget.checked_sub(*values).ok_or(refused)?;
                if let Err(error) = crate::axdr::stream::skip_row(&mut types, &mut reader) {
                    // What is cut off by the end of the contents will not be completed by another block.
                    return if contents.len() == *missing {
                        Err(error.into())
                    } else {
                        need_more(error, contents.len())
                    };
                }
                let length = contents.len().saturating_sub(reader.remaining());
                too_long(length)?;
                *budget = budget_after;
                *missing = missing.saturating_sub(length);
                (Data::from_described(&mut Reader::new(description), &mut Reader::new(contents)), length)
            }
        };
        self.start = self.start.saturating_add(length);
        self.next = self.next.saturating_add(1);
        // Its octets were checked: it is there.
        let data = data.ok_or(RowErrorKind::Incomplete)?;
        restore(&mut self.row, data, &self.columns, self.nulls)?;
        Ok(true)
    }
}

/// Whether a truncated row of which `length` octets are there may be completed by another block.
fn need_more(error: DecodeError, length: usize) -> Result<bool, RowErrorKind> {
    if !matches!(error.kind, DecodeErrorKind::Truncated { .. }) {
        return Err(error.into());
    }
    too_long(length).map(|()| false)
}

const fn too_long(length: usize) -> Result<(), RowErrorKind> {
    if length > ROW_OCTETS_MAX { Err(RowErrorKind::TooLong { limit: ROW_OCTETS_MAX }) } else { Ok(()) }
}

/// Makes of `row`, the row before, the one that `element` stands for.
fn restore(
    row: &mut Vec<Value>,
    element: Data<'_>,
    columns: &[CaptureObject],
    nulls: Nulls,
) -> Result<(), RowErrorKind> {
    let Some(cells) = element.as_structure() else {
        return Err(RowErrorKind::NoStructure { found: element.type_name() });
    };
    let expected = match (columns.len(), row.len()) {
        (0, 0) => cells.len(),
        (0, before) => before,
        (columns, _) => columns,
    };
    if cells.len() != expected {
        return Err(RowErrorKind::Columns { expected, found: cells.len() });
    }
    row.resize(expected, Value::Null);
    let mut result = Ok(());
    for (index, (place, cell)) in row.iter_mut().zip(cells).enumerate() {
        let column = columns.get(index);
        let repeats = cell.is_null() && nulls != Nulls::Missing;
        if repeats && !column.is_some_and(CaptureObject::is_clock_time) {
            continue;
        }
        *place = match nulls.restored(cell, simple(place), column) {
            Some(value) => value.into(),
            None => {
                result = Err(RowErrorKind::Delta { column: index });
                Value::Null
            }
        };
    }
    result
}

/// A value of the row before that something can be added to.
fn simple(value: &Value) -> Data<'_> {
    value.as_data().unwrap_or(Data::Null)
}
