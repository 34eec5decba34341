//! Alarms of a model: `[alarms]`.
//!
//! ```toml
//! [alarms]
//! layout = "idis"                    # or "dsmr": which bits stand for which events
//! filters = [0x0000_2001, 0]         # attribute 2 of 0.0.97.98.10 and 0.0.97.98.11 at first; all bits unless given
//! script = "0.0.10.0.108:4"          # runs when a descriptor that was 0 is so no longer
//! ```
//!
//! The objects are of class 1 with `value = "alarm"`: 0.0.97.97.0 (errors), 0.0.97.98.{0,1} (registers), {10,11} (filters)
//! and {20,21} (descriptors). The script stands for the alarm monitors 0.0.16.1.0 and 0.0.16.1.1 with the threshold 0.

use dlms::cosem::action::ActionItem;
use serde::Deserialize;
use toml::Spanned;

use crate::alarms::{AlarmLayout, REGISTERS};
use crate::simulator::model::ModelError;
use crate::simulator::model::error::Places;

/// `[alarms]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::simulator::model) struct AlarmsFile {
    #[serde(default)]
    layout: LayoutFile,
    filters: Option<[u32; REGISTERS]>,
    script: Option<Spanned<String>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LayoutFile {
    #[default]
    Idis,
    Dsmr,
}

/// What a meter's alarms begin with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModelAlarms {
    pub(crate) layout: AlarmLayout,
    pub(crate) filters: [u32; REGISTERS],
    pub(crate) script: Option<ActionItem>,
}

pub(in crate::simulator::model) fn compile(places: &Places<'_>, file: &AlarmsFile) -> Result<ModelAlarms, ModelError> {
    let layout = match file.layout {
        LayoutFile::Idis => AlarmLayout::Idis,
        LayoutFile::Dsmr => AlarmLayout::Dsmr,
    };
    let script = match &file.script {
        None => None,
        Some(text) => Some(script(text.get_ref()).ok_or_else(|| {
            places.error(text.span(), format!("`{}` is not OBIS:IDENTIFIER of a script", text.get_ref()))
        })?),
    };
    Ok(ModelAlarms { layout, filters: file.filters.unwrap_or([u32::MAX; REGISTERS]), script })
}

/// `0.0.10.0.108:4`.
fn script(text: &str) -> Option<ActionItem> {
    let (table, selector) = text.split_once(':')?;
    Some(ActionItem { script_logical_name: table.parse().ok()?, script_selector: selector.parse().ok()? })
}
