//! What must survive: meters and their sealed secrets, invocation counters, object models, answers
//! to repeated requests, and readings.
//!
//! [`Store`] is what the rest of the head-end asks for; each of its parts is a trait beside the types
//! it deals in. [`sqlite::SqliteStore`] keeps it in files inside this process, `postgres::PostgresStore` in a database of a
//! server.

mod any;
mod audit;
mod captures;
mod codes;
mod counters;
mod counts;
mod coverage;
mod cursors;
mod error;
mod events;
mod firmware;
mod flags;
mod grid;
mod groups;
mod hooked;
mod jobs;
mod json;
mod keys;
mod meters;
mod models;
mod month;
mod pieces;
mod plans;
#[cfg(feature = "postgres")]
pub mod postgres;
mod push;
mod readings;
mod records;
mod requests;
pub mod sqlite;
mod templates;
#[cfg(test)]
mod tests;
mod upkeep;
mod waves;
mod writer;

use std::future::Future;

pub use self::{
    any::AnyStore,
    audit::{
        AUDIT_START, AuditBreak, AuditHead, AuditIntent, AuditLink, AuditQuery, AuditRow, AuditStore, AuditedCall,
        verify_audit,
    },
    counters::{COUNTER_BLOCK, CounterStore, HIGHEST_CLAIM},
    counts::{StoreCounts, WriterCounts},
    coverage::{Coverage, CoverageStore, DayCoverage, SlotState},
    cursors::CursorStore,
    error::StoreError,
    events::{Acknowledgement, Event, EventCategory, EventFilter, EventOrigin, EventQuery, EventStore, NewEvent},
    firmware::{FirmwareStore, IMAGE_CHUNK, ImageId, ImageRow},
    flags::CaptureFlags,
    grid::Grid,
    groups::GroupStore,
    hooked::{Hook, Hooked},
    jobs::{
        ClaimedTask, Inserted, JobFilter, JobId, JobRow, JobState, JobStore, Permit, RateLimit, Retry, TaskCounts,
        TaskEnd, TaskFilter, TaskRef, TaskResult, TaskRow, TaskState,
    },
    keys::{KeyStore, NewKeys},
    meters::{MeterFilter, MeterStore, NewMeter, SecretChange, StoredMeter, Written},
    models::ModelStore,
    plans::{PlanRun, PlanState, PlanStore, RunRequest},
    push::{
        Accepted, DeviceIdentity, NewPush, PushOutcome, PushState, PushStore, Sighting, StoredPush, UnclaimedDevice,
    },
    readings::{
        AppendOutcome, Appended, Arrival, CaptureBatch, CaptureCursor, CaptureFilter, CapturePage, CaptureQuery,
        Change, ReadingStore, Source, StoredCapture,
    },
    requests::{RequestKey, RequestState, RequestStore},
    templates::{TemplateRow, TemplateStore},
    upkeep::UpkeepStore,
    waves::{WaveStore, WavesRow, WavesState},
};

/// A store. Every method of its parts is durable when it returns, unless it says otherwise.
///
/// Cancel safety: a write that was accepted is carried out even when its future is dropped.
pub trait Store:
    AuditStore
    + MeterStore
    + RequestStore
    + CounterStore
    + CursorStore
    + ModelStore
    + ReadingStore
    + CoverageStore
    + PushStore
    + PlanStore
    + EventStore
    + JobStore
    + WaveStore
    + FirmwareStore
    + GroupStore
    + KeyStore
    + TemplateStore
    + UpkeepStore
{
    /// Writes what waits and closes. Later calls fail with [`StoreError::Closed`].
    fn close(&self) -> impl Future<Output = ()> + Send;

    /// What its writers have done; `None` where nobody counts it.
    fn counts(&self) -> Option<&StoreCounts> {
        None
    }
}
