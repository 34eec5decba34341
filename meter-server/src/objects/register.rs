//! Register (class 3, version 0).

use dlms::apdu::DataAccessResult;
use dlms::association::server::{Cursor, Progress};
use dlms::axdr::{Data, Writer};
use dlms::id::{AttributeId, ClassId};
use dlms::obis::ObisCode;
use dlms::unit::ScalerUnit;

use super::{Value, write_scaler_unit};
use crate::object::{Context, Object, Read, done};

/// A number with a scaler and a unit. Its method `reset` is not offered: measured values are not set back.
#[derive(Clone, Copy, Debug)]
pub struct Register<V> {
    /// Logical name.
    pub instance: ObisCode,
    /// Attribute 2.
    pub value: V,
    /// Attribute 3.
    pub scaler_unit: ScalerUnit,
}

impl<S: ?Sized, V: Value<S>> Object<S> for Register<V> {
    fn instance(&self) -> ObisCode {
        self.instance
    }

    fn class(&self) -> ClassId {
        ClassId(3)
    }

    fn attributes(&self) -> i8 {
        3
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
            _ => Err(DataAccessResult::ReadWriteDenied),
        }
    }

    fn write(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        attribute: AttributeId,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        match attribute.0 {
            2 => self.value.set(state, cx, value),
            _ => Err(DataAccessResult::ReadWriteDenied),
        }
    }
}
