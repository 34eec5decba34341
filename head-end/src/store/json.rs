//! Object models and layouts as JSON, readable with any SQL tool.

use std::sync::Arc;

use dlms::{
    id::{AttributeId, ClassId, MethodId},
    obis::ObisCode,
    unit::{ScalerUnit, Unit},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::operation::{CaptureColumn, ModelObject, ObjectModel, ProfileLayout};

#[derive(Serialize, Deserialize)]
struct Column {
    class: u16,
    obis: String,
    attribute: i8,
    #[serde(default)]
    index: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scaler_unit: Option<(i8, u8)>,
}

#[derive(Serialize, Deserialize)]
struct Layout {
    profile: String,
    columns: Vec<Column>,
    capture_period_s: u32,
    entries_in_use: Option<u32>,
    profile_entries: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct Object {
    class: u16,
    version: u8,
    obis: String,
    attributes: Vec<(i8, u8)>,
    methods: Vec<(i8, u8)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scaler_unit: Option<(i8, u8)>,
}

#[derive(Serialize, Deserialize)]
struct Model {
    read: Timestamp,
    objects: Vec<Object>,
}

/// What is wrong with JSON in the store.
#[derive(Debug, thiserror::Error)]
pub(super) enum JsonError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("{0:?} is not an OBIS code")]
    Obis(String),
}

type Result<T> = std::result::Result<T, JsonError>;

fn scaler(of: Option<ScalerUnit>) -> Option<(i8, u8)> {
    of.map(|of| (of.scaler, of.unit.0))
}

fn scaler_unit(of: Option<(i8, u8)>) -> Option<ScalerUnit> {
    of.map(|(scaler, unit)| ScalerUnit { scaler, unit: Unit(unit) })
}

fn obis(text: &str) -> Result<ObisCode> {
    text.parse().map_err(|_| JsonError::Obis(text.to_owned()))
}

fn column(of: &CaptureColumn) -> Column {
    Column {
        class: of.class.0,
        obis: of.obis.to_string(),
        attribute: of.attribute.0,
        index: of.data_index,
        scaler_unit: scaler(of.scaler_unit),
    }
}

fn capture_column(of: &Column) -> Result<CaptureColumn> {
    Ok(CaptureColumn {
        class: ClassId(of.class),
        obis: obis(&of.obis)?,
        attribute: AttributeId(of.attribute),
        data_index: of.index,
        scaler_unit: scaler_unit(of.scaler_unit),
    })
}

pub(super) fn from_columns(columns: &[CaptureColumn]) -> Result<String> {
    let columns: Vec<Column> = columns.iter().map(column).collect();
    Ok(serde_json::to_string(&columns)?)
}

pub(super) fn to_columns(text: &str) -> Result<Arc<[CaptureColumn]>> {
    let columns: Vec<Column> = serde_json::from_str(text)?;
    columns.iter().map(capture_column).collect()
}

pub(super) fn from_layout(layout: &ProfileLayout) -> Result<String> {
    Ok(serde_json::to_string(&Layout {
        profile: layout.profile.to_string(),
        columns: layout.columns.iter().map(column).collect(),
        capture_period_s: layout.capture_period_s,
        entries_in_use: layout.entries_in_use,
        profile_entries: layout.profile_entries,
    })?)
}

pub(super) fn to_layout(text: &str) -> Result<ProfileLayout> {
    let layout: Layout = serde_json::from_str(text)?;
    Ok(ProfileLayout {
        profile: obis(&layout.profile)?,
        columns: layout.columns.iter().map(capture_column).collect::<Result<_>>()?,
        capture_period_s: layout.capture_period_s,
        entries_in_use: layout.entries_in_use,
        profile_entries: layout.profile_entries,
    })
}

/// The objects of `model`; its layouts are rows of their own.
pub(super) fn from_model(model: &ObjectModel) -> Result<String> {
    let object = |of: &ModelObject| Object {
        class: of.class.0,
        version: of.version,
        obis: of.obis.to_string(),
        attributes: of.attributes.iter().map(|(id, mode)| (id.0, *mode)).collect(),
        methods: of.methods.iter().map(|(id, mode)| (id.0, *mode)).collect(),
        scaler_unit: scaler(of.scaler_unit),
    };
    Ok(serde_json::to_string(&Model { read: model.read, objects: model.objects.iter().map(object).collect() })?)
}

pub(super) fn to_model(text: &str, profiles: Vec<Arc<ProfileLayout>>) -> Result<ObjectModel> {
    let model: Model = serde_json::from_str(text)?;
    let object = |of: &Object| {
        Ok(ModelObject {
            class: ClassId(of.class),
            version: of.version,
            obis: obis(&of.obis)?,
            attributes: of.attributes.iter().map(|(id, mode)| (AttributeId(*id), *mode)).collect(),
            methods: of.methods.iter().map(|(id, mode)| (MethodId(*id), *mode)).collect(),
            scaler_unit: scaler_unit(of.scaler_unit),
        })
    };
    let objects = model.objects.iter().map(object).collect::<Result<_>>()?;
    Ok(ObjectModel { objects, profiles, read: model.read })
}
