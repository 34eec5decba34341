//! Every input of the corpus, without the engine.

use dlms_fuzz::{TARGETS, corpus};

#[test]
fn the_corpus_holds_no_surprises() {
    for target in TARGETS {
        let inputs = corpus::read(target.name);
        assert!(!inputs.is_empty(), "{} has no corpus", target.name);
        for octets in inputs {
            let line: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
            if std::panic::catch_unwind(|| (target.run)(&octets)).is_err() {
                panic!("{} fails with {line}", target.name);
            }
        }
    }
}

#[test]
fn nothing_is_octets_too() {
    TARGETS.iter().for_each(|target| (target.run)(&[]));
}
