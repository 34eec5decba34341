//! Captured traffic decodes. Runs where the captures are: `DLMS_CAPTURES` or next to the project.

use std::path::PathBuf;

use dlms::apdu::Apdu;
use dlms::axdr::Writer;
use dlms::deviation::Deviation;
use serde_json::Value;

fn records(file: &str) -> Vec<Value> {
    let folder = std::env::var_os("DLMS_CAPTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures"), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(folder.join(file)) else { return Vec::new() };
    text.lines().map(|line| serde_json::from_str(line).expect("a record per line")).collect()
}

/// The APDU octets of a record, without what its link put in front.
fn apdu_octets(record: &Value) -> Vec<u8> {
    let octets = hex::decode(record["hex"].as_str().expect("hex")).expect("hex");
    let expect = &record["expect"];
    match record["kind"].as_str() {
        // The first of several APDUs, as the names in `expect` are its.
        Some("wrapper") => {
            let length = usize::from(u16::from_be_bytes([octets[6], octets[7]]));
            octets[8..].iter().copied().take(length).collect()
        }
        Some("plc") => octets[3..].to_vec(),
        _ if expect["link"][0]["llc"].is_string() => octets[3..].to_vec(),
        _ => octets,
    }
}

fn round_trip(apdu: &Apdu<'_>, id: &str) {
    let mut buffer = vec![0; 70_000];
    let mut writer = Writer::new(&mut buffer);
    apdu.encode(&mut writer).expect("room");
    assert_eq!(Apdu::decode(writer.written()).as_ref(), Ok(apdu), "{id}");
}

#[test]
fn lesson_27_captured_apdus_decode_under_their_names() {
    let mut count = 0;
    for file in ["apdu.jsonl", "wrapper.jsonl", "plc.jsonl"] {
        for record in records(file) {
            let id = record["id"].as_str().expect("id");
            let octets = apdu_octets(&record);
            let name = record["expect"]["apdu"][0].as_str();
            let (Some(name), true) = (name, record["malformed"].is_null()) else { continue };
            let (apdu, _) = Apdu::decode_with_deviations(&octets).unwrap_or_else(|error| panic!("{id}: {error}"));
            assert_eq!(apdu.name(), name, "{id}");
            round_trip(&apdu, id);
            fields(&apdu, &record, id);
            count += 1;
        }
    }
    println!("{count} captured APDUs");
}

/// A few fields per service, where the record's decoded tree says what they are.
fn fields(apdu: &Apdu<'_>, record: &Value, id: &str) {
    let decoded = match &record["expect"]["decoded"] {
        Value::Array(list) => &list[0],
        other => other,
    };
    let initiate = |octets: Option<&[u8]>| {
        let conformance = match octets.map(Apdu::decode) {
            Some(Ok(Apdu::InitiateRequest(request))) => request.conformance,
            Some(Ok(Apdu::InitiateResponse(response))) => response.conformance,
            _ => return,
        };
        let expected = &decoded["user-information"]["conformance"];
        assert_eq!(hex::encode(conformance.to_bytes()), expected["hex"].as_str().unwrap_or_default(), "{id}");
        let bits: Vec<_> = expected["bits"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        assert_eq!(conformance.names().collect::<Vec<_>>(), bits, "{id}");
    };
    match apdu {
        Apdu::Aarq(aarq) => {
            assert_eq!(Some(aarq.context.identifier().to_string().as_str()), decoded["application-context"].as_str());
            initiate(aarq.user_information);
        }
        Apdu::Aare(aare) => {
            assert_eq!(Some(u64::from(aare.result.code())), decoded["result"].as_u64(), "{id}");
            initiate(aare.user_information);
        }
        Apdu::GetRequest(dlms::apdu::GetRequest::Normal { invoke, request }) => {
            assert_eq!(Some(format!("{:02x}", invoke.0).as_str()), decoded["invoke"].as_str(), "{id}");
            let attribute = request.attribute;
            assert_eq!(Some(u64::from(attribute.class.0)), decoded["class"].as_u64(), "{id}");
            assert_eq!(Some(attribute.instance.to_string().as_str()), decoded["obis"].as_str(), "{id}");
            assert_eq!(Some(i64::from(attribute.attribute.0)), decoded["attribute"].as_i64(), "{id}");
        }
        _ => {}
    }
}

#[test]
fn lesson_12_captured_deviations_are_named() {
    for record in records("wrapper.jsonl") {
        let id = record["id"].as_str().expect("id");
        let reason = record["malformed"]["reason"].as_str().unwrap_or_default();
        let expected = if reason.starts_with("RLRE: outer") {
            Deviation::ShortOuterLength
        } else if reason.starts_with("event-notification time") {
            Deviation::DateTimeForm
        } else {
            continue;
        };
        let octets = apdu_octets(&record);
        let (apdu, deviations) = Apdu::decode_with_deviations(&octets).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert!(deviations.contains(expected), "{id}: {deviations}");
        round_trip(&apdu, id);
    }
}

#[test]
fn damaged_captures_do_not_panic() {
    for file in ["apdu.jsonl", "wrapper.jsonl", "plc.jsonl", "hdlc.jsonl", "mbus.jsonl"] {
        for record in records(file) {
            let octets = hex::decode(record["hex"].as_str().expect("hex")).expect("hex");
            for start in 0..octets.len().min(24) {
                if let Ok(apdu) = Apdu::decode(&octets[start..]) {
                    round_trip(&apdu, record["id"].as_str().expect("id"));
                }
            }
        }
    }
}
