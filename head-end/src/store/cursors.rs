//! How far whoever passes readings and events on has come.

use std::future::Future;

use super::StoreError;

/// How far whoever passes readings and events on has come.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait CursorStore: Send + Sync + 'static {
    /// The position under a name; `None` where there never was one.
    ///
    /// # Errors
    /// The store's own.
    fn cursor(&self, name: &'static str) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// Keeps the position under a name.
    ///
    /// # Errors
    /// The store's own.
    fn keep_cursor(&self, name: &'static str, position: u64) -> impl Future<Output = Result<(), StoreError>> + Send;
}
