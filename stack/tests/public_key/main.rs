//! Public-key security against the published and independently computed vectors of `vectors/public-key.toml`: all of
//! them, by every engine that is built, and by the engines against each other.
#![cfg(feature = "public-key")]

mod agreement;
mod certificates;
mod coverage;
mod curves;
mod der;
mod general;
mod hls7;
mod setup;
mod vectors;
