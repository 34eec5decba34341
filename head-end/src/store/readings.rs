//! Readings.

use std::{future::Future, ops::Range, sync::Arc};

use dlms::{axdr::Value, obis::ObisCode, time::DateTime};
use jiff::Timestamp;
use tokio::sync::watch;

use super::{CaptureFlags, StoreError};
use crate::{
    meter::{MeterId, TimeBasis},
    operation::{CaptureColumn, CaptureRow},
};

/// Readings.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait ReadingStore: Send + Sync + 'static {
    /// Adds captures. The same capture again changes nothing; another value for the same moment is
    /// kept beside the first as the next revision.
    ///
    /// Where the store cannot write at once (locked, disk full) the captures stay in memory and are
    /// written as soon as it can: the outcome then is [`AppendOutcome::Kept`], after some patience.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] when too many wait already: these captures were not taken.
    fn append(&self, batch: CaptureBatch) -> impl Future<Output = Result<AppendOutcome, StoreError>> + Send;

    /// What was added behind the change `after`, in the order in which it became durable: at most `limit` changes.
    ///
    /// # Errors
    /// The store's own.
    fn changes(&self, after: u64, limit: usize) -> impl Future<Output = Result<Vec<Change>, StoreError>> + Send;

    /// Number of the newest change, and of each one after it.
    fn newest_change(&self) -> watch::Receiver<u64>;

    /// A page of captures in ascending order of time, then profile, then revision.
    ///
    /// # Errors
    /// The store's own.
    fn query(&self, query: CaptureQuery) -> impl Future<Output = Result<CapturePage, StoreError>> + Send;

    /// The newest capture of a profile, or of registers that were read by themselves, before `before`: looked for in
    /// the calendar month of `before` and the one before that.
    ///
    /// # Errors
    /// The store's own.
    fn latest(
        &self,
        meter: &MeterId,
        profile: Option<ObisCode>,
        before: Timestamp,
    ) -> impl Future<Output = Result<Option<StoredCapture>, StoreError>> + Send;

    /// When the captures of a profile in `span` came, in ascending order of time, without their values; of a moment
    /// that has revisions the first.
    ///
    /// # Errors
    /// The store's own.
    fn arrivals(
        &self,
        meter: &MeterId,
        profile: ObisCode,
        span: Range<Timestamp>,
    ) -> impl Future<Output = Result<Vec<Arrival>, StoreError>> + Send;
}

/// How readings came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The head-end asked.
    Polled,
    /// The meter sent them.
    Pushed,
    /// A consumer-port telegram.
    Telegram,
}

/// Captures of one profile, or registers read together, to be added.
#[derive(Clone, Debug)]
pub struct CaptureBatch {
    /// Of which meter.
    pub meter: MeterId,
    /// The profile; `None` for registers that were read by themselves.
    pub profile: Option<ObisCode>,
    /// What the values of each row are.
    pub columns: Arc<[CaptureColumn]>,
    /// Seconds between two captures of the profile: what its coverage is counted in. 0 where there is no such period;
    /// then there is no coverage either.
    pub period_s: u32,
    /// The rows.
    pub rows: Vec<CaptureRow>,
    /// What was noticed about each row, in the same order; rows beyond its end have no flags.
    pub flags: Vec<CaptureFlags>,
    /// How they came to us.
    pub source: Source,
    /// When they came.
    pub received: Timestamp,
}

/// What became of captures.
#[derive(Clone, Debug)]
pub enum AppendOutcome {
    /// They are durable.
    Stored(Appended),
    /// They wait in memory until the store can write again.
    Kept(StoreError),
}

/// When a capture came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Capture time.
    pub time: Timestamp,
    /// The meter's own octets.
    pub clock: Option<DateTime>,
    /// When it came.
    pub received: Timestamp,
}

/// Counts of an append.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Captures of moments that the store did not hold.
    pub new: u64,
    /// Captures kept as a further revision.
    pub revised: u64,
    /// Captures that the store held already.
    pub unchanged: u64,
}

/// Which captures of a meter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CaptureFilter {
    /// All.
    #[default]
    All,
    /// Rows of one profile.
    Profile(ObisCode),
    /// Registers that were read by themselves.
    Registers,
}

/// A question to the store.
#[derive(Clone, Debug)]
pub struct CaptureQuery {
    /// Of which meter.
    pub meter: MeterId,
    /// Which captures.
    pub filter: CaptureFilter,
    /// First moment that is wanted.
    pub from: Timestamp,
    /// First moment that is no longer wanted.
    pub to: Timestamp,
    /// Whether all revisions are wanted and not only the latest of each moment.
    pub all_revisions: bool,
    /// Where the page before ended.
    pub after: Option<CaptureCursor>,
    /// Captures on the page.
    pub limit: usize,
}

/// A position in the order of captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureCursor {
    pub(super) time_ms: i64,
    pub(super) profile: ObisCode,
    pub(super) revision: u32,
}

/// A page of captures.
#[derive(Clone, Debug)]
pub struct CapturePage {
    /// The captures.
    pub captures: Vec<StoredCapture>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<CaptureCursor>,
}

/// A capture as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCapture {
    /// Of which meter.
    pub meter: MeterId,
    /// Of which profile.
    pub profile: Option<ObisCode>,
    /// When it was captured, to the millisecond.
    pub time: Timestamp,
    /// Where that time comes from.
    pub time_basis: TimeBasis,
    /// The meter's own octets.
    pub clock: Option<DateTime>,
    /// Status of the row.
    pub status: Option<u64>,
    /// What was noticed when it came.
    pub flags: CaptureFlags,
    /// How it came to us.
    pub source: Source,
    /// 1 for the first values of this moment.
    pub revision: u32,
    /// When it came.
    pub received: Timestamp,
    /// What the values are.
    pub columns: Arc<[CaptureColumn]>,
    /// The raw values, one for each column.
    pub values: Vec<Value>,
}

/// Captures of one profile that were added together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number: 1 for the first of the store, and one more for each. Numbers are given out in the order in which
    /// changes become durable, and never again.
    pub sequence: u64,
    /// Of which meter.
    pub meter: MeterId,
    /// Of which profile; `None` for registers that were read by themselves.
    pub profile: Option<ObisCode>,
    /// When the first of them was captured.
    pub first: Timestamp,
    /// When the last of them was captured. Between the two there may be captures that were held before.
    pub last: Timestamp,
}
