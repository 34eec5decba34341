//! Reading captures, a page at a time.

use std::{collections::HashMap, ops::Range, sync::Arc};

use dlms::{obis::ObisCode, time::DateTime};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::{failure::Context, reader::Months};
use crate::{
    meter::MeterId,
    operation::CaptureColumn,
    store::{
        Arrival, CapturePage, CaptureQuery, StoreError, StoredCapture,
        captures::{self, RawCapture, ceiling_ms, moment},
        json,
        month::Month,
        pieces::NO_PROFILE,
    },
};

/// Ascending by time, then profile, then revision; `:all` or the latest revision only.
const PAGE: &str = "
SELECT profile, time_ms, revision, layout, time_basis, clock, status, source, received_ms, row, flags
FROM captures AS c
WHERE meter = :meter AND time_ms >= :from AND time_ms < :to
  AND (:profile IS NULL OR profile = :profile)
  AND (:after_time IS NULL OR (time_ms, profile, revision) > (:after_time, :after_profile, :after_revision))
  AND (:all OR revision = (SELECT max(revision) FROM captures AS d
                           WHERE d.meter = c.meter AND d.profile = c.profile AND d.time_ms = c.time_ms))
ORDER BY time_ms, profile, revision
LIMIT :limit";

pub(super) fn page(mut months: Months<'_>, query: &CaptureQuery) -> Result<CapturePage, StoreError> {
    let from = query.after.map_or(query.from, |after| query.from.max(moment(after.time_ms)));
    let wanted = Month::of(from)..=Month::of(query.to);
    let mut captures = Vec::new();
    for month in months.stored()?.into_iter().filter(|month| wanted.contains(month)) {
        let missing = query.limit.saturating_sub(captures.len());
        if missing == 0 {
            break;
        }
        read_month(months.get(month)?, &month.to_string(), query, missing, &mut captures)?;
    }
    Ok(captures::page(captures, query.limit))
}

fn read_month(
    db: &Connection,
    file: &str,
    query: &CaptureQuery,
    limit: usize,
    captures: &mut Vec<StoredCapture>,
) -> Result<(), StoreError> {
    let Some(meter) = meter_number(db, file, &query.meter)? else { return Ok(()) };
    let mut select = db.prepare_cached(PAGE).context(file, "preparing a query")?;
    let mut rows = select
        .query(named_params! {
            ":meter": meter,
            ":from": ceiling_ms(query.from),
            ":to": ceiling_ms(query.to),
            ":profile": captures::profile(query.filter).map(|profile| profile.0),
            ":after_time": query.after.map(|after| after.time_ms),
            ":after_profile": query.after.map(|after| after.profile.0),
            ":after_revision": query.after.map(|after| after.revision),
            ":all": query.all_revisions,
            ":limit": i64::try_from(limit).unwrap_or(i64::MAX),
        })
        .context(file, "reading captures")?;
    let mut layouts = Layouts { db, file, known: HashMap::new() };
    while let Some(row) = rows.next().context(file, "reading captures")? {
        captures.push(capture(row, &query.meter, &mut layouts)?);
    }
    Ok(())
}

struct Layouts<'a> {
    db: &'a Connection,
    file: &'a str,
    known: HashMap<i64, Arc<[CaptureColumn]>>,
}

impl Layouts<'_> {
    fn get(&mut self, id: i64) -> Result<Arc<[CaptureColumn]>, StoreError> {
        if let Some(columns) = self.known.get(&id) {
            return Ok(Arc::clone(columns));
        }
        let text: String = self
            .db
            .prepare_cached("SELECT columns FROM layouts WHERE id = ?1")
            .and_then(|mut find| find.query_row([id], |row| row.get(0)))
            .context(self.file, "reading a layout")?;
        let columns = json::to_columns(&text).context(self.file, "reading a layout")?;
        self.known.insert(id, Arc::clone(&columns));
        Ok(columns)
    }
}

fn capture(row: &Row<'_>, meter: &MeterId, layouts: &mut Layouts<'_>) -> Result<StoredCapture, StoreError> {
    let file = layouts.file;
    let field = "reading a capture";
    let columns = layouts.get(row.get(3).context(file, field)?)?;
    RawCapture {
        profile: row.get(0).context(file, field)?,
        time_ms: row.get(1).context(file, field)?,
        revision: row.get(2).context(file, field)?,
        time_basis: row.get(4).context(file, field)?,
        clock: row.get(5).context(file, field)?,
        status: row.get(6).context(file, field)?,
        source: row.get(7).context(file, field)?,
        received_ms: row.get(8).context(file, field)?,
        octets: row.get(9).context(file, field)?,
        flags: row.get(10).context(file, field)?,
    }
    .read(meter, columns)
    .map_err(|reason| StoreError::Corrupt { file: file.to_owned(), reason })
}

const LATEST: &str = "
SELECT profile, time_ms, revision, layout, time_basis, clock, status, source, received_ms, row, flags
FROM captures
WHERE meter = ?1 AND profile = ?2 AND time_ms < ?3
ORDER BY time_ms DESC, revision DESC
LIMIT 1";

/// The newest capture before `before`, in its month or the one before.
pub(super) fn latest(
    mut months: Months<'_>,
    meter: &MeterId,
    profile: Option<ObisCode>,
    before: Timestamp,
) -> Result<Option<StoredCapture>, StoreError> {
    let last = Month::of(before);
    let wanted = last.previous()..=last;
    for month in months.stored()?.into_iter().rev().filter(|month| wanted.contains(month)) {
        let (db, file) = (months.get(month)?, month.to_string());
        let Some(id) = meter_number(db, &file, meter)? else { continue };
        let mut select = db.prepare_cached(LATEST).context(&file, "preparing a query")?;
        let profile = profile.unwrap_or(NO_PROFILE).0;
        let mut rows =
            select.query(params![id, profile, ceiling_ms(before)]).context(&file, "reading the latest capture")?;
        if let Some(row) = rows.next().context(&file, "reading the latest capture")? {
            let mut layouts = Layouts { db, file: &file, known: HashMap::new() };
            return capture(row, meter, &mut layouts).map(Some);
        }
    }
    Ok(None)
}

/// When the captures of a profile came.
pub(super) fn arrivals(
    mut months: Months<'_>,
    meter: &MeterId,
    profile: ObisCode,
    span: &Range<Timestamp>,
) -> Result<Vec<Arrival>, StoreError> {
    let wanted = Month::of(span.start)..=Month::of(span.end);
    let action = "reading arrivals";
    let mut found = Vec::new();
    for month in months.stored()?.into_iter().filter(|month| wanted.contains(month)) {
        let (db, file) = (months.get(month)?, month.to_string());
        let Some(id) = meter_number(db, &file, meter)? else { continue };
        let mut select = db
            .prepare_cached(
                "SELECT time_ms, clock, received_ms FROM captures
                 WHERE meter = ?1 AND profile = ?2 AND time_ms >= ?3 AND time_ms < ?4 AND revision = 1
                 ORDER BY time_ms",
            )
            .context(&file, action)?;
        let span = (ceiling_ms(span.start), ceiling_ms(span.end));
        let mut rows = select.query(params![id, profile.0, span.0, span.1]).context(&file, action)?;
        while let Some(row) = rows.next().context(&file, action)? {
            let clock: Option<[u8; 12]> = row.get(1).context(&file, action)?;
            found.push(Arrival {
                time: moment(row.get(0).context(&file, action)?),
                clock: clock.map(|octets| DateTime::from_bytes(&octets)),
                received: moment(row.get(2).context(&file, action)?),
            });
        }
    }
    Ok(found)
}

/// The number of a meter in the file of a month.
pub(super) fn meter_number(db: &Connection, file: &str, meter: &MeterId) -> Result<Option<i64>, StoreError> {
    db.prepare_cached("SELECT id FROM meters WHERE name = ?1")
        .and_then(|mut find| find.query_row([meter.as_str()], |row| row.get(0)).optional())
        .context(file, "looking a meter up")
}
