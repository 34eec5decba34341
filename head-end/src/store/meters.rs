//! Meters and their sealed secrets.

use std::{collections::BTreeMap, future::Future};

use super::{RequestKey, StoreError};
use crate::{
    meter::{MeterId, MeterRecord, Tenant},
    vault::{Sealed, SecretRole},
};

/// Meters in one list at most, to bound its work.
pub(super) const SCAN: usize = 10_000;

/// Meters and their sealed secrets.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait MeterStore: Send + Sync + 'static {
    /// Registers a meter, unless its name is taken; with `request`, once for each request id.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`], [`StoreError::RequestMismatch`], or the store's own.
    fn create_meter(
        &self,
        meter: NewMeter,
        request: Option<RequestKey>,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// A meter with its sealed secrets.
    ///
    /// # Errors
    /// The store's own.
    fn meter(&self, id: &MeterId) -> impl Future<Output = Result<Option<StoredMeter>, StoreError>> + Send;

    /// Meters in the order of their names, from the one behind `after`.
    ///
    /// # Errors
    /// The store's own.
    fn list_meters(
        &self,
        after: Option<MeterId>,
        filter: MeterFilter,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<MeterRecord>, StoreError>> + Send;

    /// Replaces a meter. `meter.record.revision` must be one more than what is stored.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Conflict`] when the meter has changed since it was
    /// read, [`StoreError::RequestMismatch`], or the store's own.
    fn update_meter(
        &self,
        meter: NewMeter,
        request: Option<RequestKey>,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Removes a meter with its secrets and its model; readings and counters stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Conflict`] when `revision` is given and not the
    /// stored one, [`StoreError::RequestMismatch`], or the store's own.
    fn delete_meter(
        &self,
        id: &MeterId,
        revision: Option<u64>,
        request: Option<RequestKey>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A meter to be written.
#[derive(Clone, Debug)]
pub struct NewMeter {
    /// The record as it is to be.
    pub record: MeterRecord,
    /// Secrets to change; others stay.
    pub secrets: Vec<SecretChange>,
}

/// A secret to set or, with `None`, to remove.
pub type SecretChange = (SecretRole, Option<Sealed>);

/// A meter as stored.
#[derive(Clone, Debug)]
pub struct StoredMeter {
    /// The record.
    pub record: MeterRecord,
    /// Its sealed secrets.
    pub secrets: BTreeMap<SecretRole, Sealed>,
}

/// What became of a write that may be a repetition.
#[derive(Clone, Debug)]
pub enum Written {
    /// It was done.
    Done(MeterRecord),
    /// It had been done before: the answer of that time.
    Repeated(MeterRecord),
}

/// Which meters to list.
#[derive(Clone, Debug, Default)]
pub struct MeterFilter {
    /// Labels that a meter must all have.
    pub labels: BTreeMap<String, String>,
    /// Only those of this tenant; `None` for all.
    pub tenant: Option<Tenant>,
}
