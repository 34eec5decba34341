//! Values with their OBIS codes out of the body of a push, in the shape of the corpus.

use dlms::axdr::Data;
use dlms::cosem::push_setup::{Named, PushRow, PushRows};
use dlms::obis::{ObisCode, describe};
use dlms::time::DateTime;
use dlms::unit::ScalerUnit;
use serde_json::{Map, Value, json};

use crate::open::readable;

/// The readings that a body names itself, with the scalers and units that came along: what records state.
pub fn readings(body: &Data<'_>) -> Vec<Value> {
    let rows = PushRows::new(body).into_iter().flatten();
    let self_described = rows.filter(|row| row.named != Named::Published && !is_ambiguous(row));
    self_described.filter_map(|row| reading(&row, row.scaler_unit)).collect()
}

/// All readings, for people: those that a published list names too, and what the names mean.
pub fn explained(body: &Data<'_>) -> Vec<Value> {
    let explain = |row: PushRow<'_>| {
        let mut reading = reading(&row, row.scaling())?;
        if let Some(words) = describe(row.instance) {
            reading["name"] = json!(words.to_string());
        }
        Some(reading)
    };
    PushRows::new(body).into_iter().flatten().filter_map(explain).collect()
}

/// Six octets behind a name may be another one. Records leave such a pair out, although it stands alone.
fn is_ambiguous(row: &PushRow<'_>) -> bool {
    row.named == Named::Beside && matches!(row.value, Data::OctetString(octets) if octets.len() == 6)
}

/// `1-0:1.8.0.255`
fn short(code: ObisCode) -> String {
    let [a, b, c, d, e, f] = code.0;
    format!("{a}-{b}:{c}.{d}.{e}.{f}")
}

fn reading(row: &PushRow<'_>, scaling: Option<ScalerUnit>) -> Option<Value> {
    let mut reading = value(&row.value)?;
    if let Some(scaling) = scaling {
        scale(&mut reading, scaling);
    }
    reading.insert("obis".to_owned(), json!(short(row.instance)));
    if let Named::Listed(class, attribute) = row.named {
        reading.insert("class".to_owned(), json!(class.0));
        reading.insert("attribute".to_owned(), json!(attribute.0));
    }
    Some(Value::Object(reading))
}

/// A value of a simple type; nothing for null-data, arrays and structures.
fn value(data: &Data<'_>) -> Option<Map<String, Value>> {
    let (name, content) = match data {
        Data::OctetString(octets) => string(octets),
        Data::VisibleString(octets) => {
            ("text", json!(octets.iter().map(|octet| char::from(*octet)).collect::<String>()))
        }
        Data::Utf8String(octets) => ("text", json!(String::from_utf8_lossy(octets))),
        Data::Boolean(flag) => ("raw", json!(flag)),
        _ => ("raw", data.as_i64().map(Value::from).or_else(|| data.as_f64().map(Value::from))?),
    };
    Some(Map::from_iter([(name.to_owned(), content)]))
}

fn string(octets: &[u8]) -> (&'static str, Value) {
    let time = DateTime::from_slice(octets).filter(|time| time.year().is_some_and(|year| year >= 1990));
    let text = std::str::from_utf8(octets).ok().filter(|text| !text.is_empty());
    match (time, text.filter(|text| text.bytes().all(|octet| matches!(octet, b' '..=b'~')))) {
        (Some(time), _) => ("time", json!(readable(&time))),
        (None, Some(text)) => ("text", json!(text)),
        (None, None) => ("octets", json!(hex::encode(octets))),
    }
}

fn scale(reading: &mut Map<String, Value>, ScalerUnit { scaler, unit }: ScalerUnit) {
    let Some(raw) = reading.get("raw").and_then(Value::as_i64) else { return };
    let power = 10_i64.checked_pow(scaler.unsigned_abs().into());
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
    use super::*;

    fn octets(hex: &str) -> Vec<u8> {
        hex::decode(hex.replace(' ', "")).unwrap()
    }

    const ENERGY: &str = "0906 0100010800ff 06 00000123";

    #[test]
    fn readings_are_what_the_body_says_itself() {
        let body = octets(&format!("01 01 02 03 {ENERGY} 02 02 0f fe 16 1e"));
        let body = Data::from_slice(&body).unwrap();
        let expected = json!({"obis": "1-0:1.8.0.255", "raw": 291, "value": 2.91, "scaler": -2, "unit": "Wh"});
        assert_eq!(readings(&body), [expected]);
        assert_eq!(explained(&body)[0]["name"], "active energy import");
    }

    #[test]
    fn what_a_published_list_adds_is_for_people_only() {
        let body = octets(&format!("02 04 0a0e 4b616d73747275705f5630303031 {ENERGY} 11 07"));
        let body = Data::from_slice(&body).unwrap();
        assert_eq!(readings(&body), [json!({"obis": "1-0:1.8.0.255", "raw": 291})]);
        assert_eq!((&explained(&body)[0]["value"], &explained(&body)[0]["unit"]), (&json!(2910), &json!("Wh")));
        let six = octets("02 02 0906 0000600100ff 0906 313233343536");
        let body = [&[2, 1][..], &six].concat();
        let body = Data::from_slice(&body).unwrap();
        assert!(readings(&body).is_empty());
        assert_eq!(explained(&body)[0]["text"], "123456");
    }
}
