//! What Home Assistant finds meters by: one message for each number that a meter has.

use serde_json::json;

use super::message::{Message, Topics, channel, profile};
use crate::{export::row, operation::CaptureColumn, store::StoredCapture};

/// Home Assistant's name of what is measured, and how its statistics take it.
fn classes(column: &CaptureColumn) -> Option<(Option<&'static str>, &'static str)> {
    let unit = column.scaler_unit?.unit;
    let [medium, _, _, integral, ..] = column.obis.0;
    // Time integral 1, from the begin of measurement on: only counts up.
    let counts = integral == 8;
    Some(match unit.symbol()? {
        "Wh" => (Some("energy"), if counts { "total_increasing" } else { "total" }),
        "m³" => {
            let class = match medium {
                7 => Some("gas"),
                8 | 9 => Some("water"),
                _ => None,
            };
            (class, "total_increasing")
        }
        "W" => (Some("power"), "measurement"),
        "V" => (Some("voltage"), "measurement"),
        "A" => (Some("current"), "measurement"),
        "VA" => (Some("apparent_power"), "measurement"),
        "var" => (Some("reactive_power"), "measurement"),
        "Hz" => (Some("frequency"), "measurement"),
        "°C" => (Some("temperature"), "measurement"),
        _ if counts && medium == 1 => (None, "total_increasing"),
        _ => (None, "measurement"),
    })
}

/// Letters, digits, `_` and `-` alone, and different for different texts.
fn identifier(text: &str) -> String {
    let mut identifier = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '_' => identifier.push_str("__"),
            '.' => identifier.push_str("_d"),
            '~' => identifier.push_str("_t"),
            other => identifier.push(other),
        }
    }
    identifier
}

/// The number in a column of a capture, as Home Assistant wants it described; `None` for what is none.
pub(super) fn sensor(
    prefix: &str,
    topics: &Topics,
    capture: &StoredCapture,
    place: usize,
    name: &str,
) -> Option<Message> {
    let row = row::rows(capture).nth(place)?;
    row.sample()?;
    let column = row.column;
    let (class, state_class) = classes(column)?;
    let meter = identifier(capture.meter.as_str());
    let object = identifier(&format!("{}/{}", profile(capture), channel(column)).replace('/', "-"));
    let said = dlms::obis::describe(column.obis).map(|words| words.to_string());
    let mut payload = json!({
        "name": said.unwrap_or_else(|| column.obis.to_string()),
        "unique_id": format!("dlms_{meter}_{object}"),
        "state_topic": topics.last(capture, column),
        "value_template": "{{ value_json.value }}",
        "unit_of_measurement": column.scaler_unit?.unit.symbol(),
        "state_class": state_class,
        "availability_mode": "all",
        "availability": [{ "topic": topics.status() }, { "topic": topics.availability(&capture.meter) }],
        "device": { "identifiers": [format!("dlms_{meter}")], "name": name },
        "origin": { "name": "head-end" },
    });
    if let (Some(class), Some(payload)) = (class, payload.as_object_mut()) {
        payload.insert("device_class".to_owned(), class.into());
    }
    let topic = format!("{prefix}/sensor/{meter}/{object}/config");
    Some(Message { topic, payload: payload.to_string().into(), retain: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::message::tests::capture;

    #[test]
    fn numbers_with_a_unit_are_sensors_and_others_are_not() {
        let topics = Topics::new("dlms");
        let sensors: Vec<_> =
            (0..4).map(|place| sensor("homeassistant", &topics, &capture(), place, "cellar")).collect();
        let energy = sensors[0].as_ref().unwrap();
        assert_eq!(energy.topic, "homeassistant/sensor/m_d1/1_d0_d99_d1_d0_d255-1_d0_d1_d8_d0_d255/config");
        let payload: serde_json::Value = serde_json::from_slice(&energy.payload).unwrap();
        assert_eq!((&payload["device_class"], &payload["state_class"]), (&"energy".into(), &"total_increasing".into()));
        assert_eq!(payload["state_topic"], "dlms/meters/m.1/last/1.0.99.1.0.255/1.0.1.8.0.255");
        assert_eq!((&payload["unit_of_measurement"], &payload["device"]["name"]), (&"Wh".into(), &"cellar".into()));
        let power: serde_json::Value = serde_json::from_slice(&sensors[1].as_ref().unwrap().payload).unwrap();
        assert_eq!((&power["device_class"], &power["state_class"]), (&"power".into(), &"measurement".into()));
        assert!(sensors[2].is_none() && sensors[3].is_none());
    }

    #[test]
    fn identifiers_differ_where_names_do() {
        let names = ["a.b", "a_b", "a_db", "a~b", "a-b", "a__b"];
        let identifiers: std::collections::HashSet<_> = names.iter().map(|name| identifier(name)).collect();
        assert_eq!(identifiers.len(), names.len());
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        assert!(identifiers.iter().all(|identifier| identifier.chars().all(legal)));
    }
}
