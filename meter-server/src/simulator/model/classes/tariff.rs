//! Activity calendar (20), special days (11) and register activation (6): `[object.activity-calendar]`,
//! `[[object.special-day]]` and `[object.register-activation]`.

use dlms::cosem::activity_calendar::DayAction;
use dlms::cosem::association_ln::ObjectId;
use dlms::cosem::special_days_table::SpecialDay;
use dlms::id::ClassId;
use dlms::obis::ObisCode;
use dlms::time::{Date, DateTime, Time};
use serde::Deserialize;
use toml::Spanned;

use crate::objects::{ActivityCalendar, RegisterActivation, SpecialDaysTable};
use crate::simulator::meter::tariff::ModelActivation;
use crate::simulator::model::SharedObject;
use crate::simulator::model::objects::{Built, Problem, here};
use crate::simulator::model::pattern::ObisPattern;
use crate::simulator::model::schema::Parsed;
use crate::tariff::{Calendar, Day, Mask, Name, Season, Week};

/// The calendar in force; the passive one is a copy of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::simulator::model) struct CalendarFile {
    name: String,
    /// The script table whose scripts the days name.
    script_table: Parsed<ObisCode>,
    seasons: Vec<SeasonFile>,
    weeks: Vec<WeekFile>,
    days: Vec<DayFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeasonFile {
    name: String,
    /// `*-04-01T00:00:00`: with wildcards.
    start: Parsed<DateTime>,
    week: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WeekFile {
    name: String,
    /// Day profiles from Monday to Sunday.
    days: [u8; 7],
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DayFile {
    id: u8,
    actions: Vec<ActionFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionFile {
    at: Parsed<Time>,
    script: u16,
}

/// A special day.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::simulator::model) struct SpecialDayFile {
    /// `*-12-25`: with wildcards.
    date: Parsed<Date>,
    day: u8,
}

/// Registers and masks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::simulator::model) struct ActivationFile {
    /// Class of the registers.
    class: u16,
    /// The registers that masks switch, by patterns.
    registers: Vec<Parsed<ObisPattern>>,
    masks: Vec<Spanned<MaskFile>>,
}

/// A mask: the registers of one rate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MaskFile {
    name: String,
    /// Value group E of the registers that count under it.
    rate: u8,
    /// The script of the tariff script table that puts it in force.
    script: u16,
}

fn name(text: &str) -> Result<Name, Problem> {
    Name::from_slice(text.as_bytes()).map_err(|_| here(&format!("the name `{text}` is longer than 16 octets")))
}

fn full<T>(what: &str) -> impl FnOnce(T) -> Problem {
    move |_| here(&format!("there are too many {what}"))
}

/// Builds the activity calendar.
pub(in crate::simulator::model) fn calendar(
    file: &CalendarFile,
    instance: ObisCode,
    built: &mut Built,
) -> Result<SharedObject, Problem> {
    let mut calendar = Calendar { name: name(&file.name)?, ..Calendar::EMPTY };
    for season in &file.seasons {
        let season = Season { name: name(&season.name)?, start: season.start.0, week: name(&season.week)? };
        calendar.seasons.push(season).map_err(full("seasons"))?;
    }
    for week in &file.weeks {
        calendar.weeks.push(Week { name: name(&week.name)?, days: week.days }).map_err(full("weeks"))?;
    }
    for day in &file.days {
        let mut actions = heapless::Vec::new();
        for action in &day.actions {
            let (start_time, script_table, script_selector) = (action.at.0, file.script_table.0, action.script);
            actions.push(DayAction { start_time, script_table, script_selector }).map_err(full("actions of a day"))?;
        }
        calendar.days.push(Day { id: day.id, actions }).map_err(full("days"))?;
    }
    calendar.check().map_err(|error| here(&format!("the calendar cannot be put in force: {error:?}")))?;
    if !built.tariffs.active.seasons.is_empty() {
        return Err(here("a meter has one activity calendar"));
    }
    built.tariffs.passive = calendar.clone();
    built.tariffs.active = calendar;
    Ok(Box::new(ActivityCalendar { instance }))
}

/// Builds the special days table.
pub(in crate::simulator::model) fn special_days(
    files: &[SpecialDayFile],
    instance: ObisCode,
    built: &mut Built,
) -> Result<SharedObject, Problem> {
    for (index, file) in (1..).zip(files) {
        if !built.tariffs.special.insert(SpecialDay { index, date: file.date.0, day_id: file.day }) {
            return Err(here("there are too many special days"));
        }
    }
    Ok(Box::new(SpecialDaysTable { instance }))
}

/// Builds a register activation.
pub(in crate::simulator::model) fn activation(
    file: &ActivationFile,
    instance: ObisCode,
    built: &mut Built,
) -> Result<SharedObject, Problem> {
    let mut model = ModelActivation::default();
    for logical_name in file.registers.iter().flat_map(|pattern| pattern.0.codes()).copied() {
        if !model.activation.add_register(ObjectId { class_id: ClassId(file.class), logical_name }) {
            return Err(here("there are too many registers"));
        }
    }
    for spanned in &file.masks {
        let mask = spanned.get_ref();
        let rates = model.activation.registers.iter().map(|register| register.logical_name.0[4]);
        let indices = (1_u8..).zip(rates).filter(|(_, rate)| *rate == mask.rate).map(|(index, _)| index);
        let (indices, name) = (indices.collect::<Vec<_>>(), name(&mask.name)?);
        let problem = |what: &str| Problem::At(spanned.span(), format!("mask `{}` {what}", mask.name));
        let indices = heapless::Vec::from_slice(&indices).map_err(|_| problem("has too many registers"))?;
        if indices.is_empty() {
            return Err(problem("has no register: none of the rate is in the list"));
        }
        if !model.activation.add_mask(Mask { name: name.clone(), indices }) {
            return Err(problem("is one too many"));
        }
        model.scripts.insert(mask.script, name);
    }
    built.tariffs.activations.insert(instance, model);
    Ok(Box::new(RegisterActivation { instance }))
}
