//! DLMS/COSEM (IEC 62056) protocol stack: sans-I/O, `no_std`, client and server.
//!
//! Bytes in, bytes out, time in: this crate opens no sockets, reads no clock, spawns nothing and
//! draws no randomness that it was not handed. A module imports only modules above it here.
//!
//! | layer | modules |
//! |---|---|
//! | plain values | [`id`], [`obis`], [`time`], [`mod@unit`], [`instant`] |
//! | A-XDR | [`axdr`], [`deviation`] |
//! | application protocol data units | [`acse`], [`apdu`] |
//! | security | [`security`] |
//! | links | [`link`], [`hdlc`], [`wrapper`] |
//! | associations | [`association`] |
//! | interface classes | [`cosem`] |
//! | customer ports | [`p1`] |
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod acse;
pub mod apdu;
pub mod association;
pub mod axdr;
pub mod cosem;
pub mod deviation;
pub mod hdlc;
pub mod id;
pub mod instant;
pub mod link;
pub mod obis;
pub mod p1;
pub mod security;
pub mod time;
pub mod unit;
mod wire;
pub mod wrapper;

pub use instant::Instant;
