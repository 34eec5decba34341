//! ReadRegisters: values with their scaler, unit, status and capture time.

use dlms::{
    apdu::AttributeDescriptor,
    axdr::Value,
    cosem::{FromData, clock, data, demand_register, disconnect_control, extended_register, register},
    id::{AttributeId, ClassId},
    obis::ObisCode,
    time::DateTime,
    unit::ScalerUnit,
};
use jiff::Timestamp;

use super::{memory::Memory, session::Session, work::Work};
use crate::operation::{
    AttributeRef, ItemResult, MeterAnswer, ObjectModel, RegisterReading, RegisterRef, RequestError,
};

/// Which attributes of a class hold what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attributes {
    value: AttributeId,
    scaler_unit: Option<AttributeId>,
    status: Option<AttributeId>,
    capture_time: Option<AttributeId>,
}

impl Attributes {
    const fn of(class: ClassId) -> Self {
        let (scaler_unit, status, capture_time) = match class {
            register::CLASS_ID => (Some(3), None, None),
            extended_register::CLASS_ID => (Some(3), Some(4), Some(5)),
            demand_register::CLASS_ID => (Some(4), Some(5), Some(6)),
            _ => (None, None, None),
        };
        // Of a demand register the last complete average: status and capture time belong to that one.
        let value = if class.0 == demand_register::CLASS_ID.0 { 3 } else { 2 };
        const fn id(attribute: Option<i8>) -> Option<AttributeId> {
            match attribute {
                Some(attribute) => Some(AttributeId(attribute)),
                None => None,
            }
        }
        Self {
            value: AttributeId(value),
            scaler_unit: id(scaler_unit),
            status: id(status),
            capture_time: id(capture_time),
        }
    }
}

/// The classes that a value object may have when nobody knows, the likeliest first.
fn candidates(obis: ObisCode) -> Vec<ClassId> {
    let measured = [register::CLASS_ID, extended_register::CLASS_ID, demand_register::CLASS_ID, data::CLASS_ID];
    let abstract_ = [data::CLASS_ID, register::CLASS_ID, extended_register::CLASS_ID];
    match obis.0 {
        // Clocks and relays have names of their own in every model.
        [0, _, 1, 0, _, _] => vec![clock::CLASS_ID, data::CLASS_ID],
        [0, _, 96, 3, 10, _] => vec![disconnect_control::CLASS_ID, data::CLASS_ID],
        [0, ..] => abstract_.to_vec(),
        _ => measured.to_vec(),
    }
}

/// Whether the meter's answer says that the object is of another class.
fn is_other_class(error: &RequestError) -> bool {
    // Read-write-denied, object-undefined, object-class-inconsistent, object-unavailable, scope-of-access-violated: for
    // an object that does not exist in this class meters use any of them.
    matches!(error.answer(), Some(MeterAnswer::DataAccess(3 | 4 | 9 | 11 | 13)))
}

/// What is to be read of one register.
struct Item {
    obis: ObisCode,
    class: Option<ClassId>,
    /// Classes to be tried.
    candidates: Vec<ClassId>,
    value: Option<Value>,
    error: Option<RequestError>,
    received: Timestamp,
}

/// Reads `registers`, one result for each in that order.
pub(super) async fn read(
    session: &mut Session,
    memory: &mut Memory,
    model: Option<&ObjectModel>,
    registers: &[RegisterRef],
    work: &Work<'_>,
) -> Vec<ItemResult<RegisterReading>> {
    let item = |register: &RegisterRef| {
        let obis = register.obis;
        let known = register.class.or_else(|| memory.classes.get(&obis).copied());
        let class = known.or_else(|| model?.find(obis).map(|object| object.class));
        let candidates = if class.is_some() { Vec::new() } else { candidates(obis) };
        Item { obis, class, candidates, value: None, error: None, received: Timestamp::UNIX_EPOCH }
    };
    let mut items: Vec<_> = registers.iter().map(item).collect();
    find_classes(session, memory, &mut items, work).await;
    read_attributes(session, memory, model, items, work).await
}

/// Reads the value of items of unknown class, trying one class after the other.
async fn find_classes(session: &mut Session, memory: &mut Memory, items: &mut [Item], work: &Work<'_>) {
    for round in 0.. {
        let mut asked = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if let (None, Some(class)) = (item.class, item.candidates.get(round)) {
                asked.push((index, *class, descriptor(*class, item.obis, Attributes::of(*class).value)));
            }
        }
        if asked.is_empty() {
            return;
        }
        let descriptors: Vec<_> = asked.iter().map(|(_, _, descriptor)| *descriptor).collect();
        let answers = session.get_many(memory, &descriptors, work).await;
        let received = Timestamp::now();
        for ((index, class, _), answer) in asked.into_iter().zip(answers) {
            let Some(item) = items.get_mut(index) else { continue };
            match answer {
                Ok(value) => {
                    memory.classes.insert(item.obis, class);
                    (item.class, item.value, item.error, item.received) = (Some(class), Some(value), None, received);
                }
                Err(error) => {
                    if !is_other_class(&error) {
                        item.candidates.clear();
                    }
                    // What the likeliest class was refused with says most.
                    item.error.get_or_insert(error);
                }
            }
        }
    }
}

/// What an attribute is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Value,
    ScalerUnit,
    Status,
    CaptureTime,
}

async fn read_attributes(
    session: &mut Session,
    memory: &mut Memory,
    model: Option<&ObjectModel>,
    items: Vec<Item>,
    work: &Work<'_>,
) -> Vec<ItemResult<RegisterReading>> {
    let mut asked = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Some(class) = item.class else { continue };
        let attributes = Attributes::of(class);
        if item.value.is_none() {
            asked.push((index, Role::Value, descriptor(class, item.obis, attributes.value)));
        }
        let known = memory.scalers.contains_key(&(class, item.obis)) || kept_scaler(model, class, item.obis).is_some();
        let roles = [
            (Role::ScalerUnit, attributes.scaler_unit.filter(|_| !known)),
            (Role::Status, attributes.status),
            (Role::CaptureTime, attributes.capture_time),
        ];
        for (role, attribute) in roles {
            asked.extend(attribute.map(|attribute| (index, role, descriptor(class, item.obis, attribute))));
        }
    }
    let descriptors: Vec<_> = asked.iter().map(|(_, _, descriptor)| *descriptor).collect();
    let mut answers: Vec<_> = session
        .get_many(memory, &descriptors, work)
        .await
        .into_iter()
        .map(|answer| (Timestamp::now(), Some(answer)))
        .collect();
    let mut take = |index: usize, role: Role| {
        let place = asked.iter().position(|(of, what, _)| *of == index && *what == role)?;
        let (received, answer) = answers.get_mut(place)?;
        answer.take().map(|answer| (*received, answer))
    };

    let mut results = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let Some(class) = item.class else {
            results.push(Err(item.error.unwrap_or_else(|| unknown_class(item.obis))));
            continue;
        };
        let (received, value) = match item.value {
            Some(value) => (item.received, Ok(value)),
            None => take(index, Role::Value).unwrap_or_else(|| (item.received, Err(unknown_class(item.obis)))),
        };
        let scaler = take(index, Role::ScalerUnit).map(|(_, answer)| answer);
        let scaler_unit = remember_scaler(memory, model, class, item.obis, scaler);
        let status = take(index, Role::Status).and_then(|(_, answer)| answer.ok());
        let capture_time = take(index, Role::CaptureTime).and_then(|(_, answer)| date_time(&answer.ok()?));
        // A value without its scaler is not a reading: whoever takes it for one is wrong by powers of ten.
        results.push(value.and_then(|value| {
            let attribute = AttributeRef::new(class, item.obis, Attributes::of(class).value);
            Ok(RegisterReading { attribute, value, scaler_unit: scaler_unit?, status, capture_time, received })
        }));
    }
    results
}

fn descriptor(class: ClassId, obis: ObisCode, attribute: AttributeId) -> AttributeDescriptor {
    AttributeDescriptor::new(class, obis, attribute)
}

fn unknown_class(obis: ObisCode) -> RequestError {
    use crate::operation::{Layer, ObjectRef, RequestErrorKind};
    RequestError::new(RequestErrorKind::NotFound, Layer::HeadEnd, "the meter has no value object of this name")
        .with_object(ObjectRef::Object { class: None, obis })
}

fn kept_scaler(model: Option<&ObjectModel>, class: ClassId, obis: ObisCode) -> Option<ScalerUnit> {
    model?.objects.iter().find(|object| object.obis == obis && object.class == class)?.scaler_unit
}

/// The scaler and unit from the answer, or from an earlier one. `None` where the object has none to give; an error
/// where the answer was lost.
pub(super) fn remember_scaler(
    memory: &mut Memory,
    model: Option<&ObjectModel>,
    class: ClassId,
    obis: ObisCode,
    answer: Option<ItemResult<Value>>,
) -> ItemResult<Option<ScalerUnit>> {
    let read = match answer {
        None => {
            let known = memory.scalers.get(&(class, obis)).copied().flatten();
            return Ok(known.or_else(|| kept_scaler(model, class, obis)));
        }
        Some(Ok(value)) => scaler_unit(&value),
        Some(Err(error)) if matches!(error.answer(), Some(MeterAnswer::DataAccess(_))) => None,
        Some(Err(error)) => return Err(error),
    };
    memory.scalers.insert((class, obis), read);
    Ok(read)
}

fn scaler_unit(value: &Value) -> Option<ScalerUnit> {
    let octets = value.to_vec();
    let data = dlms::axdr::Data::from_slice(&octets).ok()?;
    ScalerUnit::from_data(data).ok()
}

/// A date-time in any of the forms that meters send; `None` for null-data, which stands for "never".
pub(crate) fn date_time(value: &Value) -> Option<DateTime> {
    match value.as_data()? {
        dlms::axdr::Data::Null => None,
        data => DateTime::from_data(data).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_value_where_the_blue_book_puts_it() {
        let of = |class| {
            let Attributes { value, scaler_unit, status, capture_time } = Attributes::of(ClassId(class));
            (value.0, scaler_unit.map(|a| a.0), status.map(|a| a.0), capture_time.map(|a| a.0))
        };
        assert_eq!(of(1), (2, None, None, None));
        assert_eq!(of(3), (2, Some(3), None, None));
        assert_eq!(of(4), (2, Some(3), Some(4), Some(5)));
        assert_eq!(of(5), (3, Some(4), Some(5), Some(6)));
        assert_eq!(of(8), (2, None, None, None));
        assert_eq!(of(70), (2, None, None, None));
    }

    #[test]
    fn names_of_electricity_are_tried_as_registers_first() {
        assert_eq!(candidates(ObisCode([1, 0, 1, 8, 0, 255])).first(), Some(&ClassId(3)));
        assert_eq!(candidates(ObisCode([0, 0, 96, 1, 0, 255])).first(), Some(&ClassId(1)));
        assert_eq!(candidates(ObisCode([0, 0, 1, 0, 0, 255])).first(), Some(&ClassId(8)));
    }
}
