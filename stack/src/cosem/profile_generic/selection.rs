//! Selective access to the buffer: by a range of values, or by the numbers of rows and columns.

use core::ops::Range;

use super::CaptureObject;
use crate::apdu::Selection;
use crate::axdr::{BufferFull, Data, Reader, Writer};
use crate::cosem::{Any, Array, ToData};
use crate::time::DateTime;

structure! {
    /// The rows in which one column is between two values, both included.
    RangeDescriptor<'a> "structure of range descriptor" {
        /// The column that is compared.
        restricting_object: CaptureObject,
        /// Smallest value, in the type of the column; an octet-string for the time of a clock.
        from_value: Any<'a>,
        /// Largest value.
        to_value: Any<'a>,
        /// The wanted columns; empty for all.
        selected_values: Array<'a, CaptureObject>,
    }
}

structure! {
    /// Rows and columns by number, from 1, both ends included.
    #[derive(Eq, Hash)]
    EntryDescriptor "structure of entry descriptor" {
        /// First row; 1 is the first of the buffer, which in a LIFO profile is the newest.
        from_entry: u32,
        /// Last row; 0 for the last of the buffer.
        to_entry: u32,
        /// First column.
        from_selected_value: u16,
        /// Last column; 0 for the last.
        to_selected_value: u16,
    }
}

impl<'a> RangeDescriptor<'a> {
    /// Access selector.
    pub const SELECTOR: u8 = 1;

    /// All columns of the rows between two times of the clock that is captured as `clock`.
    #[must_use]
    pub const fn between(clock: CaptureObject, from: &'a DateTime, to: &'a DateTime) -> Self {
        Self {
            restricting_object: clock,
            from_value: Data::OctetString(from.as_bytes()),
            to_value: Data::OctetString(to.as_bytes()),
            selected_values: Array::EMPTY,
        }
    }

    /// The selection for a request, its parameters encoded into `buffer`.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn selection<'b>(&self, buffer: &'b mut [u8]) -> Result<Selection<'b>, BufferFull> {
        Ok(Selection { selector: Self::SELECTOR, parameters: encoded(self, buffer)? })
    }
}

impl EntryDescriptor {
    /// Access selector.
    pub const SELECTOR: u8 = 2;
    /// The whole buffer.
    pub const ALL: Self = Self::rows(1, 0);

    /// All columns of the rows from `first` to `last`, counted from 1; `last` 0 for the last row.
    #[must_use]
    pub const fn rows(first: u32, last: u32) -> Self {
        Self { from_entry: first, to_entry: last, from_selected_value: 1, to_selected_value: 0 }
    }

    /// The selection for a request, its parameters encoded into `buffer`.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn selection<'b>(&self, buffer: &'b mut [u8]) -> Result<Selection<'b>, BufferFull> {
        Ok(Selection { selector: Self::SELECTOR, parameters: encoded(self, buffer)? })
    }

    /// Which of `columns` are selected; none when the first column is beyond the last.
    #[must_use]
    pub fn columns<'c>(&self, columns: &'c [CaptureObject]) -> &'c [CaptureObject] {
        columns.get(self.column_range(columns.len())).unwrap_or_default()
    }

    /// Which of `count` columns are selected, counted from 0; empty when the first column is beyond the last.
    #[must_use]
    pub fn column_range(&self, count: usize) -> Range<usize> {
        let first = usize::from(self.from_selected_value.saturating_sub(1));
        let last = match self.to_selected_value {
            0 => count,
            last => usize::from(last).min(count),
        };
        first..last
    }
}

/// A structure of four members, encoded and read back. The octets are those just written, so there is nothing to check.
fn encoded<'b>(descriptor: &impl ToData, buffer: &'b mut [u8]) -> Result<Data<'b>, BufferFull> {
    let mut writer = Writer::new(buffer);
    descriptor.to_data(&mut writer)?;
    Data::from_checked(&mut Reader::new(writer.into_written())).ok_or(BufferFull)
}
