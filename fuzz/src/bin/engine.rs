//! libFuzzer with the target that `DLMS_FUZZ_TARGET` names, or a command on the corpus (`DLMS_FUZZ_CORPUS`, see
//! [`dlms_fuzz::corpus::command`]). One program for all, so that it is linked once.
#![no_main]

use std::sync::OnceLock;

use dlms_fuzz::{Target, corpus};

static TARGET: OnceLock<&'static Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        if let Ok(command) = std::env::var("DLMS_FUZZ_CORPUS") {
            corpus::command(&command.split_whitespace().collect::<Vec<_>>());
            std::process::exit(0);
        }
    },
    |octets: &[u8]| {
        let target = TARGET.get_or_init(|| {
            let name = std::env::var("DLMS_FUZZ_TARGET").expect("DLMS_FUZZ_TARGET names a target");
            dlms_fuzz::target(&name).unwrap_or_else(|| panic!("no target named {name}"))
        });
        (target.run)(octets);
    }
);
