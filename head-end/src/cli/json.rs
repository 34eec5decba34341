//! Messages of the API as JSON for programs.

use dlms_proto::v1::{self, value::Kind};
use serde_json::{Map, Value, json};

use super::output::{result_name, time_text};

/// Leaves out what is absent.
pub(super) fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let present = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(present.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

pub(super) fn text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}

pub(super) fn time(of: Option<&prost_types::Timestamp>) -> Value {
    text(&time_text(of))
}

/// A COSEM value: its type, and the value; octets in hexadecimal digits, 64-bit numbers as text
/// where a double would round them.
pub(super) fn value(of: &v1::Value) -> Value {
    let Some(kind) = &of.kind else { return Value::Null };
    let list = |list: &v1::ValueList| Value::Array(list.elements.iter().map(value).collect());
    let (name, inner) = match kind {
        Kind::Null(_) => ("null", Value::Null),
        Kind::Array(of) => ("array", list(of)),
        Kind::Structure(of) => ("structure", list(of)),
        Kind::Boolean(of) => ("boolean", json!(of)),
        Kind::BitString(of) => ("bit-string", json!(bits(of))),
        Kind::DoubleLong(of) => ("double-long", json!(of)),
        Kind::DoubleLongUnsigned(of) => ("double-long-unsigned", json!(of)),
        Kind::OctetString(of) => ("octet-string", json!(hex::encode_upper(of))),
        Kind::VisibleString(of) => ("visible-string", json!(String::from_utf8_lossy(of))),
        Kind::Utf8String(of) => ("utf8-string", json!(String::from_utf8_lossy(of))),
        Kind::Bcd(of) => ("bcd", json!(of)),
        Kind::Integer(of) => ("integer", json!(of)),
        Kind::Long(of) => ("long", json!(of)),
        Kind::Unsigned(of) => ("unsigned", json!(of)),
        Kind::LongUnsigned(of) => ("long-unsigned", json!(of)),
        Kind::CompactArray(of) => {
            let inner = json!({
                "type_description": hex::encode_upper(&of.type_description),
                "contents": hex::encode_upper(&of.contents),
            });
            ("compact-array", inner)
        }
        Kind::Long64(of) => ("long64", wide(*of, of.unsigned_abs())),
        Kind::Long64Unsigned(of) => ("long64-unsigned", wide(*of, *of)),
        Kind::Enumerated(of) => ("enum", json!(of)),
        Kind::Float32(of) => ("float32", json!(of)),
        Kind::Float64(of) => ("float64", json!(of)),
        Kind::DateTime(of) => ("date-time", json!(of.text)),
        Kind::Date(of) => ("date", json!(hex::encode_upper(of))),
        Kind::Time(of) => ("time", json!(hex::encode_upper(of))),
        Kind::DeltaInteger(of) => ("delta-integer", json!(of)),
        Kind::DeltaLong(of) => ("delta-long", json!(of)),
        Kind::DeltaDoubleLong(of) => ("delta-double-long", json!(of)),
        Kind::DeltaUnsigned(of) => ("delta-unsigned", json!(of)),
        Kind::DeltaLongUnsigned(of) => ("delta-long-unsigned", json!(of)),
        Kind::DeltaDoubleLongUnsigned(of) => ("delta-double-long-unsigned", json!(of)),
        Kind::DontCare(_) => ("dont-care", Value::Null),
    };
    json!({ "type": name, "value": inner })
}

/// A double holds whole numbers up to 2^53 exactly.
fn wide<T: serde::Serialize + std::fmt::Display>(number: T, magnitude: u64) -> Value {
    if magnitude <= 1 << 53 { json!(number) } else { json!(number.to_string()) }
}

fn bits(of: &v1::BitString) -> String {
    let bit = |n: u32| {
        let octet = of.octets.get((n / 8) as usize).copied().unwrap_or(0);
        if octet & (0x80 >> (n % 8)) != 0 { '1' } else { '0' }
    };
    (0..of.bits).map(bit).collect()
}

fn scaler_unit(of: Option<&v1::ScalerUnit>) -> [(&'static str, Value); 2] {
    [
        ("scaler", of.map_or(Value::Null, |of| json!(of.scaler))),
        ("unit", of.map_or(Value::Null, |of| if of.symbol.is_empty() { json!(of.unit) } else { json!(of.symbol) })),
    ]
}

/// The number as JSON where it is one, exactly as the head-end wrote it.
fn decimal(of: &str) -> Value {
    text(of)
}

pub(super) fn channel(of: &v1::ChannelReading) -> Value {
    let [scaler, unit] = scaler_unit(of.scaler_unit.as_ref());
    object([
        ("obis", json!(of.obis)),
        ("class_id", json!(of.class_id)),
        ("attribute", json!(of.attribute)),
        ("data_index", if of.data_index == 0 { Value::Null } else { json!(of.data_index) }),
        ("value", decimal(&of.decimal)),
        unit,
        scaler,
        ("raw", of.value.as_ref().map_or(Value::Null, value)),
    ])
}

pub(super) fn failure(of: Option<&v1::Failure>) -> Value {
    let Some(of) = of else { return Value::Null };
    let layer = v1::Layer::try_from(of.layer).map(|layer| layer.as_str_name().trim_start_matches("LAYER_").to_owned());
    object([
        ("reason", json!(of.reason)),
        ("layer", layer.map_or(Value::Null, |layer| json!(layer))),
        ("message", json!(of.message)),
        ("answer", of.answer.as_ref().map_or(Value::Null, answer)),
        ("sent", json!(of.sent)),
        ("retryable", json!(of.retryable)),
    ])
}

fn answer(of: &v1::MeterAnswer) -> Value {
    use v1::meter_answer::Kind;
    let (kind, code) = match &of.kind {
        None => return Value::Null,
        Some(Kind::DataAccessResult(code)) => ("data-access-result", json!(code)),
        Some(Kind::ActionResult(code)) => ("action-result", json!(code)),
        Some(Kind::Association(of)) => ("association", json!([of.result, of.diagnostic])),
        Some(Kind::Exception(of)) => ("exception-response", json!([of.state_error, of.service_error])),
        Some(Kind::ConfirmedServiceError(of)) => ("confirmed-service-error", json!([of.service, of.error, of.value])),
    };
    object([("kind", json!(kind)), ("code", code), ("name", text(&of.name))])
}

pub(super) fn register(of: &v1::RegisterResult) -> Value {
    object([
        ("obis", json!(of.obis)),
        ("result", json!(result_name(of.result))),
        ("reading", of.reading.as_ref().map_or(Value::Null, channel)),
        ("status", of.status.as_ref().map_or(Value::Null, value)),
        ("capture_time", of.capture_time.as_ref().map_or(Value::Null, |time| json!(time.text))),
        ("receive_time", time(of.receive_time.as_ref())),
        ("failure", failure(of.failure.as_ref())),
    ])
}

pub(super) fn attribute(of: &v1::AttributeResult) -> Value {
    let asked = of.attribute.clone().unwrap_or_default();
    object([
        ("obis", json!(asked.obis)),
        ("class_id", json!(asked.class_id)),
        ("attribute", json!(asked.attribute)),
        ("result", json!(result_name(of.result))),
        ("value", of.value.as_ref().map_or(Value::Null, value)),
        ("receive_time", time(of.receive_time.as_ref())),
        ("failure", failure(of.failure.as_ref())),
    ])
}

pub(super) fn capture(of: &v1::Capture) -> Value {
    let basis = v1::TimeBasis::try_from(of.time_basis).map(|of| of.as_str_name());
    let source = v1::Source::try_from(of.source).map(|of| of.as_str_name());
    object([
        ("meter", json!(of.meter)),
        ("profile", text(&of.profile)),
        ("capture_time", time(of.capture_time.as_ref())),
        ("time_basis", text(basis.unwrap_or_default().trim_start_matches("TIME_BASIS_"))),
        ("clock", of.clock.as_ref().map_or(Value::Null, |clock| json!(clock.text))),
        ("status", of.status.map_or(Value::Null, |status| json!(status))),
        ("source", text(source.unwrap_or_default().trim_start_matches("SOURCE_"))),
        ("revision", if of.revision == 0 { Value::Null } else { json!(of.revision) }),
        ("receive_time", time(of.receive_time.as_ref())),
        (
            "flags",
            json!(of.flags().map(|flag| flag.as_str_name().trim_start_matches("CAPTURE_FLAG_")).collect::<Vec<_>>()),
        ),
        ("readings", Value::Array(of.readings.iter().map(channel).collect())),
    ])
}

pub(super) fn layout(of: &v1::ProfileLayout) -> Value {
    let column = |of: &v1::CaptureColumn| {
        let [scaler, unit] = scaler_unit(of.scaler_unit.as_ref());
        object([
            ("obis", json!(of.obis)),
            ("class_id", json!(of.class_id)),
            ("attribute", json!(of.attribute)),
            ("data_index", json!(of.data_index)),
            scaler,
            unit,
        ])
    };
    object([
        ("profile", json!(of.profile)),
        ("capture_period_s", json!(of.capture_period_s)),
        ("entries_in_use", of.entries_in_use.map_or(Value::Null, |of| json!(of))),
        ("profile_entries", of.profile_entries.map_or(Value::Null, |of| json!(of))),
        ("columns", Value::Array(of.columns.iter().map(column).collect())),
    ])
}

pub(super) fn cosem_object(of: &v1::CosemObject) -> Value {
    let access =
        |of: &[v1::Access]| Value::Array(of.iter().map(|of| json!({ "id": of.id, "mode": of.mode })).collect());
    let [scaler, unit] = scaler_unit(of.scaler_unit.as_ref());
    object([
        ("obis", json!(of.obis)),
        ("class_id", json!(of.class_id)),
        ("version", json!(of.version)),
        ("attributes", access(&of.attributes)),
        ("methods", access(&of.methods)),
        scaler,
        unit,
    ])
}

pub(super) fn meter(of: &v1::Meter) -> Value {
    let security = of.security.as_ref().map_or(Value::Null, |of| {
        object([
            ("suite", json!(of.suite)),
            ("policy", json!(of.policy().as_str_name().trim_start_matches("POLICY_"))),
            ("envelope", json!(of.envelope().as_str_name().trim_start_matches("ENVELOPE_"))),
            ("dedicated_key", json!(of.dedicated_key)),
            ("client_system_title", text(&hex::encode_upper(&of.client_system_title))),
            ("keys_set", json!(of.keys_set)),
        ])
    });
    let authentication = of.authentication.as_ref().map_or(Value::Null, |of| {
        json!({
            "mechanism": of.mechanism().as_str_name().trim_start_matches("MECHANISM_"),
            "password_set": of.password_set,
            "certificate_set": !of.certificate.is_empty(),
        })
    });
    object([
        ("name", json!(of.name)),
        ("display_name", text(&of.display_name)),
        ("labels", json!(of.labels)),
        ("link", of.link.as_ref().map_or(Value::Null, link)),
        ("client_sap", json!(of.client_sap)),
        ("server_sap", json!(of.server_sap)),
        ("authentication", authentication),
        ("security", security),
        ("system_title", text(&hex::encode_upper(&of.system_title))),
        ("time_policy", of.time_policy.as_ref().map_or(Value::Null, |of| {
            json!({ "inverted_deviation": of.inverted_deviation, "fallback_offset_min": of.fallback_offset_min })
        })),
        ("route", text(&of.route)),
        ("push", of.push.as_ref().map_or(Value::Null, |of| {
            object([
                ("protection", json!(of.protection().as_str_name().trim_start_matches("POLICY_"))),
                ("plaintext_from", text(&of.plaintext_from)),
                ("device_name", text(&of.device_name)),
            ])
        })),
        ("max_pdu_octets", json!(of.max_pdu_octets)),
        ("logical_device_name", text(&of.logical_device_name)),
        ("gateway", of.gateway.as_ref().map_or(Value::Null, |of| {
            json!({ "network": of.network, "device": hex::encode_upper(&of.device) })
        })),
        ("customer_port", of.customer_port.as_ref().map_or(Value::Null, |of| {
            object([
                ("equipment_id", text(&of.equipment_id)),
                ("time_zone", text(&of.time_zone)),
                ("key_set", json!(of.key_set)),
            ])
        })),
        ("service_point", text(&of.service_point)),
        ("lifecycle_status", json!(of.lifecycle_status().as_str_name().trim_start_matches("LIFECYCLE_STATUS_"))),
        ("lifecycle_time", time(of.lifecycle_time.as_ref())),
        ("commission_time", time(of.commission_time.as_ref())),
        ("replaces", text(&of.replaces)),
        ("replaced_by", text(&of.replaced_by)),
        ("etag", json!(of.etag)),
        ("create_time", time(of.create_time.as_ref())),
        ("update_time", time(of.update_time.as_ref())),
    ])
}

fn link(of: &v1::Link) -> Value {
    use v1::link::Kind;
    let hdlc = |of: Option<&v1::Hdlc>| {
        of.map_or(Value::Null, |of| {
            json!({
                "lower_address": of.lower_address,
                "address_octets": of.address_octets,
                "window": of.window,
                "information_field_octets": of.information_field_octets,
            })
        })
    };
    match &of.kind {
        None => Value::Null,
        Some(Kind::TcpWrapper(of)) => json!({ "kind": "tcp", "address": of.address }),
        Some(Kind::DialIn(_)) => json!({ "kind": "dial-in" }),
        Some(Kind::UdpWrapper(of)) => json!({ "kind": "udp", "address": of.address }),
        Some(Kind::HdlcTcp(of)) => {
            json!({ "kind": "hdlc-tcp", "address": of.address, "hdlc": hdlc(of.hdlc.as_ref()) })
        }
        Some(Kind::HdlcSerial(of)) => {
            let mut serial =
                json!({ "kind": "serial", "device": of.device, "baud": of.baud, "hdlc": hdlc(of.hdlc.as_ref()) });
            if let Some(mode_e) = &of.mode_e {
                serial["mode_e"] = json!({ "device_address": mode_e.device_address });
            }
            serial
        }
    }
}
