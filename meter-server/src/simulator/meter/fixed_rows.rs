//! Rows that a model file gives.

use dlms::apdu::DataAccessResult;
use dlms::axdr::Writer;

use super::Meter;
use crate::moment::Moment;
use crate::object::Context;
use crate::objects::{CaptureObject, RowRange, Rows};

/// One row: when it was captured, and its values as A-XDR.
pub(crate) type FixedRow = (Moment, Vec<Box<[u8]>>);

/// Rows that never change, the oldest first.
#[derive(Clone, Debug)]
pub(crate) struct FixedRows {
    pub(crate) columns: Vec<CaptureObject>,
    pub(crate) rows: Vec<FixedRow>,
    pub(crate) capacity: u32,
}

impl FixedRows {
    fn row(&self, row: u64) -> Option<&FixedRow> {
        self.rows.get(usize::try_from(row.checked_sub(1)?).ok()?)
    }
}

impl Rows<Meter> for FixedRows {
    fn columns<'a>(&'a self, _: &'a Meter) -> &'a [CaptureObject] {
        &self.columns
    }

    fn capture_period(&self, _: &Meter) -> u32 {
        0
    }

    fn capacity(&self, _: &Meter) -> u32 {
        self.capacity
    }

    fn range(&self, _: &Meter, _: &Context<'_, Meter>) -> RowRange {
        RowRange { first: 1, count: u32::try_from(self.rows.len()).unwrap_or(u32::MAX) }
    }

    fn row_time(&self, _: &Meter, _: &Context<'_, Meter>, row: u64) -> Moment {
        self.row(row).map_or(Moment::default(), |(at, _)| *at)
    }

    fn write_value(
        &self,
        _: &Meter,
        _: &Context<'_, Meter>,
        row: u64,
        column: &CaptureObject,
        out: &mut Writer<'_>,
    ) -> Result<(), DataAccessResult> {
        let number = self.columns.iter().position(|known| known == column);
        let value = self.row(row).zip(number).and_then(|((_, values), number)| values.get(number));
        Ok(out.bytes(value.ok_or(DataAccessResult::DataBlockUnavailable)?)?)
    }
}
