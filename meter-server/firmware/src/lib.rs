//! A meter's objects for firmware, without `std` and without an allocator; `main` puts them on a line.
#![no_std]

mod image;
mod meter;

pub use meter::Meter;

/// Longest APDU, in octets.
pub const PDU_OCTETS: u16 = 256;
