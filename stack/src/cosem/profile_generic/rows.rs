//! The rows of a buffer that was received as a whole.

use thiserror::Error;

use super::{CaptureObject, Nulls};
use crate::axdr::{Data, DecodeError, Elements};

/// A row that cannot be read, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("row {row}: {kind}")]
pub struct RowError {
    /// The row, counted from 0.
    pub row: usize,
    /// Why.
    pub kind: RowErrorKind,
}

/// Why a row cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RowErrorKind {
    /// The octets are not a legal encoding; the offset counts from the start of the buffer attribute.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The buffer is no array.
    #[error("the buffer is no array but {found}")]
    NoArray {
        /// The type that was found.
        found: &'static str,
    },
    /// The row is no structure.
    #[error("no structure but {found}")]
    NoStructure {
        /// The type that was found.
        found: &'static str,
    },
    /// The row has another number of columns than there are capture objects, or than the first row.
    #[error("{found} columns instead of {expected}")]
    Columns {
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A difference to a value that cannot be added to: there is none, it is no integer, or the sum is too large.
    #[error("column {column}: the difference has nothing to be added to")]
    Delta {
        /// The column, counted from 0.
        column: usize,
    },
    /// The row is longer than the limit for one row.
    #[error("longer than {limit} octets")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// The octets end before the last row does.
    #[error("the buffer ends before its last row")]
    Incomplete,
}

/// The rows of a buffer, one after the other, with what null-data and delta types stand for.
///
/// The caller lends the place for one row, which also remembers the row before; nothing else is needed. Times of a
/// clock come as [`Data::DateTime`] however they were sent.
///
/// A row that cannot be read is an error by itself: the next one can be asked for. What could be read of it counts as
/// the row before, as it does for the meter; a cell that could not is null-data from then on.
#[derive(Debug)]
pub struct Rows<'a, 'r> {
    elements: Elements<'a>,
    columns: &'r [CaptureObject],
    nulls: Nulls,
    row: &'r mut [Data<'a>],
    width: usize,
    next: usize,
}

impl<'a, 'r> Rows<'a, 'r> {
    /// The rows of `buffer`. `columns` are the capture objects of the columns that were selected; when they are not
    /// known, empty: then every row must be as wide as the first, and no column is a clock's. `row` is the place for one
    /// row.
    ///
    /// # Errors
    /// `NoArray`; `Columns` when `row` is shorter than `columns`.
    pub fn new(
        buffer: Data<'a>,
        columns: &'r [CaptureObject],
        nulls: Nulls,
        row: &'r mut [Data<'a>],
    ) -> Result<Self, RowError> {
        let Some(elements) = buffer.as_array() else {
            return Err(RowError { row: 0, kind: RowErrorKind::NoArray { found: buffer.type_name() } });
        };
        if row.len() < columns.len() {
            let kind = RowErrorKind::Columns { expected: row.len(), found: columns.len() };
            return Err(RowError { row: 0, kind });
        }
        row.fill(Data::Null);
        Ok(Self { elements: elements.iter(), columns, nulls, row, width: columns.len(), next: 0 })
    }

    /// The next row, or `None` after the last one.
    pub fn next_row(&mut self) -> Option<Result<&[Data<'a>], RowError>> {
        let element = self.elements.next()?;
        let row = self.next;
        self.next = row.saturating_add(1);
        Some(match self.read(element) {
            Ok(()) => Ok(self.row.get(..self.width).unwrap_or_default()),
            Err(kind) => Err(RowError { row, kind }),
        })
    }

    fn read(&mut self, element: Data<'a>) -> Result<(), RowErrorKind> {
        let Some(cells) = element.as_structure() else {
            return Err(RowErrorKind::NoStructure { found: element.type_name() });
        };
        if self.width == 0 {
            self.width = cells.len().min(self.row.len());
        }
        if cells.len() != self.width {
            return Err(RowErrorKind::Columns { expected: self.width, found: cells.len() });
        }
        let mut result = Ok(());
        for (index, (place, cell)) in self.row.iter_mut().zip(cells).enumerate() {
            *place = match self.nulls.restored(cell, *place, self.columns.get(index)) {
                Some(value) => value,
                None => {
                    result = Err(RowErrorKind::Delta { column: index });
                    Data::Null
                }
            };
        }
        result
    }
}
