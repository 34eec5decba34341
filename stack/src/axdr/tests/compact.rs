use super::*;
use hex_literal::hex;

const DATE_TIME_ROWS: &[u8] =
    &hex!("13 02 02 19 06 20 07E9051D040A0F1E00FF8880 00000001 07E9051D040A1E1E00FF8880 00000002");

#[test]
fn worked_examples() {
    let numbers = Data::from_slice(&hex!("13 12 06 0001 0002 0003")).unwrap();
    let values: Vec<_> = numbers.as_array().unwrap().iter().collect();
    assert_eq!(values, [Data::LongUnsigned(1), Data::LongUnsigned(2), Data::LongUnsigned(3)]);

    // 2 structures of a number, a number and a string: the string makes the rows differ in size.
    let octets = hex!("13 02 03 06 12 09 11 00000001 000A 02 AABB 00000002 000B 01 CC");
    let rows = Data::from_slice(&octets).unwrap().as_array().unwrap();
    let rows: Vec<_> = rows.iter().map(|row| row.as_members::<3>().unwrap()).collect();
    assert_eq!(rows[0], [Data::DoubleLongUnsigned(1), Data::LongUnsigned(10), Data::OctetString(&[0xAA, 0xBB])]);
    assert_eq!(rows[1], [Data::DoubleLongUnsigned(2), Data::LongUnsigned(11), Data::OctetString(&[0xCC])]);
    assert_eq!(rows.len(), 2);

    let rows = Data::from_slice(DATE_TIME_ROWS).unwrap().as_array().unwrap();
    let row = rows.get(1).unwrap().as_members::<2>().unwrap();
    assert_eq!(row[0].as_date_time().unwrap().minute(), Some(30));
    assert_eq!(row[1], Data::DoubleLongUnsigned(2));
}

#[test]
fn elements_get_their_tags_back() {
    let octets = hex!("13 02 03 01 0002 11 00 02 01 04 08 0102 05A8 0304 0168");
    let compact = Data::from_slice(&octets);
    // The second bit string has one bit in an octet that holds more.
    let rows = compact.unwrap().as_array().unwrap();
    assert!(!rows.is_tagged());
    assert_eq!(rows.len(), 2);
    assert_eq!(encoded(&rows.get(0).unwrap()), hex!("02 03 01 02 11 01 11 02 00 02 01 04 05 A8"));
    assert_eq!(encoded(&rows.get(1).unwrap()), hex!("02 03 01 02 11 03 11 04 00 02 01 04 01 00"));
    assert_eq!(encoded(&Data::Array(rows)).len(), 2 + 14 + 14);
    // As a whole it stays what it was.
    assert_eq!(encoded(&compact.unwrap()), octets);
    #[cfg(feature = "alloc")]
    {
        assert_eq!(Value::from_slice(&octets).unwrap().to_vec(), octets);
        assert_eq!(Value::from(rows.get(0).unwrap()).to_vec(), hex!("02 03 01 02 11 01 11 02 00 02 01 04 05 A8"));
    }
}

#[test]
fn members_are_stepped_over_whatever_their_type() {
    // Rows of {array of 2 {string, u8}, u16}.
    let octets = hex!("13 02 02 01 0002 02 02 0A 11 12 0A 01 41 05 00 06 0007 00 08");
    assert!(Data::from_slice(&octets).is_err(), "one octet short");
    let octets = hex!("13 02 02 01 0002 02 02 0A 11 12 07 01 41 05 00 06 0007");
    let row = Data::from_slice(&octets).unwrap().as_array().unwrap().get(0).unwrap();
    let [pairs, number] = row.as_members().unwrap();
    assert_eq!(number, Data::LongUnsigned(7));
    let pairs: Vec<_> = pairs.as_array().unwrap().iter().map(|pair| pair.as_members().unwrap()).collect();
    assert_eq!(pairs, [[Data::VisibleString(b"A"), Data::Unsigned(5)], [Data::VisibleString(b""), Data::Unsigned(6)]]);
}

#[test]
fn no_contents_no_elements() {
    for octets in [&hex!("13 11 00")[..], &hex!("13 00 00"), &hex!("13 01 0000 11 00"), &hex!("13 02 00 00")] {
        let Data::CompactArray(array) = Data::from_slice(octets).unwrap() else { panic!() };
        assert!(array.is_empty());
        assert_eq!(array.elements().iter().count(), 0);
    }
}

#[test]
fn what_cannot_be_is_refused() {
    use DecodeErrorKind::*;
    // Contents that are no multiple of the element's size.
    assert_eq!(
        refusal(&hex!("13 12 03 000100")),
        DecodeError { offset: 3, kind: InvalidLength { what: "compact-array" } }
    );
    // Elements without octets never end.
    assert_eq!(refusal(&hex!("13 00 01 00")).kind, InvalidLength { what: "compact-array" });
    assert_eq!(refusal(&hex!("13 01 0000 09 01 00")).kind, InvalidLength { what: "compact-array" });
    // A type that a description cannot hold.
    let tag = |found| UnexpectedTag { what: "type description", found };
    assert_eq!(refusal(&hex!("13 13 11 01 00")), DecodeError { offset: 1, kind: tag(0x13) });
    assert_eq!(refusal(&hex!("13 02 02 11 07 00")), DecodeError { offset: 4, kind: tag(0x07) });
    assert_eq!(refusal(&hex!("13 02 7F 11 00")).kind, InvalidLength { what: "structure" });
    // A string longer than the contents.
    assert_eq!(
        refusal(&hex!("13 09 03 05 0102")),
        DecodeError { offset: 4, kind: InvalidLength { what: "compact-array" } }
    );
}

#[test]
fn lesson_31_type_descriptions_cannot_multiply() {
    // 65535^3 nulls and one number from 13 octets.
    let bomb = hex!("13 02 02 01 FFFF 01 FFFF 01 FFFF 00 11 01 00");
    assert_eq!(refusal(&bomb).kind, DecodeErrorKind::TooManyValues);
    // The same where elements differ in size.
    let bomb = hex!("13 02 02 01 FFFF 01 FFFF 00 09 02 01 00");
    assert_eq!(refusal(&bomb).kind, DecodeErrorKind::TooManyValues);
    // 8 values per octet: 1 structure, 1 number and 30 nulls in 4 octets of description and 1 of contents.
    let limit = |nulls: u16| {
        let [high, low] = nulls.to_be_bytes();
        [0x13, 0x02, 0x02, 0x01, high, low, 0x00, 0x11, 0x01, 0x05]
    };
    let most = u16::try_from(COMPACT_VALUES_PER_OCTET * 8 - 3).unwrap();
    assert!(Data::from_slice(&limit(most)).is_ok());
    assert_eq!(refusal(&limit(most + 1)).kind, DecodeErrorKind::TooManyValues);
}

#[test]
fn lesson_31_depth_counts_through_type_descriptions() {
    let nested = |arrays: usize, inner: usize| {
        let mut octets = std::vec![];
        octets.extend([0x01, 0x01].repeat(arrays));
        octets.push(0x13);
        octets.extend([0x01, 0x00, 0x01].repeat(inner));
        octets.extend([0x11, 0x01, 0x05]);
        octets
    };
    assert!(Data::from_slice(&nested(0, MAX_DEPTH - 1)).is_ok());
    assert!(Data::from_slice(&nested(MAX_DEPTH - 2, 1)).is_ok());
    assert_eq!(refusal(&nested(0, MAX_DEPTH)).kind, DecodeErrorKind::TooDeep);
    assert_eq!(refusal(&nested(MAX_DEPTH - 1, 1)).kind, DecodeErrorKind::TooDeep);
    assert_eq!(refusal(&nested(MAX_DEPTH, 0)).kind, DecodeErrorKind::TooDeep);
}
