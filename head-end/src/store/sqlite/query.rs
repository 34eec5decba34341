//! Reading captures, a page at a time.

use std::{collections::HashMap, ops::Range, sync::Arc};

use dlms::{
    axdr::{Reader, Value},
    obis::ObisCode,
    time::DateTime,
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::{failure::Context, month::Month, reader::Months, readings::NO_PROFILE};
use crate::{
    meter::{MeterId, TimeBasis},
    operation::CaptureColumn,
    store::{
        Arrival, CaptureCursor, CaptureFilter, CaptureFlags, CapturePage, CaptureQuery, Source, StoreError,
        StoredCapture, json,
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
    let full = captures.len() >= query.limit;
    let next = captures.last().filter(|_| full).map(|last| CaptureCursor {
        time_ms: last.time.as_millisecond(),
        profile: last.profile.unwrap_or(NO_PROFILE),
        revision: last.revision,
    });
    Ok(CapturePage { captures, next })
}

fn read_month(
    db: &Connection,
    file: &str,
    query: &CaptureQuery,
    limit: usize,
    captures: &mut Vec<StoredCapture>,
) -> Result<(), StoreError> {
    let Some(meter) = meter_number(db, file, &query.meter)? else { return Ok(()) };
    let profile = match query.filter {
        CaptureFilter::All => None,
        CaptureFilter::Profile(profile) => Some(profile.0),
        CaptureFilter::Registers => Some(NO_PROFILE.0),
    };
    let mut select = db.prepare_cached(PAGE).context(file, "preparing a query")?;
    let mut rows = select
        .query(named_params! {
            ":meter": meter,
            ":from": ceiling_ms(query.from),
            ":to": ceiling_ms(query.to),
            ":profile": profile,
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
    let corrupt = |reason: String| StoreError::Corrupt { file: file.to_owned(), reason };
    let field = "reading a capture";
    let profile = ObisCode(row.get::<_, [u8; 6]>(0).context(file, field)?);
    let time_ms: i64 = row.get(1).context(file, field)?;
    let columns = layouts.get(row.get(3).context(file, field)?)?;
    let octets: Vec<u8> = row.get(9).context(file, field)?;
    let values =
        decode(&octets, columns.len()).map_err(|reason| corrupt(format!("capture at {time_ms} ms: {reason}")))?;
    Ok(StoredCapture {
        meter: meter.clone(),
        profile: (profile != NO_PROFILE).then_some(profile),
        time: moment(time_ms),
        time_basis: match row.get::<_, i64>(4).context(file, field)? {
            1 => TimeBasis::MeterDeviation,
            2 => TimeBasis::ConfiguredOffset,
            3 => TimeBasis::Received,
            other => return Err(corrupt(format!("{other} is not a time basis"))),
        },
        clock: row.get::<_, Option<[u8; 12]>>(5).context(file, field)?.map(|octets| DateTime::from_bytes(&octets)),
        status: row.get::<_, Option<i64>>(6).context(file, field)?.map(i64::cast_unsigned),
        source: match row.get::<_, i64>(7).context(file, field)? {
            1 => Source::Polled,
            2 => Source::Pushed,
            3 => Source::Telegram,
            other => return Err(corrupt(format!("{other} is not a source"))),
        },
        revision: row.get(2).context(file, field)?,
        received: moment(row.get(8).context(file, field)?),
        columns,
        flags: CaptureFlags(row.get(10).context(file, field)?),
        values,
    })
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

fn decode(octets: &[u8], columns: usize) -> Result<Vec<Value>, String> {
    let mut reader = Reader::new(octets);
    let mut values = Vec::with_capacity(columns.min(octets.len()));
    while !reader.is_empty() {
        values.push(Value::decode(&mut reader).map_err(|error| error.to_string())?);
    }
    if values.len() == columns { Ok(values) } else { Err(format!("{} values for {columns} columns", values.len())) }
}

/// Stored times are whole milliseconds; a bound between two of them selects from the later one.
fn ceiling_ms(time: Timestamp) -> i64 {
    let ms = time.as_millisecond();
    if moment(ms) < time { ms.saturating_add(1) } else { ms }
}

/// Every stored time came from a timestamp, so it is one again.
pub(super) fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
