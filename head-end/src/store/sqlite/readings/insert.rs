//! Captures as rows of a month's file.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use dlms::obis::ObisCode;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::{
    meter::{MeterId, TimeBasis},
    operation::{CaptureColumn, CaptureRow},
    store::{
        Appended, CaptureBatch, CaptureFlags, DayCoverage, Grid, Source, StoreError, coverage, json,
        sqlite::{
            changes::{self, Stretch},
            failure::Context,
            month::Month,
        },
    },
};

/// How far ahead of ours a meter's clock may be for its captures to count as held.
const FUTURE: SignedDuration = SignedDuration::from_mins(15);

/// Stands for "no profile" in the key.
pub(in crate::store::sqlite) const NO_PROFILE: ObisCode = ObisCode([0; 6]);

/// The captures of one batch that belong into one file.
pub(in crate::store::sqlite) struct Piece {
    pub(super) month: Month,
    meter: MeterId,
    profile: ObisCode,
    columns: Arc<[CaptureColumn]>,
    source: i64,
    received_ms: i64,
    pub(super) rows: Vec<Row>,
    /// Capture period, where there is one.
    period_s: u32,
    /// The coverage of these rows, or of what the meter does not have.
    days: BTreeMap<i64, DayCoverage>,
}

/// A capture, encoded.
pub(super) struct Row {
    time_ms: i64,
    time_basis: i64,
    clock: Option<[u8; 12]>,
    status: Option<i64>,
    flags: CaptureFlags,
    octets: Vec<u8>,
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
            source: source_code(batch.source),
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
pub(in crate::store::sqlite) fn absent(
    meter: &MeterId,
    profile: ObisCode,
    grid: Grid,
    slots: impl Iterator<Item = i64>,
) -> Vec<Piece> {
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
            source: source_code(Source::Polled),
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
        time_basis: basis_code(row.time_basis),
        clock: row.clock.map(|clock| clock.to_bytes()),
        // SQLite integers are signed; the bits are what is kept.
        status: row.status.map(u64::cast_signed),
        flags,
        octets,
    }
}

const fn basis_code(basis: TimeBasis) -> i64 {
    match basis {
        TimeBasis::MeterDeviation => 1,
        TimeBasis::ConfiguredOffset => 2,
        TimeBasis::Received => 3,
    }
}

const fn source_code(source: Source) -> i64 {
    match source {
        Source::Polled => 1,
        Source::Pushed => 2,
        Source::Telegram => 3,
    }
}

/// Writes pieces in one transaction, and counts for each what was new. Changes are numbered from `sequence` on; the
/// number behind the last of them is returned.
pub(super) fn write<'a>(
    db: &mut Connection,
    file: &str,
    mut sequence: u64,
    pieces: impl Iterator<Item = &'a Piece>,
) -> Result<(Vec<Appended>, u64), StoreError> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).context(file, "beginning")?;
    let counts =
        pieces.map(|piece| write_piece(&transaction, file, &mut sequence, piece)).collect::<Result<Vec<_>, _>>()?;
    transaction.commit().context(file, "committing")?;
    Ok((counts, sequence))
}

fn write_piece(db: &Transaction<'_>, file: &str, sequence: &mut u64, piece: &Piece) -> Result<Appended, StoreError> {
    let meter = number(
        db,
        file,
        ["SELECT id FROM meters WHERE name = ?1", "INSERT INTO meters (name) VALUES (?1)"],
        piece.meter.as_str(),
    )?;
    write_days(db, meter, piece).context(file, "writing coverage")?;
    if piece.rows.is_empty() {
        return Ok(Appended::default());
    }
    let columns = json::from_columns(&piece.columns).context(file, "encoding a layout")?;
    let layout = number(
        db,
        file,
        ["SELECT id FROM layouts WHERE columns = ?1", "INSERT INTO layouts (columns) VALUES (?1)"],
        &columns,
    )?;
    let mut counts = Appended::default();
    let mut changed: Option<Stretch> = None;
    for row in &piece.rows {
        let before = (counts.new, counts.revised);
        write_row(db, (meter, layout), piece, row, &mut counts).context(file, "writing a capture")?;
        if before != (counts.new, counts.revised) {
            let (first, last) = changed.unwrap_or((row.time_ms, row.time_ms));
            changed = Some((first.min(row.time_ms), last.max(row.time_ms)));
        }
    }
    if let Some(stretch) = changed {
        changes::note(db, *sequence, meter, piece.profile, stretch).context(file, "noting a change")?;
        *sequence += 1;
    }
    Ok(counts)
}

/// Adds to the coverage of each day, once and not for each row.
fn write_days(db: &Transaction<'_>, meter: i64, piece: &Piece) -> rusqlite::Result<()> {
    for (day, new) in &piece.days {
        let key = params![meter, piece.profile.as_bytes(), day, piece.period_s];
        let stored: Option<DayCoverage> = db
            .prepare_cached(
                "SELECT held, absent FROM coverage WHERE meter = ?1 AND profile = ?2 AND day = ?3 AND period_s = ?4",
            )?
            .query_row(key, |row| Ok(DayCoverage { held: row.get(0)?, absent: row.get(1)? }))
            .optional()?;
        let mut all = stored.clone().unwrap_or_default();
        coverage::unite(&mut all.held, &new.held);
        coverage::unite(&mut all.absent, &new.absent);
        if stored.as_ref() != Some(&all) {
            db.prepare_cached(
                "INSERT OR REPLACE INTO coverage (meter, profile, day, period_s, held, absent)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                meter,
                piece.profile.as_bytes(),
                day,
                piece.period_s,
                all.held,
                all.absent
            ])?;
        }
    }
    Ok(())
}

/// The number that stands for `text`, given out if it has none.
fn number(db: &Transaction<'_>, file: &str, [find, add]: [&str; 2], text: &str) -> Result<i64, StoreError> {
    let found = db
        .prepare_cached(find)
        .and_then(|mut query| query.query_row([text], |row| row.get(0)).optional())
        .context(file, "looking a name up")?;
    if let Some(id) = found {
        return Ok(id);
    }
    db.prepare_cached(add).and_then(|mut insert| insert.insert([text])).context(file, "adding a name")
}

fn write_row(
    db: &Transaction<'_>,
    (meter, layout): (i64, i64),
    piece: &Piece,
    row: &Row,
    counts: &mut Appended,
) -> rusqlite::Result<()> {
    let profile = piece.profile.as_bytes();
    let insert = |revision: u32, flags: CaptureFlags| -> rusqlite::Result<bool> {
        let written = db.prepare_cached(INSERT)?.execute(params![
            meter,
            profile,
            row.time_ms,
            revision,
            layout,
            row.time_basis,
            row.clock,
            row.status,
            piece.source,
            piece.received_ms,
            flags.0,
            row.octets
        ])?;
        Ok(written > 0)
    };
    // Nearly every capture is the first of its moment.
    if insert(1, row.flags)? {
        counts.new += 1;
        return Ok(());
    }
    let (revision, stored_layout, octets): (u32, i64, Vec<u8>) = db
        .prepare_cached(
            "SELECT revision, layout, row FROM captures WHERE meter = ?1 AND profile = ?2 AND time_ms = ?3
             ORDER BY revision DESC LIMIT 1",
        )?
        .query_row(params![meter, profile, row.time_ms], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    if octets != row.octets {
        counts.revised += 1;
        return insert(revision.saturating_add(1), row.flags | CaptureFlags::DUPLICATE).map(drop);
    }
    counts.unchanged += 1;
    if stored_layout != layout {
        // The same values, better explained: a scaler that was not known when they were read.
        db.prepare_cached(
            "UPDATE captures SET layout = ?1 WHERE meter = ?2 AND profile = ?3 AND time_ms = ?4 AND revision = ?5",
        )?
        .execute(params![layout, meter, profile, row.time_ms, revision])?;
    }
    Ok(())
}

const INSERT: &str = "
INSERT INTO captures
(meter, profile, time_ms, revision, layout, time_basis, clock, status, source, received_ms, flags, row)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
ON CONFLICT DO NOTHING";
