//! What must survive: meters and their sealed secrets, invocation counters, object models, answers
//! to repeated requests, and readings.
//!
//! [`Store`] is what the rest of the head-end asks for; [`sqlite::SqliteStore`] keeps it in files
//! inside this process.

mod error;
mod json;
pub mod sqlite;
mod types;

use std::{future::Future, sync::Arc};

use dlms::obis::ObisCode;

pub use self::{
    error::StoreError,
    types::{
        AppendOutcome, Appended, CaptureBatch, CaptureCursor, CaptureFilter, CapturePage, CaptureQuery, MeterFilter,
        NewMeter, RequestKey, RequestState, SecretChange, Source, StoredCapture, StoredMeter, Written,
    },
};
use crate::{
    meter::{CounterId, MeterId, MeterRecord},
    operation::{CounterBlock, ObjectModel, ProfileLayout},
};

/// Counters in one reservation: enough for a session, few enough that a crash in each session does
/// not use a key up (Green Book: 32 bits of them).
pub const COUNTER_BLOCK: u32 = 256;

/// Highest value that a meter may claim to have seen. The claim comes from an object that the public
/// client reads without authentication; the rest, 2^28 counters, stays out of a forger's reach.
pub const HIGHEST_CLAIM: u32 = 0xEFFF_FFFF;

/// A store. Every method is durable when it returns, unless it says otherwise.
///
/// Cancel safety: a write that was accepted is carried out even when its future is dropped.
pub trait Store: Send + Sync + 'static {
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

    /// Notes that a request is about to be carried out, or tells what became of it.
    ///
    /// # Errors
    /// [`StoreError::RequestMismatch`], or the store's own.
    fn begin_request(&self, request: RequestKey) -> impl Future<Output = Result<RequestState, StoreError>> + Send;

    /// Keeps the answer to a request.
    ///
    /// # Errors
    /// The store's own.
    fn finish_request(
        &self,
        request: RequestKey,
        response: Vec<u8>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets a request of which nothing was carried out.
    ///
    /// # Errors
    /// The store's own.
    fn abandon_request(&self, request: RequestKey) -> impl Future<Output = Result<(), StoreError>> + Send;

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

    /// The object model of a meter.
    ///
    /// # Errors
    /// The store's own.
    fn object_model(&self, id: &MeterId) -> impl Future<Output = Result<Option<ObjectModel>, StoreError>> + Send;

    /// Keeps the object model of a meter, and the layouts in it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the meter is not registered, or the store's own.
    fn save_object_model(
        &self,
        id: &MeterId,
        model: Arc<ObjectModel>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The layout of a profile of a meter.
    ///
    /// # Errors
    /// The store's own.
    fn profile_layout(
        &self,
        id: &MeterId,
        profile: ObisCode,
    ) -> impl Future<Output = Result<Option<ProfileLayout>, StoreError>> + Send;

    /// Keeps the layout of a profile of a meter.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the meter is not registered, or the store's own.
    fn save_profile_layout(
        &self,
        id: &MeterId,
        layout: Arc<ProfileLayout>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Adds captures. The same capture again changes nothing; another value for the same moment is
    /// kept beside the first as the next revision.
    ///
    /// Where the store cannot write at once (locked, disk full) the captures stay in memory and are
    /// written as soon as it can: the outcome then is [`AppendOutcome::Kept`], after some patience.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] when too many wait already: these captures were not taken.
    fn append(&self, batch: CaptureBatch) -> impl Future<Output = Result<AppendOutcome, StoreError>> + Send;

    /// A page of captures in ascending order of time, then profile, then revision.
    ///
    /// # Errors
    /// The store's own.
    fn query(&self, query: CaptureQuery) -> impl Future<Output = Result<CapturePage, StoreError>> + Send;

    /// The value of `name`, which is kept as `value` if there was none.
    ///
    /// # Errors
    /// The store's own.
    fn instance_value(
        &self,
        name: &'static str,
        value: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, StoreError>> + Send;

    /// Writes what waits and closes. Later calls fail with [`StoreError::Closed`].
    fn close(&self) -> impl Future<Output = ()> + Send;
}
