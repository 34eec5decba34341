//! Captures as rows of their months.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
    pin::pin,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use deadpool_postgres::{Object, Transaction};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio_postgres::{
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};

use super::{
    PostgresOptions,
    events::{keep_number, last_number},
    failure::{Context, corrupt, late},
    pool::{Connections, execute, get, row, rows, unsigned},
    schema,
};
use crate::store::{
    Appended, CaptureFlags, DayCoverage, StoreError, coverage, json,
    month::Month,
    pieces::{Piece, Row},
    writer::{Limits, Readings, Sink},
};

/// What the numbers of changes are kept under.
const CHANGES: &str = "changes";

/// Starts the writer.
pub(super) async fn start(connections: &Connections, options: &PostgresOptions) -> Result<Readings, StoreError> {
    let action = "looking for the newest change";
    let sql = "SELECT last FROM sequences WHERE name = $1";
    let stored = row(&connections.client(action).await?, action, sql, &[&CHANGES]).await?;
    let newest = stored.map_or(Ok(0), |row| get::<i64>(&row, 0))?.unsigned_abs();
    let database = Database { connections: connections.clone(), runtime: Handle::current(), months: BTreeSet::new() };
    let limits = Limits { captures: options.waiting_captures, patience: options.append_patience, retry: options.retry };
    Readings::start(database, newest, limits).map_err(|error| StoreError::Unreachable {
        place: options.url.to_string(),
        reason: format!("its writer does not start: {error}"),
    })
}

/// The database, to the thread of the writer.
struct Database {
    connections: Connections,
    runtime: Handle,
    /// Months that have their partitions.
    months: BTreeSet<Month>,
}

impl Sink for Database {
    fn write(&mut self, month: Month, pieces: &[&Piece]) -> Result<(Vec<Appended>, u64), StoreError> {
        let began = Instant::now();
        let captures = pieces.iter().map(|piece| piece.rows.len()).sum();
        let written = self.runtime.clone().block_on(self.write_pieces(month, pieces));
        self.connections.counts().readings.committed(captures, began.elapsed(), written.is_ok());
        written
    }

    fn reset(&mut self, _: Month) {
        // Somebody may have removed partitions.
        self.months.clear();
    }
}

impl Database {
    async fn write_pieces(&mut self, month: Month, pieces: &[&Piece]) -> Result<(Vec<Appended>, u64), StoreError> {
        let action = "writing captures";
        let days = pieces.iter().flat_map(|piece| piece.days.keys());
        let of_day = |day: &i64| Timestamp::from_second(day.saturating_mul(86_400)).map_or(month, Month::of);
        for month in days.map(of_day).chain([month]).collect::<BTreeSet<_>>() {
            if !self.months.contains(&month) {
                schema::add_month(&self.connections, month).await?;
                self.months.insert(month);
            }
        }
        let mut client = self.connections.client(action).await?;
        match tokio::time::timeout(self.connections.deadline(), transaction(&mut client, month, pieces)).await {
            Ok(written) => written,
            Err(_) => {
                super::pool::discard(client);
                Err(late(action))
            }
        }
    }
}

async fn transaction(client: &mut Object, month: Month, pieces: &[&Piece]) -> Result<(Vec<Appended>, u64), StoreError> {
    let db = client.transaction().await.context("beginning")?;
    // From here to the commit nobody else adds captures: what is found not to be there still is not when it is added.
    let last = last_number(&db, CHANGES).await?;
    let meters = meters(&db, pieces).await?;
    let layouts = layouts(&db, pieces).await?;
    write_days(&db, pieces, &meters).await?;
    let mut plan = Plan { stored: stored(&db, month, pieces, &meters).await?, ..Plan::default() };
    let mut counts = Vec::with_capacity(pieces.len());
    for ((piece, meter), layout) in pieces.iter().zip(&meters).zip(&layouts) {
        counts.push(plan.add(piece, *meter, *layout));
    }
    copy(&db, &plan.new).await?;
    explain(&db, &plan.explained).await?;
    let newest = note_changes(&db, last, &plan.changes).await?;
    db.commit().await.context("committing")?;
    Ok((counts, newest.unsigned_abs()))
}

/// Numbers of the meters of pieces, given out where they have none.
async fn meters(db: &Transaction<'_>, pieces: &[&Piece]) -> Result<Vec<i64>, StoreError> {
    let action = "looking names up";
    let names: BTreeSet<&str> = pieces.iter().map(|piece| piece.meter.as_str()).collect();
    let mut known: HashMap<String, i64> = HashMap::with_capacity(names.len());
    let find = "SELECT name, id FROM reading_meters WHERE name = ANY($1)";
    let add = "INSERT INTO reading_meters (name) SELECT unnest($1::text[]) ON CONFLICT (name) DO NOTHING
               RETURNING name, id";
    for sql in [find, add] {
        let missing: Vec<&str> = names.iter().copied().filter(|name| !known.contains_key(*name)).collect();
        if missing.is_empty() {
            break;
        }
        for row in &rows(db, action, sql, &[&missing]).await? {
            known.insert(get(row, 0)?, get(row, 1)?);
        }
    }
    let number = |piece: &&Piece| known.get(piece.meter.as_str()).copied();
    pieces.iter().map(|piece| number(piece).ok_or_else(|| corrupt("a meter has no number"))).collect()
}

/// Numbers of the layouts of pieces, given out where they have none; 0 where there are no rows.
async fn layouts(db: &Transaction<'_>, pieces: &[&Piece]) -> Result<Vec<i64>, StoreError> {
    let action = "looking a layout up";
    let mut known: HashMap<*const (), i64> = HashMap::new();
    let mut numbers = Vec::with_capacity(pieces.len());
    for piece in pieces {
        if piece.rows.is_empty() {
            numbers.push(0);
            continue;
        }
        // Pieces of one kind of meter mostly share their columns.
        let same = Arc::as_ptr(&piece.columns).cast::<()>();
        if let Some(number) = known.get(&same) {
            numbers.push(*number);
            continue;
        }
        let columns = json::from_columns(&piece.columns).context("encoding a layout")?;
        let digest: [u8; 32] = Sha256::digest(columns.as_bytes()).into();
        let find = "SELECT id FROM layouts WHERE digest = $1";
        let found = match row(db, action, find, &[&&digest[..]]).await? {
            Some(row) => Some(row),
            None => {
                let add = "INSERT INTO layouts (digest, columns) VALUES ($1, $2) RETURNING id";
                row(db, action, add, &[&&digest[..], &columns]).await?
            }
        };
        let number = get(&found.ok_or_else(|| corrupt("a layout has no number"))?, 0)?;
        known.insert(same, number);
        numbers.push(number);
    }
    Ok(numbers)
}

/// What tells captures from each other, but for revisions: meter, profile and time.
type Key = (i64, [u8; 6], i64);

/// The latest revision of a capture.
struct Latest<'a> {
    revision: i64,
    layout: i64,
    octets: Cow<'a, [u8]>,
    /// Its place among the new rows, if it is one of them.
    new: Option<usize>,
}

/// The captures that are there in the time of each piece.
async fn stored<'a>(
    db: &Transaction<'_>,
    month: Month,
    pieces: &[&'a Piece],
    meters: &[i64],
) -> Result<HashMap<Key, Latest<'a>>, StoreError> {
    let mut spans = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for (piece, meter) in pieces.iter().zip(meters) {
        let times = || piece.rows.iter().map(|row| row.time_ms);
        if let (Some(first), Some(last)) = (times().min(), times().max())
            && seen.insert((*meter, piece.profile.0, first, last))
        {
            spans.0.push(*meter);
            spans.1.push(&piece.profile.0[..]);
            spans.2.push(first);
            spans.3.push(last);
        }
    }
    // A look into the index for each piece, in one partition.
    let sql = "SELECT c.* FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[]) AS k (m, p, first, last)
               CROSS JOIN LATERAL (
                   SELECT meter, profile, time_ms, revision, layout, \"row\" FROM captures
                   WHERE meter = k.m AND profile = k.p AND time_ms BETWEEN k.first AND k.last
                     AND time_ms >= $5 AND time_ms < $6
                   ORDER BY time_ms, revision OFFSET 0) AS c";
    let Range { start: from, end: to } = month.millis();
    let rows = rows(db, "looking captures up", sql, &[&spans.0, &spans.1, &spans.2, &spans.3, &from, &to]).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let profile = get::<&[u8]>(row, 1)?.try_into().map_err(|_| corrupt("a profile has not six octets"))?;
        let octets = Cow::Owned(get(row, 5)?);
        let latest = Latest { revision: get(row, 3)?, layout: get(row, 4)?, octets, new: None };
        // Later revisions come later.
        found.insert((get(row, 0)?, profile, get(row, 2)?), latest);
    }
    Ok(found)
}

/// A row to be added.
struct New<'a> {
    piece: &'a Piece,
    row: &'a Row,
    meter: i64,
    layout: i64,
    revision: i64,
    flags: CaptureFlags,
}

/// What is to be written.
#[derive(Default)]
struct Plan<'a> {
    stored: HashMap<Key, Latest<'a>>,
    new: Vec<New<'a>>,
    /// Revisions whose values are explained better now, and by which layout.
    explained: BTreeMap<(Key, i64), i64>,
    /// Meter, profile, and first and last capture time of what changed.
    changes: Vec<(i64, [u8; 6], i64, i64)>,
}

impl<'a> Plan<'a> {
    fn add(&mut self, piece: &'a Piece, meter: i64, layout: i64) -> Appended {
        let mut counts = Appended::default();
        let mut changed: Option<(i64, i64)> = None;
        for row in &piece.rows {
            let key = (meter, piece.profile.0, row.time_ms);
            let (revision, flags) = match self.stored.get_mut(&key) {
                Some(latest) if *latest.octets == *row.octets => {
                    counts.unchanged += 1;
                    // The same values, better explained: a scaler that was not known when they were read.
                    if latest.layout != layout {
                        latest.layout = layout;
                        match latest.new.and_then(|place| self.new.get_mut(place)) {
                            Some(new) => new.layout = layout,
                            None => drop(self.explained.insert((key, latest.revision), layout)),
                        }
                    }
                    continue;
                }
                Some(latest) => {
                    counts.revised += 1;
                    (latest.revision.saturating_add(1), row.flags | CaptureFlags::DUPLICATE)
                }
                // Nearly every capture is the first of its moment.
                None => {
                    counts.new += 1;
                    (1, row.flags)
                }
            };
            let new = Some(self.new.len());
            self.new.push(New { piece, row, meter, layout, revision, flags });
            self.stored.insert(key, Latest { revision, layout, octets: Cow::Borrowed(&row.octets), new });
            let (first, last) = changed.unwrap_or((row.time_ms, row.time_ms));
            changed = Some((first.min(row.time_ms), last.max(row.time_ms)));
        }
        self.changes.extend(changed.map(|(first, last)| (meter, piece.profile.0, first, last)));
        counts
    }
}

const COPY: &str = "COPY captures (meter, profile, time_ms, revision, layout, time_basis, clock, status, source, \
                    received_ms, flags, \"row\") FROM STDIN (FORMAT binary)";

const TYPES: [Type; 12] = [
    Type::INT8,
    Type::BYTEA,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT2,
    Type::BYTEA,
    Type::INT8,
    Type::INT2,
    Type::INT8,
    Type::INT8,
    Type::BYTEA,
];

async fn copy(db: &Transaction<'_>, new: &[New<'_>]) -> Result<(), StoreError> {
    let action = "adding captures";
    if new.is_empty() {
        return Ok(());
    }
    let sink = db.copy_in::<_, Bytes>(COPY).await.context(action)?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &TYPES));
    for New { piece, row, meter, layout, revision, flags } in new {
        let values: [&(dyn ToSql + Sync); 12] = [
            meter,
            &&piece.profile.0[..],
            &row.time_ms,
            revision,
            layout,
            &row.time_basis,
            &row.clock.as_ref().map(|clock| &clock[..]),
            &row.status,
            &piece.source,
            &piece.received_ms,
            &i64::from(flags.0),
            &row.octets,
        ];
        writer.as_mut().write(&values).await.context(action)?;
    }
    writer.as_mut().finish().await.map(drop).context(action)
}

async fn explain(db: &Transaction<'_>, explained: &BTreeMap<(Key, i64), i64>) -> Result<(), StoreError> {
    if explained.is_empty() {
        return Ok(());
    }
    let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (((meter, profile, time), revision), layout) in explained {
        columns.0.push(*meter);
        columns.1.push(&profile[..]);
        columns.2.push(*time);
        columns.3.push(*revision);
        columns.4.push(*layout);
    }
    let sql = "UPDATE captures AS c SET layout = k.layout
               FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[])
                    AS k (meter, profile, time_ms, revision, layout)
               WHERE c.meter = k.meter AND c.profile = k.profile AND c.time_ms = k.time_ms AND c.revision = k.revision";
    let values: [&(dyn ToSql + Sync); 5] = [&columns.0, &columns.1, &columns.2, &columns.3, &columns.4];
    execute(db, "explaining captures", sql, &values).await.map(drop)
}

/// Numbers changes behind `last`; the last number in use then.
async fn note_changes(
    db: &Transaction<'_>,
    last: i64,
    changes: &[(i64, [u8; 6], i64, i64)],
) -> Result<i64, StoreError> {
    if changes.is_empty() {
        return Ok(last);
    }
    let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (meter, profile, first, last) in changes {
        columns.0.push(*meter);
        columns.1.push(&profile[..]);
        columns.2.push(*first);
        columns.3.push(*last);
    }
    let sql = "INSERT INTO changes (sequence, meter, profile, first_ms, last_ms)
               SELECT $1 + n, meter, profile, first, last
               FROM unnest($2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[]) WITH ORDINALITY
                    AS k (meter, profile, first, last, n)";
    execute(db, "noting changes", sql, &[&last, &columns.0, &columns.1, &columns.2, &columns.3]).await?;
    let newest = last.saturating_add(i64::try_from(changes.len()).unwrap_or(i64::MAX));
    keep_number(db, CHANGES, newest).await?;
    Ok(newest)
}

/// Adds to the coverage of each day, once and not for each row.
async fn write_days(db: &Transaction<'_>, pieces: &[&Piece], meters: &[i64]) -> Result<(), StoreError> {
    let action = "writing coverage";
    let mut days: BTreeMap<(i64, [u8; 6], i64, u32), DayCoverage> = BTreeMap::new();
    for (piece, meter) in pieces.iter().zip(meters) {
        for (day, new) in &piece.days {
            let all = days.entry((*meter, piece.profile.0, *day, piece.period_s)).or_default();
            coverage::unite(&mut all.held, &new.held);
            coverage::unite(&mut all.absent, &new.absent);
        }
    }
    if days.is_empty() {
        return Ok(());
    }
    let mut keys = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (meter, profile, day, period) in days.keys() {
        keys.0.push(*meter);
        keys.1.push(profile.to_vec());
        keys.2.push(*day);
        keys.3.push(i64::from(*period));
    }
    let sql = "SELECT c.* FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[]) AS k (m, p, d, s)
               CROSS JOIN LATERAL (
                   SELECT meter, profile, day, period_s, held, absent FROM coverage
                   WHERE meter = k.m AND profile = k.p AND day = k.d AND period_s = k.s OFFSET 0) AS c";
    for row in &rows(db, action, sql, &[&keys.0, &keys.1, &keys.2, &keys.3]).await? {
        let profile = get::<&[u8]>(row, 1)?.try_into().map_err(|_| corrupt("a profile has not six octets"))?;
        let key = (get(row, 0)?, profile, get(row, 2)?, unsigned(row, 3)?);
        let stored = DayCoverage { held: get(row, 4)?, absent: get(row, 5)? };
        if let Some(all) = days.get_mut(&key) {
            coverage::unite(&mut all.held, &stored.held);
            coverage::unite(&mut all.absent, &stored.absent);
            if *all == stored {
                days.remove(&key);
            }
        }
    }
    let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for ((meter, profile, day, period), all) in &days {
        columns.0.push(*meter);
        columns.1.push(&profile[..]);
        columns.2.push(*day);
        columns.3.push(i64::from(*period));
        columns.4.push(&all.held[..]);
        columns.5.push(&all.absent[..]);
    }
    let sql = "INSERT INTO coverage (meter, profile, day, period_s, held, absent)
               SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[])
               ON CONFLICT (meter, profile, day, period_s) DO UPDATE SET held = excluded.held, absent = excluded.absent";
    let values: [&(dyn ToSql + Sync); 6] = [&columns.0, &columns.1, &columns.2, &columns.3, &columns.4, &columns.5];
    execute(db, action, sql, &values).await.map(drop)
}
