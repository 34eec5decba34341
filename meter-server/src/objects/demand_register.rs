//! Demand register (class 5, version 0).

use dlms::apdu::DataAccessResult;
use dlms::association::server::{Cursor, Progress};
use dlms::axdr::Writer;
use dlms::id::ClassId;
use dlms::obis::ObisCode;
use dlms::time::DateTime;
use dlms::unit::ScalerUnit;

use super::write_scaler_unit;
use crate::object::{Context, Object, Read, done};

/// An average over periods of fixed length.
pub trait Demand<S: ?Sized> {
    /// Writes the average of the running period: what was counted since its start over its whole length, so that it
    /// climbs from zero.
    ///
    /// # Errors
    /// What the client gets instead.
    fn current_average(&self, state: &S, cx: &Context<'_, S>, out: &mut Writer<'_>) -> Result<(), DataAccessResult>;

    /// Writes the average of the last complete period.
    ///
    /// # Errors
    /// What the client gets instead.
    fn last_average(&self, state: &S, cx: &Context<'_, S>, out: &mut Writer<'_>) -> Result<(), DataAccessResult>;

    /// End of the last complete period.
    fn capture_time(&self, state: &S, cx: &Context<'_, S>) -> DateTime;

    /// Start of the running period.
    fn start_time(&self, state: &S, cx: &Context<'_, S>) -> DateTime {
        self.capture_time(state, cx)
    }

    /// Length of a period in seconds.
    fn period_seconds(&self) -> u32;

    /// Periods that are averaged together; more than one makes a sliding average.
    fn periods(&self) -> u16 {
        1
    }

    /// The last average's status word.
    fn status(&self, state: &S, cx: &Context<'_, S>) -> u8 {
        let _ = (state, cx);
        0
    }
}

/// Averages with a scaler and a unit. The methods `reset` and `next_period` are not offered: they would disturb
/// what the load profiles show of the same period.
#[derive(Clone, Copy, Debug)]
pub struct DemandRegister<V> {
    /// Logical name.
    pub instance: ObisCode,
    /// Attributes 2, 3 and 5 to 9.
    pub demand: V,
    /// Attribute 4.
    pub scaler_unit: ScalerUnit,
}

impl<S: ?Sized, V: Demand<S>> Object<S> for DemandRegister<V> {
    fn instance(&self) -> ObisCode {
        self.instance
    }

    fn class(&self) -> ClassId {
        ClassId(5)
    }

    fn attributes(&self) -> i8 {
        9
    }

    fn methods(&self) -> i8 {
        2
    }

    fn read(
        &self,
        state: &S,
        cx: &Context<'_, S>,
        request: Read<'_>,
        _: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        match request.attribute.0 {
            2 => self.demand.current_average(state, cx, out).map(|()| Progress::Done),
            3 => self.demand.last_average(state, cx, out).map(|()| Progress::Done),
            4 => done(write_scaler_unit(out, self.scaler_unit)),
            5 => done(out.unsigned(self.demand.status(state, cx))),
            6 => done(out.date_time(&self.demand.capture_time(state, cx))),
            7 => done(out.date_time(&self.demand.start_time(state, cx))),
            8 => done(out.double_long_unsigned(self.demand.period_seconds())),
            9 => done(out.long_unsigned(self.demand.periods())),
            _ => Err(DataAccessResult::ReadWriteDenied),
        }
    }
}
