//! Object models, profile layouts and values of this installation.

use std::sync::Arc;

use dlms::obis::ObisCode;
use rusqlite::{Connection, OptionalExtension, params};

use super::{SqliteStore, control::FILE, failure::Context};
use crate::{
    meter::MeterId,
    operation::{ObjectModel, ProfileLayout},
    store::{ModelStore, StoreError, json},
};

impl ModelStore for SqliteStore {
    async fn object_model(&self, id: &MeterId) -> Result<Option<ObjectModel>, StoreError> {
        let id = id.clone();
        self.0.readers.control(move |db| get(db, &id)).await
    }

    async fn save_object_model(&self, id: &MeterId, model: Arc<ObjectModel>) -> Result<(), StoreError> {
        let id = id.clone();
        self.0.control.write(move |db| save(db, &id, &model)).await
    }

    async fn profile_layout(&self, id: &MeterId, profile: ObisCode) -> Result<Option<ProfileLayout>, StoreError> {
        let id = id.clone();
        self.0.readers.control(move |db| layout(db, &id, profile)).await
    }

    async fn save_profile_layout(&self, id: &MeterId, layout: Arc<ProfileLayout>) -> Result<(), StoreError> {
        let id = id.clone();
        self.0.control.write(move |db| save_layout(db, &id, &layout)).await
    }

    async fn instance_value(&self, name: &'static str, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        self.0.control.write(move |db| instance_value(db, name, &value)).await
    }
}

pub(super) fn get(db: &Connection, id: &MeterId) -> Result<Option<ObjectModel>, StoreError> {
    let text = db
        .prepare_cached("SELECT model FROM object_models WHERE meter = ?1")
        .and_then(|mut query| query.query_row([id.as_str()], |row| row.get::<_, String>(0)).optional())
        .context(FILE, "reading an object model")?;
    let Some(text) = text else { return Ok(None) };
    let mut query = db
        .prepare_cached("SELECT layout FROM profile_layouts WHERE meter = ?1 ORDER BY profile")
        .context(FILE, "reading profile layouts")?;
    let rows =
        query.query_map([id.as_str()], |row| row.get::<_, String>(0)).context(FILE, "reading profile layouts")?;
    let mut profiles = Vec::new();
    for row in rows {
        let text = row.context(FILE, "reading profile layouts")?;
        profiles.push(Arc::new(json::to_layout(&text).context(FILE, "reading a profile layout")?));
    }
    json::to_model(&text, profiles).context(FILE, "reading an object model").map(Some)
}

pub(super) fn save(db: &Connection, id: &MeterId, model: &ObjectModel) -> Result<(), StoreError> {
    check_registered(db, id)?;
    let text = json::from_model(model).context(FILE, "encoding an object model")?;
    db.execute(
        "INSERT INTO object_models (meter, model) VALUES (?1, ?2) ON CONFLICT (meter) DO UPDATE SET model = excluded.model",
        [id.as_str(), &text],
    )
    .context(FILE, "writing an object model")?;
    // Layouts of profiles that the meter no longer has would be offered as if it had them.
    db.execute("DELETE FROM profile_layouts WHERE meter = ?1", [id.as_str()])
        .context(FILE, "writing profile layouts")?;
    model.profiles.iter().try_for_each(|layout| save_layout(db, id, layout))
}

pub(super) fn layout(db: &Connection, id: &MeterId, profile: ObisCode) -> Result<Option<ProfileLayout>, StoreError> {
    db.prepare_cached("SELECT layout FROM profile_layouts WHERE meter = ?1 AND profile = ?2")
        .and_then(|mut query| {
            query.query_row([id.as_str(), &profile.to_string()], |row| row.get::<_, String>(0)).optional()
        })
        .context(FILE, "reading a profile layout")?
        .map(|text| json::to_layout(&text).context(FILE, "reading a profile layout"))
        .transpose()
}

pub(super) fn save_layout(db: &Connection, id: &MeterId, layout: &ProfileLayout) -> Result<(), StoreError> {
    check_registered(db, id)?;
    let text = json::from_layout(layout).context(FILE, "encoding a profile layout")?;
    db.prepare_cached(
        "INSERT INTO profile_layouts (meter, profile, layout) VALUES (?1, ?2, ?3)
         ON CONFLICT (meter, profile) DO UPDATE SET layout = excluded.layout",
    )
    .and_then(|mut insert| insert.execute([id.as_str(), &layout.profile.to_string(), &text]))
    .map(drop)
    .context(FILE, "writing a profile layout")
}

pub(super) fn instance_value(db: &Connection, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
    db.execute("INSERT INTO instance (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING", params![name, value])
        .and_then(|_| db.query_row("SELECT value FROM instance WHERE name = ?1", [name], |row| row.get(0)))
        .context(FILE, "reading a value of this installation")
}

fn check_registered(db: &Connection, id: &MeterId) -> Result<(), StoreError> {
    let registered = db
        .prepare_cached("SELECT 1 FROM meters WHERE name = ?1")
        .and_then(|mut query| query.exists([id.as_str()]))
        .context(FILE, "looking a meter up")?;
    if registered { Ok(()) } else { Err(StoreError::NotFound(id.resource_name())) }
}
