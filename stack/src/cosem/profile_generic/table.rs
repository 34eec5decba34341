//! Rows that own what they hold.

use alloc::vec::Vec;

use super::blocks::{Blocks, Element};
use super::cells::{Cell, Cells, TooManyOctets};
use super::{Column, Nulls, Reading, RowError, RowErrorKind};
use crate::axdr::stream::{Head, Member, member, structure_head};
use crate::axdr::{COMPACT_VALUES_PER_OCTET, Data, Reader};

/// The rows of a profile's buffer, owned, with what null-data and delta types stand for.
///
/// All cells lie in one piece of memory, 16 octets each, and the octets of strings in another: however many rows there
/// are, a table takes three allocations. The cells are those of [`Rows`](super::Rows): times of a clock come as
/// [`Data::DateTime`], and [`reading`](Self::reading) gives them their meaning, with scaler and unit.
///
/// A row that cannot be read ends a table. To read on behind it, there are [`Rows`](super::Rows) and
/// [`RowReader`](super::RowReader).
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    nulls: Nulls,
    width: Option<usize>,
    rows: usize,
    cells: Cells,
}

/// What may come: room for it is made when the first row is there.
#[derive(Clone, Copy)]
struct Expected {
    rows: usize,
    /// Cells at most.
    cells: usize,
    /// Octets of strings.
    octets: usize,
}

/// A row of a [`Table`].
#[derive(Clone, Copy, Debug)]
pub struct TableRow<'t> {
    table: &'t Table,
    row: usize,
}

impl Table {
    /// The rows of an encoded buffer attribute, all of it.
    ///
    /// `columns` are those that were selected; when they are not known, empty: then every row must be as wide as the
    /// first, and no column is a clock's.
    ///
    /// # Errors
    /// [`RowError`].
    pub fn from_slice(octets: &[u8], columns: &[Column], nulls: Nulls) -> Result<Self, RowError> {
        let mut table = Self::new(columns, nulls);
        match table.read(octets) {
            Ok(()) => Ok(table),
            Err(kind) => Err(RowError { row: table.rows, kind }),
        }
    }

    fn new(columns: &[Column], nulls: Nulls) -> Self {
        let width = if columns.is_empty() { None } else { Some(columns.len()) };
        Self { columns: columns.into(), nulls, width, rows: 0, cells: Cells::default() }
    }

    /// How many rows there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// How many columns a row has; 0 while neither columns nor a row are known.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width.unwrap_or(0)
    }

    /// The columns, as they were given.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// A cell; row and column are counted from 0.
    #[must_use]
    pub fn cell(&self, row: usize, column: usize) -> Option<Data<'_>> {
        let width = self.width.filter(|width| column < *width && row < self.rows)?;
        self.cells.get(row.checked_mul(width)?.checked_add(column)?)
    }

    /// What a cell means; `None` also when the column is not known.
    #[must_use]
    pub fn reading(&self, row: usize, column: usize) -> Option<Reading<Data<'_>>> {
        Some(self.columns.get(column)?.reading(self.cell(row, column)?))
    }

    /// A row, counted from 0.
    #[must_use]
    pub fn row(&self, row: usize) -> Option<TableRow<'_>> {
        (row < self.rows).then_some(TableRow { table: self, row })
    }

    /// The rows, in the order in which they came.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = TableRow<'_>> {
        (0..self.rows).map(|row| TableRow { table: self, row })
    }
}

impl<'t> TableRow<'t> {
    /// The cells.
    pub fn cells(self) -> impl Iterator<Item = Data<'t>> {
        (0..self.table.width()).filter_map(move |column| self.table.cell(self.row, column))
    }

    /// What the cells mean; nothing when the columns are not known.
    pub fn readings(self) -> impl Iterator<Item = Reading<Data<'t>>> {
        (0..self.table.width()).filter_map(move |column| self.table.reading(self.row, column))
    }
}

impl Table {
    fn read(&mut self, octets: &[u8]) -> Result<(), RowErrorKind> {
        let mut reader = Reader::new(octets);
        if let Head::Array { count } = Head::decode(&mut reader)? {
            // A count that is a lie ends with the octets.
            for done in 0..count {
                // A cell has an octet at least, so there are no more of either.
                let octets = reader.remaining();
                let expected = Expected { rows: count.saturating_sub(done), cells: octets, octets };
                self.read_row(&mut reader, expected)?;
            }
        } else {
            reader = Reader::new(octets);
            let data = Data::decode(&mut reader)?;
            let rows = data.as_array().ok_or(RowErrorKind::NoArray { found: data.type_name() })?;
            let cells = octets.len().saturating_mul(COMPACT_VALUES_PER_OCTET);
            for row in rows {
                self.add(row, Expected { rows: rows.len(), cells, octets: octets.len() })?;
            }
        }
        Ok(reader.finish()?)
    }

    /// Takes a row with its tags.
    #[inline]
    fn read_row(&mut self, reader: &mut Reader<'_>, expected: Expected) -> Result<(), RowErrorKind> {
        let members = structure_head(reader)?.map_err(|found| RowErrorKind::NoStructure { found })?;
        let start = self.begin(members, expected)?;
        let result = (0..members).try_for_each(|column| {
            let restored = member(reader, |data| self.put(data, start, column))?;
            match restored {
                Member::Simple(result) => result,
                Member::Container(octets) => self.cells.push_encoded(octets).map_err(too_many),
            }
        });
        self.end(start, result)
    }

    /// Takes a row that was decoded.
    fn add(&mut self, row: Data<'_>, expected: Expected) -> Result<(), RowErrorKind> {
        let members = row.as_structure().ok_or(RowErrorKind::NoStructure { found: row.type_name() })?;
        let start = self.begin(members.len(), expected)?;
        let mut cells = members.iter().enumerate();
        let result = cells.try_for_each(|(column, data)| self.put(data, start, column));
        self.end(start, result)
    }

    /// Begins a row: the index of its first cell.
    fn begin(&mut self, members: usize, expected: Expected) -> Result<usize, RowErrorKind> {
        let width = *self.width.get_or_insert(members);
        if members != width {
            return Err(RowErrorKind::Columns { expected: width, found: members });
        }
        if self.rows == 0 {
            let cells = expected.rows.saturating_mul(width).min(expected.cells);
            self.cells.reserve(cells, expected.octets);
        }
        Ok(self.cells.len())
    }

    fn end(&mut self, start: usize, result: Result<(), RowErrorKind>) -> Result<(), RowErrorKind> {
        match result {
            Ok(()) => self.rows = self.rows.saturating_add(1),
            Err(_) => self.cells.truncate(start),
        }
        result
    }

    /// Adds the value that `data` stands for in a column of the row that begins at `start`.
    #[inline(always)]
    fn put(&mut self, data: Data<'_>, start: usize, column: usize) -> Result<(), RowErrorKind> {
        match data {
            Data::Null
            | Data::DeltaInteger(_)
            | Data::DeltaLong(_)
            | Data::DeltaDoubleLong(_)
            | Data::DeltaUnsigned(_)
            | Data::DeltaLongUnsigned(_)
            | Data::DeltaDoubleLongUnsigned(_)
            | Data::OctetString(_) => self.restore(data, start, column),
            data => self.cells.push(data).map_err(too_many),
        }
    }

    fn restore(&mut self, data: Data<'_>, start: usize, column: usize) -> Result<(), RowErrorKind> {
        let object = self.columns.get(column).map(Column::object);
        let clock = object.is_some_and(super::CaptureObject::is_clock_time);
        let before = start.checked_sub(self.width()).and_then(|before| before.checked_add(column));
        if data.is_null() && !clock {
            self.cells.repeat(before.filter(|_| self.nulls != Nulls::Missing));
            return Ok(());
        }
        if !clock && data.as_bytes().is_some() {
            return self.cells.push(data).map_err(too_many);
        }
        let previous = before.and_then(|before| self.cells.get(before)).unwrap_or(Data::Null);
        let restored = self.nulls.restored(data, previous, object).ok_or(RowErrorKind::Delta { column })?;
        // What is computed from the row before is a number or a time; a string is as it came.
        match Cell::of(&restored) {
            Some(cell) => {
                self.cells.push_cell(cell);
                Ok(())
            }
            None => self.cells.push(data).map_err(too_many),
        }
    }
}

fn too_many(_: TooManyOctets) -> RowErrorKind {
    RowErrorKind::TooLong { limit: u32::MAX as usize }
}

/// Cells and octets that a [`TableReader`] makes room for in advance.
const RESERVED_MAX: usize = 1 << 20;

/// Fills a [`Table`] while the blocks of a long GET response arrive, however they are cut.
///
/// Beside the table, memory holds the last block and the row that it cut.
#[derive(Debug)]
pub struct TableReader {
    blocks: Blocks,
    table: Table,
    rows_expected: usize,
    failed: Option<RowError>,
}

impl TableReader {
    /// A reader for a buffer with these columns, as for [`Table::from_slice`]. Room is made at once for `rows_expected`
    /// rows, such as the capture period lets expect; more may come.
    #[must_use]
    pub fn new(columns: &[Column], nulls: Nulls, rows_expected: usize) -> Self {
        Self { blocks: Blocks::new(), table: Table::new(columns, nulls), rows_expected, failed: None }
    }

    /// Takes the next block of the encoded buffer attribute, and all rows that are whole with it: how many.
    ///
    /// # Errors
    /// [`RowError`], which is final and is given again.
    pub fn push(&mut self, block: &[u8]) -> Result<usize, RowError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let before = self.table.rows;
        self.blocks.push(block);
        match self.take_rows() {
            Ok(()) => Ok(self.table.rows.saturating_sub(before)),
            Err(kind) => {
                let error = RowError { row: self.table.rows, kind };
                self.failed = Some(error);
                Err(error)
            }
        }
    }

    fn take_rows(&mut self) -> Result<(), RowErrorKind> {
        while let Some(element) = self.blocks.next_row()? {
            let rows = self.rows_expected;
            let mut expected = Expected { rows, cells: RESERVED_MAX, octets: 0 };
            match element {
                Element::Tagged(octets) => {
                    expected.octets = rows.saturating_mul(octets.len()).min(RESERVED_MAX);
                    self.table.read_row(&mut Reader::new(octets), expected)?;
                }
                // Its octets were checked: it is there.
                Element::Described(..) => {
                    self.table.add(element.data().ok_or(RowErrorKind::Incomplete)?, expected)?;
                }
            }
        }
        Ok(())
    }

    /// The rows so far.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// Ends the reading, after the last block.
    ///
    /// # Errors
    /// The error of a row; `Incomplete` when rows are missing, `TrailingOctets` when something is left after the last
    /// one.
    pub fn finish(self) -> Result<Table, RowError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.blocks.finish()?;
        Ok(self.table)
    }
}
