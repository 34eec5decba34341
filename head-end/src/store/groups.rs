//! Groups: selections of meters that have a name.

use std::future::Future;

use super::StoreError;
use crate::{group::GroupRecord, meter::Tenant};

/// Groups: selections of meters that have a name.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait GroupStore: Send + Sync + 'static {
    /// Keeps a group that is new.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`], or the store's own.
    fn create_group(&self, group: GroupRecord) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// A group.
    ///
    /// # Errors
    /// The store's own.
    fn group(&self, name: &str) -> impl Future<Output = Result<Option<GroupRecord>, StoreError>> + Send;

    /// Groups in the order of their names, from the one behind `after`; only those of `tenant`, where one is given.
    ///
    /// # Errors
    /// The store's own.
    fn list_groups(
        &self,
        after: Option<String>,
        tenant: Option<Tenant>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<GroupRecord>, StoreError>> + Send;

    /// Removes a group; its meters stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the store's own.
    fn delete_group(&self, name: &str) -> impl Future<Output = Result<(), StoreError>> + Send;
}
