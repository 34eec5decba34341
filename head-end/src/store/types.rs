//! What goes into the store and comes out of it.

use std::{collections::BTreeMap, sync::Arc};

use dlms::{axdr::Value, obis::ObisCode, time::DateTime};
use jiff::Timestamp;

use super::StoreError;
use crate::{
    meter::{MeterId, MeterRecord, TimeBasis},
    operation::{CaptureColumn, CaptureRow},
    vault::{Sealed, SecretRole},
};

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
}

/// Names one request of one caller, so that a repetition is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// Method of the API.
    pub method: &'static str,
    /// The caller's request id.
    pub id: String,
    /// Keyed digest of the contents.
    pub digest: [u8; 32],
}

/// What is known about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// It is new, and noted now.
    New,
    /// It was begun and has not ended: it is being carried out, or the process ended in the middle of it.
    Unfinished,
    /// It has ended with this answer.
    Finished(Vec<u8>),
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
    /// The rows.
    pub rows: Vec<CaptureRow>,
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
