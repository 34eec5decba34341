//! Values that real meters sent, against the trees that an independent decoder made of them.
//!
//! The captures are not part of this tree; without them there is nothing to compare.
#![cfg(feature = "alloc")]

use std::path::PathBuf;

use dlms::axdr::{Data, Reader, Value, Writer};
use dlms::cosem::profile_generic::{CaptureObject, Column, Nulls, Reading, RowReader, SortMethod};
use dlms::cosem::{Array, Attribute, ToData, association_ln, class, class_name};
use dlms::id::{AttributeId, ClassId};
use dlms::obis::ObisCode;
use dlms::time::ClockStatus;
use dlms::unit::{ScalerUnit, Unit};
use serde_json::{Map, Value as Json, json};

fn captures(file: &str) -> Option<String> {
    let folder = std::env::var_os("DLMS_CAPTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures"), PathBuf::from);
    std::fs::read_to_string(folder.join(file)).ok()
}

fn tree(data: Data<'_>) -> Json {
    let content = match data {
        Data::Null | Data::DontCare => Json::Null,
        Data::Array(elements) | Data::Structure(elements) => elements.iter().map(tree).collect(),
        Data::CompactArray(array) => array.elements().iter().map(tree).collect(),
        Data::Boolean(value) => json!(value),
        Data::BitString(bits) => json!(bits.to_string()),
        Data::OctetString(octets) => json!(hex::encode(octets)),
        Data::VisibleString(octets) | Data::Utf8String(octets) => json!(String::from_utf8_lossy(octets)),
        Data::Float32(value) => json!(value),
        Data::Float64(value) => json!(value),
        Data::DateTime(value) => json!(hex::encode(value.to_bytes())),
        Data::Date(value) => json!(hex::encode(value.to_bytes())),
        Data::Time(value) => json!(hex::encode(value.to_bytes())),
        number => json!(number.as_i64().or_else(|| number.as_delta())),
    };
    Json::Object(Map::from_iter([(data.type_name().to_owned(), content)]))
}

#[test]
fn values_of_real_meters() {
    let Some(records) = captures("data.jsonl") else { return };
    for line in records.lines() {
        let record: Json = serde_json::from_str(line).unwrap();
        let id = record["id"].as_str().unwrap();
        let octets = hex::decode(record["hex"].as_str().unwrap()).unwrap();
        let expected = &record["expect"]["decoded"]["data"];

        let mut reader = Reader::new(&octets);
        let data = Data::decode(&mut reader).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert!(reader.is_empty(), "{id}: {} octets left", reader.remaining());
        assert_eq!(&tree(data), expected, "{id}");

        let mut again = vec![0; octets.len()];
        let mut writer = Writer::new(&mut again);
        data.encode(&mut writer).unwrap();
        // A meter's lengths may be longer than necessary; ours never are. What they hold is the same.
        let again = writer.written();
        assert!(again.len() <= octets.len(), "{id}: encoded again");
        assert_eq!(Data::from_slice(again).map(tree), Ok(tree(data)), "{id}: encoded again");
        assert_eq!(Data::from_slice(&Value::from(data).to_vec()).map(tree), Ok(tree(data)), "{id}: owned");
    }
}

fn record(id: &str) -> Option<Vec<u8>> {
    let records = captures("data.jsonl")?;
    let records = records.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let record = records.into_iter().find(|record| record["id"] == id)?;
    Some(hex::decode(record["hex"].as_str().unwrap()).unwrap())
}

#[test]
fn an_object_list_reads_as_the_class_says() {
    let Some(octets) = record("jdlms-kamstrup-objectlist") else { return };
    let list = association_ln::ObjectList::decode(Data::from_slice(&octets).unwrap()).unwrap();
    let objects: Vec<_> = list.iter().map(|object| object.unwrap()).collect();
    assert_eq!(objects.len(), 123);
    assert!(objects.iter().all(|object| class_name(object.class_id).is_some()));

    // Written from what was read, it is the same again.
    let written: Vec<_> = objects
        .iter()
        .map(|object| {
            let attributes: Vec<_> = object.access_rights.attributes.iter().map(Result::unwrap).collect();
            let methods: Vec<_> = object.access_rights.methods.iter().map(Result::unwrap).collect();
            (object, attributes, methods)
        })
        .collect();
    let written: Vec<_> = written
        .iter()
        .map(|(object, attributes, methods)| association_ln::ObjectListElement {
            access_rights: association_ln::AccessRights {
                attributes: Array::from(&attributes[..]),
                methods: Array::from(&methods[..]),
            },
            ..**object
        })
        .collect();
    let mut buffer = vec![0; octets.len()];
    let mut writer = Writer::new(&mut buffer);
    Array::from(&written[..]).to_data(&mut writer).unwrap();
    // The meter wrote its count in a form longer than necessary.
    assert_eq!(Data::from_slice(writer.written()), Data::from_slice(&octets));
}

#[test]
fn a_profile_with_null_data_reads_as_rows() {
    let Some(octets) = record("u9n-profile-buffer") else { return };
    let value = |class, c| CaptureObject::whole(ClassId(class), ObisCode::new(1, 0, c, 8, 0, 255), AttributeId(2));
    let columns = [CaptureObject::CLOCK, value(1, 96), value(3, 1), value(3, 2)];
    let mut reader = RowReader::new(&columns, Nulls::as_before(3600, SortMethod::Fifo));
    let mut rows = Vec::new();
    for block in octets.chunks(16) {
        reader.push(block);
        while let Some(row) = reader.next_row().unwrap() {
            rows.push(row.to_vec());
        }
    }
    reader.finish().unwrap();
    let times: Vec<_> = rows.iter().map(|row| row[0].as_data().unwrap().as_date_time().unwrap().to_string()).collect();
    assert_eq!(
        times,
        [
            "2019-12-31T23:00:00+01:00",
            "2020-01-01T00:00:00+01:00",
            "2020-01-01T01:00:00+01:00",
            "2020-01-01T02:00:00+01:00"
        ]
    );
    // What null-data stood for, with scaler and unit.
    let energy = Column::new(columns[2], Some(ScalerUnit { scaler: 0, unit: Unit::WATT_HOUR }));
    let Reading::Quantity { value, unit } = energy.reading_of(&rows[3][2]) else { panic!() };
    assert_eq!((value.to_string().as_str(), unit), ("1517", Unit::WATT_HOUR));
    let Reading::Time(last) = Column::new(columns[0], None).reading_of(&rows[3][0]) else { panic!() };
    assert_eq!((last.deviation_minutes(), last.status()), (Some(-60), Some(ClockStatus::OK)));
    assert!(rows.iter().all(|row| row[1..] == rows[0][1..]));
    assert_eq!(rows[3][3], Value::DoubleLongUnsigned(1620));
}

/// Attributes that a simulated server of the captures fills with something else: names of objects that are no OBIS codes,
/// but their text or nothing.
const ODD: &[(u16, i8, &str)] = &[
    (20, 5, "day_profile_table_active: expected octet-string of 6 octets, found octet-string"),
    (41, 3, "IP_reference: expected octet-string of 6 octets, found octet-string"),
];

#[test]
fn attributes_that_were_read_have_the_types_of_their_class() {
    let Some(records) = captures("wrapper.jsonl") else { return };
    let mut asked: Option<(ClassId, AttributeId)> = None;
    let (mut seen, mut odd) = (std::collections::BTreeSet::new(), std::collections::BTreeMap::new());
    for line in records.lines() {
        let record: Json = serde_json::from_str(line).unwrap();
        let decoded = match &record["expect"]["decoded"] {
            plain if plain["plain"].is_object() => &plain["plain"],
            plain => plain,
        };
        match decoded["apdu"].as_str() {
            Some("get-request-normal") if decoded["access"].is_null() => {
                let class = decoded["class"].as_u64().and_then(|class| u16::try_from(class).ok());
                let attribute = decoded["attribute"].as_i64().and_then(|id| i8::try_from(id).ok());
                asked = class.zip(attribute).map(|(class, attribute)| (ClassId(class), AttributeId(attribute)));
            }
            Some("get-response-normal") if !decoded["data"].is_null() => {
                let Some((id, attribute)) = asked.take() else { continue };
                let Some(class) = class(id) else { continue };
                // The octets come from the record itself where it is in the clear.
                let octets = hex::decode(record["hex"].as_str().unwrap()).unwrap();
                let Some(at) = octets.windows(4).position(|octets| octets[..2] == [0xC4, 0x01] && octets[3] == 0)
                else {
                    continue;
                };
                let Ok(data) = Data::from_slice(&octets[at + 4..]) else { continue };
                let versions = (0..=class.version).filter_map(|version| class.in_version(version));
                let infos: Vec<_> = versions.filter_map(|version| version.attribute(attribute)).collect();
                let Some(last) = infos.last() else { continue };
                if infos.iter().any(|info| info.check(data).is_ok()) {
                    seen.insert((id.0, attribute.0));
                } else {
                    odd.insert((id.0, attribute.0), last.check(data).unwrap_err().to_string());
                }
            }
            _ => {}
        }
    }
    assert!(seen.len() >= 95, "{seen:?}");
    let odd: Vec<_> = odd.iter().map(|((class, attribute), error)| (*class, *attribute, error.as_str())).collect();
    assert_eq!(odd, ODD);
}
