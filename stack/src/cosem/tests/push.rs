//! Bodies of pushes, from the folder of captures where there is one.

use super::*;
use crate::apdu::Apdu;
use crate::cosem::push_setup::{Named, PushRow, PushRows, push_list, push_list_of};
use crate::id::SystemTitle;
use crate::obis::ObisCode;
use crate::unit::{ScalerUnit, Unit};
use hex_literal::hex;
use std::string::String;
use std::{env, fs};

fn body(octets: &[u8]) -> Data<'_> {
    Data::from_slice(octets).unwrap()
}

fn rows(octets: &[u8]) -> Vec<PushRow<'_>> {
    PushRows::new(&body(octets)).map(Iterator::collect).unwrap_or_default()
}

const ENERGY: ObisCode = ObisCode::ACTIVE_IMPORT;

#[test]
fn structures_that_begin_with_their_name() {
    let octets =
        hex!("01 02 02 03 0906 0100010800FF 06 00000123 02 02 0F FE 16 1E 02 02 0906 0000600100FF 0906 313233343536");
    let found = rows(&octets);
    let energy = PushRow {
        instance: ENERGY,
        named: Named::Beside,
        value: Data::DoubleLongUnsigned(291),
        scaler_unit: Some(ScalerUnit { scaler: -2, unit: Unit::WATT_HOUR }),
        published_scaler_unit: None,
    };
    assert_eq!(found[0], energy);
    // Six octets that stand alone with a name are its value.
    assert_eq!((found[1].instance, found[1].value), (ObisCode::DEVICE_ID_1, Data::OctetString(b"123456")));
    assert_eq!(found.len(), 2);
}

#[test]
fn names_and_values_in_a_row() {
    let octets = hex!("02 07 0A0141 0906 0100020800FF 0906 0100010800FF 06 00000123 00 0906 0000010000FF 11 07");
    let found: Vec<_> = rows(&octets).iter().map(|row| row.instance).collect();
    assert_eq!(found, [ENERGY, ObisCode::CLOCK]);
}

#[test]
fn the_push_object_list_in_front_or_read_before() {
    let list =
        hex!("01 02 02 04 12 0028 0906 0008190900FF 0F 02 12 0000 02 04 12 0001 0906 0000600100FF 0F 02 12 0000");
    let pushed = [&hex!("02 02")[..], &list, &hex!("0902 4142")].concat();
    let attribute = Named::Listed(crate::id::ClassId(1), crate::id::AttributeId(2));
    let found = rows(&pushed);
    assert_eq!(
        (found[0].instance, found[0].named, found[0].value),
        (ObisCode::DEVICE_ID_1, attribute, Data::OctetString(b"AB"))
    );
    assert_eq!(found.len(), 1);

    let bare = hex!("02 02 11 07 0902 4142");
    let found: Vec<_> = PushRows::with_objects(&body(&list), &body(&bare)).unwrap().collect();
    assert_eq!((found[1].instance, found[1].value, found.len()), (ObisCode::DEVICE_ID_1, Data::OctetString(b"AB"), 2));
    assert!(PushRows::with_objects(&body(&list), &body(&hex!("02 01 11 07"))).is_none());
    // Without the list's own entry; and with values too many or too few, of which no name is certain.
    let pushed = |count: u8, values: &[u8]| [&[2, count][..], &list, values].concat();
    assert_eq!(rows(&pushed(3, &hex!("11 07 0902 4142"))), found);
    for wrong in [pushed(4, &hex!("11 07 0902 4142 11 08")), pushed(1, &[])] {
        assert!(PushRows::new(&body(&wrong)).is_none());
    }
    assert!(PushRows::with_objects(&body(&hex!("01 01 11 07")), &body(&hex!("02 01 11 07"))).is_none());
}

#[test]
fn bodies_without_names_give_nothing() {
    for octets in [&hex!("06 00001015")[..], &hex!("02 00"), &hex!("02 02 0906 0100010800FF 0906 0100020800FF")] {
        assert_eq!(rows(octets), []);
    }
}

#[test]
fn a_known_list_for_a_body_that_says_nothing() {
    let list = push_list(b"KFM_001").unwrap();
    let octets = hex!("02 01 06 00001015");
    let found: Vec<_> = PushRows::with_list(list, &body(&octets)).unwrap().collect();
    assert_eq!(
        (found[0].value, found[0].scaling()),
        (Data::DoubleLongUnsigned(4117), Some(ScalerUnit { scaler: 0, unit: Unit::WATT }))
    );
    assert!(PushRows::with_list(list, &body(&hex!("02 02 11 01 11 02"))).is_none());
    assert!(push_list(b"unknown").is_none());
    assert_eq!(push_list_of(SystemTitle(*b"KFM\x65\0\0\0\x01")).unwrap().id, list.id);
    assert!(push_list_of(SystemTitle(*b"LGZ\x65\0\0\0\x01")).is_none());
}

/// What the owners of the meters published beside a captured frame, by value groups C and D and in which unit.
const PUBLISHED: &[(&str, u8, u8, f64)] = &[
    ("active_import_w", 1, 7, 1.0),
    ("u_l1_v", 32, 7, 1.0),
    ("u_l2_v", 52, 7, 1.0),
    ("u_l3_v", 72, 7, 1.0),
    ("i_l1_a", 31, 7, 1.0),
    ("i_l2_a", 51, 7, 1.0),
    ("i_l3_a", 71, 7, 1.0),
    ("import_kwh", 1, 8, 1000.0),
];

/// Aidon, Kaifa and Kamstrup, one-phase and three-phase, the lists of every interval: each value that was published is
/// found, in its unit, in single frames.
#[test]
fn lesson_11_published_values_of_meters_in_the_field() {
    let folder = env::var("DLMS_CAPTURES")
        .unwrap_or_else(|_| String::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/captures")));
    let Ok(text) = fs::read_to_string(std::path::Path::new(&folder).join("hdlc.jsonl")) else { return };
    let mut makes = std::collections::BTreeMap::new();
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let id = record["id"].as_str().unwrap();
        let damaged = record["malformed"]["cause"] == "damaged" || record["malformed"]["cause"] == "edited";
        let source = &record["expect"]["source_values"];
        let single_plain = record["expect"]["apdu"] == serde_json::json!(["data-notification"]);
        let whole = record["expect"]["link"].as_array().is_some_and(|frames| frames.len() == 1);
        if damaged || !source.is_object() || !single_plain || !whole {
            continue;
        }
        let octets = hex::decode(record["hex"].as_str().unwrap()).unwrap();
        let start = octets.windows(3).position(|octets| octets == hex!("E6E700")).unwrap() + 3;
        let Ok((Apdu::DataNotification(push), _)) = Apdu::decode_with_deviations(&octets[start..octets.len() - 3])
        else {
            continue;
        };
        let found: Vec<_> = PushRows::new(&push.body).map(Iterator::collect).unwrap_or_default();
        for (name, c, d, factor) in PUBLISHED {
            let Some(expected) = source[name].as_f64().filter(|value| *value != 0.0) else { continue };
            // Two of the meters that have no list identifier push bare values that no document of ours names.
            let Some(row) = found.iter().find(|row| (row.instance.0[2], row.instance.0[3]) == (*c, *d)) else {
                assert!(found.is_empty() || record["meter"]["make"] == "Iskraemeco", "{id} {name}");
                continue;
            };
            let Some(scaler_unit) = row.scaling() else { continue };
            let value = scaler_unit.apply(row.value.as_f64().unwrap()) / factor;
            assert!((value - expected).abs() < 0.006, "{id} {name}: {value}, published {expected}");
            *makes.entry(record["meter"]["make"].as_str().map(String::from)).or_insert(0) += 1;
        }
    }
    for make in ["Aidon", "Kaifa", "Kamstrup"] {
        assert!(makes.get(&Some(String::from(make))).is_some_and(|values| *values >= 10), "{makes:?}");
    }
}
