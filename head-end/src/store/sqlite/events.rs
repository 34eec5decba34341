//! Events.

use dlms::{obis::ObisCode, time::DateTime};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter, types::Value};

use super::{SqliteStore, control::FILE, failure::Context};
use crate::{
    meter::MeterId,
    store::{Acknowledgement, Event, EventCategory, EventFilter, EventQuery, EventStore, NewEvent, StoreError, codes},
};

impl EventStore for SqliteStore {
    async fn append_events(&self, events: Vec<NewEvent>) -> Result<Option<i64>, StoreError> {
        self.0.control.write(move |db| append(db, &events)).await
    }

    async fn query_events(&self, query: EventQuery) -> Result<Vec<Event>, StoreError> {
        self.0.readers.control(move |db| select(db, &query)).await
    }

    async fn last_event(&self) -> Result<i64, StoreError> {
        self.0
            .readers
            .control(|db| {
                db.query_row("SELECT coalesce(max(sequence), 0) FROM events", [], |row| row.get(0))
                    .context(FILE, "reading the last event")
            })
            .await
    }

    async fn acknowledge_event(&self, sequence: i64, by: Acknowledgement) -> Result<Event, StoreError> {
        self.0.control.write(move |db| acknowledge(db, sequence, &by)).await
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
            .control
            .write(move |db| {
                let before = swap(db, &meter, register, value)?;
                events.retain(|event| event.code.is_none_or(|bit| before.checked_shr(bit).unwrap_or(0) & 1 == 0));
                append(db, &events)
            })
            .await
    }

    async fn swap_alarms(&self, meter: &MeterId, register: ObisCode, value: u32) -> Result<u32, StoreError> {
        let meter = meter.clone();
        self.0.control.write(move |db| swap(db, &meter, register, value)).await
    }
}

fn swap(db: &Connection, meter: &MeterId, register: ObisCode, value: u32) -> Result<u32, StoreError> {
    let before = db
        .prepare_cached("SELECT value FROM alarm_registers WHERE meter = ?1 AND register = ?2")
        .and_then(|mut query| query.query_row(params![meter.as_str(), register.0], |row| row.get(0)).optional())
        .context(FILE, "reading an alarm register")?;
    db.prepare_cached(
        "INSERT INTO alarm_registers (meter, register, value) VALUES (?1, ?2, ?3)
         ON CONFLICT (meter, register) DO UPDATE SET value = excluded.value",
    )
    .and_then(|mut insert| insert.execute(params![meter.as_str(), register.0, value]))
    .context(FILE, "keeping an alarm register")?;
    Ok(before.unwrap_or(0))
}

const COLUMNS: &str = "sequence, meter, time_ms, time_basis, clock, origin, source, code, name, category, iec_code, \
                       alarm, detail, received_ms, ack_by, ack_ms, ack_note";

fn append(db: &Connection, events: &[NewEvent]) -> Result<Option<i64>, StoreError> {
    let mut insert = db
        .prepare_cached(
            "INSERT INTO events (meter, time_ms, time_basis, clock, origin, source, code, name, category, iec_code,
                                 alarm, detail, received_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING",
        )
        .context(FILE, "adding events")?;
    let mut last = None;
    for event in events {
        let source = event.source.map(|source| source.0.to_vec()).unwrap_or_default();
        let values = params![
            event.meter.as_ref().map_or("", MeterId::as_str),
            event.time.as_millisecond(),
            codes::BASES.number(event.time_basis),
            event.clock.map(|clock| clock.to_bytes().to_vec()),
            codes::ORIGINS.number(event.origin),
            source,
            event.code.map_or(-1, i64::from),
            event.name,
            event.category.name(),
            event.iec_code,
            event.alarm,
            event.detail,
            event.received.as_millisecond(),
        ];
        if insert.execute(values).context(FILE, "adding events")? > 0 {
            last = Some(db.last_insert_rowid());
        }
    }
    Ok(last)
}

fn select(db: &Connection, query: &EventQuery) -> Result<Vec<Event>, StoreError> {
    let mut clauses = Clauses::default();
    clauses.filter(&query.filter);
    if let Some(after) = query.after {
        clauses.and(if query.descending { "sequence < ?" } else { "sequence > ?" }, [Value::Integer(after)]);
    }
    let order = if query.descending { "DESC" } else { "ASC" };
    let limit = query.limit;
    let sql = format!("SELECT {COLUMNS} FROM events WHERE {} ORDER BY sequence {order} LIMIT {limit}", clauses.sql());
    db.prepare_cached(&sql)
        .and_then(|mut select| select.query_map(params_from_iter(clauses.values), event)?.collect())
        .context(FILE, "reading events")
}

/// Conditions of a query, and the values in them.
#[derive(Default)]
struct Clauses {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Clauses {
    fn and(&mut self, sql: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.sql.push(sql.into());
        self.values.extend(values);
    }

    fn any_of(&mut self, column: &str, values: impl ExactSizeIterator<Item = Value>) {
        if values.len() > 0 {
            let marks = vec!["?"; values.len()].join(", ");
            self.and(format!("{column} IN ({marks})"), values);
        }
    }

    fn filter(&mut self, filter: &EventFilter) {
        self.any_of("meter", filter.meters.iter().map(|meter| Value::Text(meter.as_str().to_owned())));
        self.any_of("category", filter.categories.iter().map(|category| Value::Text(category.name().to_owned())));
        self.any_of("code", filter.codes.iter().map(|code| Value::Integer((*code).into())));
        if let Some(source) = filter.source {
            self.and("source = ?", [Value::Blob(source.0.to_vec())]);
        }
        if filter.alarms_only {
            self.and("alarm = 1", []);
        }
        if filter.unacknowledged_only {
            self.and("ack_by IS NULL", []);
        }
        if let Some(from) = filter.from {
            self.and("time_ms >= ?", [Value::Integer(from.as_millisecond())]);
        }
        if let Some(to) = filter.to {
            self.and("time_ms < ?", [Value::Integer(to.as_millisecond())]);
        }
    }

    fn sql(&self) -> String {
        if self.sql.is_empty() { "1".to_owned() } else { self.sql.join(" AND ") }
    }
}

fn acknowledge(db: &Connection, sequence: i64, by: &Acknowledgement) -> Result<Event, StoreError> {
    db.execute(
        "UPDATE events SET ack_by = ?2, ack_ms = ?3, ack_note = ?4 WHERE sequence = ?1 AND ack_by IS NULL",
        params![sequence, by.by, by.at.as_millisecond(), by.note],
    )
    .context(FILE, "acknowledging an event")?;
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE sequence = ?1"))
        .and_then(|mut query| query.query_row([sequence], event).optional())
        .context(FILE, "acknowledging an event")?
        .ok_or_else(|| StoreError::NotFound(format!("events/{sequence}")))
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let wrong = |column: usize| {
        rusqlite::Error::InvalidColumnType(
            column,
            "a value that was never written".to_owned(),
            rusqlite::types::Type::Null,
        )
    };
    let moment = |column: usize| Timestamp::from_millisecond(row.get(column)?).map_err(|_| wrong(column));
    let name: String = row.get(1)?;
    let meter = if name.is_empty() { None } else { Some(MeterId::try_new(&name).map_err(|_| wrong(1))?) };
    let clock: Option<Vec<u8>> = row.get(4)?;
    let source: Vec<u8> = row.get(6)?;
    let category: String = row.get(9)?;
    let acknowledged = match row.get(14)? {
        Some(by) => Some(Acknowledgement { by, at: moment(15)?, note: row.get(16)? }),
        None => None,
    };
    Ok(Event {
        sequence: row.get(0)?,
        event: NewEvent {
            meter,
            time: moment(2)?,
            time_basis: codes::BASES.variant(row.get(3)?).ok_or_else(|| wrong(3))?,
            clock: clock
                .and_then(|octets| <[u8; 12]>::try_from(octets).ok())
                .map(|octets| DateTime::from_bytes(&octets)),
            origin: codes::ORIGINS.variant(row.get(5)?).ok_or_else(|| wrong(5))?,
            source: source.try_into().ok().map(ObisCode),
            code: u32::try_from(row.get::<_, i64>(7)?).ok(),
            name: row.get(8)?,
            category: EventCategory::from_name(&category).unwrap_or_default(),
            iec_code: row.get(10)?,
            alarm: row.get(11)?,
            detail: row.get(12)?,
            received: moment(13)?,
        },
        acknowledged,
    })
}
