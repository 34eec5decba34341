//! Topics and payloads, as `docs/mqtt.md` has them.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{
    export::row::{self, Row},
    meter::{MeterId, TimeBasis},
    operation::CaptureColumn,
    store::{Event, EventOrigin, StoredCapture},
};

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) retain: bool,
}

impl Message {
    fn json(topic: String, payload: &Value, retain: bool) -> Self {
        Self { topic, payload: payload.to_string().into(), retain }
    }
}

/// What availability is published as.
pub(super) const fn available(online: bool) -> &'static str {
    if online { "online" } else { "offline" }
}

/// Makes messages below a prefix.
#[derive(Clone, Debug)]
pub(super) struct Topics {
    prefix: String,
}

impl Topics {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    fn of_meter(&self, meter: &MeterId, rest: &str) -> String {
        format!("{}/meters/{meter}/{rest}", self.prefix)
    }

    /// Topic of the head-end's own availability.
    pub(super) fn status(&self) -> String {
        format!("{}/status", self.prefix)
    }

    /// The head-end's own availability.
    pub(super) fn own(&self, online: bool) -> Message {
        Message { topic: self.status(), payload: available(online).into(), retain: true }
    }

    /// Topic of a meter's availability.
    pub(super) fn availability(&self, meter: &MeterId) -> String {
        self.of_meter(meter, "availability")
    }

    /// A meter's availability.
    pub(super) fn meter(&self, meter: &MeterId, online: bool) -> Message {
        Message { topic: self.availability(meter), payload: available(online).into(), retain: true }
    }

    /// A capture with all of its values.
    pub(super) fn capture(&self, of: &StoredCapture) -> Message {
        let mut payload = common(of);
        payload.insert("meter".to_owned(), of.meter.as_str().into());
        payload.insert("profile".to_owned(), of.profile.map(|profile| profile.to_string()).into());
        payload.insert("values".to_owned(), row::rows(of).map(|row| Value::Object(value(&row))).collect());
        let topic = self.of_meter(&of.meter, &format!("readings/{}", profile(of)));
        Message::json(topic, &Value::Object(payload), false)
    }

    /// Topic of the last value of a column.
    pub(super) fn last(&self, of: &StoredCapture, column: &CaptureColumn) -> String {
        self.of_meter(&of.meter, &format!("last/{}/{}", profile(of), channel(column)))
    }

    /// The values of a capture that is the newest, each under a topic of its own.
    pub(super) fn newest(&self, of: &StoredCapture) -> impl Iterator<Item = Message> {
        let common = common(of);
        row::rows(of).map(move |row| {
            let mut payload = common.clone();
            payload.extend(value(&row));
            Message::json(self.last(of, row.column), &Value::Object(payload), true)
        })
    }

    /// An event.
    pub(super) fn event(&self, of: &Event) -> Message {
        let topic = match &of.event.meter {
            Some(meter) => self.of_meter(meter, "events"),
            None => format!("{}/events", self.prefix),
        };
        let event = &of.event;
        let payload = json!({
            "event": of.sequence,
            "meter": event.meter.as_ref().map(MeterId::as_str),
            "time": row::moment(event.time),
            "time_basis": basis(event.time_basis),
            "received": row::moment(event.received),
            "origin": match event.origin {
                EventOrigin::Log => "log",
                EventOrigin::Pushed => "pushed",
                EventOrigin::AlarmRegister => "alarm-register",
                EventOrigin::HeadEnd => "head-end",
            },
            "source": event.source.map(|source| source.to_string()),
            "code": event.code,
            "name": event.name,
            "category": event.category.name(),
            "iec_code": event.iec_code,
            "alarm": event.alarm,
            "detail": event.detail,
        });
        Message::json(topic, &payload, false)
    }
}

/// The level of topics that says what captured a value.
pub(super) fn profile(of: &StoredCapture) -> String {
    of.profile.map_or_else(|| "registers".to_owned(), |profile| profile.to_string())
}

/// The level of topics that says what a value is: the OBIS code, with the attribute where it is another than 2, and the
/// element where it is one.
pub(super) fn channel(column: &CaptureColumn) -> String {
    let mut text = column.obis.to_string();
    if column.attribute.0 != 2 || column.data_index != 0 {
        text.push_str(&format!("-{}", column.attribute.0));
    }
    if column.data_index != 0 {
        text.push_str(&format!("-{}", column.data_index));
    }
    text
}

const fn basis(of: TimeBasis) -> &'static str {
    match of {
        TimeBasis::MeterDeviation => "meter",
        TimeBasis::ConfiguredOffset => "configured-offset",
        TimeBasis::Received => "received",
    }
}

fn common(of: &StoredCapture) -> Map<String, Value> {
    let Value::Object(fields) = json!({
        "time": row::moment(of.time),
        "time_basis": basis(of.time_basis),
        "received": row::moment(of.received),
        "source": row::source(of.source),
        "status": of.status,
        "flags": of.flags.names().collect::<Vec<_>>(),
        "revision": of.revision,
    }) else {
        return Map::new();
    };
    fields
}

fn value(row: &Row<'_>) -> Map<String, Value> {
    let column = row.column;
    let mut fields = Map::new();
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    put("obis", column.obis.to_string().into());
    put("class", column.class.0.into());
    put("attribute", column.attribute.0.into());
    if column.data_index != 0 {
        put("index", column.data_index.into());
    }
    // As text: a number of JSON is a double to most readers, and would round registers of 64 bits.
    put("value", row.text().into());
    put("unit", row.unit().into());
    fields
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use dlms::{
        axdr,
        id::{AttributeId, ClassId},
        obis::ObisCode,
        unit::{ScalerUnit, Unit},
    };

    use super::*;
    use crate::store::{CaptureFlags, Source};

    pub(in crate::mqtt) fn capture() -> StoredCapture {
        let column = |class, obis, attribute, data_index, scaler_unit| CaptureColumn {
            class: ClassId(class),
            obis: ObisCode(obis),
            attribute: AttributeId(attribute),
            data_index,
            scaler_unit,
        };
        StoredCapture {
            meter: "m.1".parse().unwrap(),
            profile: Some(ObisCode([1, 0, 99, 1, 0, 255])),
            time: "2026-03-15T12:00:00Z".parse().unwrap(),
            time_basis: TimeBasis::MeterDeviation,
            clock: None,
            status: Some(8),
            flags: CaptureFlags::MISSING,
            source: Source::Polled,
            revision: 1,
            received: "2026-03-15T12:00:07.5Z".parse().unwrap(),
            columns: Arc::new([
                column(3, [1, 0, 1, 8, 0, 255], 2, 0, Some(ScalerUnit { scaler: 1, unit: Unit(30) })),
                column(5, [1, 0, 1, 4, 0, 255], 3, 0, Some(ScalerUnit { scaler: 0, unit: Unit(27) })),
                column(7, [0, 0, 98, 1, 0, 255], 2, 4, None),
            ]),
            values: vec![
                axdr::Value::Long64Unsigned(9_007_199_254_740_993),
                axdr::Value::LongUnsigned(7),
                axdr::Value::OctetString(vec![0xAB]),
            ],
        }
    }

    fn parsed(message: &Message) -> Value {
        serde_json::from_slice(&message.payload).unwrap()
    }

    #[test]
    fn a_capture_is_one_message_with_exact_values() {
        let message = Topics::new("a/b").capture(&capture());
        assert_eq!((message.topic.as_str(), message.retain), ("a/b/meters/m.1/readings/1.0.99.1.0.255", false));
        let wanted = json!({
            "meter": "m.1", "profile": "1.0.99.1.0.255", "time": "2026-03-15T12:00:00.000Z", "time_basis": "meter",
            "received": "2026-03-15T12:00:07.500Z", "source": "polled", "status": 8, "flags": ["MISSING"], "revision": 1,
            "values": [
                { "obis": "1.0.1.8.0.255", "class": 3, "attribute": 2, "value": "90071992547409930", "unit": "Wh" },
                { "obis": "1.0.1.4.0.255", "class": 5, "attribute": 3, "value": "7", "unit": "W" },
                { "obis": "0.0.98.1.0.255", "class": 7, "attribute": 2, "index": 4, "value": "ab", "unit": "" },
            ],
        });
        assert_eq!(parsed(&message), wanted);
    }

    #[test]
    fn last_values_are_retained_and_no_two_share_a_topic() {
        let capture = capture();
        let topics = Topics::new("dlms");
        let messages: Vec<_> = topics.newest(&capture).collect();
        let names: Vec<_> = messages.iter().map(|message| message.topic.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["1.0.1.8.0.255", "1.0.1.4.0.255-3", "0.0.98.1.0.255-2-4"]);
        assert!(messages.iter().all(|message| message.retain));
        assert_eq!(parsed(&messages[0])["value"], "90071992547409930");
        assert_eq!(parsed(&messages[0])["time"], "2026-03-15T12:00:00.000Z");
    }
}
