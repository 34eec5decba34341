use super::*;
use hex_literal::hex;

fn decode(octets: &[u8]) -> Data<'_> {
    Data::from_slice(octets).unwrap()
}

fn encoded(data: &Data<'_>) -> std::vec::Vec<u8> {
    let mut buffer = [0; 4096];
    let mut writer = Writer::new(&mut buffer);
    data.encode(&mut writer).unwrap();
    writer.written().to_vec()
}

/// The examples of the table of types, and what they mean.
#[test]
fn worked_examples() {
    let examples: &[(&[u8], Data<'_>)] = &[
        (&hex!("00"), Data::Null),
        (&hex!("03 01"), Data::Boolean(true)),
        (&hex!("04 05 A8"), Data::BitString(BitString::new(&[0xA8], 5).unwrap())),
        (&hex!("05 FFFFFFFF"), Data::DoubleLong(-1)),
        (&hex!("06 00000391"), Data::DoubleLongUnsigned(913)),
        (&hex!("09 06 0100010800FF"), Data::OctetString(&[1, 0, 1, 8, 0, 255])),
        (&hex!("0A 04 41424344"), Data::VisibleString(b"ABCD")),
        (&hex!("0C 02 C3A4"), Data::Utf8String("ä".as_bytes())),
        (&hex!("0D 99"), Data::Bcd(0x99)),
        (&hex!("0F FE"), Data::Integer(-2)),
        (&hex!("10 FFC4"), Data::Long(-60)),
        (&hex!("11 FF"), Data::Unsigned(255)),
        (&hex!("12 0008"), Data::LongUnsigned(8)),
        (&hex!("16 1E"), Data::Enum(30)),
        (&hex!("17 3F800000"), Data::Float32(1.0)),
        (&hex!("17 47726800"), Data::Float32(62056.0)),
        (&hex!("18 3FF0000000000000"), Data::Float64(1.0)),
        (&hex!("1A 07E9051D04"), Data::Date("2025-05-29".parse().unwrap())),
        (&hex!("1B 0A000000"), Data::Time("10:00:00".parse().unwrap())),
        (&hex!("FF"), Data::DontCare),
    ];
    for (octets, value) in examples {
        assert_eq!(decode(octets), *value);
        assert_eq!(encoded(value), *octets);
    }
}
