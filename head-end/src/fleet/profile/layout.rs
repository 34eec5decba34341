//! How a profile is set up: its columns, their scalers, its period and order.

use dlms::{
    apdu::AttributeDescriptor,
    axdr::{Data, Value},
    cosem::{
        Attribute, FromData,
        profile_generic::{self, CaptureObject, SortMethod},
    },
    id::AttributeId,
    obis::ObisCode,
};

use crate::{
    fleet::{memory::Memory, registers::remember_scaler, session::Session, work::Work},
    operation::{
        AttributeRef, CaptureColumn, ItemResult, Layer, ObjectModel, ObjectRef, ProfileLayout, RequestError,
        RequestErrorKind,
    },
};

/// Reads how a profile is set up, with the scalers and units of what it captures.
pub(in crate::fleet) async fn read_layout(
    session: &mut Session,
    memory: &mut Memory,
    model: Option<&ObjectModel>,
    profile: ObisCode,
    work: &Work<'_>,
) -> Result<ProfileLayout, RequestError> {
    let asked = [
        profile_generic::CaptureObjects::of(profile),
        profile_generic::CapturePeriod::of(profile),
        profile_generic::Sort::of(profile),
        profile_generic::EntriesInUse::of(profile),
        profile_generic::ProfileEntries::of(profile),
    ];
    let mut answers = session.get_many(memory, &asked, work).await.into_iter();
    let mut next = || answers.next().unwrap_or_else(|| Err(malformed(profile, "a result is missing")));
    let columns = capture_objects(profile, &next()?)?;
    // Not every meter lets everybody see the rest; the rows can be read without it.
    let period: Option<u32> = typed(next(), session)?;
    let order: Option<SortMethod> = typed(next(), session)?;
    let entries_in_use = typed(next(), session)?;
    let profile_entries = typed(next(), session)?;
    if let Some(order) = order {
        memory.orders.insert(profile, order);
    }

    let mut layout = ProfileLayout {
        profile,
        columns: columns.iter().map(column).collect(),
        capture_period_s: period.unwrap_or(0),
        entries_in_use,
        profile_entries,
    };
    read_scalers(session, memory, model, &mut layout, work).await?;
    Ok(layout)
}

/// The order of the rows, which the kept layouts do not say.
pub(super) async fn order(
    session: &mut Session,
    memory: &mut Memory,
    profile: ObisCode,
    work: &Work<'_>,
) -> Result<SortMethod, RequestError> {
    if let Some(order) = memory.orders.get(&profile) {
        return Ok(*order);
    }
    let mut answers = session.get_many(memory, &[profile_generic::Sort::of(profile)], work).await.into_iter();
    let answer = answers.next().unwrap_or_else(|| Err(malformed(profile, "a result is missing")));
    let order = typed(answer, session)?.unwrap_or(SortMethod::Fifo);
    memory.orders.insert(profile, order);
    Ok(order)
}

/// Reads the scalers of the columns whose captured attribute has one.
async fn read_scalers(
    session: &mut Session,
    memory: &mut Memory,
    model: Option<&ObjectModel>,
    layout: &mut ProfileLayout,
    work: &Work<'_>,
) -> Result<(), RequestError> {
    let mut asked: Vec<AttributeDescriptor> = Vec::new();
    for column in &layout.columns {
        let Some(wanted) = scaled(column) else { continue };
        let known = memory.scalers.contains_key(&(column.class, column.obis));
        if !known && !asked.contains(&wanted) {
            asked.push(wanted);
        }
    }
    let answers = session.get_many(memory, &asked, work).await;
    for (asked, answer) in asked.into_iter().zip(answers) {
        remember_scaler(memory, model, asked.class, asked.instance, Some(answer))?;
    }
    for column in &mut layout.columns {
        if scaled(column).is_some() {
            column.scaler_unit = memory.scalers.get(&(column.class, column.obis)).copied().flatten();
        }
    }
    Ok(())
}

/// Where the scaler of a captured attribute is; `None` for attributes that are no measured value.
fn scaled(column: &CaptureColumn) -> Option<AttributeDescriptor> {
    capture_object(column).scaler_unit()
}

/// A value that may be withheld. An error that is not the meter's refusal is passed on.
fn typed<T: for<'a> FromData<'a>>(answer: ItemResult<Value>, session: &Session) -> Result<Option<T>, RequestError> {
    match answer {
        Ok(value) => {
            let octets = value.to_vec();
            Ok(Data::from_slice(&octets).ok().and_then(|data| T::from_data(data).ok()))
        }
        Err(error) if session.lost().is_some() => Err(error),
        Err(_) => Ok(None),
    }
}

fn capture_objects(profile: ObisCode, value: &Value) -> Result<Vec<CaptureObject>, RequestError> {
    let octets = value.to_vec();
    let array = Data::from_slice(&octets).ok().and_then(|data| data.as_array());
    let array = array.ok_or_else(|| malformed(profile, "the capture objects are no array"))?;
    array
        .iter()
        .map(CaptureObject::from_data)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| malformed(profile, &error.to_string()))
}

fn malformed(profile: ObisCode, what: &str) -> RequestError {
    let attribute = AttributeRef::new(profile_generic::CLASS_ID, profile, AttributeId(3));
    RequestError::new(RequestErrorKind::Protocol, Layer::Meter, what).with_object(ObjectRef::Attribute(attribute))
}

const fn column(object: &CaptureObject) -> CaptureColumn {
    CaptureColumn {
        class: object.class_id,
        obis: object.instance,
        attribute: object.attribute,
        data_index: object.data_index,
        scaler_unit: None,
    }
}

/// A column as the stack names it.
const fn capture_object(column: &CaptureColumn) -> CaptureObject {
    CaptureObject {
        class_id: column.class,
        instance: column.obis,
        attribute: column.attribute,
        data_index: column.data_index,
    }
}

/// The columns as the stack names them.
pub(super) fn capture_objects_of(layout: &ProfileLayout) -> Vec<CaptureObject> {
    layout.columns.iter().map(capture_object).collect()
}
