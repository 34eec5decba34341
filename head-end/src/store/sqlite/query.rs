//! Reading captures, a page at a time.

use std::{collections::HashMap, sync::Arc};

use dlms::{
    axdr::{Reader, Value},
    obis::ObisCode,
    time::DateTime,
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::{failure::Context, month::Month, reader::Months, readings::NO_PROFILE};
use crate::{
    meter::TimeBasis,
    operation::CaptureColumn,
    store::{CaptureCursor, CaptureFilter, CapturePage, CaptureQuery, Source, StoreError, StoredCapture, json},
};

/// Ascending by time, then profile, then revision; `:all` or the latest revision only.
const PAGE: &str = "
SELECT profile, time_ms, revision, layout, time_basis, clock, status, source, received_ms, row
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
    let meter: Option<i64> = db
        .prepare_cached("SELECT id FROM meters WHERE name = ?1")
        .and_then(|mut find| find.query_row([query.meter.as_str()], |row| row.get(0)).optional())
        .context(file, "looking a meter up")?;
    let Some(meter) = meter else { return Ok(()) };
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
        captures.push(capture(row, query, &mut layouts)?);
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

fn capture(row: &Row<'_>, query: &CaptureQuery, layouts: &mut Layouts<'_>) -> Result<StoredCapture, StoreError> {
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
        meter: query.meter.clone(),
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
        values,
    })
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
fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
