//! The schema: numbered steps, and a partition for each month.

use std::{ops::Range, time::Duration};

use deadpool_postgres::{GenericClient, Transaction};

use super::{
    PLACE,
    failure::Context,
    pool::{Connections, get, row},
};
use crate::store::{StoreError, month::Month};

/// The steps to the newest schema; a schema of version n has had the first n of them.
const STEPS: &[&str] = &[
    include_str!("../sql/postgres/001-initial.sql"),
    include_str!("../sql/postgres/002-groups-keys.sql"),
    include_str!("../sql/postgres/003-cursors.sql"),
    include_str!("../sql/postgres/004-templates.sql"),
    include_str!("../sql/postgres/005-customer-port.sql"),
    include_str!("../sql/postgres/006-upkeep.sql"),
    include_str!("../sql/postgres/007-device-names.sql"),
];

/// First half of our advisory locks, "DHEC"; the other half is of the schema, as one database may hold several.
pub(super) const LOCKS: i32 = 0x4448_4543;

/// Held while the schema is changed.
const MIGRATION: &str = "migration";

/// How long a change of the schema may take, and the wait for one that somebody else makes.
const MIGRATING: Duration = Duration::from_secs(600);

/// Waits for an advisory lock of this schema, which is held until the transaction ends.
pub(super) async fn lock(db: &impl GenericClient, what: &str) -> Result<(), StoreError> {
    let sql = "SELECT pg_advisory_xact_lock($1, hashtext(current_schema() || '/' || $2))";
    row(db, "waiting for a lock", sql, &[&LOCKS, &what]).await.map(drop)
}

/// Brings the schema to the newest version; several may do so at the same time.
pub(super) async fn migrate(connections: &Connections) -> Result<(), StoreError> {
    connections.transact_in(MIGRATING, "migrating", |db| Box::pin(steps(db))).await
}

async fn steps(db: &Transaction<'_>) -> Result<(), StoreError> {
    let action = "migrating";
    let millis = MIGRATING.as_millis();
    db.batch_execute(&format!("SET LOCAL statement_timeout = {millis}; SET LOCAL lock_timeout = {millis}"))
        .await
        .context(action)?;
    lock(db, MIGRATION).await?;
    db.batch_execute(
        "CREATE TABLE IF NOT EXISTS schema_version (
             one boolean PRIMARY KEY DEFAULT true CHECK (one), version bigint NOT NULL
         )",
    )
    .await
    .context(action)?;
    let stored = row(db, action, "SELECT version FROM schema_version", &[]).await?;
    let found: i64 = stored.map_or(Ok(0), |row| get(&row, 0))?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::NewerSchema { file: PLACE.to_owned(), found, known });
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        db.batch_execute(step).await.context(action)?;
    }
    if found < known {
        let sql = "INSERT INTO schema_version (version) VALUES ($1) ON CONFLICT (one) DO UPDATE SET version = $1";
        super::pool::execute(db, action, sql, &[&known]).await?;
    }
    Ok(())
}

/// Makes the partitions of a month, where they are not there.
pub(super) async fn add_month(connections: &Connections, month: Month) -> Result<(), StoreError> {
    connections.transact("making a partition", move |db| Box::pin(partitions(db, month))).await
}

async fn partitions(db: &Transaction<'_>, month: Month) -> Result<(), StoreError> {
    let action = "making a partition";
    let Range { start, end } = month.millis();
    // The first month and the last one hold what lies before and behind all months.
    let bound = |millis: i64, unit: i64| match millis {
        i64::MIN => "MINVALUE".to_owned(),
        i64::MAX => "MAXVALUE".to_owned(),
        millis => (millis / unit).to_string(),
    };
    for (table, unit) in [("captures", 1), ("coverage", 86_400_000)] {
        let (first, last) = (bound(start, unit), bound(end, unit));
        let name = format!("{table}_{}", month.suffix());
        let there = "SELECT 1 FROM pg_class WHERE relname = $1 AND relnamespace = current_schema()::regnamespace
                     AND relispartition";
        if row(db, action, there, &[&name]).await?.is_some() {
            continue;
        }
        lock(db, MIGRATION).await?;
        if row(db, action, there, &[&name]).await?.is_some() {
            continue;
        }
        // Attached rather than made in place, because that lets readers and writers of other months go on.
        db.batch_execute(&format!(
            "CREATE TABLE {name} (LIKE {table} INCLUDING ALL);
             ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({last})"
        ))
        .await
        .context(action)?;
    }
    Ok(())
}
