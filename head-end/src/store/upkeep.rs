//! Rows that nobody needs any more.

use std::future::Future;

use jiff::Timestamp;

use super::StoreError;

/// What a store is relieved of in small steps, so that nobody waits for it long.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait UpkeepStore: Send + Sync + 'static {
    /// Forgets tasks of a job that ended before `before`, up to `limit` at once, and the job with the last of them. How
    /// many rows went: 0 when nothing is left to be forgotten.
    ///
    /// # Errors
    /// The store's own.
    fn forget_jobs(&self, before: Timestamp, limit: usize) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Forgets up to `limit` of the oldest events, as far as they came before `before`, but never the newest, whose number
    /// is the last one so far; how many.
    ///
    /// # Errors
    /// The store's own.
    fn forget_events(&self, before: Timestamp, limit: usize) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Forgets up to `limit` runs of plans that were asked for before `before`; how many.
    ///
    /// # Errors
    /// The store's own.
    fn forget_runs(&self, before: Timestamp, limit: usize) -> impl Future<Output = Result<usize, StoreError>> + Send;
}

/// The lowest id that a job made at `moment` may have: ids are UUIDs of version 7 and begin with their time.
pub(super) fn first_id(moment: Timestamp) -> [u8; 16] {
    let ms = u64::try_from(moment.as_millisecond()).unwrap_or_default();
    (u128::from(ms) << 80).to_be_bytes()
}
