//! What is shown of APDUs to those who follow.

use std::sync::Arc;

use super::*;
use crate::{fleet::tests::config, meter::Secret as MeterSecret};

fn explainer() -> Explainer {
    let plain = config("m", "127.0.0.1:1");
    let authentication = Authentication::Lls { password: MeterSecret::new(b"12345678".to_vec()) };
    Explainer::new(Arc::new(MeterConfig { authentication, ..plain }), None)
}

fn text(explainer: &mut Explainer, direction: Direction, octets: &str) -> String {
    let octets = hex::decode(octets.replace(' ', "")).unwrap();
    let Said::Apdu { text, .. } = explainer.explain(direction, &octets) else { panic!("no apdu") };
    text
}

#[test]
fn a_register_is_shown_with_its_value() {
    let mut explainer = explainer();
    let request = text(&mut explainer, Direction::ToMeter, "C0 01 C1 00 03 01 00 01 08 00 FF 02 00");
    assert_eq!(request, "get-request-normal 3/1.0.1.8.0.255/2");
    let response = text(&mut explainer, Direction::FromMeter, "C4 01 C1 00 06 00 00 30 39");
    assert!(response.contains("12345"), "{response}");
}

#[test]
fn an_answer_to_an_unknown_request_and_one_with_a_secret_are_masked() {
    let mut explainer = explainer();
    let unknown = text(&mut explainer, Direction::FromMeter, "C4 01 C1 00 09 02 AB CD");
    assert!(unknown.contains(MASK) && !unknown.contains("ABCD"), "{unknown}");
    // Attribute 7 of the association: its secret.
    text(&mut explainer, Direction::ToMeter, "C0 01 C1 00 0F 00 00 28 00 00 FF 07 00");
    let secret = text(&mut explainer, Direction::FromMeter, "C4 01 C1 00 09 02 AB CD");
    assert!(secret.contains(MASK) && !secret.contains("ABCD"), "{secret}");
}

#[test]
fn keys_challenges_and_new_secrets_are_masked_in_actions_and_writes() {
    let mut explainer = explainer();
    // key_transfer of the security setup, reply_to_HLS of the association, a key of an M-Bus device.
    for method in ["40 00 00 2B 00 00 FF 02", "0F 00 00 28 00 00 FF 01", "48 00 01 18 01 00 FF 07"] {
        let request = text(&mut explainer, Direction::ToMeter, &format!("C3 01 C1 00 {method} 01 09 02 AB CD"));
        assert!(request.contains(MASK) && !request.contains("ABCD"), "{request}");
        let response = text(&mut explainer, Direction::FromMeter, "C7 01 C1 00 01 00 09 02 AB CD");
        assert!(response.contains(MASK) && !response.contains("ABCD"), "{response}");
    }
    let written = text(&mut explainer, Direction::ToMeter, "C1 01 C1 00 0F 00 00 28 00 00 FF 07 00 09 02 AB CD");
    assert!(written.contains(MASK) && !written.contains("ABCD"), "{written}");
    let limit = text(&mut explainer, Direction::ToMeter, "C1 01 C1 00 47 00 00 11 00 00 FF 04 00 06 00 00 30 39");
    assert!(limit.contains("12345"), "{limit}");
}

#[test]
fn a_password_is_shown_neither_in_the_aarq_nor_on_the_line() {
    let mut explainer = explainer();
    // The AARQ with LLS of the Green Book's example.
    let aarq = "60 36 A1 09 06 07 60 85 74 05 08 01 01 8A 02 07 80 8B 07 60 85 74 05 08 02 01 AC 0A 80 08 31 32 33 34 \
                35 36 37 38 BE 10 04 0E 01 00 00 00 06 5F 1F 04 00 00 7E 1F 04 B0";
    let shown = text(&mut explainer, Direction::ToMeter, aarq);
    assert!(shown.contains(MASK) && !shown.contains("12345678") && !shown.contains("3132333435363738"), "{shown}");
    let line = hex::decode(aarq.replace(' ', "")).unwrap();
    let scrubbed = explainer.scrubbed(&line);
    assert_eq!(scrubbed.len(), line.len());
    assert!(!scrubbed.windows(8).any(|part| part == b"12345678"));
    assert_eq!(scrubbed.iter().zip(&line).filter(|(one, other)| one != other).count(), 8);
}

#[test]
fn what_does_not_decode_is_said_and_long_texts_end() {
    let mut explainer = explainer();
    assert!(text(&mut explainer, Direction::FromMeter, "FF FF").starts_with("cannot be decoded"));
    text(&mut explainer, Direction::ToMeter, "C0 01 C1 00 03 01 00 01 08 00 FF 02 00");
    let long = format!("C4 01 C1 00 09 82 20 00 {}", "AB".repeat(0x2000));
    assert!(text(&mut explainer, Direction::FromMeter, &long).chars().count() <= TEXT_MAX + 1);
}
