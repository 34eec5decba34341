//! DiscoverObjects: the object list of the association, and the layouts of its profiles.

use std::sync::Arc;

use dlms::{
    apdu::AttributeRequest,
    axdr::{Data, Value},
    cosem::{Attribute, FromData, association_ln, profile_generic},
    id::{AttributeId, MethodId},
    obis::ObisCode,
};
use jiff::Timestamp;

use super::{memory::Memory, profile, session::Session, work::Work};
use crate::operation::{Layer, ModelObject, ObjectModel, ObjectRef, RequestError, RequestErrorKind};

/// The association that is asked, in its own words.
const CURRENT_ASSOCIATION: ObisCode = ObisCode([0, 0, 40, 0, 0, 255]);
/// `buffer` and `capture_objects`: what must be readable for a layout to be of use.
const CAPTURE_OBJECTS: AttributeId = AttributeId(3);

/// Reads the object list and then the layouts of the profiles in it, as far as the meter gives them. `earlier` lends
/// the scalers that were read already.
pub(super) async fn discover(
    session: &mut Session,
    memory: &mut Memory,
    earlier: Option<&ObjectModel>,
    work: &Work<'_>,
) -> Result<ObjectModel, RequestError> {
    let list = association_ln::ObjectList::of(CURRENT_ASSOCIATION);
    let value = session.get(AttributeRequest::whole(list), work).await?;
    let mut objects = objects(&value)?;
    let mut profiles = Vec::new();
    for object in objects.iter().filter(|object| object.class == profile_generic::CLASS_ID) {
        if !may_read(object, CAPTURE_OBJECTS) {
            continue;
        }
        match profile::read_layout(session, memory, earlier, object.obis, work).await {
            Ok(layout) => profiles.push(Arc::new(layout)),
            // The list is worth having without it.
            Err(error) => {
                tracing::debug!(meter = %session.config().id, profile = %object.obis, %error, "layout not read");
                if session.lost().is_some() || work.check().is_err() {
                    break;
                }
            }
        }
    }
    for object in &mut objects {
        let read = memory.scalers.get(&(object.class, object.obis)).copied().flatten();
        let before = || earlier?.objects.iter().find(|o| o.obis == object.obis && o.class == object.class)?.scaler_unit;
        object.scaler_unit = read.or_else(before);
    }
    Ok(ObjectModel { objects, profiles, read: Timestamp::now() })
}

/// Whether an access mode may allow reading: bit 0 does in every version, but 0 never.
fn may_read(object: &ModelObject, attribute: AttributeId) -> bool {
    object.attributes.iter().any(|(id, mode)| *id == attribute && *mode != 0)
}

/// The elements of an object list. Elements that cannot be understood are passed over: a meter with one odd object is
/// still a meter.
fn objects(list: &Value) -> Result<Vec<ModelObject>, RequestError> {
    let octets = list.to_vec();
    let elements = Data::from_slice(&octets).ok().and_then(|data| data.as_array()).ok_or_else(|| {
        let message = format!("the object list is no array but {}", list.type_name());
        RequestError::new(RequestErrorKind::Protocol, Layer::Meter, message)
            .with_object(ObjectRef::Object { class: Some(association_ln::CLASS_ID), obis: CURRENT_ASSOCIATION })
    })?;
    let mut objects = Vec::with_capacity(elements.len());
    for element in elements.iter() {
        match association_ln::ObjectListElement::from_data(element) {
            Ok(element) => objects.push(object(&element)),
            Err(error) => tracing::warn!(%error, "element of the object list passed over"),
        }
    }
    Ok(objects)
}

fn object(element: &association_ln::ObjectListElement<'_>) -> ModelObject {
    let attributes = element.access_rights.attributes.iter().flatten();
    let methods = element.access_rights.methods.iter().flatten();
    ModelObject {
        class: element.class_id,
        version: element.version,
        obis: element.logical_name,
        attributes: attributes.map(|access| (access.attribute, access.mode.0)).collect(),
        methods: methods.map(|access| (access.method, method_mode(access.mode))).collect::<Vec<(MethodId, u8)>>(),
        scaler_unit: None,
    }
}

const fn method_mode(mode: association_ln::MethodMode) -> u8 {
    match mode {
        association_ln::MethodMode::Flag(allowed) => allowed as u8,
        association_ln::MethodMode::Mode(mode) => mode,
    }
}
