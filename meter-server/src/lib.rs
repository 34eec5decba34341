//! The meter's side of DLMS/COSEM: a server core for firmware, and a simulator of thousands of meters.
//!
//! A [`LogicalDevice`] answers the services of an association from a table of [`Object`]s. It looks at access rights
//! first; an object holds meter behaviour only. The interface classes in [`objects`] are generic over the meter's
//! state, so that the same class serves values from flash and values that a simulator computes.
//!
//! Without the feature `simulator` the crate is `no_std` and allocates nothing. With it, [`simulator`] runs meters
//! from a declarative model behind TCP, UDP, HDLC and serial ports, in a program or in a test.
#![cfg_attr(not(feature = "simulator"), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
// The server core runs in firmware, where nothing catches a panic; the simulator may index its own tables.
#![cfg_attr(
    not(any(test, feature = "simulator")),
    deny(clippy::unreachable, clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects)
)]

pub mod access;
pub mod alarms;
pub mod counters;
pub mod demand;
pub mod device;
pub mod events;
#[cfg(feature = "flash")]
pub mod flash;
pub mod journal;
pub mod limiter;
pub mod mbus;
#[cfg(feature = "metering")]
pub mod metering;
pub mod moment;
pub mod number;
pub mod object;
pub mod objects;
pub mod prepayment;
pub mod push;
pub mod register_monitor;
pub mod schedule;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod table;
pub mod tariff;
pub mod transactions;
pub mod uart;

pub use device::LogicalDevice;
pub use moment::Moment;
pub use object::{Context, Object, Read};
pub use table::{Entry, ObjectTable};
