//! Calendars, special days and templates as files.

use std::path::Path;

use dlms_proto::v1::{
    self, AttributeAssignment, CalendarDay, CalendarDayAction, CalendarSeason, CalendarWeek, ConfigurationTemplate,
    SetActivityCalendarSpec, SetSpecialDaysSpec,
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::cli::{Failure, attributes, value};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CalendarFile {
    #[serde(default)]
    object: String,
    name: String,
    season: Vec<SeasonFile>,
    week: Vec<WeekFile>,
    day: Vec<DayFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeasonFile {
    name: String,
    start: String,
    #[serde(default)]
    time: String,
    week: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WeekFile {
    name: String,
    days: Vec<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DayFile {
    id: u32,
    #[serde(default)]
    actions: Vec<ActionFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionFile {
    time: String,
    script: u32,
    #[serde(default)]
    table: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpecialDaysFile {
    #[serde(default)]
    object: String,
    #[serde(default)]
    day: Vec<SpecialDayFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpecialDayFile {
    index: u32,
    date: String,
    day: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateFile {
    name: String,
    attribute: Vec<AttributeFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributeFile {
    /// CLASS/OBIS/ATTRIBUTE.
    attribute: String,
    /// TYPE:VALUE.
    value: String,
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let wrong = |error: String| Failure::usage(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    toml::from_str(&text).map_err(|error| wrong(error.to_string()))
}

pub(super) fn calendar(path: &Path) -> Result<SetActivityCalendarSpec, Failure> {
    let of: CalendarFile = read(path)?;
    let season = |of: SeasonFile| CalendarSeason {
        name: of.name.into_bytes(),
        start_date: of.start,
        start_time: of.time,
        week: of.week.into_bytes(),
    };
    let action = |of: ActionFile| CalendarDayAction { time: of.time, script_table: of.table, script: of.script };
    let day = |of: DayFile| CalendarDay { id: of.id, actions: of.actions.into_iter().map(action).collect() };
    let week = |of: WeekFile| CalendarWeek { name: of.name.into_bytes(), days: of.days };
    Ok(SetActivityCalendarSpec {
        object: of.object,
        name: of.name.into_bytes(),
        seasons: of.season.into_iter().map(season).collect(),
        weeks: of.week.into_iter().map(week).collect(),
        days: of.day.into_iter().map(day).collect(),
        ..Default::default()
    })
}

pub(super) fn special_days(path: &Path) -> Result<SetSpecialDaysSpec, Failure> {
    let of: SpecialDaysFile = read(path)?;
    let day = |of: SpecialDayFile| v1::SpecialDay { index: of.index, date: of.date, day_id: of.day };
    Ok(SetSpecialDaysSpec { object: of.object, days: of.day.into_iter().map(day).collect() })
}

pub(in crate::cli) fn template(path: &Path) -> Result<ConfigurationTemplate, Failure> {
    let of: TemplateFile = read(path)?;
    let mut assignments = Vec::with_capacity(of.attribute.len());
    for one in of.attribute {
        let wrong = |error: String| Failure::usage(format!("{}: {}: {error}", path.display(), one.attribute));
        let attribute = attributes::attribute(&one.attribute).map_err(wrong)?;
        let value = value::parse(&one.value).map_err(wrong)?;
        assignments.push(AttributeAssignment { attribute: Some(attribute), selection: None, value: Some(value) });
    }
    Ok(ConfigurationTemplate { name: of.name, attributes: assignments })
}
