//! Transmit invocation counters, reserved ahead.

use std::future::Future;

use super::StoreError;
use crate::{meter::CounterId, operation::CounterBlock};

/// Counters in one reservation: enough for a session, few enough that a crash in each session does
/// not use a key up (Green Book: 32 bits of them).
pub const COUNTER_BLOCK: u32 = 256;

/// Highest value that a meter may claim to have seen. The claim comes from an object that the public
/// client reads without authentication; the rest, 2^28 counters, stays out of a forger's reach.
pub const HIGHEST_CLAIM: u32 = 0xEFFF_FFFF;

/// The first counter of a new key: meters take only counters above the last one, and begin with 0.
pub(super) const FIRST: u32 = 1;

/// Transmit invocation counters, reserved ahead.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait CounterStore: Send + Sync + 'static {
    /// Reserves [`COUNTER_BLOCK`] counters. No value of the block is ever given out again.
    ///
    /// # Errors
    /// [`StoreError::CounterExhausted`], or the store's own; then nothing may be used.
    fn reserve_counters(&self, counter: CounterId) -> impl Future<Output = Result<CounterBlock, StoreError>> + Send;

    /// Moves a counter above `seen`; never down.
    ///
    /// # Errors
    /// [`StoreError::CounterClaim`] above [`HIGHEST_CLAIM`], or the store's own.
    fn raise_counter(&self, counter: CounterId, seen: u32) -> impl Future<Output = Result<(), StoreError>> + Send;
}
