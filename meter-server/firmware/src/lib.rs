//! Meters for firmware, without `std` and without an allocator; the programs put them on a line.
#![no_std]

pub mod board;
mod common;
pub mod minimal;
