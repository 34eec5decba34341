//! What jobs do with a meter.

mod calendar;
mod clock;
mod configure;
pub mod firmware;
mod keys;
mod lifecycle;
mod limit;
mod perform;
mod policy;
mod reset;
mod supply;

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId},
    obis::ObisCode,
};

pub use self::{
    calendar::SetCalendar,
    clock::SynchronizeClock,
    configure::{Configure, VerifyConfiguration},
    keys::{RecoverKeys, RotateKeys},
    lifecycle::{Commission, Decommission},
    limit::{EmergencyLoadLimit, LoadLimit},
    perform::Perform,
    policy::SetSecurityPolicy,
    reset::ResetDemand,
    supply::{Supply, SupplyAction},
};
use crate::operation::{
    AttributeRef, AttributeValue, GetAttribute, ItemResult, Layer, Operation, Outcome, RequestError, RequestErrorKind,
};

/// Reads attributes of one object.
fn get(class: ClassId, obis: ObisCode, attributes: &[i8]) -> Operation {
    let get = |attribute: &i8| GetAttribute {
        attribute: AttributeRef::new(class, obis, AttributeId(*attribute)),
        selection: None,
    };
    Operation::GetAttributes(attributes.iter().map(get).collect())
}

fn attributes(outcome: Outcome) -> Result<Vec<ItemResult<AttributeValue>>, RequestError> {
    match outcome {
        Outcome::Attributes(values) => Ok(values),
        other => Err(unexpected(&format!("the fleet answered with {}", other.name()))),
    }
}

fn unexpected(message: &str) -> RequestError {
    RequestError::new(RequestErrorKind::Protocol, Layer::Meter, message)
}

/// A refusal that the head-end makes in the meter's name, because of what it read there: sending would be wrong.
fn refused(message: impl Into<String>) -> RequestError {
    RequestError::new(RequestErrorKind::MeterRefused, Layer::Meter, message)
}

fn wrong_type(what: &str, value: &Value) -> RequestError {
    unexpected(&format!("{what} is no such value but {}", value.type_name()))
}
