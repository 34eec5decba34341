//! A buffer that arrives in blocks, cut into the octets of its rows.

use alloc::vec::Vec;

use super::{ROW_OCTETS_MAX, RowError, RowErrorKind};
use crate::axdr::stream::{Head, Scan};
use crate::axdr::{Data, DecodeError, DecodeErrorKind, Reader};

/// Finds the rows in the blocks. Memory holds the last block and the row that it cut.
#[derive(Debug)]
pub(super) struct Blocks {
    /// Octets that are not read yet, after the first `start`.
    octets: Vec<u8>,
    start: usize,
    /// Octets in front of `octets`, dropped already.
    dropped: usize,
    state: State,
    next: usize,
}

/// A row, checked.
pub(super) enum Element<'a> {
    /// With its tags.
    Tagged(&'a [u8]),
    /// Of a compact array: types and contents.
    Described(&'a [u8], &'a [u8]),
}

impl<'a> Element<'a> {
    /// The row; `None` is not possible, as it was checked.
    pub(super) fn data(&self) -> Option<Data<'a>> {
        match *self {
            Self::Tagged(octets) => Data::from_checked(&mut Reader::new(octets)),
            Self::Described(types, contents) => {
                Data::from_described(&mut Reader::new(types), &mut Reader::new(contents))
            }
        }
    }
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

impl Blocks {
    pub(super) const fn new() -> Self {
        Self { octets: Vec::new(), start: 0, dropped: 0, state: State::Head, next: 0 }
    }

    /// Takes the next block. Rows that were not read yet stay readable.
    pub(super) fn push(&mut self, block: &[u8]) {
        if self.start > 0 {
            self.octets.drain(..self.start.min(self.octets.len()));
            self.dropped = self.dropped.saturating_add(self.start);
            self.start = 0;
        }
        self.octets.extend_from_slice(block);
    }

    /// Rows read so far, unreadable ones included.
    pub(super) const fn rows_read(&self) -> usize {
        self.next
    }

    /// Ends the reading, after the last block.
    pub(super) fn finish(&self) -> Result<(), RowError> {
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

    /// Takes the next row, if it is there. Any error is final and is given again.
    pub(super) fn next_row(&mut self) -> Result<Option<Element<'_>>, RowErrorKind> {
        if let State::Failed(kind) = self.state {
            return Err(kind);
        }
        let start = match self.take_head().and_then(|ready| if ready { self.take_row() } else { Ok(None) }) {
            Ok(None) => return Ok(None),
            Ok(Some(length)) => {
                let start = self.start;
                self.start = start.saturating_add(length);
                self.next = self.next.saturating_add(1);
                start
            }
            Err(kind) => {
                self.state = State::Failed(kind);
                return Err(kind);
            }
        };
        let octets = self.octets.get(start..self.start).unwrap_or_default();
        Ok(Some(match &self.state {
            State::Compact { description, .. } => Element::Described(description, octets),
            _ => Element::Tagged(octets),
        }))
    }

    /// Reads what comes before the rows, if it is there.
    fn take_head(&mut self) -> Result<bool, RowErrorKind> {
        if !matches!(self.state, State::Head) {
            return Ok(true);
        }
        let unread = self.octets.get(self.start..).unwrap_or_default();
        let looked_at = at_most(unread, ROW_OCTETS_MAX);
        let mut reader = Reader::with_offset(looked_at, self.dropped.saturating_add(self.start));
        self.state = match Head::decode(&mut reader) {
            Ok(Head::Array { count }) => State::Tagged { missing: count, scan: Scan::element(), seen: 0 },
            Ok(Head::Compact { description, octets, values, budget }) => {
                State::Compact { description: description.into(), missing: octets, values, budget }
            }
            Ok(Head::Other { found }) => return Err(RowErrorKind::NoArray { found }),
            Err(error) => return need_more(error, unread.len()),
        };
        self.start = self.start.saturating_add(looked_at.len().saturating_sub(reader.remaining()));
        Ok(true)
    }

    /// Octets of the next row, once they are all there. A row is looked at up to its longest length, so that what is
    /// wrong with it does not depend on how many octets came with it.
    fn take_row(&mut self) -> Result<Option<usize>, RowErrorKind> {
        let unread = self.octets.get(self.start..).unwrap_or_default();
        let offset = self.dropped.saturating_add(self.start);
        match &mut self.state {
            State::Head | State::Failed(_) => Ok(None),
            State::Tagged { missing, scan, seen } => {
                let Some(after) = missing.checked_sub(1) else { return Ok(None) };
                let row = at_most(unread, ROW_OCTETS_MAX);
                let mut reader =
                    Reader::with_offset(row.get(*seen..).unwrap_or_default(), offset.saturating_add(*seen));
                let result = scan.run(&mut reader, offset.saturating_add(ROW_OCTETS_MAX));
                let length = row.len().saturating_sub(reader.remaining());
                if let Err(error) = result {
                    *seen = length;
                    return need_more(error, unread.len()).map(|_| None);
                }
                (*missing, *scan, *seen) = (after, Scan::element(), 0);
                Ok(Some(length))
            }
            State::Compact { description, missing, values, budget } => {
                if *missing == 0 {
                    return Ok(None);
                }
                let contents = at_most(unread, *missing);
                let row = at_most(contents, ROW_OCTETS_MAX);
                let mut reader = Reader::with_offset(row, offset);
                let mut types = Reader::new(description);
                // Before the row is looked at, as looking at it is the work that is bounded.
                let refused = DecodeError { offset, kind: DecodeErrorKind::TooManyValues };
                let budget_after = budget.checked_sub(*values).ok_or(refused)?;
                if let Err(error) = crate::axdr::stream::skip_row(&mut types, &mut reader) {
                    // What is cut off by the end of the contents will not be completed by another block.
                    return if row.len() == *missing {
                        Err(error.into())
                    } else {
                        need_more(error, contents.len()).map(|_| None)
                    };
                }
                let length = row.len().saturating_sub(reader.remaining());
                *budget = budget_after;
                *missing = missing.saturating_sub(length);
                Ok(Some(length))
            }
        }
    }
}

/// Whether a truncated row of which `length` octets are there may be completed by another block.
fn need_more(error: DecodeError, length: usize) -> Result<bool, RowErrorKind> {
    if !matches!(error.kind, DecodeErrorKind::Truncated { .. }) {
        return Err(error.into());
    }
    if length > ROW_OCTETS_MAX { Err(RowErrorKind::TooLong { limit: ROW_OCTETS_MAX }) } else { Ok(false) }
}

/// The first `count` octets, or all.
fn at_most(octets: &[u8], count: usize) -> &[u8] {
    octets.get(..count).unwrap_or(octets)
}
