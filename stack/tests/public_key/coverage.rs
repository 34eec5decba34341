//! No vector is left out in silence.

use dlms::security::RustCrypto;
use toml::Value;

use crate::vectors::{Ledger, all};
use crate::{agreement, certificates, curves, general, hls7, setup};

/// Vectors that no check matches, each with its reason.
const EXCEPTIONS: [(&str, &str); 0] = [];

#[test]
fn every_vector_is_matched_or_named_with_a_reason() {
    let mut ledger = Ledger::new();
    curves::verify::<RustCrypto>(&mut ledger);
    agreement::derive::<RustCrypto>(&mut ledger);
    general::ciphering::<RustCrypto>(&mut ledger);
    general::signing::<RustCrypto>(&mut ledger);
    general::layered(&mut ledger);
    certificates::vectors::<RustCrypto>(&mut ledger);
    setup::methods(&mut ledger);
    setup::apdus(&mut ledger);
    hls7::passes::<RustCrypto>(&mut ledger);
    let mut missing = Vec::new();
    for (section, vectors) in all() {
        for vector in vectors.as_array().unwrap() {
            let id = vector.get("id").and_then(Value::as_str).unwrap();
            let excepted = EXCEPTIONS.iter().any(|(name, reason)| *name == id && !reason.is_empty());
            if ledger.contains(id) == excepted {
                missing.push(format!("{section}/{id}"));
            }
        }
    }
    assert!(missing.is_empty(), "not matched, or excepted needlessly: {missing:?}");
}
