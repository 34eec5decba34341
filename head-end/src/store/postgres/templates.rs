//! Templates of configurations.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::{
    PostgresStore,
    pool::{execute, get, limit as count, row, rows, text, unsigned},
};
use crate::{
    meter::Tenant,
    store::{
        StoreError, TemplateRow, TemplateStore,
        captures::moment,
        templates::{missing, next, owner},
    },
};

impl TemplateStore for PostgresStore {
    async fn add_template(&self, template: TemplateRow) -> Result<TemplateRow, StoreError> {
        let action = "adding a template";
        self.0.connections.write(action, move |db| Box::pin(async move { add(db, action, template).await })).await
    }

    async fn template(
        &self,
        tenant: Option<Tenant>,
        name: &str,
        revision: Option<u32>,
    ) -> Result<Option<TemplateRow>, StoreError> {
        let name = name.to_owned();
        self.0
            .connections
            .read("reading a template", move |db| {
                Box::pin(async move { find(db, tenant.as_ref(), &name, revision).await })
            })
            .await
    }

    async fn list_templates(
        &self,
        tenant: Option<Tenant>,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<TemplateRow>, StoreError> {
        let action = "listing templates";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let sql = "SELECT DISTINCT ON (name) name, revision, contents, creator, created_ms FROM templates
                               WHERE tenant = $1 AND name > $2 ORDER BY name, revision DESC LIMIT $3";
                    let after = after.unwrap_or_default();
                    let found = rows(db, action, sql, &[&owner(tenant.as_ref()), &after, &count(limit)]).await?;
                    found.iter().map(|row| template_of(row, tenant.as_ref())).collect()
                })
            })
            .await
    }

    async fn delete_template(
        &self,
        tenant: Option<Tenant>,
        name: &str,
        revision: Option<u32>,
    ) -> Result<(), StoreError> {
        let name = name.to_owned();
        let action = "deleting a template";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let sql = "DELETE FROM templates
                               WHERE tenant = $1 AND name = $2 AND ($3::bigint IS NULL OR revision = $3)";
                    let number = revision.map(i64::from);
                    match execute(db, action, sql, &[&owner(tenant.as_ref()), &name, &number]).await? {
                        0 => Err(missing(&name, revision)),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }
}

async fn add(db: &impl GenericClient, action: &'static str, template: TemplateRow) -> Result<TemplateRow, StoreError> {
    let (tenant, name) = (template.tenant.as_ref(), &template.name);
    let newest = find(db, tenant, name, None).await?.map_or(0, |newest| newest.revision);
    let stated = match template.revision {
        0 => None,
        revision => find(db, tenant, name, Some(revision)).await?,
    };
    let Some(revision) = next(&template, newest, stated.as_ref())? else { return Ok(stated.unwrap_or(template)) };
    let template = TemplateRow { revision, ..template };
    let sql = "INSERT INTO templates (tenant, name, revision, contents, creator, created_ms)
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    let (number, created) = (i64::from(revision), template.created.as_millisecond());
    let creator = text(&template.creator);
    let owner = owner(template.tenant.as_ref());
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [&owner, &template.name, &number, &template.contents, &creator.as_ref(), &created];
    match execute(db, action, sql, &values).await? {
        // Somebody else was quicker.
        0 => Err(StoreError::Conflict {
            name: format!("templates/{}", template.name),
            found: revision.into(),
            expected: newest.into(),
        }),
        _ => Ok(template),
    }
}

async fn find(
    db: &impl GenericClient,
    tenant: Option<&Tenant>,
    name: &str,
    revision: Option<u32>,
) -> Result<Option<TemplateRow>, StoreError> {
    let sql = "SELECT name, revision, contents, creator, created_ms FROM templates
               WHERE tenant = $1 AND name = $2 AND ($3::bigint IS NULL OR revision = $3)
               ORDER BY revision DESC LIMIT 1";
    let number = revision.map(i64::from);
    let found = row(db, "reading a template", sql, &[&owner(tenant), &name, &number]).await?;
    found.map(|row| template_of(&row, tenant)).transpose()
}

fn template_of(row: &Row, tenant: Option<&Tenant>) -> Result<TemplateRow, StoreError> {
    Ok(TemplateRow {
        tenant: tenant.cloned(),
        name: get(row, 0)?,
        revision: unsigned(row, 1)?,
        contents: get(row, 2)?,
        creator: get(row, 3)?,
        created: moment(get(row, 4)?),
    })
}
