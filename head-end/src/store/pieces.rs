//! Captures as they are stored: encoded, and split by month.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use dlms::obis::ObisCode;
use jiff::{SignedDuration, Timestamp};

use super::{CaptureBatch, CaptureFlags, DayCoverage, Grid, Source, codes, coverage, month::Month};
use crate::{
    meter::{MeterId, TimeBasis},
    operation::{CaptureColumn, CaptureRow},
};

/// How far ahead of ours a meter's clock may be for its captures to count as held.
const FUTURE: SignedDuration = SignedDuration::from_mins(15);

/// Stands for "no profile" in the key.
pub(super) const NO_PROFILE: ObisCode = ObisCode([0; 6]);

/// The captures of one batch that belong into one month.
pub(super) struct Piece {
    pub(super) month: Month,
    pub(super) meter: MeterId,
    pub(super) profile: ObisCode,
    pub(super) columns: Arc<[CaptureColumn]>,
    pub(super) source: i16,
    pub(super) received_ms: i64,
    pub(super) rows: Vec<Row>,
    /// Capture period, where there is one.
    pub(super) period_s: u32,
    /// The coverage of these rows, or of what the meter does not have.
    pub(super) days: BTreeMap<i64, DayCoverage>,
}

/// A capture, encoded.
pub(super) struct Row {
    pub(super) time_ms: i64,
    pub(super) time_basis: i16,
    pub(super) clock: Option<[u8; 12]>,
    pub(super) status: Option<i64>,
    pub(super) flags: CaptureFlags,
    pub(super) octets: Vec<u8>,
}

/// Splits a batch by month.
pub(super) fn split(batch: &CaptureBatch) -> Vec<Piece> {
    let mut pieces: HashMap<Month, Piece> = HashMap::new();
    let grid = Grid::new(batch.period_s).filter(|_| batch.profile.is_some());
    // A capture from the future comes again when the meter's clock is right.
    let latest = batch.received.checked_add(FUTURE).unwrap_or(Timestamp::MAX);
    let mut flags = batch.flags.iter().copied();
    for row in &batch.rows {
        let month = Month::of(row.time);
        let piece = pieces.entry(month).or_insert_with(|| Piece {
            month,
            meter: batch.meter.clone(),
            profile: batch.profile.unwrap_or(NO_PROFILE),
            columns: Arc::clone(&batch.columns),
            source: codes::SOURCES.number(batch.source),
            received_ms: batch.received.as_millisecond(),
            rows: Vec::new(),
            period_s: batch.period_s,
            days: BTreeMap::new(),
        });
        piece.rows.push(encode(row, flags.next().unwrap_or_default()));
        if let Some(grid) = grid
            && row.time_basis != TimeBasis::Received
            && row.time <= latest
        {
            let slot = grid.slot(row.time, row.clock.as_ref());
            let day = grid.day(slot);
            coverage::set(&mut piece.days.entry(day).or_default().held, slot - grid.first(day));
        }
    }
    pieces.into_values().collect()
}

/// Slots that the meter does not have, split by month.
pub(super) fn absent(meter: &MeterId, profile: ObisCode, grid: Grid, slots: impl Iterator<Item = i64>) -> Vec<Piece> {
    let mut pieces: HashMap<Month, Piece> = HashMap::new();
    for slot in slots {
        let day = grid.day(slot);
        let Ok(midnight) = Timestamp::from_second(day.saturating_mul(86_400)) else { continue };
        let month = Month::of(midnight);
        let piece = pieces.entry(month).or_insert_with(|| Piece {
            month,
            meter: meter.clone(),
            profile,
            columns: Arc::new([]),
            source: codes::SOURCES.number(Source::Polled),
            received_ms: 0,
            rows: Vec::new(),
            period_s: grid.period_s(),
            days: BTreeMap::new(),
        });
        coverage::set(&mut piece.days.entry(day).or_default().absent, slot - grid.first(day));
    }
    pieces.into_values().collect()
}

fn encode(row: &CaptureRow, flags: CaptureFlags) -> Row {
    let octets = row.values.iter().flat_map(|value| value.to_vec()).collect();
    Row {
        time_ms: row.time.as_millisecond(),
        time_basis: codes::BASES.number(row.time_basis),
        clock: row.clock.map(|clock| clock.to_bytes()),
        // Integers of databases are signed; the bits are what is kept.
        status: row.status.map(u64::cast_signed),
        flags,
        octets,
    }
}
