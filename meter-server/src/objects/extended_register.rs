//! Extended register (class 4, version 0).

use dlms::apdu::DataAccessResult;
use dlms::association::server::{Cursor, Progress};
use dlms::axdr::Writer;
use dlms::id::ClassId;
use dlms::obis::ObisCode;
use dlms::time::DateTime;
use dlms::unit::ScalerUnit;

use super::{Value, write_scaler_unit};
use crate::object::{Context, Object, Read, done};

/// A value that was captured at some moment, such as a maximum.
pub trait Captured<S: ?Sized>: Value<S> {
    /// When the value was captured; all fields unspecified when nothing was.
    fn capture_time(&self, state: &S, cx: &Context<'_, S>) -> DateTime;

    /// The value's status word.
    fn status(&self, state: &S, cx: &Context<'_, S>) -> u8 {
        let _ = (state, cx);
        0
    }
}

/// A register that also says how and when its value came about.
#[derive(Clone, Copy, Debug)]
pub struct ExtendedRegister<V> {
    /// Logical name.
    pub instance: ObisCode,
    /// Attributes 2, 4 and 5.
    pub value: V,
    /// Attribute 3.
    pub scaler_unit: ScalerUnit,
}

impl<S: ?Sized, V: Captured<S>> Object<S> for ExtendedRegister<V> {
    fn instance(&self) -> ObisCode {
        self.instance
    }

    fn class(&self) -> ClassId {
        ClassId(4)
    }

    fn attributes(&self) -> i8 {
        5
    }

    fn methods(&self) -> i8 {
        1
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
            2 => self.value.get(state, cx, out).map(|()| Progress::Done),
            3 => done(write_scaler_unit(out, self.scaler_unit)),
            4 => done(out.unsigned(self.value.status(state, cx))),
            5 => done(out.date_time(&self.value.capture_time(state, cx))),
            _ => Err(DataAccessResult::ReadWriteDenied),
        }
    }
}
