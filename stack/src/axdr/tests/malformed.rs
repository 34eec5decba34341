use super::*;
use hex_literal::hex;

/// Every kind of value, three containers deep.
const MIXED: &[u8] = &hex!(
    "02 0C 00 0301 040BA840 05FFFFFFFF 0905 0102030405 0A0141 19 07E9051D040A0F1E00FF8880
     01 02 02 02 1101 120002 02 02 1103 120004 13 02 02 11 09 06 01 01AA 02 01BB 15 0000000000000001 1C01 FF"
);

#[test]
fn every_truncation_is_refused() {
    assert_eq!(Data::from_slice(MIXED).map(|data| data.as_structure().unwrap().len()), Ok(12));
    for length in 0..MIXED.len() {
        let error = refusal(&MIXED[..length]);
        assert!(error.offset <= length, "{error} at {length}");
    }
}

#[test]
fn every_changed_octet_decodes_or_is_refused() {
    for place in 0..MIXED.len() {
        for octet in [0x00, 0x01, 0x02, 0x7F, 0x80, 0x81, 0x84, 0xFF] {
            let mut changed = MIXED.to_vec();
            changed[place] = octet;
            let decoded = Data::from_slice(&changed);
            let mut reader = Reader::new(&changed);
            let walked = walk(&mut reader, &mut Nothing).and_then(|()| reader.finish());
            assert_eq!(decoded.err(), walked.err(), "octet {place} = {octet:02X}");
            if let Ok(data) = decoded {
                let _ = std::format!("{data:?}");
                assert_eq!(Data::from_slice(&encoded(&data)).map(|again| encoded(&again)), Ok(encoded(&data)));
            }
        }
    }
}

#[test]
fn unused_tags_are_refused_where_they_stand() {
    for found in (0_u8..=255).filter(|found| matches!(found, 7 | 8 | 11 | 14 | 34..=254)) {
        let error = refusal(&[0x02, 0x02, 0x00, found, 0x00]);
        assert_eq!(error, DecodeError { offset: 3, kind: DecodeErrorKind::UnexpectedTag { what: "data", found } });
    }
}

#[test]
fn trailing_octets_are_refused() {
    assert_eq!(
        refusal(&hex!("11 01 00")),
        DecodeError { offset: 2, kind: DecodeErrorKind::TrailingOctets { count: 1 } }
    );
}

#[test]
fn indefinite_and_oversized_lengths_are_refused() {
    for octets in [&hex!("09 80")[..], &hex!("09 85 0000000001 AA"), &hex!("01 80"), &hex!("04 80")] {
        assert!(matches!(refusal(octets).kind, DecodeErrorKind::InvalidLength { .. }), "{octets:02X?}");
    }
    assert!(matches!(refusal(&hex!("09 84 FFFFFFFF AA")).kind, DecodeErrorKind::Truncated { .. }));
    assert!(matches!(refusal(&hex!("04 84 FFFFFFFF AA")).kind, DecodeErrorKind::Truncated { .. }));
}

#[test]
fn lesson_30_counts_above_the_octets_left_are_refused_at_once() {
    for octets in [&hex!("01 84 FFFFFFFF 00 00")[..], &hex!("02 84 FFFFFFFF 00 00"), &hex!("01 02 00")] {
        let error = refusal(octets);
        assert!(matches!(error, DecodeError { offset: 1, kind: DecodeErrorKind::InvalidLength { .. } }), "{error}");
    }
    // An honest count passes, up to the last octet.
    assert!(Data::from_slice(&hex!("01 02 00 00")).is_ok());
}

#[test]
fn lesson_31_deep_nesting_is_refused_without_recursion() {
    let nested = |depth: usize| {
        let mut octets = [0x01, 0x01].repeat(depth);
        octets.push(0x00);
        octets
    };
    assert!(Data::from_slice(&nested(MAX_DEPTH)).is_ok());
    let error = refusal(&nested(MAX_DEPTH + 1));
    assert_eq!(error, DecodeError { offset: 2 * MAX_DEPTH, kind: DecodeErrorKind::TooDeep });
    assert_eq!(refusal(&nested(8 * 1024)).kind, DecodeErrorKind::TooDeep);
}

#[test]
fn errors_name_the_place_in_the_whole_input() {
    let mut reader = Reader::with_offset(&hex!("01 01 07"), 100);
    assert_eq!(Data::decode(&mut reader).unwrap_err().offset, 102);
    let mut reader = Reader::with_offset(&hex!("13 09 02 05 01"), 100);
    assert_eq!(Data::decode(&mut reader).unwrap_err().offset, 104);
}
