//! Captured ciphered APDUs, deciphered. Skipped where the captures are not there: they are not part of this tree.
#![cfg(feature = "rustcrypto")]

use std::collections::HashMap;
use std::path::PathBuf;

use dlms::id::SystemTitle;
use dlms::security::{Context, KeySet, ProtectedHeader, Protection, ReceiveFloor, RustCrypto};
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

fn title(value: &Value) -> Option<SystemTitle> {
    octets(value).and_then(|title| SystemTitle::from_slice(&title))
}

/// The title in an AARQ's calling-AP-title or in an AARE's responding-AP-title.
fn title_in(apdu: &[u8]) -> Option<SystemTitle> {
    let field = match apdu.first()? {
        0x60 => 0xA6,
        0x61 => 0xA4,
        _ => return None,
    };
    let at = apdu.windows(4).position(|octets| octets == [field, 0x0A, 0x04, 0x08])?;
    SystemTitle::from_slice(apdu.get(at + 4..at + 12)?)
}

#[test]
fn captured_apdus_are_deciphered() {
    for (file, header_length) in FILES {
        let Some(records) = records(file) else { return };
        let mut titles: HashMap<(String, String), SystemTitle> = HashMap::new();
        let mut deciphered = 0;
        for record in records {
            let id = record["id"].as_str().unwrap();
            let keys = &record["security"];
            let apdu = octets(&record["hex"]).unwrap().split_off(header_length);
            let from = (record["session"].to_string(), record["dir"].to_string());
            if let Some(title) = title_in(&apdu) {
                titles.insert(from.clone(), title);
            }
            let (Some(key), Some(plain)) = (octets(&keys["block_cipher_key"]), octets(&record["expect"]["plaintext"]))
            else {
                continue;
            };
            // Others are ACSE APDUs with a ciphered part, several APDUs in one record, or broken on the way.
            let Ok(header) = ProtectedHeader::parse(&apdu) else { continue };
            if record.get("malformed").is_some() {
                continue;
            }
            let stated = match record["dir"].as_str() {
                Some("client-to-meter") => &keys["client_system_title"],
                _ => &keys["server_system_title"],
            };
            let session = titles.get(&from).copied().filter(|_| !record["session"].is_null());
            let sender = header.title.or(session).or(title(&keys["system_title"])).or(title(stated));
            let (Some(sender), Ok(suite)) = (sender, header.control.suite()) else { continue };
            let set = match octets(&keys["auth_key"]) {
                Some(authentication) => KeySet::new(suite, &key, &authentication).unwrap(),
                None => KeySet::encryption_only(suite, &key).unwrap(),
            };
            let mut context = Context::<RustCrypto>::new(SystemTitle([0; 8]), &set).unwrap();
            context.set_peer_title(sender);
            context.set_required(Protection::NONE);
            if let Some(dedicated) = octets(&keys["dedicated_key"]) {
                context.set_dedicated_key(&dedicated).unwrap();
            }
            let mut received = apdu.clone();
            let unprotected = context.unprotect(&mut received, |_| ReceiveFloor::default());
            let unprotected = unprotected.unwrap_or_else(|error| panic!("{id}: {error}"));
            assert_eq!(hex::encode(&received[unprotected.plain]), hex::encode(&plain), "{id}");
            assert_eq!(unprotected.verified.is_some(), header.control.protection().authenticated, "{id}");
            deciphered += 1;
        }
        println!("{file}: {deciphered} records");
        assert!(deciphered > 0, "{file}: no record could be deciphered");
    }
}
