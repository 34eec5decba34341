//! Keys between old and new.

use std::{collections::BTreeMap, future::Future};

use jiff::Timestamp;

use super::StoreError;
use crate::{
    meter::MeterId,
    vault::{Sealed, SecretRole},
};

/// Keys between old and new. Those in use stay with their meter until the new ones are proved to be in it.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait KeyStore: Send + Sync + 'static {
    /// Keeps new keys of a meter beside those in use. Where there are some of the same rotation already, those stay:
    /// the meter may have them. Returns what is kept then.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] where there are some of another rotation; [`StoreError::NotFound`] for a meter
    /// that is not registered; the store's own.
    fn stage_keys(&self, meter: &MeterId, keys: NewKeys) -> impl Future<Output = Result<NewKeys, StoreError>> + Send;

    /// The new keys of a meter, if it has any.
    ///
    /// # Errors
    /// The store's own.
    fn new_keys(&self, meter: &MeterId) -> impl Future<Output = Result<Option<NewKeys>, StoreError>> + Send;

    /// Notes that the meter said that it has taken the keys of this rotation.
    ///
    /// # Errors
    /// The store's own.
    fn confirm_keys(&self, meter: &MeterId, rotation: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Puts the new keys of this rotation into the place of those in use, in one transaction, and gives the meter
    /// another revision; `false` where there are none.
    ///
    /// # Errors
    /// The store's own.
    fn promote_keys(
        &self,
        meter: &MeterId,
        rotation: &str,
        at: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Forgets the new keys of this rotation; `false` where there are none.
    ///
    /// # Errors
    /// The store's own.
    fn drop_keys(&self, meter: &MeterId, rotation: &str) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The secrets in use, and since when; `None` where that is not known.
    ///
    /// # Errors
    /// The store's own.
    fn key_times(
        &self,
        meter: &MeterId,
    ) -> impl Future<Output = Result<BTreeMap<SecretRole, Option<Timestamp>>, StoreError>> + Send;
}

/// Keys that were made for a meter and are not proved to be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKeys {
    /// What they were made for.
    pub rotation: String,
    /// The keys.
    pub sealed: BTreeMap<SecretRole, Sealed>,
    /// When they were made.
    pub made: Timestamp,
    /// Whether the meter said that it has taken them.
    pub confirmed: bool,
}
