//! SAP assignment (class 17, version 0).

use dlms::apdu::DataAccessResult;
use dlms::association::server::Progress;
use dlms::cosem::Answer;
use dlms::cosem::sap_assignment::{self, Assignment};
use dlms::id::ServerSap;
use dlms::obis::ObisCode;

use crate::object::Context;

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

serve!(sap_assignment: [S: SapState + ?Sized] SapAssignment);

impl<'c, S: SapState + ?Sized> sap_assignment::Server<S, Context<'c, S>> for SapAssignment {
    fn list(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, sap_assignment::AssignmentList>,
    ) -> Result<Progress, DataAccessResult> {
        answer.elements(state.logical_devices(), |index| {
            let (sap, logical_device_name) = state.logical_device(index).ok_or(DataAccessResult::OtherReason)?;
            Ok(Assignment { sap: sap.0, logical_device_name })
        })
    }
}
