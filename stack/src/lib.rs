//! DLMS/COSEM (IEC 62056) protocol stack: sans-I/O, `no_std`, client and server.
//!
//! Bytes in, bytes out, time in: this crate opens no sockets, reads no clock, spawns nothing and
//! draws no randomness that it was not handed. A module imports only modules above it here.
//!
//! | layer | modules |
//! |---|---|
//! | plain values | [`id`], [`obis`], [`time`], [`mod@unit`], [`instant`] |
//! | A-XDR | [`axdr`], [`deviation`], [`quirk`] |
//! | application protocol data units | [`acse`], [`apdu`] |
//! | security | [`security`] |
//! | links | [`link`], [`hdlc`], [`wrapper`], [`mbus`], [`mode_e`], [`gateway`] |
//! | associations | [`association`] |
//! | interface classes | [`cosem`] |
//! | customer ports | [`p1`] |
//!
//! # A client
//!
//! [`association::client::Connection`] is everything between a request and the octets of a line: it negotiates,
//! authenticates, ciphers, numbers requests and joins blocks. It is driven by whoever has the line: octets go in by
//! `handle_input`, come out by `poll_transmit`, and `poll_event` tells what happened. `read_register` and
//! `read_profile` in `examples/` do so over a TCP socket in some hundred lines.
//!
//! ```
//! # #[cfg(feature = "rustcrypto")] {
//! use dlms::Instant;
//! use dlms::apdu::AttributeRequest;
//! use dlms::association::client::{Config, Connection, Event};
//! use dlms::cosem::{Attribute, register};
//! use dlms::id::ServerSap;
//! use dlms::obis::ObisCode;
//! use dlms::security::{InvocationCounter, Random, RustCrypto};
//! use dlms::wrapper::client::Wrapper;
//!
//! # struct System;
//! # impl Random for System { fn fill(&mut self, octets: &mut [u8]) { octets.fill(0x5A) } }
//! // Storage is the caller's: arrays here, and nothing is allocated.
//! let config = Config::public(ServerSap::MANAGEMENT);
//! let link = Wrapper::new(config.client, config.server, [0; 512], [0; 512], 30_000);
//! let counter = InvocationCounter::new(0, 0); // none is needed without ciphering
//! let mut client: Connection<_, RustCrypto, _, _> =
//!     Connection::new(link, config, System, counter, [0; 512], [0; 512]);
//!
//! let now = Instant::from_millis(0);
//! client.associate(now)?;
//! assert!(client.poll_event().is_none());
//! let mut line = [0; 512];
//! let length = client.poll_transmit(&mut line).unwrap();
//! assert_eq!(line[..10], [0, 1, 0, 16, 0, 1, 0, 31, 0x60, 29]); // wrapper header, then the AARQ
//!
//! // What the meter answers: accepted, without conditions.
//! # let aare = [0x61u8, 0x29, 0xA1, 9, 6, 7, 0x60, 0x85, 0x74, 5, 8, 1, 1, 0xA2, 3, 2, 1, 0, 0xA3, 5, 0xA1, 3, 2, 1, 0,
//! #     0xBE, 0x10, 4, 0x0E, 8, 0, 6, 0x5F, 0x1F, 4, 0, 0, 0x1E, 0x1D, 2, 0, 0, 7];
//! # let mut answer = vec![0u8, 1, 0, 1, 0, 16, 0, aare.len() as u8];
//! # answer.extend(aare);
//! client.handle_input(&answer, now);
//! assert!(matches!(client.poll_event(), Some(Event::Associated(_))));
//!
//! client.get(AttributeRequest::whole(register::Value::of(ObisCode::ACTIVE_IMPORT)), now)?;
//! let length = client.poll_transmit(&mut line).unwrap();
//! assert_eq!(line[8..length], [0xC0, 1, 0xC1, 0, 3, 1, 0, 1, 8, 0, 255, 2, 0]);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A server
//!
//! [`association::server::Connection`] is a meter's line with several associations over it. What a client may do and
//! what objects hold is asked of an [`association::server::Device`]; `examples/meter.rs` is a whole one, and the crate
//! `dlms-meter-server` has objects, access rights and storage on top of it.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `std` (default) | nothing but `alloc` and the traits of `std` |
//! | `alloc` | owned values, rows of profiles as they arrive |
//! | `rustcrypto` (default) | the default implementation of the cryptographic seam |
//! | `public-key` (default) | security suites 1 and 2: signatures, key agreement, certificates |
//! | `ring` | their operations by `ring`, which is several times faster, on servers |
//!
//! Without any of them the crate still decodes, encodes and runs both sides of an association; firmware brings its own
//! cryptographic engine.
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
pub mod gateway;
pub mod hdlc;
pub mod id;
pub mod instant;
pub mod link;
pub mod mbus;
pub mod mode_e;
pub mod obis;
pub mod p1;
pub mod quirk;
pub mod security;
pub mod time;
pub mod unit;
mod wire;
pub mod wrapper;

pub use instant::Instant;
