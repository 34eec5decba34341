//! What meters sent of themselves.

use std::net::IpAddr;

use dlms::id::SystemTitle;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{SqliteStore, control::FILE, failure::Context, meters};
use crate::{
    meter::{EquipmentId, MeterId},
    store::{
        Accepted, DeviceIdentity, NewPush, PushOutcome, PushStore, Sighting, StoreError, StoredMeter, StoredPush,
        UnclaimedDevice, codes,
    },
};

impl PushStore for SqliteStore {
    async fn meters_by_title(&self, title: SystemTitle) -> Result<Vec<StoredMeter>, StoreError> {
        self.0
            .readers
            .control(move |db| {
                let sql = "SELECT name FROM meters
                           WHERE json_extract(record, '$.settings.system_title') = ?1 ORDER BY name LIMIT 4";
                found(db, sql, &title.to_string())
            })
            .await
    }

    async fn meters_by_push_source(&self, address: IpAddr) -> Result<Vec<StoredMeter>, StoreError> {
        self.0
            .readers
            .control(move |db| {
                let sql = "SELECT name FROM meters
                           WHERE json_extract(record, '$.settings.push.plaintext_from') = ?1 ORDER BY name LIMIT 1000";
                found(db, sql, &address.to_string())
            })
            .await
    }

    async fn meters_by_equipment(&self, equipment: EquipmentId) -> Result<Vec<StoredMeter>, StoreError> {
        self.0
            .readers
            .control(move |db| {
                let sql = "SELECT name FROM meters
                           WHERE json_extract(record, '$.settings.customer_port.equipment_id') = ?1
                           ORDER BY name LIMIT 4";
                found(db, sql, equipment.as_str())
            })
            .await
    }

    async fn meters_by_device_name(&self, name: &str) -> Result<Vec<StoredMeter>, StoreError> {
        let name = name.to_owned();
        self.0
            .readers
            .control(move |db| {
                let sql = "SELECT name FROM meters
                           WHERE json_extract(record, '$.settings.logical_device_name') = ?1 ORDER BY name LIMIT 4";
                found(db, sql, &name)
            })
            .await
    }

    async fn accept_push(&self, push: NewPush) -> Result<Accepted, StoreError> {
        self.0.control.write(move |db| accept(db, &push)).await
    }

    async fn waiting_pushes(&self, after: i64, limit: usize) -> Result<Vec<StoredPush>, StoreError> {
        self.0
            .readers
            .control(move |db| {
                let sql = format!("SELECT {COLUMNS} FROM pushes WHERE state = 0 AND id > ?1 ORDER BY id LIMIT ?2");
                pushes(db, &sql, params![after, count(limit)])
            })
            .await
    }

    async fn finish_push(&self, id: i64, outcome: PushOutcome) -> Result<(), StoreError> {
        self.0
            .control
            .write(move |db| {
                db.prepare_cached("UPDATE pushes SET state = ?2, note = ?3 WHERE id = ?1")
                    .and_then(|mut update| {
                        update.execute(params![id, codes::PUSH_STATES.number(outcome.state), outcome.note])
                    })
                    .map(drop)
                    .context(FILE, "noting what became of a push")
            })
            .await
    }

    async fn list_pushes(
        &self,
        meter: &MeterId,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<StoredPush>, StoreError> {
        let meter = meter.clone();
        self.0
            .readers
            .control(move |db| {
                let sql =
                    format!("SELECT {COLUMNS} FROM pushes WHERE meter = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3");
                pushes(db, &sql, params![meter.as_str(), before.unwrap_or(i64::MAX), count(limit)])
            })
            .await
    }

    async fn forget_pushes(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.0
            .control
            .write(move |db| {
                db.prepare_cached(
                    "DELETE FROM pushes WHERE id IN
                     (SELECT id FROM pushes WHERE received_ms < ?1 AND state <> 0 LIMIT ?2)",
                )
                .and_then(|mut delete| delete.execute(params![before.as_millisecond(), count(limit)]))
                .context(FILE, "forgetting old pushes")
            })
            .await
    }

    async fn note_unclaimed(&self, sighting: Sighting, most: usize) -> Result<bool, StoreError> {
        self.0.control.write(move |db| note(db, &sighting, most)).await
    }

    async fn list_unclaimed(
        &self,
        after: Option<DeviceIdentity>,
        limit: usize,
    ) -> Result<Vec<UnclaimedDevice>, StoreError> {
        self.0
            .readers
            .control(move |db| {
                let after = after.map(|identity| identity.text()).unwrap_or_default();
                db.prepare_cached(
                    "SELECT identity, source, first_ms, last_ms, count FROM unclaimed
                     WHERE identity > ?1 ORDER BY identity LIMIT ?2",
                )
                .and_then(|mut query| query.query_map(params![after, count(limit)], device)?.collect())
                .context(FILE, "listing unclaimed devices")
            })
            .await
    }

    async fn unclaimed(&self, identity: DeviceIdentity) -> Result<Option<UnclaimedDevice>, StoreError> {
        self.0
            .readers
            .control(move |db| {
                db.prepare_cached(
                    "SELECT identity, source, first_ms, last_ms, count FROM unclaimed WHERE identity = ?1",
                )
                .and_then(|mut query| query.query_row([identity.text()], device).optional())
                .context(FILE, "looking an unclaimed device up")
            })
            .await
    }

    async fn forget_unclaimed(&self, identity: DeviceIdentity) -> Result<(), StoreError> {
        self.0
            .control
            .write(move |db| {
                db.execute("DELETE FROM unclaimed WHERE identity = ?1", [identity.text()])
                    .map(drop)
                    .context(FILE, "taking a device off the list")
            })
            .await
    }
}

const COLUMNS: &str = "id, meter, received_ms, source, protection, counter, apdu, state, note";

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The meters that `sql` names.
fn found(db: &Connection, sql: &str, key: &str) -> Result<Vec<StoredMeter>, StoreError> {
    let names: Vec<String> = db
        .prepare_cached(sql)
        .and_then(|mut query| query.query_map([key], |row| row.get(0))?.collect())
        .context(FILE, "looking meters up")?;
    let mut meters = Vec::with_capacity(names.len());
    for name in names {
        let id = MeterId::try_new(&name).map_err(|error| corrupt(error.to_string()))?;
        meters.extend(meters::get(db, &id)?);
    }
    Ok(meters)
}

fn corrupt(reason: String) -> StoreError {
    StoreError::Corrupt { file: FILE.to_owned(), reason }
}

pub(super) fn accept(db: &Connection, push: &NewPush) -> Result<Accepted, StoreError> {
    if let Some((id, counter)) = push.counter {
        let seen: Option<(u32, Vec<u8>)> = db
            .prepare_cached("SELECT last, digest FROM receive_counters WHERE id = ?1")
            .and_then(|mut query| query.query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?))).optional())
            .context(FILE, "reading a counter")?;
        match seen {
            Some((last, digest)) if counter == last && digest == push.digest => return Ok(Accepted::Repeated),
            Some((last, _)) if counter <= last => return Ok(Accepted::Replayed { last }),
            _ => {}
        }
        db.prepare_cached(
            "INSERT INTO receive_counters (id, last, digest) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET last = excluded.last, digest = excluded.digest",
        )
        .and_then(|mut insert| insert.execute(params![id.0, counter, push.digest]))
        .context(FILE, "keeping a counter")?;
    }
    db.prepare_cached(
        "INSERT INTO pushes (meter, received_ms, source, protection, counter, apdu) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .and_then(|mut insert| {
        insert.insert(params![
            push.meter.as_str(),
            push.received.as_millisecond(),
            push.source,
            codes::protection_bits(push.protection),
            push.counter.map(|(_, counter)| counter),
            push.apdu
        ])
    })
    .map(Accepted::New)
    .context(FILE, "keeping a push")
}

fn note(db: &Connection, sighting: &Sighting, most: usize) -> Result<bool, StoreError> {
    let identity = sighting.identity.text();
    let at = sighting.at.as_millisecond();
    let times = i64::try_from(sighting.count).unwrap_or(i64::MAX);
    let known = db
        .prepare_cached(
            "UPDATE unclaimed SET source = ?2, last_ms = max(last_ms, ?3), count = count + ?4 WHERE identity = ?1",
        )
        .and_then(|mut update| update.execute(params![identity, sighting.source, at, times]))
        .context(FILE, "noting an unclaimed device")?;
    if known > 0 {
        return Ok(false);
    }
    let held: i64 = db
        .query_row("SELECT count(*) FROM unclaimed", [], |row| row.get(0))
        .context(FILE, "counting unclaimed devices")?;
    let over = held.saturating_add(1).saturating_sub(count(most));
    if over > 0 {
        db.execute(
            "DELETE FROM unclaimed WHERE identity IN (SELECT identity FROM unclaimed ORDER BY last_ms LIMIT ?1)",
            [over],
        )
        .context(FILE, "making room for an unclaimed device")?;
    }
    db.execute(
        "INSERT INTO unclaimed (identity, source, first_ms, last_ms, count) VALUES (?1, ?2, ?3, ?3, ?4)",
        params![identity, sighting.source, at, times],
    )
    .context(FILE, "noting an unclaimed device")?;
    Ok(true)
}

fn pushes(db: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<Vec<StoredPush>, StoreError> {
    db.prepare_cached(sql)
        .and_then(|mut query| query.query_map(values, stored)?.collect())
        .context(FILE, "reading pushes")
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredPush> {
    let name: String = row.get(1)?;
    let state = codes::PUSH_STATES.variant(row.get(7)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(7, -1))?;
    Ok(StoredPush {
        id: row.get(0)?,
        meter: MeterId::try_new(&name).map_err(|error| conversion(1, error))?,
        received: moment(row, 2)?,
        source: row.get(3)?,
        protection: codes::protection(row.get(4)?),
        counter: row.get(5)?,
        apdu: row.get(6)?,
        outcome: PushOutcome { state, note: row.get(8)? },
    })
}

fn device(row: &Row<'_>) -> rusqlite::Result<UnclaimedDevice> {
    let identity: String = row.get(0)?;
    Ok(UnclaimedDevice {
        identity: DeviceIdentity::from_text(&identity)
            .ok_or_else(|| conversion(0, StoreError::NotFound(identity.clone())))?,
        source: row.get(1)?,
        first_seen: moment(row, 2)?,
        last_seen: moment(row, 3)?,
        count: row.get::<_, i64>(4)?.try_into().unwrap_or(0),
    })
}

fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(row.get(column)?).map_err(|error| conversion(column, error))
}

fn conversion(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}
