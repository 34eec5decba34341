//! A-XDR values as trees: `{"double-long-unsigned": 123}`, `{"structure": [..]}`.

use dlms::axdr::{BitString, Data, Reader, Sequence};

use super::{Place, Tree};

/// The tree of a value whose octets lie in `place`.
pub fn data(value: &Data<'_>, place: Place<'_>) -> Tree {
    let name = value.type_name();
    match value {
        Data::Null | Data::DontCare => Tree::typed(name, None::<bool>),
        Data::Array(elements) | Data::Structure(elements) => Tree::typed(name, sequence(elements, place)),
        Data::CompactArray(array) => Tree::typed(name, sequence(&array.elements(), place)),
        Data::Boolean(value) => Tree::typed(name, *value),
        Data::BitString(bits) => Tree::typed(name, bit_string(bits)),
        Data::OctetString(octets) => Tree::typed(name, Tree::hex(octets)),
        Data::VisibleString(octets) => Tree::typed(name, latin1(octets)),
        Data::Utf8String(octets) => Tree::typed(name, String::from_utf8_lossy(octets).into_owned()),
        Data::Bcd(value) | Data::Unsigned(value) | Data::Enum(value) | Data::DeltaUnsigned(value) => {
            Tree::typed(name, *value)
        }
        Data::Integer(value) | Data::DeltaInteger(value) => Tree::typed(name, *value),
        Data::Long(value) | Data::DeltaLong(value) => Tree::typed(name, *value),
        Data::LongUnsigned(value) | Data::DeltaLongUnsigned(value) => Tree::typed(name, *value),
        Data::DoubleLong(value) | Data::DeltaDoubleLong(value) => Tree::typed(name, *value),
        Data::DoubleLongUnsigned(value) | Data::DeltaDoubleLongUnsigned(value) => Tree::typed(name, *value),
        Data::Long64(value) => Tree::typed(name, *value),
        Data::Long64Unsigned(value) => Tree::typed(name, *value),
        Data::Float32(value) => Tree::typed(name, f64::from(*value)),
        Data::Float64(value) => Tree::typed(name, *value),
        Data::DateTime(value) => Tree::typed(name, Tree::hex(&value.to_bytes())),
        Data::Date(value) => Tree::typed(name, Tree::hex(&value.to_bytes())),
        Data::Time(value) => Tree::typed(name, Tree::hex(&value.to_bytes())),
    }
}

fn sequence(elements: &Sequence<'_>, place: Place<'_>) -> Tree {
    let Some(start) = place.offset_of(elements.bytes()).filter(|_| elements.is_tagged()) else {
        return elements.iter().map(|element| data(&element, place)).collect::<Vec<_>>().into();
    };
    let mut reader = Reader::with_offset(elements.bytes(), start);
    let mut offsets = std::iter::from_fn(move || {
        let offset = reader.offset();
        Data::decode(&mut reader).ok().map(|_| offset)
    });
    let element = |element| {
        let tree = data(&element, place);
        offsets.next().map_or_else(|| tree.clone(), |offset| tree.clone().at(offset))
    };
    elements.iter().map(element).collect::<Vec<_>>().into()
}

/// Bits in the order sent, as `0` and `1`.
fn bit_string(bits: &BitString<'_>) -> String {
    bits.iter().map(|bit| if bit { '1' } else { '0' }).collect()
}

/// Visible strings are ASCII by the book; what meters send beyond that is shown octet for octet.
fn latin1(octets: &[u8]) -> String {
    octets.iter().map(|&octet| char::from(octet)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decode(hex: &str) -> (serde_json::Value, String) {
        let octets = hex::decode(hex).unwrap();
        let value = Data::from_slice(&octets).unwrap();
        let tree = data(&value, Place::new(&octets, 0));
        let mut text = String::new();
        tree.write_text(&mut text, "[0]", 0);
        (tree.to_json(), text)
    }

    #[test]
    fn values_have_the_shape_of_the_corpus() {
        let cases = [
            ("00", json!({"null": null})),
            ("0906010001080000", json!({"octet-string": "010001080000"})),
            ("0a0241ff", json!({"visible-string": "A\u{ff}"})),
            ("0405a8", json!({"bit-string": "10101"})),
            ("0301", json!({"boolean": true})),
            ("0ffe", json!({"integer": -2})),
            ("18409ff00000000000", json!({"float64": 2044.0})),
            ("173f800000", json!({"float32": 1.0})),
            ("0202110116ff", json!({"structure": [{"unsigned": 1}, {"enum": 255}]})),
            ("190000000000000000000000ff", json!({"date-time": "0000000000000000000000ff"})),
        ];
        for (hex, expected) in cases {
            assert_eq!(decode(hex).0, expected, "{hex}");
        }
    }

    #[test]
    fn elements_show_where_they_begin() {
        let (_, text) = decode("01020202110112000202021102120003");
        assert!(text.contains("00002"), "{text}");
        assert!(text.contains("00004      [0] unsigned 1"), "{text}");
        assert!(text.contains("0000d      [1] long-unsigned 3"), "{text}");
    }
}
