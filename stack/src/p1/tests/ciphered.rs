use hex_literal::hex;
use std::vec::Vec;

use super::*;
use crate::id::SystemTitle;
use crate::security::{
    Context, Envelope, HEADROOM, KeySet, Protection, ReceiveFloor, RustCrypto, SecurityError, Suite,
};

const KEY: [u8; 16] = hex!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");

/// A telegram as a meter in Luxembourg sends it.
fn sealed(counter: u32, text: &[u8], keys: &KeySet, protection: Protection) -> Vec<u8> {
    let context = Context::<RustCrypto>::new(SystemTitle(*b"SAGgp\0\x30\x39"), keys).unwrap();
    let mut buffer = std::vec![0; HEADROOM + text.len() + crate::security::TAG_LENGTH];
    buffer[HEADROOM..HEADROOM + text.len()].copy_from_slice(text);
    let range = HEADROOM..HEADROOM + text.len();
    let sent =
        context.protect(Envelope::GeneralGlobal, context.control(protection), counter, &mut buffer, range).unwrap();
    buffer[sent].to_vec()
}

fn keys() -> KeySet {
    KeySet::new(Suite::Suite0, &KEY, &LUXEMBOURG_AUTHENTICATION_KEY).unwrap()
}

fn decipherer(keys: &KeySet) -> Decipherer<RustCrypto> {
    Decipherer::new(keys, ReceiveFloor::new(0)).unwrap()
}

#[test]
fn the_layout_is_that_of_the_grid_operator() {
    let text = with_crc(DSMR_5);
    let octets = sealed(7, &text, &keys(), Protection::AUTHENTICATED_ENCRYPTED);
    assert_eq!(octets[..2], hex!("DB 08"));
    assert_eq!(octets[10], 0x82);
    assert_eq!(usize::from(u16::from_be_bytes([octets[11], octets[12]])), 17 + text.len());
    assert_eq!(octets[13..18], hex!("30 00000007"));
    assert_eq!(octets.len(), 18 + text.len() + 12);

    let mut framer = Framer::new([0; 2048], 2_000);
    assert_eq!(framer.handle_input(&octets, crate::Instant::from_millis(0)), octets.len());
    assert_eq!(framer.poll_event(), Some(Event::Ciphered));
    let keys = keys();
    let mut decipherer = decipherer(&keys);
    let telegram = decipherer.open(framer.octets()).unwrap();
    assert_eq!(telegram, Telegram::parse(&text, CrcRule::Ignored).unwrap());
    assert_eq!(decipherer.floor().lowest(), 8);
}

#[test]
fn lesson_29_any_changed_octet_is_refused_and_moves_nothing() {
    let text = with_crc(DSMR_3.trim_end());
    let octets = sealed(7, &text, &keys(), Protection::AUTHENTICATED_ENCRYPTED);
    let keys = keys();
    let mut decipherer = decipherer(&keys);
    for place in 0..octets.len() {
        let mut changed = octets.clone();
        changed[place] ^= 0x01;
        assert!(decipherer.open(&mut changed).is_err(), "octet {place}");
    }
    for length in 0..octets.len() {
        assert!(decipherer.open(&mut octets[..length].to_vec()).is_err(), "cut to {length}");
    }
    assert_eq!(decipherer.floor().lowest(), 0);
    assert!(decipherer.open(&mut octets.clone()).is_ok());
}

#[test]
fn a_telegram_is_taken_once_and_from_one_meter() {
    let text = with_crc(DSMR_5);
    let protection = Protection::AUTHENTICATED_ENCRYPTED;
    let keys = keys();
    let mut decipherer = decipherer(&keys);
    for (counter, expected) in [(7, Ok(())), (7, Err(8)), (6, Err(8)), (9, Ok(())), (8, Err(10))] {
        let mut octets = sealed(counter, &text, &keys, protection);
        let outcome = decipherer.open(&mut octets).map(|_| ());
        let expected = expected.map_err(|lowest| CipheredError::Security(SecurityError::Counter { lowest }));
        assert_eq!(outcome, expected, "counter {counter}");
    }
    let other = Context::<RustCrypto>::new(SystemTitle(*b"OTHERXXX"), &keys).unwrap();
    let mut buffer = std::vec![b'/'; 128];
    let sent = other.protect(Envelope::GeneralGlobal, other.control(protection), 99, &mut buffer, 64..80).unwrap();
    let refused = decipherer.open(&mut buffer[sent]).map(|_| ());
    assert_eq!(refused, Err(CipheredError::Security(SecurityError::UnknownPeer)));
}

#[test]
fn lesson_28_keys_say_whether_a_tag_is_demanded() {
    let text = with_crc(DSMR_5);
    let with_tag = keys();
    let without_tag = KeySet::encryption_only(Suite::Suite0, &KEY).unwrap();
    let mut octets = sealed(7, &text, &without_tag, Protection::ENCRYPTED);
    assert_eq!(octets[13], 0x20);
    let refused = decipherer(&with_tag).open(&mut octets.clone()).map(|_| ());
    assert!(matches!(refused, Err(CipheredError::Security(SecurityError::PolicyNotMet { .. }))), "{refused:?}");

    let mut open = decipherer(&without_tag);
    assert!(open.open(&mut octets.clone()).is_ok());
    // Nothing proved the counter.
    assert_eq!(open.floor().lowest(), 0);
    // A wrong key shows in the text, as no tag could show it.
    let wrong = KeySet::encryption_only(Suite::Suite0, &[0x55; 16]).unwrap();
    let refused = decipherer(&wrong).open(&mut octets).map(|_| ());
    assert!(matches!(refused, Err(CipheredError::Telegram(_))), "{refused:?}");
}
