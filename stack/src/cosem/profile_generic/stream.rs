//! The rows of a buffer that arrives in blocks.

use alloc::vec::Vec;

use super::blocks::Blocks;
use super::{CaptureObject, Nulls, RowError, RowErrorKind};
use crate::axdr::{Data, Value};

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
    blocks: Blocks,
}

impl RowReader {
    /// A reader for a buffer with these columns, those that were selected; empty when they are not known.
    #[must_use]
    pub fn new(columns: &[CaptureObject], nulls: Nulls) -> Self {
        Self { columns: columns.into(), nulls, row: Vec::new(), blocks: Blocks::new() }
    }

    /// Takes the next block of the encoded buffer attribute. Rows that were not read yet stay readable.
    pub fn push(&mut self, block: &[u8]) {
        self.blocks.push(block);
    }

    /// The next row, or `None` when more octets are needed or all rows were read.
    ///
    /// # Errors
    /// [`RowError`]. After `Columns`, `NoStructure` and `Delta` the next row can be asked for; any other error is final
    /// and is given again.
    pub fn next_row(&mut self) -> Result<Option<&[Value]>, RowError> {
        let row = self.blocks.rows_read();
        match self.advance() {
            Ok(true) => Ok(Some(&self.row)),
            Ok(false) => Ok(None),
            Err(kind) => Err(RowError { row, kind }),
        }
    }

    /// Rows read so far, unreadable ones included.
    #[must_use]
    pub const fn rows_read(&self) -> usize {
        self.blocks.rows_read()
    }

    /// Ends the reading, after the last block.
    ///
    /// # Errors
    /// `Incomplete` when rows are missing, `TrailingOctets` when something is left after the last one.
    pub fn finish(self) -> Result<(), RowError> {
        self.blocks.finish()
    }

    /// Reads a row into `self.row` if it is there.
    fn advance(&mut self) -> Result<bool, RowErrorKind> {
        let Some(element) = self.blocks.next_row()? else { return Ok(false) };
        // Its octets were checked: it is there.
        let data = element.data().ok_or(RowErrorKind::Incomplete)?;
        restore(&mut self.row, data, &self.columns, self.nulls)?;
        Ok(true)
    }
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
