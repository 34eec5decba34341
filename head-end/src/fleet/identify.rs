//! Who a meter says it is, to the public client: before any key is used.

use std::sync::Arc;

use dlms::{
    apdu::{AttributeDescriptor, AttributeRequest},
    axdr::Value,
    id::{AttributeId, ClassId, SystemTitle},
    obis::ObisCode,
};

use super::{
    failure::from_drive,
    open::{Environment, farewell, public},
    session::Session,
    work::Work,
};
use crate::{
    meter::MeterConfig,
    operation::{Identity, RequestError, RequestErrorKind as Kind},
};

/// The logical device name.
const DEVICE_NAME: AttributeDescriptor =
    AttributeDescriptor::new(ClassId(1), ObisCode([0, 0, 42, 0, 0, 255]), AttributeId(2));
/// `server_system_title` of the first security setup.
const SERVER_TITLE: AttributeDescriptor =
    AttributeDescriptor::new(ClassId(64), ObisCode([0, 0, 43, 0, 0, 255]), AttributeId(5));

/// Asks as the public client. A meter that does not take that client tells nothing, and that is no error.
pub(super) async fn identify(
    environment: &Environment,
    config: &Arc<MeterConfig>,
    work: &Work<'_>,
) -> Result<Identity, RequestError> {
    let mut session = match public(environment, config, work).await? {
        Ok(session) => session,
        Err(error) => {
            let error = from_drive(error, "while the public client asked who is there");
            return match error.kind() {
                Kind::MeterRefused | Kind::SecurityFailed => Ok(Identity::default()),
                _ => Err(error),
            };
        }
    };
    let asked = ask(&mut session, work).await;
    session.close(farewell(work.deadline)).await;
    asked
}

async fn ask(session: &mut Session, work: &Work<'_>) -> Result<Identity, RequestError> {
    let logical_device_name = octets(session, DEVICE_NAME, work).await?;
    let system_title = match session.negotiated().server_title {
        Some(title) => Some(title),
        None => octets(session, SERVER_TITLE, work).await?.and_then(|title| SystemTitle::from_slice(&title)),
    };
    Ok(Identity { system_title, logical_device_name })
}

/// Octets that the meter may keep to itself.
async fn octets(
    session: &mut Session,
    attribute: AttributeDescriptor,
    work: &Work<'_>,
) -> Result<Option<Vec<u8>>, RequestError> {
    match session.get(AttributeRequest::whole(attribute), work).await {
        Ok(Value::OctetString(octets) | Value::VisibleString(octets)) => Ok(Some(octets)),
        Err(error) if error.kind() != Kind::MeterRefused => Err(error),
        Ok(_) | Err(_) => Ok(None),
    }
}
