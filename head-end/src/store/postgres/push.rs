//! What meters sent of themselves.

use std::net::IpAddr;

use deadpool_postgres::{GenericClient, Transaction};
use dlms::id::SystemTitle;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::{
    PostgresStore,
    failure::corrupt,
    meters,
    pool::{Values, execute, get, limit as count, row, rows, text, unsigned},
};
use crate::{
    meter::{EquipmentId, MeterId},
    store::{
        Accepted, DeviceIdentity, NewPush, PushOutcome, PushStore, Sighting, StoreError, StoredMeter, StoredPush,
        UnclaimedDevice, codes,
    },
};

impl PushStore for PostgresStore {
    async fn meters_by_title(&self, title: SystemTitle) -> Result<Vec<StoredMeter>, StoreError> {
        let sql = "SELECT name FROM meters WHERE system_title = $1 ORDER BY name LIMIT 4";
        self.found(sql, title.to_string()).await
    }

    async fn meters_by_push_source(&self, address: IpAddr) -> Result<Vec<StoredMeter>, StoreError> {
        let sql = "SELECT name FROM meters WHERE push_source = $1 ORDER BY name LIMIT 1000";
        self.found(sql, address.to_string()).await
    }

    async fn meters_by_equipment(&self, equipment: EquipmentId) -> Result<Vec<StoredMeter>, StoreError> {
        let sql = "SELECT name FROM meters WHERE equipment = $1 ORDER BY name LIMIT 4";
        self.found(sql, equipment.as_str().to_owned()).await
    }

    async fn meters_by_device_name(&self, name: &str) -> Result<Vec<StoredMeter>, StoreError> {
        let sql = "SELECT name FROM meters WHERE device_name = $1 ORDER BY name LIMIT 4";
        self.found(sql, name.to_owned()).await
    }

    async fn accept_push(&self, push: NewPush) -> Result<Accepted, StoreError> {
        let action = "keeping a push";
        self.0.connections.write(action, move |db| Box::pin(async move { accept(db, &push).await })).await
    }

    async fn waiting_pushes(&self, after: i64, limit: usize) -> Result<Vec<StoredPush>, StoreError> {
        self.0
            .connections
            .read("reading pushes", move |db| {
                Box::pin(async move {
                    let sql = format!("SELECT {COLUMNS} FROM pushes WHERE state = 0 AND id > $1 ORDER BY id LIMIT $2");
                    pushes(db, &sql, &[&after, &count(limit)]).await
                })
            })
            .await
    }

    async fn finish_push(&self, id: i64, outcome: PushOutcome) -> Result<(), StoreError> {
        let action = "noting what became of a push";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let sql = "UPDATE pushes SET state = $2, note = $3 WHERE id = $1";
                    let state = codes::PUSH_STATES.number(outcome.state);
                    execute(db, action, sql, &[&id, &state, &text(&outcome.note)]).await.map(drop)
                })
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
            .connections
            .read("reading pushes", move |db| {
                Box::pin(async move {
                    let sql =
                        format!("SELECT {COLUMNS} FROM pushes WHERE meter = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
                    pushes(db, &sql, &[&meter.as_str(), &before.unwrap_or(i64::MAX), &count(limit)]).await
                })
            })
            .await
    }

    async fn forget_pushes(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let action = "forgetting old pushes";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let sql = "DELETE FROM pushes WHERE id = ANY(ARRAY(
                                   SELECT id FROM pushes WHERE received_ms < $1 AND state <> 0 LIMIT $2))";
                    let gone = execute(db, action, sql, &[&before.as_millisecond(), &count(limit)]).await?;
                    Ok(usize::try_from(gone).unwrap_or(usize::MAX))
                })
            })
            .await
    }

    async fn note_unclaimed(&self, sighting: Sighting, most: usize) -> Result<bool, StoreError> {
        let action = "noting an unclaimed device";
        self.0.connections.write(action, move |db| Box::pin(async move { note(db, &sighting, most).await })).await
    }

    async fn list_unclaimed(
        &self,
        after: Option<DeviceIdentity>,
        limit: usize,
    ) -> Result<Vec<UnclaimedDevice>, StoreError> {
        let action = "listing unclaimed devices";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let after = after.map(|identity| identity.text()).unwrap_or_default();
                    let sql = format!("{DEVICES} WHERE identity > $1 ORDER BY identity LIMIT $2");
                    rows(db, action, &sql, &[&after, &count(limit)]).await?.iter().map(device).collect()
                })
            })
            .await
    }

    async fn unclaimed(&self, identity: DeviceIdentity) -> Result<Option<UnclaimedDevice>, StoreError> {
        let action = "looking an unclaimed device up";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let found = row(db, action, &format!("{DEVICES} WHERE identity = $1"), &[&identity.text()]).await?;
                    found.as_ref().map(device).transpose()
                })
            })
            .await
    }

    async fn forget_unclaimed(&self, identity: DeviceIdentity) -> Result<(), StoreError> {
        let action = "taking a device off the list";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let sql = "DELETE FROM unclaimed WHERE identity = $1";
                    execute(db, action, sql, &[&identity.text()]).await.map(drop)
                })
            })
            .await
    }
}

const COLUMNS: &str = "id, meter, received_ms, source, protection, counter, apdu, state, note";

const DEVICES: &str = "SELECT identity, source, first_ms, last_ms, count FROM unclaimed";

impl PostgresStore {
    /// The meters that `sql` names.
    async fn found(&self, sql: &'static str, key: String) -> Result<Vec<StoredMeter>, StoreError> {
        let action = "looking meters up";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let names = rows(db, action, sql, &[&key]).await?;
                    let mut found = Vec::with_capacity(names.len());
                    for row in &names {
                        found.extend(meters::get(db, &meter(get(row, 0)?)?).await?);
                    }
                    Ok(found)
                })
            })
            .await
    }
}

fn meter(name: &str) -> Result<MeterId, StoreError> {
    MeterId::try_new(name).map_err(|error| corrupt(error.to_string()))
}

async fn accept(db: &Transaction<'_>, push: &NewPush) -> Result<Accepted, StoreError> {
    let action = "keeping a push";
    if let Some((id, counter)) = push.counter {
        let new = "INSERT INTO receive_counters (id, last, digest) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
        let key = &id.0[..];
        let digest = &push.digest[..];
        if execute(db, action, new, &[&key, &i64::from(counter), &digest]).await? == 0 {
            let sql = "SELECT last, digest FROM receive_counters WHERE id = $1 FOR UPDATE";
            let seen =
                row(db, action, sql, &[&key]).await?.ok_or_else(|| corrupt("a counter that was seen is gone"))?;
            let (last, known): (u32, &[u8]) = (unsigned(&seen, 0)?, get(&seen, 1)?);
            if counter == last && known == digest {
                return Ok(Accepted::Repeated);
            }
            if counter <= last {
                return Ok(Accepted::Replayed { last });
            }
            let sql = "UPDATE receive_counters SET last = $2, digest = $3 WHERE id = $1";
            execute(db, action, sql, &[&key, &i64::from(counter), &digest]).await?;
        }
    }
    // Two that come at the same time may become visible against the order of their numbers. Nothing is lost by that:
    // who reads what waits begins anew from time to time.
    let sql = "INSERT INTO pushes (meter, received_ms, source, protection, counter, apdu)
               VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";
    let kept = row(
        db,
        action,
        sql,
        &[
            &push.meter.as_str(),
            &push.received.as_millisecond(),
            &text(&push.source),
            &codes::protection_bits(push.protection),
            &push.counter.map(|(_, counter)| i64::from(counter)),
            &push.apdu,
        ],
    )
    .await?;
    get(&kept.ok_or_else(|| corrupt("a push has no number"))?, 0).map(Accepted::New)
}

async fn note(db: &Transaction<'_>, sighting: &Sighting, most: usize) -> Result<bool, StoreError> {
    let action = "noting an unclaimed device";
    let (identity, source) = (sighting.identity.text(), text(&sighting.source));
    let at = sighting.at.as_millisecond();
    let times = i64::try_from(sighting.count).unwrap_or(i64::MAX);
    let known = "UPDATE unclaimed SET source = $2, last_ms = greatest(last_ms, $3), count = count + $4
                 WHERE identity = $1";
    if execute(db, action, known, &[&identity, &source, &at, &times]).await? > 0 {
        return Ok(false);
    }
    // The list is bounded, so that only one at a time adds to it.
    super::schema::lock(db, "unclaimed").await?;
    if execute(db, action, known, &[&identity, &source, &at, &times]).await? > 0 {
        return Ok(false);
    }
    let room = "DELETE FROM unclaimed WHERE identity = ANY(ARRAY(
                    SELECT identity FROM unclaimed ORDER BY last_ms
                    LIMIT greatest(0, (SELECT count(*) FROM unclaimed) + 1 - $1)))";
    execute(db, action, room, &[&count(most)]).await?;
    let sql = "INSERT INTO unclaimed (identity, source, first_ms, last_ms, count) VALUES ($1, $2, $3, $3, $4)";
    execute(db, action, sql, &[&identity, &source, &at, &times]).await?;
    Ok(true)
}

async fn pushes(db: &impl GenericClient, sql: &str, values: Values<'_>) -> Result<Vec<StoredPush>, StoreError> {
    rows(db, "reading pushes", sql, values).await?.iter().map(stored).collect()
}

fn stored(row: &Row) -> Result<StoredPush, StoreError> {
    let state = codes::PUSH_STATES.variant(get(row, 7)?).ok_or_else(|| corrupt("a push with an impossible state"))?;
    Ok(StoredPush {
        id: get(row, 0)?,
        meter: meter(get(row, 1)?)?,
        received: moment(row, 2)?,
        source: get(row, 3)?,
        protection: codes::protection(get(row, 4)?),
        counter: get::<Option<i64>>(row, 5)?.and_then(|counter| u32::try_from(counter).ok()),
        apdu: get(row, 6)?,
        outcome: PushOutcome { state, note: get(row, 8)? },
    })
}

fn device(row: &Row) -> Result<UnclaimedDevice, StoreError> {
    let identity: &str = get(row, 0)?;
    Ok(UnclaimedDevice {
        identity: DeviceIdentity::from_text(identity)
            .ok_or_else(|| corrupt(format!("{identity:?} names no device")))?,
        source: get(row, 1)?,
        first_seen: moment(row, 2)?,
        last_seen: moment(row, 3)?,
        count: get::<i64>(row, 4)?.try_into().unwrap_or(0),
    })
}

fn moment(row: &Row, column: usize) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(get(row, column)?).map_err(|_| corrupt("an impossible time"))
}
