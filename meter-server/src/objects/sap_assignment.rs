//! SAP assignment (class 17, version 0).

use dlms::apdu::DataAccessResult;
use dlms::association::server::{Cursor, Progress};
use dlms::axdr::Writer;
use dlms::id::{ClassId, ServerSap};
use dlms::obis::ObisCode;

use crate::object::{Context, Object, Read, done};

/// The logical devices of the physical device.
pub trait SapState {
    /// Number of logical devices.
    fn logical_devices(&self) -> usize;

    /// Logical device number `index` and the octets of its name.
    fn logical_device(&self, index: usize) -> Option<(ServerSap, &[u8])>;
}

/// The list of logical devices. Its method `connect_logical_device` is not offered.
#[derive(Clone, Copy, Debug)]
pub struct SapAssignment {
    /// Logical name.
    pub instance: ObisCode,
}

impl<S: SapState + ?Sized> Object<S> for SapAssignment {
    fn instance(&self) -> ObisCode {
        self.instance
    }

    fn class(&self) -> ClassId {
        ClassId(17)
    }

    fn attributes(&self) -> i8 {
        2
    }

    fn methods(&self) -> i8 {
        1
    }

    fn read(
        &self,
        state: &S,
        _: &Context<'_, S>,
        request: Read<'_>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        if request.attribute.0 != 2 {
            return Err(DataAccessResult::ReadWriteDenied);
        }
        let part = usize::try_from(cursor.part).map_err(|_| DataAccessResult::OtherReason)?;
        let count = state.logical_devices();
        match part.checked_sub(1) {
            None => done(out.array(count))?,
            Some(index) => {
                let (sap, name) = state.logical_device(index).ok_or(DataAccessResult::OtherReason)?;
                done(out.structure(2).and_then(|()| out.long_unsigned(sap.0)).and_then(|()| out.octets(name)))?
            }
        };
        Ok(if part < count { Progress::More } else { Progress::Done })
    }
}
