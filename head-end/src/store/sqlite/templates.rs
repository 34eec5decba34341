//! Templates of configurations.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{SqliteStore, control::FILE, failure::Context};
use crate::{
    meter::Tenant,
    store::{
        StoreError, TemplateRow, TemplateStore,
        captures::moment,
        templates::{missing, next, owner},
    },
};

impl TemplateStore for SqliteStore {
    async fn add_template(&self, template: TemplateRow) -> Result<TemplateRow, StoreError> {
        self.0.control.write(move |db| add(db, template)).await
    }

    async fn template(
        &self,
        tenant: Option<Tenant>,
        name: &str,
        revision: Option<u32>,
    ) -> Result<Option<TemplateRow>, StoreError> {
        let name = name.to_owned();
        self.0.readers.control(move |db| get(db, tenant.as_ref(), &name, revision)).await
    }

    async fn list_templates(
        &self,
        tenant: Option<Tenant>,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<TemplateRow>, StoreError> {
        self.0.readers.control(move |db| list(db, tenant.as_ref(), after.as_deref(), limit)).await
    }

    async fn delete_template(
        &self,
        tenant: Option<Tenant>,
        name: &str,
        revision: Option<u32>,
    ) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.0.control.write(move |db| delete(db, tenant.as_ref(), &name, revision)).await
    }
}

fn add(db: &Connection, template: TemplateRow) -> Result<TemplateRow, StoreError> {
    let (tenant, name) = (template.tenant.as_ref(), &template.name);
    let newest = get(db, tenant, name, None)?.map_or(0, |newest| newest.revision);
    let stated = match template.revision {
        0 => None,
        revision => get(db, tenant, name, Some(revision))?,
    };
    let Some(revision) = next(&template, newest, stated.as_ref())? else { return Ok(stated.unwrap_or(template)) };
    let template = TemplateRow { revision, ..template };
    db.execute(
        "INSERT INTO templates (tenant, name, revision, contents, creator, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            owner(template.tenant.as_ref()),
            template.name,
            template.revision,
            template.contents,
            template.creator,
            template.created.as_millisecond()
        ],
    )
    .context(FILE, "writing a template")?;
    Ok(template)
}

fn get(
    db: &Connection,
    tenant: Option<&Tenant>,
    name: &str,
    revision: Option<u32>,
) -> Result<Option<TemplateRow>, StoreError> {
    let read = |row: &Row<'_>| template(row, tenant);
    db.prepare_cached(
        "SELECT name, revision, contents, creator, created_ms FROM templates
         WHERE tenant = ?1 AND name = ?2 AND (?3 IS NULL OR revision = ?3) ORDER BY revision DESC LIMIT 1",
    )
    .and_then(|mut query| query.query_row(params![owner(tenant), name, revision], read).optional())
    .context(FILE, "reading a template")
}

fn list(
    db: &Connection,
    tenant: Option<&Tenant>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<TemplateRow>, StoreError> {
    let action = "listing templates";
    let mut query = db
        .prepare_cached(
            "SELECT name, revision, contents, creator, created_ms FROM templates AS t
             WHERE tenant = ?1 AND name > ?2
               AND revision = (SELECT max(revision) FROM templates AS o WHERE o.tenant = t.tenant AND o.name = t.name)
             ORDER BY name LIMIT ?3",
        )
        .context(FILE, action)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query
        .query_map(params![owner(tenant), after.unwrap_or(""), limit], |row| template(row, tenant))
        .context(FILE, action)?;
    rows.map(|row| row.context(FILE, action)).collect()
}

fn delete(db: &Connection, tenant: Option<&Tenant>, name: &str, revision: Option<u32>) -> Result<(), StoreError> {
    let sql = "DELETE FROM templates WHERE tenant = ?1 AND name = ?2 AND (?3 IS NULL OR revision = ?3)";
    let deleted = db.execute(sql, params![owner(tenant), name, revision]).context(FILE, "deleting a template")?;
    if deleted == 0 { Err(missing(name, revision)) } else { Ok(()) }
}

fn template(row: &Row<'_>, tenant: Option<&Tenant>) -> rusqlite::Result<TemplateRow> {
    Ok(TemplateRow {
        tenant: tenant.cloned(),
        name: row.get(0)?,
        revision: row.get(1)?,
        contents: row.get(2)?,
        creator: row.get(3)?,
        created: moment(row.get(4)?),
    })
}
