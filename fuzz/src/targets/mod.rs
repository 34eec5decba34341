//! One file per target.

mod acse;
mod apdu;
mod axdr;
mod blocks;
mod certificate;
mod client;
mod cosem;
mod general;
mod hdlc;
mod line;
mod mbus;
mod mode_e;
mod p1;
#[path = "../../../stack/tests/pair/mod.rs"]
mod pair;
mod push;
mod receiver;
mod rows;
mod sealed;
mod security;
mod server;
mod simulated;
mod stations;
mod text;
mod wrapper;

use dlms::axdr::{BufferFull, Writer};

use crate::Target;

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "axdr", longest: 4096, runs: 80_000, run: axdr::run },
    Target { name: "apdu", longest: 2048, runs: 100_000, run: apdu::run },
    Target { name: "acse", longest: 512, runs: 60_000, run: acse::run },
    Target { name: "hdlc", longest: 4096, runs: 5_000, run: hdlc::run },
    Target { name: "wrapper", longest: 1024, runs: 50_000, run: wrapper::run },
    Target { name: "mbus", longest: 2048, runs: 20_000, run: mbus::run },
    Target { name: "mode_e", longest: 256, runs: 40_000, run: mode_e::run },
    Target { name: "security", longest: 1024, runs: 40_000, run: security::run },
    Target { name: "general", longest: 512, runs: 900, run: general::run },
    Target { name: "certificate", longest: 1024, runs: 100_000, run: certificate::run },
    Target { name: "p1", longest: 1024, runs: 20_000, run: p1::run },
    Target { name: "cosem", longest: 1024, runs: 90_000, run: cosem::run },
    Target { name: "rows", longest: 2048, runs: 10_000, run: rows::run },
    Target { name: "text", longest: 128, runs: 90_000, run: text::run },
    Target { name: "push", longest: 512, runs: 80_000, run: push::run },
    Target { name: "stations", longest: 512, runs: 4_000, run: stations::run },
    Target { name: "client", longest: 1024, runs: 2_000, run: client::run },
    Target { name: "server", longest: 1024, runs: 900, run: server::run },
    Target { name: "receiver", longest: 512, runs: 8_000, run: receiver::run },
    Target { name: "line", longest: 512, runs: 1_000, run: line::run },
    Target { name: "blocks", longest: 512, runs: 200, run: blocks::run },
    Target { name: "meter", longest: 1024, runs: 400, run: server::run_meter },
    Target { name: "fleet", longest: 1024, runs: 300, run: simulated::fleet::run },
    Target { name: "tokens", longest: 512, runs: 500, run: simulated::tokens::run },
    Target { name: "calendar", longest: 1024, runs: 300, run: simulated::calendar::run },
];

/// The octets that `write` writes. What was decoded from a few thousand octets fits.
fn encoded(write: impl FnOnce(&mut Writer<'_>) -> Result<(), BufferFull>) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 16];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer).expect("what was decoded can be encoded");
    let length = writer.len();
    buffer.truncate(length);
    buffer
}

/// Cuts `octets` into pieces whose lengths follow from `seed`: no machine may care how a stream is cut.
fn pieces(octets: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = octets;
    let mut state = u32::from(seed) | 0x100;
    std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = (1 + (state >> 24) as usize % 29).min(rest.len());
        let (piece, after) = rest.split_at(length);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}
