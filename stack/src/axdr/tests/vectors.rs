//! The worked examples of the standard's types.

use super::*;
use crate::obis::ObisCode;
use crate::time::DateTime;
use hex_literal::hex;

/// The examples of the table of types, and what they mean.
#[test]
fn worked_examples() {
    let examples: &[(&[u8], Data<'_>, &str)] = &[
        (&hex!("00"), Data::Null, "null"),
        (&hex!("03 01"), Data::Boolean(true), "boolean"),
        (&hex!("04 05 A8"), Data::BitString(BitString::new(&[0xA8], 5).unwrap()), "bit-string"),
        (&hex!("05 FFFFFFFF"), Data::DoubleLong(-1), "double-long"),
        (&hex!("06 00000391"), Data::DoubleLongUnsigned(913), "double-long-unsigned"),
        (&hex!("09 06 0100010800FF"), Data::OctetString(&[1, 0, 1, 8, 0, 255]), "octet-string"),
        (&hex!("0A 04 41424344"), Data::VisibleString(b"ABCD"), "visible-string"),
        (&hex!("0C 02 C3A4"), Data::Utf8String("ä".as_bytes()), "utf8-string"),
        (&hex!("0D 99"), Data::Bcd(0x99), "bcd"),
        (&hex!("0F FE"), Data::Integer(-2), "integer"),
        (&hex!("10 FFC4"), Data::Long(-60), "long"),
        (&hex!("11 FF"), Data::Unsigned(255), "unsigned"),
        (&hex!("12 0008"), Data::LongUnsigned(8), "long-unsigned"),
        (&hex!("14 FFFFFFFFFFFFFFFE"), Data::Long64(-2), "long64"),
        (&hex!("15 FFFFFFFFFFFFFFFE"), Data::Long64Unsigned(u64::MAX - 1), "long64-unsigned"),
        (&hex!("16 1E"), Data::Enum(30), "enum"),
        (&hex!("17 3F800000"), Data::Float32(1.0), "float32"),
        (&hex!("17 47726800"), Data::Float32(62056.0), "float32"),
        (&hex!("18 3FF0000000000000"), Data::Float64(1.0), "float64"),
        (
            &hex!("19 07E9051D040A0F1E00FF8880"),
            Data::DateTime(DateTime::from_bytes(&hex!("07E9051D040A0F1E00FF8880"))),
            "date-time",
        ),
        (&hex!("1A 07E9051D04"), Data::Date("2025-05-29".parse().unwrap()), "date"),
        (&hex!("1B 0A000000"), Data::Time("10:00:00".parse().unwrap()), "time"),
        (&hex!("1C FE"), Data::DeltaInteger(-2), "delta-integer"),
        (&hex!("1D FFFE"), Data::DeltaLong(-2), "delta-long"),
        (&hex!("1E FFFFFFFE"), Data::DeltaDoubleLong(-2), "delta-double-long"),
        (&hex!("1F FE"), Data::DeltaUnsigned(254), "delta-unsigned"),
        (&hex!("20 FFFE"), Data::DeltaLongUnsigned(65534), "delta-long-unsigned"),
        (&hex!("21 FFFFFFFE"), Data::DeltaDoubleLongUnsigned(u32::MAX - 1), "delta-double-long-unsigned"),
        (&hex!("FF"), Data::DontCare, "dont-care"),
    ];
    for (octets, value, name) in examples {
        assert_eq!(Data::from_slice(octets), Ok(*value));
        assert_eq!(encoded(value), *octets);
        assert_eq!(value.type_name(), *name);
        #[cfg(feature = "alloc")]
        {
            let owned = Value::from(*value);
            assert_eq!(owned.to_vec(), *octets);
            assert_eq!(owned.as_data(), Some(*value));
            assert_eq!(owned.type_name(), *name);
        }
    }
}

#[test]
fn containers() {
    let array = Data::from_slice(&hex!("01 02 11 01 11 02")).unwrap();
    let elements = array.as_array().unwrap();
    assert_eq!((elements.len(), elements.get(1)), (2, Some(Data::Unsigned(2))));
    assert_eq!(elements.bytes(), hex!("11 01 11 02"));
    assert_eq!(array.as_structure(), None);

    let structure = Data::from_slice(&hex!("02 02 12 0008 16 1E")).unwrap();
    assert_eq!(structure.as_members(), Some([Data::LongUnsigned(8), Data::Enum(30)]));
    assert_eq!(structure.as_members::<3>(), None);
    assert_eq!(structure.as_array(), None);

    // Stepping over nested arrays, in front of and between simple values.
    let nested = Data::from_slice(&hex!("02 04 01 02 02 01 00 02 01 00 11 01 13 11 03 010203 11 02")).unwrap();
    let elements: Vec<_> = nested.as_structure().unwrap().iter().collect();
    assert_eq!(elements.len(), 4);
    assert_eq!(elements[0].as_array().unwrap().len(), 2);
    assert_eq!(elements[1], Data::Unsigned(1));
    assert_eq!(elements[2].as_array().unwrap().get(2), Some(Data::Unsigned(3)));
    assert_eq!(elements[3], Data::Unsigned(2));
    assert_eq!(encoded(&nested), hex!("02 04 01 02 02 01 00 02 01 00 11 01 13 11 03 010203 11 02"));
}

#[test]
fn what_meters_send_and_nobody_should() {
    // Lengths longer than necessary.
    assert_eq!(Data::from_slice(&hex!("09 82 0002 AABB")), Ok(Data::OctetString(&[0xAA, 0xBB])));
    assert_eq!(Data::from_slice(&hex!("01 84 00000001 00")).unwrap().as_array().unwrap().len(), 1);
    // Any octet but 0 is true.
    assert_eq!(Data::from_slice(&hex!("03 FF")), Ok(Data::Boolean(true)));
    // A date-time with its own tag, in an octet-string, and unset as an empty one.
    let stamp = "2025-05-29T10:15:30+02:00".parse::<DateTime>().unwrap();
    for octets in [&hex!("19 07E9051D040A0F1E00FF88FF")[..], &hex!("09 0C 07E9051D040A0F1E00FF88FF")] {
        assert_eq!(Data::from_slice(octets).unwrap().as_date_time(), Some(stamp));
    }
    assert_eq!(Data::OctetString(&[]).as_date_time(), Some(DateTime::UNSPECIFIED));
    assert_eq!(Data::OctetString(&[0; 5]).as_date_time(), None);
    // Text that is none.
    assert_eq!(Data::VisibleString(&[0x41, 0xFF]).as_str(), None);
    assert_eq!(Data::VisibleString(&[0x41, 0xFF]).as_bytes(), Some(&[0x41, 0xFF][..]));
}

#[test]
fn numbers_by_any_type() {
    for data in [Data::Unsigned(7), Data::Long(7), Data::Long64Unsigned(7), Data::Enum(7), Data::Integer(7)] {
        assert_eq!((data.as_u8(), data.as_i64(), data.as_f64()), (Some(7), Some(7), Some(7.0)));
    }
    assert_eq!(Data::DoubleLong(-1).as_u64(), None);
    assert_eq!(Data::DoubleLong(-1).as_i64(), Some(-1));
    assert_eq!(Data::Long64Unsigned(u64::MAX).as_i64(), None);
    assert_eq!(Data::LongUnsigned(256).as_u8(), None);
    assert_eq!(Data::Float32(0.5).as_f64(), Some(0.5));
    assert_eq!(Data::Float32(1.0).as_u8(), None);
    assert_eq!(Data::DeltaInteger(1).as_i64(), None);
    assert_eq!((Data::Unsigned(1).as_bool(), Data::Unsigned(2).as_bool()), (Some(true), None));
    assert_eq!(Data::OctetString(&[0, 0, 1, 0, 0, 255]).as_obis(), Some(ObisCode::CLOCK));
    assert_eq!(Data::VisibleString(&[0, 0, 1, 0, 0, 255]).as_obis(), None);
}

#[test]
fn bits_are_counted_from_the_left() {
    let data = Data::from_slice(&hex!("04 0B A8 5F")).unwrap();
    let bits = data.as_bits().unwrap();
    assert_eq!(std::format!("{bits}"), "10101000010");
    assert_eq!((bits.get(0), bits.get(10), bits.get(11)), (Some(true), Some(false), None));
    assert_eq!(bits.to_u64(), Some(0b101_0100_0010));
    // What lies behind the last bit is neither compared nor sent.
    assert_eq!(data, Data::from_slice(&hex!("04 0B A8 40")).unwrap());
    assert_eq!(encoded(&data), hex!("04 0B A8 40"));
    assert_eq!(BitString::new(&[0; 2], 17), None);
    assert_eq!(BitString::new(&[0; 2], 8), None);
    assert_eq!(BitString::new(&[0xFF; 9], 65).unwrap().to_u64(), None);
}

#[test]
fn helpers_write_what_decodes() {
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer);
    writer.structure(4).unwrap();
    writer.obis(ObisCode::CLOCK).unwrap();
    writer.date_time(&DateTime::UNSPECIFIED).unwrap();
    writer.visible_string("on").unwrap();
    writer.utf8_string("ä").unwrap();
    let expected = hex!("02 04 09 06 0000010000FF 09 0C FFFFFFFFFFFFFFFFFF8000FF 0A 02 6F6E 0C 02 C3A4");
    assert_eq!(writer.written(), expected);
    assert_eq!(Writer::new(&mut [0; 3]).double_long(1), Err(BufferFull));
}

#[test]
fn delta_types_add_to_the_value_before() {
    let before = Data::DoubleLongUnsigned(100);
    assert_eq!(Data::Null.restored(&before), Some(before));
    assert_eq!(Data::DeltaUnsigned(250).restored(&before), Some(Data::DoubleLongUnsigned(350)));
    assert_eq!(Data::DeltaInteger(-6).restored(&before), Some(Data::DoubleLongUnsigned(94)));
    assert_eq!(Data::DeltaLong(-101).restored(&before), None);
    assert_eq!(Data::DeltaUnsigned(1).restored(&Data::Unsigned(255)), None);
    assert_eq!(Data::DeltaUnsigned(1).restored(&Data::Null), None);
    assert_eq!(Data::Unsigned(3).restored(&before), Some(Data::Unsigned(3)));

    let delta = |now: i32, before: i32| Data::DoubleLong(now).delta_compressed(&Data::DoubleLong(before));
    assert_eq!(delta(5, 5), Data::Null);
    assert_eq!(delta(260, 5), Data::DeltaUnsigned(255));
    assert_eq!(delta(0, 128), Data::DeltaInteger(-128));
    assert_eq!(delta(0, 129), Data::DeltaLong(-129));
    assert_eq!(delta(0x1_0000, 1), Data::DeltaLongUnsigned(0xFFFF));
    // A delta of four octets saves nothing on a value of four.
    assert_eq!(delta(0x1_0000, 0), Data::DoubleLong(0x1_0000));
    assert_eq!(Data::Unsigned(2).delta_compressed(&Data::LongUnsigned(1)), Data::Unsigned(2));
    assert_eq!(Data::Enum(2).delta_compressed(&Data::Enum(1)), Data::Enum(2));
    assert_eq!(Data::Enum(2).compressed(&Data::Enum(2)), Data::Null);
    assert_eq!(Data::Enum(2).compressed(&Data::Unsigned(2)), Data::Enum(2));
}
