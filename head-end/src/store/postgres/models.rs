//! Object models, profile layouts and values of this installation.

use std::sync::Arc;

use deadpool_postgres::{GenericClient, Transaction};
use dlms::obis::ObisCode;

use super::{
    PostgresStore,
    failure::{Context, corrupt},
    pool::{execute, get as column, row, rows},
};
use crate::{
    meter::MeterId,
    operation::{ObjectModel, ProfileLayout},
    store::{ModelStore, StoreError, json},
};

impl ModelStore for PostgresStore {
    async fn object_model(&self, id: &MeterId) -> Result<Option<ObjectModel>, StoreError> {
        let id = id.clone();
        let action = "reading an object model";
        self.0.connections.read(action, move |db| Box::pin(async move { get(db, &id).await })).await
    }

    async fn save_object_model(&self, id: &MeterId, model: Arc<ObjectModel>) -> Result<(), StoreError> {
        let id = id.clone();
        let action = "writing an object model";
        self.0.connections.write(action, move |db| Box::pin(async move { save(db, &id, &model).await })).await
    }

    async fn profile_layout(&self, id: &MeterId, profile: ObisCode) -> Result<Option<ProfileLayout>, StoreError> {
        let id = id.clone();
        let action = "reading a profile layout";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let sql = "SELECT layout FROM profile_layouts WHERE meter = $1 AND profile = $2";
                    let row = row(db, action, sql, &[&id.as_str(), &profile.to_string()]).await?;
                    row.map(|row| json::to_layout(column(&row, 0)?).context(action)).transpose()
                })
            })
            .await
    }

    async fn save_profile_layout(&self, id: &MeterId, layout: Arc<ProfileLayout>) -> Result<(), StoreError> {
        let id = id.clone();
        let action = "writing a profile layout";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    check_registered(db, &id).await?;
                    save_layout(db, &id, &layout).await
                })
            })
            .await
    }

    async fn instance_value(&self, name: &'static str, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let action = "reading a value of this installation";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let insert = "INSERT INTO instance (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
                    execute(db, action, insert, &[&name, &value]).await?;
                    let row = row(db, action, "SELECT value FROM instance WHERE name = $1", &[&name]).await?;
                    column(&row.ok_or_else(|| corrupt(format!("the value {name} is not there")))?, 0)
                })
            })
            .await
    }
}

async fn get(db: &impl GenericClient, id: &MeterId) -> Result<Option<ObjectModel>, StoreError> {
    let action = "reading an object model";
    let sql = "SELECT model, layout FROM object_models LEFT JOIN profile_layouts USING (meter)
               WHERE meter = $1 ORDER BY profile";
    let rows = rows(db, action, sql, &[&id.as_str()]).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut profiles = Vec::new();
    for row in &rows {
        if let Some(text) = column::<Option<&str>>(row, 1)? {
            profiles.push(Arc::new(json::to_layout(text).context(action)?));
        }
    }
    json::to_model(column(first, 0)?, profiles).context(action).map(Some)
}

async fn save(db: &Transaction<'_>, id: &MeterId, model: &ObjectModel) -> Result<(), StoreError> {
    let action = "writing an object model";
    check_registered(db, id).await?;
    let text = json::from_model(model).context(action)?;
    let sql = "INSERT INTO object_models (meter, model) VALUES ($1, $2)
               ON CONFLICT (meter) DO UPDATE SET model = excluded.model";
    execute(db, action, sql, &[&id.as_str(), &text]).await?;
    // Layouts of profiles that the meter no longer has would be offered as if it had them.
    execute(db, action, "DELETE FROM profile_layouts WHERE meter = $1", &[&id.as_str()]).await?;
    for layout in &model.profiles {
        save_layout(db, id, layout).await?;
    }
    Ok(())
}

async fn save_layout(db: &Transaction<'_>, id: &MeterId, layout: &ProfileLayout) -> Result<(), StoreError> {
    let action = "writing a profile layout";
    let text = json::from_layout(layout).context(action)?;
    let sql = "INSERT INTO profile_layouts (meter, profile, layout) VALUES ($1, $2, $3)
               ON CONFLICT (meter, profile) DO UPDATE SET layout = excluded.layout";
    execute(db, action, sql, &[&id.as_str(), &layout.profile.to_string(), &text]).await.map(drop)
}

/// Keeps the meter from being deleted, and its layouts from being written by others, until the transaction ends.
async fn check_registered(db: &Transaction<'_>, id: &MeterId) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM meters WHERE name = $1 FOR NO KEY UPDATE";
    match row(db, "looking a meter up", sql, &[&id.as_str()]).await? {
        Some(_) => Ok(()),
        None => Err(StoreError::NotFound(id.resource_name())),
    }
}
