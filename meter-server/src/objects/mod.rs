//! COSEM interface classes as objects of a server.
//!
//! Each class is generic over where its values come from: a trait of one or a few methods that the meter's
//! firmware, or the simulator, implements. Facts: Blue Book, clause 4.

mod association;
mod capture;
mod clock;
mod data;
mod demand_register;
mod disconnect_control;
mod extended_register;
mod profile_generic;
mod profile_selection;
mod register;
mod sap_assignment;
mod security_setup;

pub use association::{Association, AssociationDescription, AssociationOf, AssociationState};
pub use capture::CaptureObject;
pub use clock::{Clock, ClockSettings, ClockState, PresetTime};
pub use data::DataObject;
pub use demand_register::{Demand, DemandRegister};
pub use disconnect_control::{ControlState, DisconnectControl, Switch, SwitchEvent, SwitchState};
pub use extended_register::{Captured, ExtendedRegister};
pub use profile_generic::{ProfileGeneric, RowRange, Rows};
pub use register::Register;
pub use sap_assignment::{SapAssignment, SapState};
pub use security_setup::{SecurityDescription, SecuritySetup, SecurityState};

use dlms::apdu::DataAccessResult;
use dlms::axdr::{BufferFull, Data, Writer};
use dlms::unit::ScalerUnit;

use crate::object::Context;

/// Where the value of a [`DataObject`] or [`Register`] comes from.
pub trait Value<S: ?Sized> {
    /// Writes the value at the moment of `cx` as A-XDR `Data`.
    ///
    /// # Errors
    /// What the client gets instead.
    fn get(&self, state: &S, cx: &Context<'_, S>, out: &mut Writer<'_>) -> Result<(), DataAccessResult>;

    /// Takes a new value; refused unless overridden.
    ///
    /// # Errors
    /// What the client gets; the value is unchanged then.
    fn set(&self, state: &mut S, cx: &Context<'_, S>, value: Data<'_>) -> Result<(), DataAccessResult> {
        let _ = (state, cx, value);
        Err(DataAccessResult::ReadWriteDenied)
    }
}

/// Writes `scaler_unit`: a structure of an integer and an enum.
fn write_scaler_unit(out: &mut Writer<'_>, scaler_unit: ScalerUnit) -> Result<(), BufferFull> {
    out.structure(2)?;
    out.integer(scaler_unit.scaler)?;
    out.enumerated(scaler_unit.unit.0)
}
