//! Captures as rows of a month's file.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    changes::{self, Stretch},
    failure::Context,
};
use crate::store::{
    Appended, CaptureFlags, DayCoverage, StoreError, coverage, json,
    pieces::{Piece, Row},
};

/// Writes pieces in one transaction, and counts for each what was new. Changes are numbered from `sequence` on; the
/// number behind the last of them is returned.
pub(super) fn write(
    db: &mut Connection,
    file: &str,
    mut sequence: u64,
    pieces: &[&Piece],
) -> Result<(Vec<Appended>, u64), StoreError> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).context(file, "beginning")?;
    let counts = pieces
        .iter()
        .map(|piece| write_piece(&transaction, file, &mut sequence, piece))
        .collect::<Result<Vec<_>, _>>()?;
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
