//! The cells of a table: as many as there are, in two pieces of memory.

use alloc::vec::Vec;

use crate::axdr::{Data, Reader, Writer};
use crate::time::{Date, DateTime, Time};

/// A value of at most 16 octets, strings being somewhere else.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell {
    Null,
    DontCare,
    Boolean(bool),
    DoubleLong(i32),
    DoubleLongUnsigned(u32),
    Bcd(u8),
    Integer(i8),
    Long(i16),
    Unsigned(u8),
    LongUnsigned(u16),
    Long64(i64),
    Long64Unsigned(u64),
    Enum(u8),
    Float32(f32),
    Float64(f64),
    DateTime(DateTime),
    Date(Date),
    Time(Time),
    OctetString(Span),
    VisibleString(Span),
    Utf8String(Span),
    /// Any other value, with its tag.
    Encoded(Span),
}

/// A part of `Cells::octets`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u32,
    length: u32,
}

impl Cell {
    /// The cell of a value without octets that lie elsewhere.
    #[inline(always)]
    pub(super) fn of(data: &Data<'_>) -> Option<Self> {
        Some(match *data {
            Data::Null => Self::Null,
            Data::DontCare => Self::DontCare,
            Data::Boolean(value) => Self::Boolean(value),
            Data::DoubleLong(value) => Self::DoubleLong(value),
            Data::DoubleLongUnsigned(value) => Self::DoubleLongUnsigned(value),
            Data::Bcd(value) => Self::Bcd(value),
            Data::Integer(value) => Self::Integer(value),
            Data::Long(value) => Self::Long(value),
            Data::Unsigned(value) => Self::Unsigned(value),
            Data::LongUnsigned(value) => Self::LongUnsigned(value),
            Data::Long64(value) => Self::Long64(value),
            Data::Long64Unsigned(value) => Self::Long64Unsigned(value),
            Data::Enum(value) => Self::Enum(value),
            Data::Float32(value) => Self::Float32(value),
            Data::Float64(value) => Self::Float64(value),
            Data::DateTime(value) => Self::DateTime(value),
            Data::Date(value) => Self::Date(value),
            Data::Time(value) => Self::Time(value),
            _ => return None,
        })
    }
}

/// Cells one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Cells {
    cells: Vec<Cell>,
    octets: Vec<u8>,
    /// Octets to reserve when the first string comes: profiles of numbers have none.
    octets_expected: usize,
}

/// More octets of strings than 32 bits can count.
pub(super) struct TooManyOctets;

impl Cells {
    pub(super) const fn len(&self) -> usize {
        self.cells.len()
    }

    /// Makes room at once for what is to come.
    pub(super) fn reserve(&mut self, cells: usize, octets: usize) {
        self.cells.reserve_exact(cells);
        self.octets_expected = octets;
    }

    /// Drops all after the first `length`.
    pub(super) fn truncate(&mut self, length: usize) {
        self.cells.truncate(length);
    }

    /// Adds a copy of the cell at `index`, or null-data when there is none.
    pub(super) fn repeat(&mut self, index: Option<usize>) {
        let cell = index.and_then(|index| self.cells.get(index)).copied().unwrap_or(Cell::Null);
        self.cells.push(cell);
    }

    /// Adds a cell.
    #[inline(always)]
    pub(super) fn push_cell(&mut self, cell: Cell) {
        self.cells.push(cell);
    }

    /// Adds a value.
    #[inline(always)]
    pub(super) fn push(&mut self, data: Data<'_>) -> Result<(), TooManyOctets> {
        let cell = match data {
            Data::OctetString(octets) => Cell::OctetString(self.keep(octets)?),
            Data::VisibleString(octets) => Cell::VisibleString(self.keep(octets)?),
            Data::Utf8String(octets) => Cell::Utf8String(self.keep(octets)?),
            other => match Cell::of(&other) {
                Some(cell) => cell,
                None => return self.push_other(other),
            },
        };
        self.cells.push(cell);
        Ok(())
    }

    /// Adds a value that was encoded, and checked, with its tag.
    pub(super) fn push_encoded(&mut self, octets: &[u8]) -> Result<(), TooManyOctets> {
        let span = self.keep(octets)?;
        self.cells.push(Cell::Encoded(span));
        Ok(())
    }

    fn push_other(&mut self, data: Data<'_>) -> Result<(), TooManyOctets> {
        // A windowed writer without a buffer counts what there would be.
        let mut counter = Writer::window(&mut [], 0);
        data.encode(&mut counter).map_err(|_| TooManyOctets)?;
        let (start, length) = (self.octets.len(), counter.overflow());
        let span = span(start, length)?;
        self.octets.resize(start.saturating_add(length), 0);
        let mut writer = Writer::new(self.octets.get_mut(start..).unwrap_or_default());
        data.encode(&mut writer).map_err(|_| TooManyOctets)?;
        self.cells.push(Cell::Encoded(span));
        Ok(())
    }

    fn keep(&mut self, octets: &[u8]) -> Result<Span, TooManyOctets> {
        let span = span(self.octets.len(), octets.len())?;
        if self.octets.capacity() == 0 {
            self.octets.reserve_exact(self.octets_expected.max(octets.len()));
        }
        self.octets.extend_from_slice(octets);
        Ok(span)
    }

    /// The cell at `index`.
    pub(super) fn get(&self, index: usize) -> Option<Data<'_>> {
        Some(match *self.cells.get(index)? {
            Cell::Null => Data::Null,
            Cell::DontCare => Data::DontCare,
            Cell::Boolean(value) => Data::Boolean(value),
            Cell::DoubleLong(value) => Data::DoubleLong(value),
            Cell::DoubleLongUnsigned(value) => Data::DoubleLongUnsigned(value),
            Cell::Bcd(value) => Data::Bcd(value),
            Cell::Integer(value) => Data::Integer(value),
            Cell::Long(value) => Data::Long(value),
            Cell::Unsigned(value) => Data::Unsigned(value),
            Cell::LongUnsigned(value) => Data::LongUnsigned(value),
            Cell::Long64(value) => Data::Long64(value),
            Cell::Long64Unsigned(value) => Data::Long64Unsigned(value),
            Cell::Enum(value) => Data::Enum(value),
            Cell::Float32(value) => Data::Float32(value),
            Cell::Float64(value) => Data::Float64(value),
            Cell::DateTime(value) => Data::DateTime(value),
            Cell::Date(value) => Data::Date(value),
            Cell::Time(value) => Data::Time(value),
            Cell::OctetString(span) => Data::OctetString(self.octets_of(span)),
            Cell::VisibleString(span) => Data::VisibleString(self.octets_of(span)),
            Cell::Utf8String(span) => Data::Utf8String(self.octets_of(span)),
            Cell::Encoded(span) => Data::from_checked(&mut Reader::new(self.octets_of(span)))?,
        })
    }

    fn octets_of(&self, span: Span) -> &[u8] {
        let end = (span.start as usize).saturating_add(span.length as usize);
        self.octets.get(span.start as usize..end).unwrap_or_default()
    }
}

fn span(start: usize, length: usize) -> Result<Span, TooManyOctets> {
    let number = |value: usize| u32::try_from(value).map_err(|_| TooManyOctets);
    number(start.saturating_add(length))?;
    Ok(Span { start: number(start)?, length: number(length)? })
}
