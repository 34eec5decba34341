//! Activity calendars and special days.

use dlms::{
    axdr::Value,
    id::{ClassId, MethodId},
    obis::ObisCode,
    time::{ClockStatus, DateTime},
};
use dlms_proto::v1::{CalendarActivation, CalendarDay, SetActivityCalendarSpec, SetSpecialDaysSpec};

use super::{
    super::spec::{Parsed, object_or, plan_of},
    assign, configure,
    dates::{date, date_time, time},
    plan,
};
use crate::{
    api::parse,
    jobs::{Plan, procedures::SetCalendar},
    operation::{Guard, InvokeMethod},
};

const CALENDAR: ObisCode = ObisCode([0, 0, 13, 0, 0, 255]);
const SPECIAL_DAYS: ObisCode = ObisCode([0, 0, 11, 0, 0, 255]);
const TARIFFS: ObisCode = ObisCode([0, 0, 10, 0, 100, 255]);
const ACTIVITY_CALENDAR: ClassId = ClassId(20);
const SPECIAL_DAYS_TABLE: ClassId = ClassId(11);
const SCRIPT_TABLE: ClassId = ClassId(9);
/// Octets of a name; seasons and weeks; days; actions of a day; special days, at most.
const NAME: usize = 32;
const SEASONS: usize = 32;
const DAYS: usize = 64;
const ACTIONS: usize = 24;
const SPECIAL: usize = 256;
/// From an attribute of the active calendar to that of the passive one.
const PASSIVE: i8 = 4;

pub(in crate::api::jobs) fn calendar(of: &SetActivityCalendarSpec) -> Parsed<Plan> {
    let object = object_or(&of.object, CALENDAR)?;
    let name = name("name", &of.name)?;
    count("seasons", of.seasons.len(), SEASONS)?;
    count("weeks", of.weeks.len(), SEASONS)?;
    count("days", of.days.len(), DAYS)?;
    let mut seasons = Vec::with_capacity(of.seasons.len());
    for (n, season) in of.seasons.iter().enumerate() {
        if !of.weeks.iter().any(|week| week.name == season.week) {
            return Err(format!("seasons[{n}].week: there is no such week"));
        }
        let start =
            date_time(&season.start_date, &season.start_time).map_err(|error| format!("seasons[{n}].{error}"))?;
        let names = (self::name(&format!("seasons[{n}].name"), &season.name)?, Value::OctetString(season.week.clone()));
        seasons.push(Value::Structure(vec![names.0, Value::OctetString(start.to_vec()), names.1]));
    }
    let mut weeks = Vec::with_capacity(of.weeks.len());
    for (n, week) in of.weeks.iter().enumerate() {
        let mut elements = vec![self::name(&format!("weeks[{n}].name"), &week.name)?];
        if week.days.len() != 7 {
            return Err(format!("weeks[{n}].days: are seven"));
        }
        for day in &week.days {
            if !of.days.iter().any(|of| of.id == *day) {
                return Err(format!("weeks[{n}].days: there is no day {day}"));
            }
            elements.push(id(&format!("weeks[{n}].days"), *day)?);
        }
        weeks.push(Value::Structure(elements));
    }
    let (mut days, mut interrupts) = (Vec::with_capacity(of.days.len()), false);
    for (n, day) in of.days.iter().enumerate() {
        days.push(self::day(day, &mut interrupts).map_err(|error| format!("days[{n}].{error}"))?);
    }
    let contents = [name, Value::Array(seasons), Value::Array(weeks), Value::Array(days)];
    let attributes = |first: i8| {
        let numbered = (first..).zip(contents.iter());
        numbered
            .map(|(attribute, value)| assign(ACTIVITY_CALENDAR, object, attribute, value.clone()))
            .collect::<Vec<_>>()
    };
    let mut passive = attributes(2 + PASSIVE);
    let active = match CalendarActivation::try_from(of.activation).map_err(|_| "activation: is none")? {
        CalendarActivation::Unspecified | CalendarActivation::Later => None,
        CalendarActivation::Now => Some(attributes(2)),
        CalendarActivation::At => {
            let when = of.activate_time.as_ref().ok_or("activate_time: is required")?;
            let when = parse::timestamp(when).map_err(|error| format!("activate_time: {error}"))?;
            // In UTC, which the deviation of zero says.
            let when = DateTime::from_unix_seconds(when.as_second(), 0, ClockStatus(0));
            passive.push(assign(ACTIVITY_CALENDAR, object, 10, Value::OctetString(when.to_bytes().to_vec())));
            None
        }
    };
    Ok(plan_of("set_activity_calendar", true, interrupts, SetCalendar { object, passive, active }))
}

/// A day; `interrupts` is set where a script of its may switch a supply.
fn day(of: &CalendarDay, interrupts: &mut bool) -> Parsed<Value> {
    if of.actions.len() > ACTIONS {
        return Err(format!("actions: at most {ACTIONS}"));
    }
    let mut actions = Vec::with_capacity(of.actions.len());
    for action in &of.actions {
        let table = object_or(&action.script_table, TARIFFS)?;
        let execute = InvokeMethod { class: SCRIPT_TABLE, obis: table, method: MethodId(1), parameter: None };
        *interrupts |= execute.guard() == Some(Guard::Supply);
        let script = u16::try_from(action.script).map_err(|_| "actions.script: is from 0 to 65535")?;
        actions.push(Value::Structure(vec![
            Value::OctetString(time(&action.time)?.to_vec()),
            Value::OctetString(table.0.to_vec()),
            Value::LongUnsigned(script),
        ]));
    }
    Ok(Value::Structure(vec![id("id", of.id)?, Value::Array(actions)]))
}

pub(in crate::api::jobs) fn special_days(of: &SetSpecialDaysSpec) -> Parsed<Plan> {
    let object = object_or(&of.object, SPECIAL_DAYS)?;
    if of.days.len() > SPECIAL {
        return Err(format!("days: at most {SPECIAL}"));
    }
    let mut days = Vec::with_capacity(of.days.len());
    for (n, day) in of.days.iter().enumerate() {
        let index = u16::try_from(day.index).map_err(|_| format!("days[{n}].index: is from 0 to 65535"))?;
        if of.days.iter().take(n).any(|earlier| earlier.index == day.index) {
            return Err(format!("days[{n}].index: is there twice"));
        }
        let date = date(&day.date).map_err(|error| format!("days[{n}].date: {error}"))?;
        days.push(Value::Structure(vec![
            Value::LongUnsigned(index),
            Value::OctetString(date.to_vec()),
            id(&format!("days[{n}].day_id"), day.day_id)?,
        ]));
    }
    let assignments = vec![assign(SPECIAL_DAYS_TABLE, object, 2, Value::Array(days))];
    plan("set_special_days", configure(assignments, None)?)
}

fn name(field: &str, octets: &[u8]) -> Parsed<Value> {
    if !(1..=NAME).contains(&octets.len()) {
        return Err(format!("{field}: has from 1 to {NAME} octets"));
    }
    Ok(Value::OctetString(octets.to_vec()))
}

fn count(field: &str, items: usize, most: usize) -> Parsed<()> {
    if (1..=most).contains(&items) { Ok(()) } else { Err(format!("{field}: from 1 to {most}, not {items}")) }
}

fn id(field: &str, number: u32) -> Parsed<Value> {
    u8::try_from(number).map(Value::Unsigned).map_err(|_| format!("{field}: is from 0 to 255"))
}
