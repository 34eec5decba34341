//! Limiter (class 71) and register monitor (21): `[object.limiter]` and `[object.register-monitor]`.

use dlms::cosem::action::{ActionItem, ActionSet, MonitoredValue};
use dlms::cosem::limiter::{EmergencyProfile, LimiterActions};
use dlms::obis::ObisCode;
use dlms::time::DateTime;
use serde::Deserialize;
use toml::Spanned;

use crate::limiter::LimiterSettings;
use crate::number::{Number, NumberKind};
use crate::objects::{Limiter, RegisterMonitor};
use crate::register_monitor::MonitorSettings;
use crate::simulator::model::SharedObject;
use crate::simulator::model::objects::{Built, Problem, column, here};
use crate::simulator::model::schema::{Parsed, TypeName};

/// A limiter. Thresholds that are left out are the highest of the type: nothing is over them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::simulator::model) struct LimiterFile {
    /// `CLASS:OBIS:ATTRIBUTE`.
    monitored: Spanned<String>,
    #[serde(rename = "type")]
    kind: TypeName,
    normal: Option<i64>,
    emergency: Option<i64>,
    min_over: u32,
    min_under: u32,
    #[serde(default)]
    groups: Vec<u16>,
    over: ScriptFile,
    under: ScriptFile,
}

/// A register monitor.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::simulator::model) struct MonitorFile {
    /// `CLASS:OBIS:ATTRIBUTE`.
    monitored: Spanned<String>,
    #[serde(rename = "type")]
    kind: TypeName,
    /// Thresholds; `max` is the highest value of the type.
    thresholds: Vec<ThresholdFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThresholdFile {
    /// The highest value of the type when absent.
    value: Option<i64>,
    up: Option<ScriptFile>,
    down: Option<ScriptFile>,
}

/// A script of a table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptFile {
    table: Parsed<ObisCode>,
    script: u16,
}

impl ScriptFile {
    const fn action(&self) -> ActionItem {
        ActionItem { script_logical_name: self.table.0, script_selector: self.script }
    }
}

fn number(kind: TypeName, value: Option<i64>) -> Result<Number, Problem> {
    let kind = match kind {
        TypeName::Integer => NumberKind::Integer,
        TypeName::Long => NumberKind::Long,
        TypeName::DoubleLong => NumberKind::DoubleLong,
        TypeName::Long64 => NumberKind::Long64,
        TypeName::Unsigned => NumberKind::Unsigned,
        TypeName::LongUnsigned => NumberKind::LongUnsigned,
        TypeName::DoubleLongUnsigned => NumberKind::DoubleLongUnsigned,
        TypeName::Long64Unsigned => NumberKind::Long64Unsigned,
        _ => return Err(here("a threshold is of a type of integers")),
    };
    Number::new(kind, value.unwrap_or(kind.max())).ok_or_else(|| here("a threshold does not fit its type"))
}

/// The value that is watched; checked as a column would be when all objects are known.
fn monitored(text: &Spanned<String>, built: &mut Built) -> Result<MonitoredValue, Problem> {
    let found = column(text.get_ref())
        .ok_or_else(|| Problem::At(text.span(), format!("`{}` is not CLASS:OBIS:ATTRIBUTE", text.get_ref())))?;
    built.columns.push((text.span(), found));
    Ok(MonitoredValue { class_id: found.class_id, logical_name: found.instance, attribute_index: found.attribute })
}

/// Builds the limiter.
pub(in crate::simulator::model) fn limiter(
    file: &LimiterFile,
    instance: ObisCode,
    built: &mut Built,
) -> Result<SharedObject, Problem> {
    let settings = LimiterSettings {
        monitored: monitored(&file.monitored, built)?,
        normal: number(file.kind, file.normal)?,
        emergency_threshold: number(file.kind, file.emergency)?,
        min_over_s: file.min_over,
        min_under_s: file.min_under,
        emergency: EmergencyProfile { id: 0, activation_time: DateTime::UNSPECIFIED, duration: 0 },
        activation: None,
        groups: heapless::Vec::from_slice(&file.groups).map_err(|_| here("there are too many emergency groups"))?,
        actions: LimiterActions { over_threshold: file.over.action(), under_threshold: file.under.action() },
    };
    if built.supervision.limiter.replace(settings).is_some() {
        return Err(here("a meter has one limiter"));
    }
    Ok(Box::new(Limiter { instance }))
}

/// Builds a register monitor.
pub(in crate::simulator::model) fn monitor(
    file: &MonitorFile,
    instance: ObisCode,
    built: &mut Built,
) -> Result<SharedObject, Problem> {
    const NOTHING: ActionItem = ActionItem { script_logical_name: ObisCode([0; 6]), script_selector: 0 };
    let mut settings = MonitorSettings {
        thresholds: heapless::Vec::new(),
        monitored: monitored(&file.monitored, built)?,
        actions: heapless::Vec::new(),
    };
    for threshold in &file.thresholds {
        let action = |script: &Option<ScriptFile>| script.as_ref().map_or(NOTHING, ScriptFile::action);
        let actions = ActionSet { action_up: action(&threshold.up), action_down: action(&threshold.down) };
        let full = settings.thresholds.push(number(file.kind, threshold.value)?).is_err()
            || settings.actions.push(actions).is_err();
        if full {
            return Err(here("there are too many thresholds"));
        }
    }
    built.supervision.monitors.insert(instance, settings);
    Ok(Box::new(RegisterMonitor { instance }))
}
