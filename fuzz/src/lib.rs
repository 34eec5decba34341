//! What every octet from outside must not be able to do, as functions that a fuzzer calls.
//!
//! A target takes arbitrary octets and panics when an invariant does not hold: encoding is not the inverse of
//! decoding, memory grows out of proportion to the input, a walk goes too deep, a state machine gets stuck.
//! `engine` drives them by coverage; `cargo test` replays the corpus without it.

pub mod corpus;
mod memory;
mod targets;

pub use memory::bounded;
pub use targets::TARGETS;

/// One entry point for octets from outside.
pub struct Target {
    /// Its name on the command line and in the corpus.
    pub name: &'static str,
    /// Longest input that is worth trying, in octets.
    pub longest: usize,
    /// Inputs that `fuzz/run --fixed` makes of the corpus: what takes a few seconds.
    pub runs: u32,
    /// Panics when something is wrong.
    pub run: fn(&[u8]),
}

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
