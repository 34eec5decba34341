//! Keys between old and new.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{SqliteStore, control::FILE, failure::Context, meters};
use crate::{
    meter::MeterId,
    store::{KeyStore, NewKeys, NewMeter, StoreError},
    vault::{Sealed, SecretRole},
};

impl KeyStore for SqliteStore {
    async fn stage_keys(&self, meter: &MeterId, keys: NewKeys) -> Result<NewKeys, StoreError> {
        let meter = meter.clone();
        self.0.control.write(move |db| stage(db, &meter, keys)).await
    }

    async fn new_keys(&self, meter: &MeterId) -> Result<Option<NewKeys>, StoreError> {
        let meter = meter.clone();
        self.0.readers.control(move |db| get(db, &meter)).await
    }

    async fn confirm_keys(&self, meter: &MeterId, rotation: &str) -> Result<(), StoreError> {
        let (meter, rotation) = (meter.clone(), rotation.to_owned());
        self.0.control.write(move |db| confirm(db, &meter, &rotation)).await
    }

    async fn promote_keys(&self, meter: &MeterId, rotation: &str, at: Timestamp) -> Result<bool, StoreError> {
        let (meter, rotation) = (meter.clone(), rotation.to_owned());
        self.0.control.write(move |db| promote(db, &meter, &rotation, at)).await
    }

    async fn drop_keys(&self, meter: &MeterId, rotation: &str) -> Result<bool, StoreError> {
        let (meter, rotation) = (meter.clone(), rotation.to_owned());
        self.0.control.write(move |db| forget(db, &meter, &rotation)).await
    }

    async fn key_times(&self, meter: &MeterId) -> Result<BTreeMap<SecretRole, Option<Timestamp>>, StoreError> {
        let meter = meter.clone();
        self.0.readers.control(move |db| times(db, &meter)).await
    }
}

fn stage(db: &Connection, meter: &MeterId, keys: NewKeys) -> Result<NewKeys, StoreError> {
    if meters::get(db, meter)?.is_none() {
        return Err(StoreError::NotFound(meter.resource_name()));
    }
    match get(db, meter)? {
        Some(kept) if kept.rotation == keys.rotation => return Ok(kept),
        Some(_) => return Err(StoreError::AlreadyExists(format!("another rotation of the keys of {meter}"))),
        None => {}
    }
    for (role, sealed) in &keys.sealed {
        db.prepare_cached(
            "INSERT INTO new_keys (meter, role, sealed, rotation, made_ms, confirmed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .and_then(|mut insert| {
            let made = keys.made.as_millisecond();
            insert.execute(params![meter.as_str(), role.name(), sealed.as_bytes(), keys.rotation, made, keys.confirmed])
        })
        .context(FILE, "writing new keys")?;
    }
    Ok(keys)
}

fn get(db: &Connection, meter: &MeterId) -> Result<Option<NewKeys>, StoreError> {
    let mut query = db
        .prepare_cached("SELECT role, sealed, rotation, made_ms, confirmed FROM new_keys WHERE meter = ?1")
        .context(FILE, "reading new keys")?;
    let rows = query
        .query_map([meter.as_str()], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .context(FILE, "reading new keys")?;
    let mut found: Option<NewKeys> = None;
    for row in rows {
        let (role, sealed, rotation, made, confirmed) = row.context(FILE, "reading new keys")?;
        let keys = found.get_or_insert_with(|| NewKeys {
            rotation,
            sealed: BTreeMap::new(),
            made: Timestamp::from_millisecond(made).unwrap_or(Timestamp::UNIX_EPOCH),
            confirmed,
        });
        keys.sealed.insert(meters::role(&role)?, Sealed::from_bytes(sealed));
    }
    Ok(found)
}

fn confirm(db: &Connection, meter: &MeterId, rotation: &str) -> Result<(), StoreError> {
    db.execute("UPDATE new_keys SET confirmed = 1 WHERE meter = ?1 AND rotation = ?2", [meter.as_str(), rotation])
        .map(drop)
        .context(FILE, "confirming new keys")
}

fn promote(db: &Connection, meter: &MeterId, rotation: &str, at: Timestamp) -> Result<bool, StoreError> {
    let Some(keys) = get(db, meter)?.filter(|keys| keys.rotation == rotation) else { return Ok(false) };
    let Some(mut stored) = meters::get(db, meter)? else { return Ok(false) };
    stored.record.revision = stored.record.revision.saturating_add(1);
    stored.record.updated = at;
    let secrets = keys.sealed.into_iter().map(|(role, sealed)| (role, Some(sealed))).collect();
    meters::put(db, &NewMeter { record: stored.record, secrets })?;
    forget(db, meter, rotation)
}

fn forget(db: &Connection, meter: &MeterId, rotation: &str) -> Result<bool, StoreError> {
    let gone = db
        .execute("DELETE FROM new_keys WHERE meter = ?1 AND rotation = ?2", [meter.as_str(), rotation])
        .context(FILE, "removing new keys")?;
    Ok(gone > 0)
}

fn times(db: &Connection, meter: &MeterId) -> Result<BTreeMap<SecretRole, Option<Timestamp>>, StoreError> {
    let mut query = db
        .prepare_cached("SELECT role, since_ms FROM meter_secrets WHERE meter = ?1")
        .context(FILE, "reading the ages of keys")?;
    let rows = query
        .query_map([meter.as_str()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))
        .context(FILE, "reading the ages of keys")?;
    rows.map(|row| {
        let (role, since) = row.context(FILE, "reading the ages of keys")?;
        let since = Timestamp::from_millisecond(since).ok().filter(|_| since != 0);
        Ok((meters::role(&role)?, since))
    })
    .collect()
}
