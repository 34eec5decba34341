//! Data (class 1, version 0).

use dlms::apdu::DataAccessResult;
use dlms::association::server::{Cursor, Progress};
use dlms::axdr::{Data, Writer};
use dlms::id::{AttributeId, ClassId};
use dlms::obis::ObisCode;

use super::Value;
use crate::object::{Context, Object, Read};

/// An object with a value of any type: identifiers, status words, counters.
#[derive(Clone, Copy, Debug)]
pub struct DataObject<V> {
    /// Logical name.
    pub instance: ObisCode,
    /// Attribute 2.
    pub value: V,
}

impl<S: ?Sized, V: Value<S>> Object<S> for DataObject<V> {
    fn instance(&self) -> ObisCode {
        self.instance
    }

    fn class(&self) -> ClassId {
        ClassId(1)
    }

    fn attributes(&self) -> i8 {
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
            2 => self.value.get(state, cx, out).map(|()| Progress::Done),
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
