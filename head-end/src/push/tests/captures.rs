//! Bodies that real meters pushed. The captures are not part of this tree; `DLMS_CAPTURES` names their folder.

use std::{collections::BTreeMap, path::PathBuf};

use dlms::{apdu::Apdu, hdlc, id::SystemTitle, obis::ObisCode};
use serde_json::Value as Json;

use crate::push::{
    Templates,
    blocks::Blocks,
    body::{self, Understood},
};

fn captures(file: &str) -> Option<String> {
    let folder = std::env::var_os("DLMS_CAPTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures"), PathBuf::from);
    std::fs::read_to_string(folder.join(file)).ok()
}

/// Names and raw numbers that a body is understood to hold.
fn understood(apdu: &[u8], title: Option<SystemTitle>) -> Option<BTreeMap<ObisCode, i64>> {
    let apdu = Apdu::decode(apdu).ok()?;
    let Understood::Named(body) = body::understand(&apdu, title, &Templates::built_in(), None) else { return None };
    let number = |(column, value): (crate::operation::CaptureColumn, dlms::axdr::Value)| {
        Some((column.obis, value.as_data()?.as_i64()?))
    };
    Some(body.cells.into_iter().filter_map(number).collect())
}

fn expected(record: &Json) -> BTreeMap<ObisCode, i64> {
    let readings = record["expect"]["readings"].as_array().into_iter().flatten();
    readings.filter_map(|of| Some((of["obis"].as_str()?.parse().ok()?, of["raw"].as_i64()?))).collect()
}

#[test]
fn lesson_11_pushes_of_real_meters_become_named_values() {
    let Some(records) = captures("hdlc.jsonl") else { return };
    let mut makes: BTreeMap<String, usize> = BTreeMap::new();
    for line in records.lines() {
        let record: Json = serde_json::from_str(line).unwrap();
        let expected = expected(&record);
        if expected.is_empty() || record.get("security").is_some() || record.get("malformed").is_some() {
            continue;
        }
        let octets = hex::decode(record["hex"].as_str().unwrap()).unwrap();
        let mut listener = hdlc::Listener::new(vec![0; 4_096], vec![0; 4_096], 1_000, true);
        let taken = listener.handle_input(&octets, dlms::Instant::from_millis(0));
        if listener.poll_event().is_none() {
            // A segment, or blocks, of a session that goes on in other records.
            continue;
        }
        let id = record["id"].as_str().unwrap();
        let mut blocks = Blocks::new(4_096);
        let mut whole = blocks.push(listener.apdu().to_vec()).unwrap();
        listener.release_apdu();
        let mut rest = &octets[taken..];
        while whole.is_none() && !rest.is_empty() {
            rest = &rest[listener.handle_input(rest, dlms::Instant::from_millis(0))..];
            if listener.poll_event().is_some() {
                whole = blocks.push(listener.apdu().to_vec()).unwrap();
                listener.release_apdu();
            }
        }
        // Of some transfers the end was not recorded.
        let Some(apdu) = whole else { continue };
        let Some(found) = understood(&apdu, None) else { panic!("{id}: not understood") };
        for (obis, raw) in expected {
            assert_eq!(found.get(&obis), Some(&raw), "{id}: {obis}");
        }
        *makes.entry(record["meter"]["make"].as_str().unwrap_or("-").to_owned()).or_default() += 1;
    }
    for make in ["Aidon", "Kamstrup", "Landis+Gyr"] {
        assert!(makes.contains_key(make), "none of {make}: {makes:?}");
    }
}

/// Kaifa's list 1: one bare value, which nothing but the maker's sheet explains.
#[test]
fn lesson_11_a_bare_value_is_named_by_who_sent_it() {
    let apdu = [0x0F, 0x40, 0, 0, 0, 0, 0x02, 0x01, 0x06, 0, 0, 0x03, 0x1E];
    assert_eq!(understood(&apdu, None), None);
    let found = understood(&apdu, Some(SystemTitle(*b"KFM\x10\x20\x03\x04\x05"))).unwrap();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [(ObisCode([1, 0, 1, 7, 0, 255]), 798)]);
}
