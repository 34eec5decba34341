//! GetAttributes, SetAttributes and InvokeMethod: attributes and methods as they are.

use dlms::{
    apdu::{AttributeDescriptor, AttributeRequest, MethodDescriptor, Selection as StackSelection},
    axdr::{Data, Value},
};
use jiff::Timestamp;

use super::{failure::head_end, memory::Memory, session::Session, work::Work};
use crate::operation::{
    AttributeRef, AttributeValue, GetAttribute, InvokeMethod, ItemResult, ObjectRef, RequestError, RequestErrorKind,
    Selection, SetAttribute,
};

/// Reads attributes, those without selection in lists; one result for each in that order.
pub(super) async fn get(
    session: &mut Session,
    memory: &mut Memory,
    attributes: &[GetAttribute],
    work: &Work<'_>,
) -> Vec<ItemResult<AttributeValue>> {
    let whole: Vec<_> =
        attributes.iter().filter(|get| get.selection.is_none()).map(|get| descriptor(get.attribute)).collect();
    let mut read = session.get_many(memory, &whole, work).await.into_iter();
    let mut received = Timestamp::now();
    let mut results = Vec::with_capacity(attributes.len());
    for get in attributes {
        let value = match &get.selection {
            None => read.next().unwrap_or_else(|| Err(head_end(RequestErrorKind::Protocol, "a result is missing"))),
            Some(selection) => {
                let value = get_selected(session, get.attribute, selection, work).await;
                received = Timestamp::now();
                value
            }
        };
        results.push(value.map(|value| AttributeValue { attribute: get.attribute, value, received }));
    }
    results
}

async fn get_selected(
    session: &mut Session,
    attribute: AttributeRef,
    selection: &Selection,
    work: &Work<'_>,
) -> ItemResult<Value> {
    let parameters = selection.parameters.to_vec();
    let request = AttributeRequest {
        attribute: descriptor(attribute),
        selection: Some(selected(selection.selector, &parameters, attribute)?),
    };
    session.get(request, work).await
}

/// Writes attributes in order; one result for each. After one whose outcome is not known the others are not sent.
pub(super) async fn set(session: &mut Session, attributes: &[SetAttribute], work: &Work<'_>) -> Vec<ItemResult<()>> {
    let mut results = Vec::with_capacity(attributes.len());
    for set in attributes {
        results.push(set_one(session, set, work).await);
    }
    results
}

async fn set_one(session: &mut Session, set: &SetAttribute, work: &Work<'_>) -> ItemResult<()> {
    let parameters = set.selection.as_ref().map(|selection| (selection.selector, selection.parameters.to_vec()));
    let selection = match &parameters {
        Some((selector, octets)) => Some(selected(*selector, octets, set.attribute)?),
        None => None,
    };
    let octets = set.value.to_vec();
    let value = checked(&octets).map_err(|error| error.with_object(ObjectRef::Attribute(set.attribute)))?;
    session.set(AttributeRequest { attribute: descriptor(set.attribute), selection }, value, work).await
}

/// Invokes a method.
pub(super) async fn invoke(
    session: &mut Session,
    invoke: &InvokeMethod,
    work: &Work<'_>,
) -> Result<Option<Value>, RequestError> {
    let method = MethodDescriptor::new(invoke.class, invoke.obis, invoke.method);
    let octets = invoke.parameter.as_ref().map(Value::to_vec);
    let parameter = match &octets {
        Some(octets) => {
            let object = ObjectRef::Method { class: invoke.class, obis: invoke.obis, method: invoke.method };
            Some(checked(octets).map_err(|error| error.with_object(object))?)
        }
        None => None,
    };
    session.action(method, parameter, work).await
}

fn descriptor(AttributeRef { class, obis, attribute }: AttributeRef) -> AttributeDescriptor {
    AttributeDescriptor::new(class, obis, attribute)
}

fn selected(selector: u8, octets: &[u8], attribute: AttributeRef) -> ItemResult<StackSelection<'_>> {
    let parameters = checked(octets).map_err(|error| error.with_object(ObjectRef::Attribute(attribute)))?;
    Ok(StackSelection { selector, parameters })
}

/// A value that can be sent: not nested too deeply, and not too large.
fn checked(octets: &[u8]) -> Result<Data<'_>, RequestError> {
    Data::from_slice(octets).map_err(|error| {
        head_end(RequestErrorKind::InvalidRequest, format!("the value cannot be sent: {error}")).with_source(error)
    })
}
