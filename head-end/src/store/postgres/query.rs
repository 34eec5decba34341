//! Reading captures, a page at a time, and changes.

use std::{collections::HashMap, ops::Range, sync::Arc};

use deadpool_postgres::GenericClient;
use dlms::{obis::ObisCode, time::DateTime};
use jiff::Timestamp;
use tokio_postgres::{Row, types::ToSql};

use super::{
    failure::{Context, corrupt},
    pool::{get, limit as count, row, rows, unsigned},
};
use crate::{
    meter::MeterId,
    operation::CaptureColumn,
    store::{
        Arrival, CapturePage, CaptureQuery, Change, StoreError, StoredCapture,
        captures::{self, RawCapture, ceiling_ms, moment},
        json,
        month::Month,
        pieces::NO_PROFILE,
    },
};

const COLUMNS: &str =
    "profile, time_ms, revision, layout, time_basis, clock, status, source, received_ms, \"row\", flags";

/// Ascending by time, then profile, then revision; all or the latest revision only.
pub(super) async fn page(db: &impl GenericClient, query: CaptureQuery) -> Result<CapturePage, StoreError> {
    let Some(meter) = meter_number(db, &query.meter).await? else { return Ok(captures::page(Vec::new(), usize::MAX)) };
    let (from, to, limit) = (ceiling_ms(query.from), ceiling_ms(query.to), count(query.limit));
    let profile = captures::profile(query.filter).map(|profile| profile.0.to_vec());
    let after = query.after.map(|after| (after.time_ms, after.profile.0.to_vec(), i64::from(after.revision)));
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&meter, &from, &to, &limit];
    let mut sql = format!("SELECT {COLUMNS} FROM captures AS c WHERE meter = $1 AND time_ms >= $2 AND time_ms < $3");
    if let Some(profile) = &profile {
        values.push(profile);
        sql.push_str(&format!(" AND profile = ${}", values.len()));
    }
    if let Some((time, profile, revision)) = &after {
        let first = values.len() + 1;
        values.extend([time as &(dyn ToSql + Sync), profile, revision]);
        // The time by itself lets the months before it out.
        sql.push_str(&format!(
            " AND time_ms >= ${first} AND (time_ms, profile, revision) > (${first}, ${}, ${})",
            first + 1,
            first + 2
        ));
    }
    if !query.all_revisions {
        sql.push_str(
            " AND NOT EXISTS (SELECT 1 FROM captures AS d WHERE d.meter = c.meter AND d.profile = c.profile
                              AND d.time_ms = c.time_ms AND d.revision > c.revision)",
        );
    }
    sql.push_str(" ORDER BY time_ms, profile, revision LIMIT $4");
    let rows = db.query(&sql, &values).await.context("reading captures")?;
    let mut layouts = Layouts::default();
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.push(capture(db, row, &query.meter, &mut layouts).await?);
    }
    Ok(captures::page(found, query.limit))
}

/// Layouts that were read.
#[derive(Default)]
struct Layouts(HashMap<i64, Arc<[CaptureColumn]>>);

impl Layouts {
    async fn get(&mut self, db: &impl GenericClient, id: i64) -> Result<Arc<[CaptureColumn]>, StoreError> {
        if let Some(columns) = self.0.get(&id) {
            return Ok(Arc::clone(columns));
        }
        let action = "reading a layout";
        let stored = row(db, action, "SELECT columns FROM layouts WHERE id = $1", &[&id]).await?;
        let stored = stored.ok_or_else(|| corrupt(format!("there is no layout {id}")))?;
        let columns = json::to_columns(get(&stored, 0)?).context(action)?;
        self.0.insert(id, Arc::clone(&columns));
        Ok(columns)
    }
}

async fn capture(
    db: &impl GenericClient,
    row: &Row,
    meter: &MeterId,
    layouts: &mut Layouts,
) -> Result<StoredCapture, StoreError> {
    let columns = layouts.get(db, get(row, 3)?).await?;
    RawCapture {
        profile: octets(row, 0)?,
        time_ms: get(row, 1)?,
        revision: unsigned(row, 2)?,
        time_basis: get(row, 4)?,
        clock: clock(row, 5)?,
        status: get(row, 6)?,
        source: get(row, 7)?,
        received_ms: get(row, 8)?,
        octets: get(row, 9)?,
        flags: unsigned(row, 10)?,
    }
    .read(meter, columns)
    .map_err(corrupt)
}

fn octets<const N: usize>(row: &Row, column: usize) -> Result<[u8; N], StoreError> {
    let octets: &[u8] = get(row, column)?;
    octets.try_into().map_err(|_| corrupt(format!("{} octets where {N} belong", octets.len())))
}

fn clock(row: &Row, column: usize) -> Result<Option<[u8; 12]>, StoreError> {
    match get::<Option<&[u8]>>(row, column)? {
        Some(_) => octets(row, column).map(Some),
        None => Ok(None),
    }
}

/// The newest capture before `before`, in its month or the one before.
pub(super) async fn latest(
    db: &impl GenericClient,
    meter: MeterId,
    profile: Option<ObisCode>,
    before: Timestamp,
) -> Result<Option<StoredCapture>, StoreError> {
    let Some(number) = meter_number(db, &meter).await? else { return Ok(None) };
    let sql = format!(
        "SELECT {COLUMNS} FROM captures WHERE meter = $1 AND profile = $2 AND time_ms >= $3 AND time_ms < $4
         ORDER BY time_ms DESC, revision DESC LIMIT 1"
    );
    let from = Month::of(before).previous().millis().start;
    let profile = profile.unwrap_or(NO_PROFILE).0;
    let values = (&profile[..], ceiling_ms(before));
    let found = row(db, "reading the latest capture", &sql, &[&number, &values.0, &from, &values.1]).await?;
    match found {
        Some(row) => capture(db, &row, &meter, &mut Layouts::default()).await.map(Some),
        None => Ok(None),
    }
}

/// When the captures of a profile came.
pub(super) async fn arrivals(
    db: &impl GenericClient,
    meter: MeterId,
    profile: ObisCode,
    span: Range<Timestamp>,
) -> Result<Vec<Arrival>, StoreError> {
    let Some(number) = meter_number(db, &meter).await? else { return Ok(Vec::new()) };
    let sql = "SELECT time_ms, clock, received_ms FROM captures
               WHERE meter = $1 AND profile = $2 AND time_ms >= $3 AND time_ms < $4 AND revision = 1
               ORDER BY time_ms";
    let values = (&profile.0[..], ceiling_ms(span.start), ceiling_ms(span.end));
    let rows = rows(db, "reading arrivals", sql, &[&number, &values.0, &values.1, &values.2]).await?;
    let arrival = |row: &Row| {
        Ok(Arrival {
            time: moment(get(row, 0)?),
            clock: clock(row, 1)?.map(|octets| DateTime::from_bytes(&octets)),
            received: moment(get(row, 2)?),
        })
    };
    rows.iter().map(arrival).collect()
}

async fn meter_number(db: &impl GenericClient, meter: &MeterId) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM reading_meters WHERE name = $1";
    row(db, "looking a meter up", sql, &[&meter.as_str()]).await?.map(|row| get(&row, 0)).transpose()
}

/// The first changes behind `after`.
pub(super) async fn changes(db: &impl GenericClient, after: u64, limit: usize) -> Result<Vec<Change>, StoreError> {
    let sql = "SELECT sequence, name, profile, first_ms, last_ms FROM changes
               JOIN reading_meters ON reading_meters.id = changes.meter
               WHERE sequence > $1 ORDER BY sequence LIMIT $2";
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let rows = rows(db, "reading changes", sql, &[&after, &count(limit)]).await?;
    let change = |row: &Row| {
        let name: &str = get(row, 1)?;
        let profile = ObisCode(octets(row, 2)?);
        Ok(Change {
            sequence: get::<i64>(row, 0)?.unsigned_abs(),
            meter: MeterId::try_new(name).map_err(|_| corrupt(format!("{name:?} is not a meter's name")))?,
            profile: (profile != NO_PROFILE).then_some(profile),
            first: moment(get(row, 3)?),
            last: moment(get(row, 4)?),
        })
    };
    rows.iter().map(change).collect()
}
