//! Values with their OBIS codes out of the body of a push, as far as the push names its objects.
//!
//! Three ways are in use: a list of structures that each begin with an OBIS code, a flat list in which values
//! follow their codes, and a first element that lists the attributes whose values are the other elements.

use dlms::obis::ObisCode;
use dlms::time::DateTime;
use dlms::unit::Unit;
use serde_json::{Map, Value, json};

use crate::open::readable;

/// The readings in a body, which is an A-XDR value in the shape of the corpus.
pub fn readings(body: &Value) -> Vec<Value> {
    let Some(elements) = sequence(body) else { return Vec::new() };
    if let Some(listed) = elements.split_first().and_then(|(list, values)| listed(list, values)) {
        return listed;
    }
    let mut found = Vec::new();
    following(elements, &mut found);
    found
}

/// The only entry of a typed value: its type and its content.
fn typed(value: &Value) -> Option<(&str, &Value)> {
    let (kind, content) = value.as_object()?.iter().next()?;
    Some((kind, content))
}

fn sequence(value: &Value) -> Option<&[Value]> {
    match typed(value)? {
        ("structure" | "array", Value::Array(elements)) => Some(elements),
        _ => None,
    }
}

fn octets(value: &Value) -> Option<Vec<u8>> {
    match typed(value)? {
        ("octet-string", Value::String(text)) => hex::decode(text).ok(),
        _ => None,
    }
}

fn number(value: &Value) -> Option<&serde_json::Number> {
    match typed(value)? {
        (_, Value::Number(number)) => Some(number),
        _ => None,
    }
}

/// An octet string that is an OBIS code: six octets, the last of them FF.
fn obis(value: &Value) -> Option<ObisCode> {
    octets(value).and_then(|octets| ObisCode::from_slice(&octets)).filter(|code| code.0[5] == 0xFF)
}

/// `1-0:1.8.0.255`
fn short(code: ObisCode) -> String {
    let [a, b, c, d, e, f] = code.0;
    format!("{a}-{b}:{c}.{d}.{e}.{f}")
}

fn following(elements: &[Value], found: &mut Vec<Value>) {
    let mut rest = elements;
    while let [first, after @ ..] = rest {
        rest = after;
        // Six octets behind an OBIS code may be another one: such a pair names nothing for certain.
        let value = after.first().filter(|value| octets(value).is_none_or(|octets| octets.len() != 6));
        if let (Some(code), Some(mut reading)) = (obis(first), value.and_then(reading)) {
            rest = &after[1..];
            if let Some((scaler, unit)) = rest.first().and_then(scaler_unit) {
                rest = &rest[1..];
                scale(&mut reading, scaler, unit);
            }
            reading.insert("obis".to_owned(), json!(short(code)));
            found.push(Value::Object(reading));
        } else if let Some(inner) = sequence(first) {
            following(inner, found);
        }
    }
}

/// Values behind a list of class, OBIS code, attribute and data index. The list's own entry may have no value.
fn listed(list: &Value, values: &[Value]) -> Option<Vec<Value>> {
    let ("array", Value::Array(entries)) = typed(list)? else { return None };
    let entries: Vec<_> = entries.iter().map(entry).collect::<Option<_>>()?;
    if entries.is_empty() {
        return None;
    }
    let without_list = usize::from(values.len() + 1 == entries.len());
    let pairs = entries[without_list..].iter().zip(values);
    let readings = pairs.filter_map(|((class, code, attribute), value)| {
        let mut reading = reading(value)?;
        reading.insert("obis".to_owned(), json!(short(*code)));
        reading.insert("class".to_owned(), json!(class));
        reading.insert("attribute".to_owned(), json!(attribute));
        Some(Value::Object(reading))
    });
    Some(readings.collect())
}

fn entry(value: &Value) -> Option<(u64, ObisCode, i64)> {
    let [class, code, attribute, _] = sequence(value)? else { return None };
    let code = ObisCode::from_slice(&octets(code)?)?;
    Some((number(class)?.as_u64()?, code, number(attribute)?.as_i64()?))
}

fn reading(value: &Value) -> Option<Map<String, Value>> {
    let mut reading = Map::new();
    let (kind, content) = typed(value)?;
    if kind == "visible-string" {
        reading.insert("text".to_owned(), content.clone());
    } else if let Some(octets) = octets(value) {
        let time = DateTime::from_slice(&octets).filter(|time| time.year().is_some_and(|year| year >= 1990));
        let text = String::from_utf8(octets.clone()).ok();
        let text = text.filter(|text| !text.is_empty() && text.bytes().all(|octet| matches!(octet, b' '..=b'~')));
        match (time, text) {
            (Some(time), _) => reading.insert("time".to_owned(), json!(readable(&time))),
            (None, Some(text)) => reading.insert("text".to_owned(), json!(text)),
            (None, None) => reading.insert("octets".to_owned(), content.clone()),
        };
    } else if content.is_number() || content.is_boolean() {
        reading.insert("raw".to_owned(), content.clone());
    } else {
        return None;
    }
    Some(reading)
}

fn scaler_unit(value: &Value) -> Option<(i32, Unit)> {
    let ("structure", Value::Array(elements)) = typed(value)? else { return None };
    let [scaler, unit] = elements.as_slice() else { return None };
    let (("integer", scaler), ("enum", unit)) = (typed(scaler)?, typed(unit)?) else { return None };
    Some((i32::try_from(scaler.as_i64()?).ok()?, Unit(u8::try_from(unit.as_u64()?).ok()?)))
}

fn scale(reading: &mut Map<String, Value>, scaler: i32, unit: Unit) {
    let Some(raw) = reading.get("raw").and_then(Value::as_i64) else { return };
    let power = 10_i64.checked_pow(scaler.unsigned_abs());
    let value = match power {
        Some(power) if scaler >= 0 => raw.checked_mul(power).map(Value::from),
        #[expect(clippy::cast_precision_loss, reason = "a reading for people; the raw number stands beside it")]
        Some(power) => Some(Value::from(raw as f64 / power as f64)),
        None => None,
    };
    reading.insert("value".to_owned(), value.unwrap_or(Value::Null));
    reading.insert("scaler".to_owned(), json!(scaler));
    reading.insert("unit".to_owned(), json!(unit.symbol().unwrap_or_default()));
}

#[cfg(test)]
mod tests {
    use dlms::axdr::Data;

    use super::*;

    fn of(hex: &str) -> Vec<Value> {
        let octets = hex::decode(hex.replace(' ', "")).unwrap();
        let value = Data::from_slice(&octets).unwrap();
        readings(&crate::tree::data::data(&value, crate::tree::Place::new(&octets, 0)).to_json())
    }

    const ENERGY: &str = "0906 0100010800ff 06 00000123";

    #[test]
    fn structures_that_begin_with_their_code() {
        let body = format!("01 01 02 03 {ENERGY} 02 02 0f fe 16 1e");
        assert_eq!(
            of(&body),
            [json!({"obis": "1-0:1.8.0.255", "raw": 291, "value": 2.91, "scaler": -2, "unit": "Wh"})]
        );
    }

    #[test]
    fn values_that_follow_their_codes() {
        let body = format!("02 04 0a0141 {ENERGY} 11 07");
        assert_eq!(of(&body), [json!({"obis": "1-0:1.8.0.255", "raw": 291})]);
    }

    #[test]
    fn values_behind_a_list_of_attributes() {
        let body = "02 02 01 02 02 04 12 0028 0906 0008190900ff 0f 02 12 0000 \
                    02 04 12 0001 0906 0000600100ff 0f 02 12 0000 09 02 4142";
        assert_eq!(of(body), [json!({"obis": "0-0:96.1.0.255", "text": "AB", "class": 1, "attribute": 2})]);
    }

    #[test]
    fn bodies_without_names_give_nothing() {
        assert!(of("06 00001015").is_empty());
        assert!(of("02 02 0906 0100010800ff 0906 0100020800ff").is_empty());
    }
}
