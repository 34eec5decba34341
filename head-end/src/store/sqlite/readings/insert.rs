//! Captures as rows of a month's file.

use std::{collections::HashMap, sync::Arc};

use dlms::obis::ObisCode;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::{
    meter::{MeterId, TimeBasis},
    operation::{CaptureColumn, CaptureRow},
    store::{
        Appended, CaptureBatch, Source, StoreError, json,
        sqlite::{failure::Context, month::Month},
    },
};

/// Stands for "no profile" in the key.
pub(in crate::store::sqlite) const NO_PROFILE: ObisCode = ObisCode([0; 6]);

/// The captures of one batch that belong into one file.
pub(super) struct Piece {
    pub(super) month: Month,
    meter: MeterId,
    profile: ObisCode,
    columns: Arc<[CaptureColumn]>,
    source: i64,
    received_ms: i64,
    pub(super) rows: Vec<Row>,
}

/// A capture, encoded.
pub(super) struct Row {
    time_ms: i64,
    time_basis: i64,
    clock: Option<[u8; 12]>,
    status: Option<i64>,
    octets: Vec<u8>,
}

/// Splits a batch by month.
pub(super) fn split(batch: &CaptureBatch) -> Vec<Piece> {
    let mut pieces: HashMap<Month, Piece> = HashMap::new();
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
        });
        piece.rows.push(encode(row));
    }
    pieces.into_values().collect()
}

fn encode(row: &CaptureRow) -> Row {
    let octets = row.values.iter().flat_map(|value| value.to_vec()).collect();
    Row {
        time_ms: row.time.as_millisecond(),
        time_basis: basis_code(row.time_basis),
        clock: row.clock.map(|clock| clock.to_bytes()),
        // SQLite integers are signed; the bits are what is kept.
        status: row.status.map(u64::cast_signed),
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

/// Writes pieces in one transaction, and counts for each what was new.
pub(super) fn write<'a>(
    db: &mut Connection,
    file: &str,
    pieces: impl Iterator<Item = &'a Piece>,
) -> Result<Vec<Appended>, StoreError> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).context(file, "beginning")?;
    let counts = pieces.map(|piece| write_piece(&transaction, file, piece)).collect::<Result<Vec<_>, _>>()?;
    transaction.commit().context(file, "committing")?;
    Ok(counts)
}

fn write_piece(db: &Transaction<'_>, file: &str, piece: &Piece) -> Result<Appended, StoreError> {
    let columns = json::from_columns(&piece.columns).context(file, "encoding a layout")?;
    let meter = number(
        db,
        file,
        ["SELECT id FROM meters WHERE name = ?1", "INSERT INTO meters (name) VALUES (?1)"],
        piece.meter.as_str(),
    )?;
    let layout = number(
        db,
        file,
        ["SELECT id FROM layouts WHERE columns = ?1", "INSERT INTO layouts (columns) VALUES (?1)"],
        &columns,
    )?;
    let mut counts = Appended::default();
    for row in &piece.rows {
        write_row(db, (meter, layout), piece, row, &mut counts).context(file, "writing a capture")?;
    }
    Ok(counts)
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
    let latest: Option<(u32, i64, Vec<u8>)> = db
        .prepare_cached(
            "SELECT revision, layout, row FROM captures WHERE meter = ?1 AND profile = ?2 AND time_ms = ?3
             ORDER BY revision DESC LIMIT 1",
        )?
        .query_row(params![meter, profile, row.time_ms], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let revision = match latest {
        Some((revision, stored_layout, octets)) if octets == row.octets => {
            counts.unchanged += 1;
            if stored_layout != layout {
                // The same values, better explained: a scaler that was not known when they were read.
                db.prepare_cached(
                    "UPDATE captures SET layout = ?1 WHERE meter = ?2 AND profile = ?3 AND time_ms = ?4 AND revision = ?5",
                )?
                .execute(params![layout, meter, profile, row.time_ms, revision])?;
            }
            return Ok(());
        }
        Some((revision, ..)) => {
            counts.revised += 1;
            revision.saturating_add(1)
        }
        None => {
            counts.new += 1;
            1
        }
    };
    db.prepare_cached(
        "INSERT INTO captures
         (meter, profile, time_ms, revision, layout, time_basis, clock, status, source, received_ms, row)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
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
        row.octets
    ])?;
    Ok(())
}
