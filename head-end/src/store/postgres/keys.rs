//! Keys between old and new. What changes those of a meter holds the row of the meter first.

use std::collections::BTreeMap;

use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;

use super::{
    PostgresStore, meters,
    pool::{execute, get as column, rows, text},
};
use crate::{
    meter::MeterId,
    store::{KeyStore, NewKeys, StoreError},
    vault::{Sealed, SecretRole},
};

impl KeyStore for PostgresStore {
    async fn stage_keys(&self, meter: &MeterId, keys: NewKeys) -> Result<NewKeys, StoreError> {
        let meter = meter.clone();
        let action = "keeping new keys";
        self.0.connections.write(action, move |db| Box::pin(async move { stage(db, &meter, keys).await })).await
    }

    async fn new_keys(&self, meter: &MeterId) -> Result<Option<NewKeys>, StoreError> {
        let meter = meter.clone();
        let action = "reading new keys";
        self.0.connections.read(action, move |db| Box::pin(async move { get(db, &meter).await })).await
    }

    async fn confirm_keys(&self, meter: &MeterId, rotation: &str) -> Result<(), StoreError> {
        let (meter, rotation) = (meter.clone(), rotation.to_owned());
        let action = "confirming new keys";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let sql = "UPDATE new_keys SET confirmed = true WHERE meter = $1 AND rotation = $2";
                    execute(db, action, sql, &[&meter.as_str(), &text(&rotation)]).await.map(drop)
                })
            })
            .await
    }

    async fn promote_keys(&self, meter: &MeterId, rotation: &str, at: Timestamp) -> Result<bool, StoreError> {
        let (meter, rotation) = (meter.clone(), rotation.to_owned());
        let action = "taking new keys into use";
        self.0
            .connections
            .write(action, move |db| Box::pin(async move { promote(db, &meter, &rotation, at).await }))
            .await
    }

    async fn drop_keys(&self, meter: &MeterId, rotation: &str) -> Result<bool, StoreError> {
        let (meter, rotation) = (meter.clone(), rotation.to_owned());
        let action = "removing new keys";
        self.0.connections.write(action, move |db| Box::pin(async move { forget(db, &meter, &rotation).await })).await
    }

    async fn key_times(&self, meter: &MeterId) -> Result<BTreeMap<SecretRole, Option<Timestamp>>, StoreError> {
        let meter = meter.clone();
        let action = "reading the ages of keys";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let sql = "SELECT role, since_ms FROM meter_secrets WHERE meter = $1";
                    let rows = rows(db, action, sql, &[&meter.as_str()]).await?;
                    let time = |since: i64| Timestamp::from_millisecond(since).ok().filter(|_| since != 0);
                    rows.iter().map(|row| Ok((meters::role(column(row, 0)?)?, time(column(row, 1)?)))).collect()
                })
            })
            .await
    }
}

async fn stage(db: &Transaction<'_>, meter: &MeterId, keys: NewKeys) -> Result<NewKeys, StoreError> {
    meters::held(db, meter).await?;
    let rotation = text(&keys.rotation).into_owned();
    match get(db, meter).await? {
        Some(kept) if kept.rotation == rotation => return Ok(kept),
        Some(_) => return Err(StoreError::AlreadyExists(format!("another rotation of the keys of {meter}"))),
        None => {}
    }
    for (role, sealed) in &keys.sealed {
        let sql = "INSERT INTO new_keys (meter, role, sealed, rotation, made_ms, confirmed)
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let made = keys.made.as_millisecond();
        let values = (meter.as_str(), role.name(), sealed.as_bytes());
        execute(db, "writing new keys", sql, &[&values.0, &values.1, &values.2, &rotation, &made, &keys.confirmed])
            .await?;
    }
    Ok(keys)
}

async fn get(db: &impl GenericClient, meter: &MeterId) -> Result<Option<NewKeys>, StoreError> {
    let sql = "SELECT role, sealed, rotation, made_ms, confirmed FROM new_keys WHERE meter = $1";
    let mut found: Option<NewKeys> = None;
    for row in &rows(db, "reading new keys", sql, &[&meter.as_str()]).await? {
        let keys = found.get_or_insert(NewKeys {
            rotation: column(row, 2)?,
            sealed: BTreeMap::new(),
            made: Timestamp::from_millisecond(column(row, 3)?).unwrap_or(Timestamp::UNIX_EPOCH),
            confirmed: column(row, 4)?,
        });
        keys.sealed.insert(meters::role(column(row, 0)?)?, Sealed::from_bytes(column(row, 1)?));
    }
    Ok(found)
}

async fn promote(db: &Transaction<'_>, meter: &MeterId, rotation: &str, at: Timestamp) -> Result<bool, StoreError> {
    let mut record = match meters::held(db, meter).await {
        Err(StoreError::NotFound(_)) => return Ok(false),
        held => held?,
    };
    let Some(keys) = get(db, meter).await?.filter(|keys| keys.rotation == text(rotation)) else { return Ok(false) };
    record.revision = record.revision.saturating_add(1);
    record.updated = at;
    meters::replace(db, &record).await?;
    for (role, sealed) in keys.sealed {
        meters::put_secret(db, &record, &(role, Some(sealed))).await?;
    }
    forget(db, meter, rotation).await
}

async fn forget(db: &Transaction<'_>, meter: &MeterId, rotation: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM new_keys WHERE meter = $1 AND rotation = $2";
    Ok(execute(db, "removing new keys", sql, &[&meter.as_str(), &text(rotation)]).await? > 0)
}
