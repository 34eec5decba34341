//! Values that real meters sent, against the trees that an independent decoder made of them.
//!
//! The captures are not part of this tree; without them there is nothing to compare.
#![cfg(feature = "alloc")]

use std::path::PathBuf;

use dlms::axdr::{Data, Reader, Value, Writer};
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
        assert_eq!(writer.written(), octets, "{id}: encoded again");
        assert_eq!(Data::from_slice(&Value::from(data).to_vec()).map(tree), Ok(tree(data)), "{id}: owned");
    }
}
