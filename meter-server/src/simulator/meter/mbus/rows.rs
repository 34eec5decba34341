//! The control log of a valve: 0-b:24.5.0.

use dlms::apdu::DataAccessResult;
use dlms::axdr::Writer;
use dlms::cosem::ToData;

use super::super::Meter;
use super::super::rows::captured;
use super::VALVE_ENTRIES_MAX;
use crate::moment::Moment;
use crate::object::Context;
use crate::objects::{CaptureObject, ControlState, RowRange, Rows};

/// An entry for each movement of the valve on a channel.
#[derive(Clone, Debug)]
pub(crate) struct ValveRows {
    pub(crate) channel: u8,
    pub(crate) columns: Vec<CaptureObject>,
}

impl ValveRows {
    fn entry(&self, meter: &Meter, row: u64) -> Option<(Moment, ControlState)> {
        meter.with_mbus(|all| {
            let log = &all.channel(self.channel)?.valve_log;
            let index = usize::try_from(row.checked_sub(log.dropped + 1)?).ok()?;
            log.entries.get(index).copied()
        })
    }
}

impl Rows<Meter> for ValveRows {
    fn columns<'a>(&'a self, _: &'a Meter) -> &'a [CaptureObject] {
        &self.columns
    }

    fn capture_period(&self, _: &Meter) -> u32 {
        0
    }

    fn capacity(&self, _: &Meter) -> u32 {
        u32::try_from(VALVE_ENTRIES_MAX).unwrap_or(u32::MAX)
    }

    fn range(&self, meter: &Meter, _: &Context<'_, Meter>) -> RowRange {
        let range = meter.with_mbus(|all| {
            let log = &all.channel(self.channel)?.valve_log;
            Some(RowRange { first: log.dropped + 1, count: u32::try_from(log.entries.len()).unwrap_or(u32::MAX) })
        });
        range.unwrap_or(RowRange { first: 1, count: 0 })
    }

    fn row_time(&self, meter: &Meter, _: &Context<'_, Meter>, row: u64) -> Moment {
        self.entry(meter, row).map_or(Moment::default(), |(at, _)| at)
    }

    fn write_value(
        &self,
        meter: &Meter,
        cx: &Context<'_, Meter>,
        row: u64,
        column: &CaptureObject,
        out: &mut Writer<'_>,
    ) -> Result<(), DataAccessResult> {
        let (at, state) = self.entry(meter, row).ok_or(DataAccessResult::DataBlockUnavailable)?;
        let valve = column.instance.0[..3] == [0, self.channel, 24];
        if (column.class_id.0, column.attribute.0, valve) == (70, 3, true) {
            return Ok(state.to_data(out)?);
        }
        captured(meter, cx, at, column, out)
    }
}
