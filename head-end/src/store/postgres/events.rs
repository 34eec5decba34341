//! Events.

use deadpool_postgres::{GenericClient, Transaction};
use dlms::{obis::ObisCode, time::DateTime};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio_postgres::{Row, types::ToSql};

use super::{
    PostgresStore,
    failure::{Context, corrupt},
    pool::{execute, get, row, text, unsigned},
};
use crate::{
    meter::MeterId,
    store::{Acknowledgement, Event, EventCategory, EventQuery, EventStore, NewEvent, StoreError, codes},
};

impl EventStore for PostgresStore {
    async fn append_events(&self, events: Vec<NewEvent>) -> Result<Option<i64>, StoreError> {
        let action = "adding events";
        self.0.connections.write(action, move |db| Box::pin(async move { append(db, &events).await })).await
    }

    async fn query_events(&self, query: EventQuery) -> Result<Vec<Event>, StoreError> {
        let action = "reading events";
        self.0.connections.read(action, move |db| Box::pin(async move { select(db, &query).await })).await
    }

    async fn last_event(&self) -> Result<i64, StoreError> {
        let action = "reading the last event";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let row = row(db, action, "SELECT coalesce(max(sequence), 0) FROM events", &[]).await?;
                    row.map_or(Ok(0), |row| get(&row, 0))
                })
            })
            .await
    }

    async fn acknowledge_event(&self, sequence: i64, by: Acknowledgement) -> Result<Event, StoreError> {
        let action = "acknowledging an event";
        self.0.connections.write(action, move |db| Box::pin(async move { acknowledge(db, sequence, &by).await })).await
    }

    async fn append_alarms(
        &self,
        meter: &MeterId,
        register: ObisCode,
        value: u32,
        mut events: Vec<NewEvent>,
    ) -> Result<Option<i64>, StoreError> {
        let meter = meter.clone();
        self.0
            .connections
            .write("keeping alarms", move |db| {
                Box::pin(async move {
                    let before = swap(db, &meter, register, value).await?;
                    events.retain(|event| event.code.is_none_or(|bit| before.checked_shr(bit).unwrap_or(0) & 1 == 0));
                    append(db, &events).await
                })
            })
            .await
    }

    async fn swap_alarms(&self, meter: &MeterId, register: ObisCode, value: u32) -> Result<u32, StoreError> {
        let meter = meter.clone();
        let action = "keeping an alarm register";
        self.0
            .connections
            .write(action, move |db| Box::pin(async move { swap(db, &meter, register, value).await }))
            .await
    }
}

async fn swap(db: &Transaction<'_>, meter: &MeterId, register: ObisCode, value: u32) -> Result<u32, StoreError> {
    let action = "keeping an alarm register";
    let (meter, register) = (meter.as_str(), &register.0[..]);
    let new = "INSERT INTO alarm_registers (meter, register, value) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING";
    execute(db, action, new, &[&meter, &register]).await?;
    let sql = "SELECT value FROM alarm_registers WHERE meter = $1 AND register = $2 FOR UPDATE";
    let before = row(db, action, sql, &[&meter, &register]).await?.map_or(Ok(0), |row| unsigned(&row, 0))?;
    let sql = "UPDATE alarm_registers SET value = $3 WHERE meter = $1 AND register = $2";
    execute(db, action, sql, &[&meter, &register, &i64::from(value)]).await?;
    Ok(before)
}

const COLUMNS: &str = "sequence, meter, time_ms, time_basis, clock, origin, source, code, name, category, iec_code, \
                       alarm, detail, received_ms, ack_by, ack_ms, ack_note";

/// Takes the next numbers of `name` from here to the end of the transaction; the last one that is in use.
pub(super) async fn last_number(db: &Transaction<'_>, name: &str) -> Result<i64, StoreError> {
    let action = "taking a number";
    let row = row(db, action, "SELECT last FROM sequences WHERE name = $1 FOR UPDATE", &[&name]).await?;
    get(&row.ok_or_else(|| corrupt(format!("there are no numbers for {name}")))?, 0)
}

/// Keeps the last number that is in use.
pub(super) async fn keep_number(db: &Transaction<'_>, name: &str, last: i64) -> Result<(), StoreError> {
    execute(db, "keeping a number", "UPDATE sequences SET last = $2 WHERE name = $1", &[&name, &last]).await.map(drop)
}

async fn append(db: &Transaction<'_>, events: &[NewEvent]) -> Result<Option<i64>, StoreError> {
    if events.is_empty() {
        return Ok(None);
    }
    let action = "adding events";
    let sql = "INSERT INTO events (sequence, identity, meter, time_ms, time_basis, clock, origin, source, code, name,
                                   category, iec_code, alarm, detail, received_ms)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
               ON CONFLICT (identity) DO NOTHING";
    let before = last_number(db, "events").await?;
    let mut last = before;
    for event in events {
        let source = event.source.map(|source| source.0.to_vec()).unwrap_or_default();
        let meter = event.meter.as_ref().map_or("", MeterId::as_str);
        let (time, code) = (event.time.as_millisecond(), event.code.map_or(-1, i64::from));
        let (origin, basis) = (codes::ORIGINS.number(event.origin), codes::BASES.number(event.time_basis));
        let clock = event.clock.map(|clock| clock.to_bytes().to_vec());
        let [name, iec_code, detail] = [&event.name, &event.iec_code, &event.detail].map(|of| text(of));
        let identity = identity(meter, &source, time, code, &detail, origin);
        let inserted = execute(
            db,
            action,
            sql,
            &[
                &(last + 1),
                &&identity[..],
                &meter,
                &time,
                &basis,
                &clock,
                &origin,
                &source,
                &code,
                &name,
                &event.category.name(),
                &iec_code,
                &event.alarm,
                &detail,
                &event.received.as_millisecond(),
            ],
        )
        .await?;
        last += i64::from(inserted > 0);
    }
    if last == before {
        return Ok(None);
    }
    keep_number(db, "events", last).await?;
    Ok(Some(last))
}

/// What tells an event from others: a log that is read twice has its events once.
fn identity(meter: &str, source: &[u8], time: i64, code: i64, detail: &str, origin: i16) -> [u8; 32] {
    let mut digest = Sha256::new();
    for field in [meter.as_bytes(), source, &time.to_be_bytes(), &code.to_be_bytes(), detail.as_bytes()] {
        digest.update((field.len() as u64).to_be_bytes());
        digest.update(field);
    }
    digest.update(origin.to_be_bytes());
    digest.finalize().into()
}

async fn select(db: &impl GenericClient, query: &EventQuery) -> Result<Vec<Event>, StoreError> {
    let filter = &query.filter;
    let meters: Vec<&str> = filter.meters.iter().map(MeterId::as_str).collect();
    let categories: Vec<&str> = filter.categories.iter().map(|category| category.name()).collect();
    let codes: Vec<i64> = filter.codes.iter().map(|code| i64::from(*code)).collect();
    let source = filter.source.as_ref().map(|source| &source.0[..]);
    let (from, to) = (filter.from.map(Timestamp::as_millisecond), filter.to.map(Timestamp::as_millisecond));
    let mut values: Vec<&(dyn ToSql + Sync)> = Vec::new();
    let mut clauses = vec!["true".to_owned()];
    let wanted: [(bool, &str, &(dyn ToSql + Sync)); 7] = [
        (!meters.is_empty(), "meter = ANY(?)", &meters),
        (!categories.is_empty(), "category = ANY(?)", &categories),
        (!codes.is_empty(), "code = ANY(?)", &codes),
        (source.is_some(), "source = ?", &source),
        (from.is_some(), "time_ms >= ?", &from),
        (to.is_some(), "time_ms < ?", &to),
        (query.after.is_some(), if query.descending { "sequence < ?" } else { "sequence > ?" }, &query.after),
    ];
    for (_, clause, value) in wanted.into_iter().filter(|(wanted, ..)| *wanted) {
        values.push(value);
        clauses.push(clause.replace('?', &format!("${}", values.len())));
    }
    if filter.alarms_only {
        clauses.push("alarm".to_owned());
    }
    if filter.unacknowledged_only {
        clauses.push("ack_by IS NULL".to_owned());
    }
    let (order, limit) = (if query.descending { "DESC" } else { "ASC" }, query.limit);
    let clauses = clauses.join(" AND ");
    let sql = format!("SELECT {COLUMNS} FROM events WHERE {clauses} ORDER BY sequence {order} LIMIT {limit}");
    let rows = db.query(&sql, &values).await.context("reading events")?;
    rows.iter().map(event).collect()
}

async fn acknowledge(db: &Transaction<'_>, sequence: i64, by: &Acknowledgement) -> Result<Event, StoreError> {
    let action = "acknowledging an event";
    let sql = "UPDATE events SET ack_by = $2, ack_ms = $3, ack_note = $4 WHERE sequence = $1 AND ack_by IS NULL";
    execute(db, action, sql, &[&sequence, &text(&by.by), &by.at.as_millisecond(), &text(&by.note)]).await?;
    match row(db, action, &format!("SELECT {COLUMNS} FROM events WHERE sequence = $1"), &[&sequence]).await? {
        Some(row) => event(&row),
        None => Err(StoreError::NotFound(format!("events/{sequence}"))),
    }
}

fn event(row: &Row) -> Result<Event, StoreError> {
    let wrong = |what: &str| corrupt(format!("an event with an impossible {what}"));
    let moment = |column| Timestamp::from_millisecond(get(row, column)?).map_err(|_| wrong("time"));
    let name: &str = get(row, 1)?;
    let meter = if name.is_empty() { None } else { Some(MeterId::try_new(name).map_err(|_| wrong("meter"))?) };
    let acknowledged = match get(row, 14)? {
        Some(by) => Some(Acknowledgement { by, at: moment(15)?, note: get(row, 16)? }),
        None => None,
    };
    Ok(Event {
        sequence: get(row, 0)?,
        event: NewEvent {
            meter,
            time: moment(2)?,
            time_basis: codes::BASES.variant(get(row, 3)?).ok_or_else(|| wrong("time basis"))?,
            clock: get::<Option<&[u8]>>(row, 4)?
                .and_then(|octets| <[u8; 12]>::try_from(octets).ok())
                .map(|octets| DateTime::from_bytes(&octets)),
            origin: codes::ORIGINS.variant(get(row, 5)?).ok_or_else(|| wrong("origin"))?,
            source: get::<&[u8]>(row, 6)?.try_into().ok().map(ObisCode),
            code: u32::try_from(get::<i64>(row, 7)?).ok(),
            name: get(row, 8)?,
            category: EventCategory::from_name(get(row, 9)?).unwrap_or_default(),
            iec_code: get(row, 10)?,
            alarm: get(row, 11)?,
            detail: get(row, 12)?,
            received: moment(13)?,
        },
        acknowledged,
    })
}
