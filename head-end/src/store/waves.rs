//! Jobs whose tasks are let run in waves.

use std::future::Future;

use jiff::Timestamp;

use super::{JobId, StoreError};
use crate::meter::MeterId;

/// How far jobs are whose tasks are let run in waves.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait WaveStore: Send + Sync + 'static {
    /// How far a job is.
    ///
    /// # Errors
    /// The store's own.
    fn waves(&self, job: JobId) -> impl Future<Output = Result<Option<WavesRow>, StoreError>> + Send;

    /// Writes how far a job is, if the stored row still has the revision of `row`, 0 for none; the stored one is one
    /// higher then. Whether it did.
    ///
    /// # Errors
    /// The store's own.
    fn save_waves(&self, row: WavesRow) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Makes those of these meters' tasks due that are held; how many there were.
    ///
    /// # Errors
    /// The store's own.
    fn release_named(&self, job: JobId, meters: Vec<MeterId>)
    -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Holds up to `limit` tasks that wait and have nothing in the air; how many there were. They keep their checkpoints.
    ///
    /// # Errors
    /// The store's own.
    fn hold_tasks(&self, job: JobId, limit: usize) -> impl Future<Output = Result<usize, StoreError>> + Send;
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WavesRow {
    /// Of which job.
    pub job: JobId,
    /// Counts writes.
    pub revision: u64,
    /// Whether it goes on.
    pub state: WavesState,
    /// Number of the wave, from 0.
    pub wave: u32,
    /// Tasks that this wave and those before have together.
    pub target: u64,
    /// Failures that a person has looked at and let pass.
    pub tolerated: u64,
    /// When the next wave begins, once this one has ended.
    pub next: Option<Timestamp>,
    /// Why it does not go on, for people.
    pub reason: String,
}

/// Whether waves follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WavesState {
    /// They do.
    Running,
    /// Somebody paused it.
    Paused,
    /// Too much failed.
    Stopped,
}

impl WavesState {
    /// All, in the order of their numbers in the store.
    pub const ALL: [Self; 3] = [Self::Running, Self::Paused, Self::Stopped];
}
