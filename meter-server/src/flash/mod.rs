//! What a meter keeps in flash memory: records, rows of a load profile, and a firmware image.
//!
//! The memory is whatever implements [`embedded_storage`]'s traits, as drivers for microcontrollers do. Power may fail in
//! the middle of any write or erasure; what was whole before stays whole, and what was cut off is not there.
//!
//! - [`FlashSlots`] are the two slots of a [`Journal`](crate::journal::Journal): counters, keys, settings.
//! - [`RowRing`] holds rows of one length, the oldest giving way to the newest.
//! - [`BlockStore`] holds the blocks of an image, and which of them are there.
//! - [`Partition`] lets them share one memory.
//!
//! A record or row is written once into erased memory and never changed, and a block of memory is erased only when it
//! is full: with records of 64 octets and blocks of 4096, one write in 64 erases.

mod blocks;
mod partition;
mod rows;
mod slots;
#[cfg(test)]
mod tests;

pub use blocks::BlockStore;
pub use partition::Partition;
pub use rows::{ROW_OVERHEAD, RowRing};
pub use slots::FlashSlots;

pub use embedded_storage::nor_flash;

/// Largest unit in which memory can be programmed, in octets.
pub const WRITE_SIZE_MAX: usize = 32;

/// Octets of erased memory.
const BLANK: u8 = 0xFF;

/// The next multiple of `unit`, which is not 0, from `octets` on.
const fn aligned(octets: usize, unit: usize) -> usize {
    octets.div_ceil(unit).saturating_mul(unit)
}

/// A place in flash memory.
fn place(base: usize, offset: usize) -> Option<u32> {
    u32::try_from(base.checked_add(offset)?).ok()
}
