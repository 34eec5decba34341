//! Who carries operations out, and what it needs from the rest.

use std::{future::Future, sync::Arc};

use super::{Diagnosis, ObjectModel, Operation, Outcome, ProfileLayout, RequestError, Terms, Trace, TraceError};
use crate::meter::{CounterId, MeterConfig, MeterId};

/// Carries operations out: the fleet.
pub trait MeterAccess: Send + Sync + 'static {
    /// Does `operation` with `meter`, to be finished by the deadline of `terms`.
    ///
    /// The queue in front of a meter is bounded; a full one is
    /// [`RequestErrorKind::Busy`](super::RequestErrorKind::Busy) at once and not a wait. What waits is
    /// taken by priority, then deadline, then arrival, and uses the association that is open.
    ///
    /// Cancel safety: dropping the future withdraws an operation that is still queued. One whose
    /// request has left is carried to its end at the meter's side, and its answer is thrown away;
    /// either way the meter is free for the next operation.
    ///
    /// # Errors
    /// [`RequestError`] when the operation as a whole failed. What concerns single items is in the
    /// items of the outcome.
    fn execute(
        &self,
        meter: &MeterId,
        operation: Operation,
        terms: Terms,
    ) -> impl Future<Output = Result<Outcome, RequestError>> + Send;

    /// Lets go of `meter`: its configuration changed or it was deleted. The association is released,
    /// queued operations are carried out with the new configuration, or fail if there is none.
    fn invalidate(&self, meter: &MeterId);

    /// What is known of the way to `meter`; `None` where it was never spoken to, and from who notes nothing.
    fn diagnosis(&self, meter: &MeterId) -> Option<Diagnosis> {
        let _ = meter;
        None
    }

    /// Follows what is said to `meter` and by it, with the `octets` of the line where they are wanted.
    ///
    /// # Errors
    /// [`TraceError`]; [`TraceError::Unavailable`] from who offers no traces.
    fn trace(&self, meter: &MeterId, octets: bool) -> Result<Trace, TraceError> {
        let _ = (meter, octets);
        Err(TraceError::Unavailable)
    }
}

/// What the fleet needs from the registry and the store.
pub trait MeterDirectory: Send + Sync + 'static {
    /// The configuration of `meter`, secrets opened.
    ///
    /// # Errors
    /// `NotFound` for a meter that is not registered; `Store` where the store or the vault failed.
    fn meter(&self, meter: &MeterId) -> impl Future<Output = Result<Arc<MeterConfig>, RequestError>> + Send;

    /// An association with `meter` was opened with the new keys of this rotation: they take the place of those before.
    ///
    /// # Errors
    /// `Store` where that could not be made durable.
    fn keys_proved(&self, meter: &MeterId, rotation: &str) -> impl Future<Output = Result<(), RequestError>> + Send;

    /// Reserves the next block of transmit invocation counters, durable before it returns: no value
    /// of it is ever given out again, whatever becomes of this process.
    ///
    /// # Errors
    /// `Store` where the reservation could not be made durable; `SecurityFailed` once the counter is
    /// exhausted, which ends only with a new key.
    fn reserve_counters(&self, counter: CounterId) -> impl Future<Output = Result<CounterBlock, RequestError>> + Send;

    /// Moves the counter up so that the next block starts above `seen`, the value that the meter
    /// holds against us. It never moves down. Call it at most once in a session and only after the
    /// meter refused a counter; blocks reserved before it stay valid but will be refused.
    ///
    /// # Errors
    /// `SecurityFailed` where `seen` is so high that it would use the key up: it comes from an object
    /// that anybody on the line can forge.
    fn raise_counter(&self, counter: CounterId, seen: u32) -> impl Future<Output = Result<(), RequestError>> + Send;

    /// The object model of `meter`, if it has been discovered.
    ///
    /// # Errors
    /// `Store` where it could not be read.
    fn object_model(
        &self,
        meter: &MeterId,
    ) -> impl Future<Output = Result<Option<Arc<ObjectModel>>, RequestError>> + Send;

    /// Keeps the object model of `meter`, in place of an older one.
    ///
    /// # Errors
    /// `Store` where it could not be kept.
    fn save_object_model(
        &self,
        meter: &MeterId,
        model: Arc<ObjectModel>,
    ) -> impl Future<Output = Result<(), RequestError>> + Send;

    /// The layout of one profile of `meter`, if it has been read.
    ///
    /// # Errors
    /// `Store` where it could not be read.
    fn profile_layout(
        &self,
        meter: &MeterId,
        profile: dlms::obis::ObisCode,
    ) -> impl Future<Output = Result<Option<Arc<ProfileLayout>>, RequestError>> + Send;

    /// Keeps the layout of one profile of `meter`, in place of an older one.
    ///
    /// # Errors
    /// `Store` where it could not be kept.
    fn save_profile_layout(
        &self,
        meter: &MeterId,
        layout: Arc<ProfileLayout>,
    ) -> impl Future<Output = Result<(), RequestError>> + Send;
}

/// A block of invocation counters that belongs to its holder alone.
#[derive(Debug, PartialEq, Eq)]
pub struct CounterBlock {
    /// First value to use.
    pub next: u32,
    /// First value that no longer belongs to the block.
    pub end: u32,
}
