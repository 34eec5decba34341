//! No vector is left out in silence.

use std::path::PathBuf;

use dlms::security::RustCrypto;
use toml::{Table, Value};

use crate::vectors::{Ledger, all};
use crate::{agreement, certificates, curves, general, hls7, setup};

/// Vectors of captured sessions are not part of this tree: the corpus of captures has the sessions themselves.
const CAPTURED: &str = "cap-";

/// Where the tree's vectors came from, if it is there: `DLMS_VECTORS` names the file.
fn source() -> Option<Table> {
    let file = std::env::var_os("DLMS_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec/security-vectors.toml"),
        PathBuf::from,
    );
    Some(toml::from_str(&std::fs::read_to_string(file).ok()?).unwrap())
}

fn vectors(table: Table) -> impl Iterator<Item = Table> {
    let sections = table.into_iter().filter_map(|(_, section)| section.as_array().cloned());
    sections.flatten().map(|vector| vector.as_table().cloned().unwrap())
}

/// Every vector of the source is in the tree's two files, figure by figure, or captured.
#[test]
fn no_vector_of_the_source_is_missing_here() {
    let Some(source) = source() else { return };
    let symmetric: Table = toml::from_str(include_str!("../vectors/security.toml")).unwrap();
    let here: Vec<Table> = vectors(symmetric).chain(vectors(all())).collect();
    let mut missing = Vec::new();
    for vector in vectors(source) {
        let id = vector["id"].as_str().unwrap();
        match here.iter().find(|kept| kept["id"] == vector["id"]) {
            None if id.starts_with(CAPTURED) && vector["origin"].as_str().unwrap().starts_with("captured") => {}
            None => missing.push(id.to_owned()),
            Some(kept) => {
                for (name, figure) in kept.iter().filter(|(name, _)| *name != "origin") {
                    assert_eq!(vector.get(name), Some(figure), "{id}: {name}");
                }
            }
        }
    }
    assert!(missing.is_empty(), "neither here nor captured: {missing:?}");
}

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
