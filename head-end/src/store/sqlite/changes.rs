//! Changes in the order in which they were committed.

use dlms::obis::ObisCode;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{failure::Context, reader::Months};
use crate::{
    meter::MeterId,
    store::{Change, StoreError, captures::moment, pieces::NO_PROFILE},
};

/// Capture times of what changed, in milliseconds: first and last.
pub(super) type Stretch = (i64, i64);

/// Notes a change as part of the transaction that makes it.
pub(super) fn note(
    db: &Transaction<'_>,
    sequence: u64,
    meter: i64,
    profile: ObisCode,
    (first, last): Stretch,
) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO changes (sequence, meter, profile, first_ms, last_ms) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![sequence.cast_signed(), meter, profile.as_bytes(), first, last])?;
    Ok(())
}

/// The newest change in a file; 0 where there is none.
pub(super) fn newest(db: &Connection, file: &str) -> Result<u64, StoreError> {
    let newest: Option<i64> = db
        .query_row("SELECT max(sequence) FROM changes", [], |row| row.get(0))
        .optional()
        .context(file, "looking for the newest change")?
        .flatten();
    Ok(newest.map_or(0, i64::cast_unsigned))
}

/// The first changes behind `after` and up to `newest`, from all files.
pub(super) fn behind(mut months: Months<'_>, after: u64, newest: u64, limit: usize) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::new();
    for month in months.stored()? {
        let file = month.to_string();
        let mut select = months
            .get(month)?
            .prepare_cached(
                "SELECT sequence, name, profile, first_ms, last_ms FROM changes JOIN meters ON meters.id = meter
                 WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?3",
            )
            .context(&file, "preparing a query")?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = select
            .query(params![after.cast_signed(), newest.cast_signed(), limit])
            .context(&file, "reading changes")?;
        while let Some(row) = rows.next().context(&file, "reading changes")? {
            changes.push(change(row, &file)?);
        }
    }
    changes.sort_unstable_by_key(|change| change.sequence);
    changes.truncate(limit);
    Ok(changes)
}

fn change(row: &rusqlite::Row<'_>, file: &str) -> Result<Change, StoreError> {
    let field = "reading a change";
    let name: String = row.get(1).context(file, field)?;
    let meter = MeterId::try_new(&name).map_err(|_| StoreError::Corrupt {
        file: file.to_owned(),
        reason: format!("{name:?} is not a meter's name"),
    })?;
    let profile = ObisCode(row.get::<_, [u8; 6]>(2).context(file, field)?);
    Ok(Change {
        sequence: row.get::<_, i64>(0).context(file, field)?.cast_unsigned(),
        meter,
        profile: (profile != NO_PROFILE).then_some(profile),
        first: moment(row.get(3).context(file, field)?),
        last: moment(row.get(4).context(file, field)?),
    })
}
