//! Groups.

use rusqlite::{Connection, OptionalExtension, params};

use super::{SqliteStore, control::FILE, failure::Context};
use crate::{
    group::GroupRecord,
    meter::Tenant,
    store::{GroupStore, StoreError},
};

impl GroupStore for SqliteStore {
    async fn create_group(&self, group: GroupRecord) -> Result<(), StoreError> {
        self.0.control.write(move |db| create(db, &group)).await
    }

    async fn group(&self, name: &str) -> Result<Option<GroupRecord>, StoreError> {
        let name = name.to_owned();
        self.0.readers.control(move |db| get(db, &name)).await
    }

    async fn list_groups(
        &self,
        after: Option<String>,
        tenant: Option<Tenant>,
        limit: usize,
    ) -> Result<Vec<GroupRecord>, StoreError> {
        self.0.readers.control(move |db| list(db, after.as_deref(), tenant.as_ref(), limit)).await
    }

    async fn delete_group(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.0.control.write(move |db| delete(db, &name)).await
    }
}

fn create(db: &Connection, group: &GroupRecord) -> Result<(), StoreError> {
    if get(db, group.id.as_str())?.is_some() {
        return Err(StoreError::AlreadyExists(group.id.resource_name()));
    }
    let text = serde_json::to_string(group).map_err(|error| StoreError::Database {
        file: FILE.to_owned(),
        action: "encoding a group",
        source: std::sync::Arc::new(error),
    })?;
    db.execute("INSERT INTO meter_groups (name, record) VALUES (?1, ?2)", [group.id.as_str(), &text])
        .map(drop)
        .context(FILE, "writing a group")
}

fn get(db: &Connection, name: &str) -> Result<Option<GroupRecord>, StoreError> {
    db.prepare_cached("SELECT record FROM meter_groups WHERE name = ?1")
        .and_then(|mut query| query.query_row([name], |row| row.get::<_, String>(0)).optional())
        .context(FILE, "reading a group")?
        .map(|text| parse(&text))
        .transpose()
}

fn list(
    db: &Connection,
    after: Option<&str>,
    tenant: Option<&Tenant>,
    limit: usize,
) -> Result<Vec<GroupRecord>, StoreError> {
    let mut query = db
        .prepare_cached(
            "SELECT record FROM meter_groups
             WHERE name > ?1 AND (?2 IS NULL OR json_extract(record, '$.tenant') = ?2) ORDER BY name LIMIT ?3",
        )
        .context(FILE, "listing groups")?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query
        .query_map(params![after.unwrap_or(""), tenant.map(Tenant::as_str), limit], |row| row.get::<_, String>(0))
        .context(FILE, "listing groups")?;
    rows.map(|row| parse(&row.context(FILE, "listing groups")?)).collect()
}

fn delete(db: &Connection, name: &str) -> Result<(), StoreError> {
    let deleted = db.execute("DELETE FROM meter_groups WHERE name = ?1", [name]).context(FILE, "deleting a group")?;
    if deleted == 0 { Err(StoreError::NotFound(format!("groups/{name}"))) } else { Ok(()) }
}

fn parse(text: &str) -> Result<GroupRecord, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Corrupt { file: FILE.to_owned(), reason: format!("a group's record: {error}") })
}
