//! Pushes of real meters, opened by their senders' keys. Skipped where the captures are not there: they are not part of
//! this tree.
#![cfg(feature = "rustcrypto")]

use std::path::PathBuf;

use dlms::apdu::Apdu;
use dlms::association::push::{PushError, Receiver, Sender};
use dlms::id::SystemTitle;
use dlms::security::{Context, KeySet, ProtectedHeader, Protection, RustCrypto, SecurityError};
use serde_json::Value;

/// Records of whole APDUs, and of APDUs behind an eight-octet wrapper header.
const FILES: [(&str, usize); 2] = [("apdu.jsonl", 0), ("wrapper.jsonl", 8)];

fn records(file: &str) -> Option<Vec<Value>> {
    let folder = std::env::var_os("DLMS_CAPTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures"), PathBuf::from);
    let text = std::fs::read_to_string(folder.join(file)).ok()?;
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn octets(value: &Value) -> Option<Vec<u8>> {
    hex::decode(value.as_str()?).ok()
}

#[test]
fn captured_pushes_open_once_and_only_with_the_senders_keys() {
    let mut opened = 0;
    for (file, header) in FILES {
        let Some(records) = records(file) else { return };
        for record in records {
            let keys = &record["security"];
            let pushed = record["expect"]["apdu"] == serde_json::json!(["general-glo-ciphering", "data-notification"]);
            let (true, Some(key)) = (pushed, octets(&keys["block_cipher_key"])) else { continue };
            let id = record["id"].as_str().unwrap();
            let apdu = octets(&record["hex"]).unwrap().split_off(header);
            let named = ProtectedHeader::parse(&apdu).unwrap();
            // Some meters leave their title out: then it is known from where the octets came.
            let title = octets(&keys["system_title"]).and_then(|title| SystemTitle::from_slice(&title)).or(named.title);
            let title = title.unwrap();
            let suite = named.control.suite().unwrap();
            let set = |key: &[u8]| match octets(&keys["auth_key"]) {
                Some(authentication) => KeySet::new(suite, key, &authentication).unwrap(),
                None => KeySet::encryption_only(suite, key).unwrap(),
            };
            let required = named.control.protection();
            let receiver = |key: &[u8], required| {
                let context = Context::<RustCrypto>::new(SystemTitle(*b"HES\0\0\0\0\x01"), &set(key)).unwrap();
                Receiver::new([Sender::new(title, context, required, 0)])
            };
            let mut good = receiver(&key, required);
            let mut octets = apdu.clone();
            let received = good.open(&mut octets, Some(title)).unwrap_or_else(|error| panic!("{id}: {error}"));
            assert!(matches!(received.apdu, Apdu::DataNotification(_)), "{id}");
            assert_eq!((received.sender, received.protection), (Some(title), required), "{id}");
            opened += 1;
            if required.authenticated {
                assert_eq!(received.counter, Some(named.counter), "{id}");
                // The same again is a replay, and with another key a forgery.
                let again = good.open(&mut apdu.clone(), Some(title)).unwrap_err();
                assert!(matches!(again, PushError::Security(SecurityError::Counter { .. })), "{id}: {again}");
                let mut other = key.clone();
                other[0] ^= 1;
                assert!(receiver(&other, required).open(&mut apdu.clone(), Some(title)).is_err(), "{id}");
            } else {
                // Nothing proves who sent it: whoever demands that must refuse it.
                assert_eq!(received.counter, None, "{id}");
                let mut octets = apdu.clone();
                let refused = receiver(&key, Protection::AUTHENTICATED_ENCRYPTED).open(&mut octets, Some(title));
                assert!(matches!(refused, Err(PushError::Security(SecurityError::PolicyNotMet { .. }))), "{id}");
            }
        }
    }
    assert!(opened >= 3, "{opened} captured pushes");
}
