//! Lessons of other stacks that concern the APDUs as a whole.

use dlms::apdu::{Apdu, Ciphered, ServiceTag};
use dlms::axdr::{DecodeErrorKind, Writer};

/// The table of tags (IEC 62056-5-3): service, plain, glo, ded.
const SERVICES: [(&str, u8, u8, u8); 16] = [
    ("initiate-request", 0x01, 0x21, 0x41),
    ("read-request", 0x05, 0x25, 0x45),
    ("write-request", 0x06, 0x26, 0x46),
    ("initiate-response", 0x08, 0x28, 0x48),
    ("read-response", 0x0C, 0x2C, 0x4C),
    ("write-response", 0x0D, 0x2D, 0x4D),
    ("confirmed-service-error", 0x0E, 0x2E, 0x4E),
    ("unconfirmed-write-request", 0x16, 0x36, 0x56),
    ("information-report-request", 0x18, 0x38, 0x58),
    ("get-request", 0xC0, 0xC8, 0xD0),
    ("set-request", 0xC1, 0xC9, 0xD1),
    ("event-notification-request", 0xC2, 0xCA, 0xD2),
    ("action-request", 0xC3, 0xCB, 0xD3),
    ("get-response", 0xC4, 0xCC, 0xD4),
    ("set-response", 0xC5, 0xCD, 0xD5),
    ("action-response", 0xC7, 0xCF, 0xD7),
];

/// Tags without a ciphered form of their own, with the smallest APDU of each.
const OTHERS: [(&str, &str); 17] = [
    ("data-notification", "0F000001DB 00 00"),
    ("data-notification-confirm", "10000001DB 00"),
    ("aarq", "600BA109060760857405080101"),
    ("aare", "6117A109060760857405080101A203020100A305A103020100"),
    ("rlrq", "6200"),
    ("rlre", "6300"),
    ("exception-response", "D80102"),
    ("access-request", "D9 00000001 00 00 00"),
    ("access-response", "DA 00000001 00 00 00 00"),
    ("general-glo-ciphering", "DB 08 4D4D4D0000BC614E 06 30 00000001 AA"),
    ("general-ded-ciphering", "DC 08 4D4D4D0000BC614E 06 30 00000001 AA"),
    ("general-ciphering", "DD 00 00 00 00 00 00 06 30 00000001 AA"),
    ("general-signing", "DF 00 00 00 00 00 00 00"),
    ("general-block-transfer", "E0 81 0001 0000 00"),
    ("gateway-request", "E6 00 00"),
    ("gateway-response", "E7 00 00"),
    // An APDU in a gateway's envelope is not looked into here.
    ("gateway-request", "E6 00 00 C6"),
];

fn octets(hex: &str) -> Vec<u8> {
    hex::decode(hex.split_whitespace().collect::<String>()).expect("hex in the table")
}

fn round_trip(octets: &[u8]) {
    let apdu = Apdu::decode_strict(octets).expect("decoded before");
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer);
    apdu.encode(&mut writer).expect("room");
    assert_eq!(writer.written(), octets);
}

#[test]
fn lesson_04_every_ciphered_service_is_an_apdu() {
    for (name, plain, global, dedicated) in SERVICES {
        for (tag, family) in [(global, "glo"), (dedicated, "ded")] {
            let input = [tag, 0x06, 0x30, 0x00, 0x00, 0x00, 0x01, 0xAA];
            let apdu = Apdu::decode_strict(&input).unwrap_or_else(|error| panic!("{family}-{name}: {error}"));
            assert_eq!(apdu.name(), format!("{family}-{name}"));
            let Apdu::Ciphered(Ciphered::Service { tag: service, protected }) = apdu else { panic!("{apdu:?}") };
            assert_eq!((service.plain(), service.is_dedicated()), (plain, family == "ded"));
            assert_eq!((protected.control, protected.counter, protected.text), (0x30, 1, [0xAA].as_slice()));
            assert_eq!(ServiceTag::of(plain, family == "ded").map(ServiceTag::octet), Some(tag));
            round_trip(&input);
        }
    }
}

/// Of the 256 first octets, those of the table are APDUs and the others are refused by name of the octet.
#[test]
fn lesson_32_every_tag_of_the_table_is_known_and_no_other() {
    let mut known: Vec<u8> = SERVICES.iter().flat_map(|(_, plain, global, ded)| [*plain, *global, *ded]).collect();
    for (name, example) in OTHERS {
        let input = octets(example);
        let apdu = Apdu::decode_strict(&input).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(apdu.name(), name);
        round_trip(&input);
        known.push(input[0]);
    }
    for tag in 0..=u8::MAX {
        // No APDU is one octet long: a known tag wants more, an unknown one is refused for itself.
        let error = Apdu::decode(&[tag]).expect_err("one octet");
        match error.kind {
            DecodeErrorKind::UnexpectedTag { found, .. } => {
                assert_eq!((found, error.offset), (tag, 0));
                assert!(!known.contains(&tag), "{tag:02X}");
            }
            _ => assert!(known.contains(&tag), "{tag:02X}: {error}"),
        }
    }
}

/// Every variant of GET, SET and ACTION, and no other, is an APDU.
#[test]
fn lesson_22_every_variant_of_every_service_is_known() {
    let most = [(0xC0, 3), (0xC1, 5), (0xC3, 6), (0xC4, 3), (0xC5, 5), (0xC7, 4)];
    for (tag, variants) in most {
        for choice in 0..=u8::MAX {
            let refused = Apdu::decode(&[tag, choice, 0xC1]).expect_err("cut off");
            let unknown = matches!(refused.kind, DecodeErrorKind::UnexpectedTag { found, .. } if found == choice);
            assert_eq!(unknown, !(1..=variants).contains(&choice), "{tag:02X} {choice:02X}: {refused}");
        }
    }
}

#[test]
fn errors_name_the_place_and_the_reason() {
    let error = Apdu::decode(&octets("C403C102 00 0600000391 05 03")).expect_err("a wrong choice");
    assert_eq!(error.to_string(), "unexpected get-data-result tag 0x05 at offset 10");
    let error = Apdu::decode(&octets("C001C10008")).expect_err("cut off");
    assert_eq!((error.offset, error.kind), (5, DecodeErrorKind::Truncated { needed: 6, available: 0 }));
    let error = Apdu::decode(&octets("6012BE10040E01000000065F1F0400007E1F04B0")).expect_err("no context");
    assert_eq!(error.kind, DecodeErrorKind::Missing { what: "application context name of AARQ" });
    let error = Apdu::decode(&octets("C002C10000000100")).expect_err("one octet too many");
    assert_eq!((error.offset, error.kind), (7, DecodeErrorKind::TrailingOctets { count: 1 }));
}
