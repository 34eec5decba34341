//! Groups.

use super::{
    PLACE, PostgresStore,
    pool::{execute, get, limit as count, row, rows},
};
use crate::{
    group::GroupRecord,
    meter::Tenant,
    store::{GroupStore, StoreError, records},
};

impl GroupStore for PostgresStore {
    async fn create_group(&self, group: GroupRecord) -> Result<(), StoreError> {
        let action = "adding a group";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let sql = "INSERT INTO meter_groups (name, tenant, record) VALUES ($1, $2, $3)
                               ON CONFLICT (name) DO NOTHING";
                    let tenant = group.tenant.as_ref().map(Tenant::as_str);
                    let text = records::to_json(&group, PLACE)?;
                    match execute(db, action, sql, &[&group.id.as_str(), &tenant, &text]).await? {
                        0 => Err(StoreError::AlreadyExists(group.id.resource_name())),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }

    async fn group(&self, name: &str) -> Result<Option<GroupRecord>, StoreError> {
        let name = name.to_owned();
        let action = "reading a group";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let row = row(db, action, "SELECT record FROM meter_groups WHERE name = $1", &[&name]).await?;
                    row.map(|row| parse(get(&row, 0)?)).transpose()
                })
            })
            .await
    }

    async fn list_groups(
        &self,
        after: Option<String>,
        tenant: Option<Tenant>,
        limit: usize,
    ) -> Result<Vec<GroupRecord>, StoreError> {
        let action = "listing groups";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let sql = "SELECT record FROM meter_groups
                               WHERE name > $1 AND ($2::text IS NULL OR tenant = $2) ORDER BY name LIMIT $3";
                    let (after, tenant) = (after.unwrap_or_default(), tenant.as_ref().map(Tenant::as_str));
                    let rows = rows(db, action, sql, &[&after, &tenant, &count(limit)]).await?;
                    rows.iter().map(|row| parse(get(row, 0)?)).collect()
                })
            })
            .await
    }

    async fn delete_group(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        let action = "deleting a group";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    match execute(db, action, "DELETE FROM meter_groups WHERE name = $1", &[&name]).await? {
                        0 => Err(StoreError::NotFound(format!("groups/{name}"))),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }
}

fn parse(text: &str) -> Result<GroupRecord, StoreError> {
    records::parse(text, "a group", PLACE)
}
