//! Jobs that set meters up: their specifications, and what they give.

mod calendar;
mod dates;

use std::time::Duration;

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId},
    obis::ObisCode,
};
use dlms_proto::v1::{
    self, ApplyTemplateSpec, CapturedObject, ConfigurationTemplate, ConfigureLoadProfileSpec, ConfigurePushSpec,
    SetAttributesSpec, SynchronizeClockSpec, VerifyConfigurationSpec,
};

pub(super) use self::calendar::{calendar, special_days};
use super::spec::{Parsed, object_or, plan_of, seconds, set_attributes};
use crate::{
    api::{parse, value},
    jobs::{
        AttributeDrift, ClockMethod, ClockReport, Plan,
        procedures::{Configure, SynchronizeClock, VerifyConfiguration},
    },
    operation::{AttributeRef, Guard, Operation, SetAttribute},
};

const CLOCK: ObisCode = ObisCode([0, 0, 1, 0, 0, 255]);
const LOAD_PROFILE: ObisCode = ObisCode([1, 0, 99, 1, 0, 255]);
const PUSH: ObisCode = ObisCode([0, 0, 25, 9, 0, 255]);
const PROFILE_GENERIC: ClassId = ClassId(7);
const PUSH_SETUP: ClassId = ClassId(40);
/// Captured or pushed objects, and octets of a destination, at most.
const OBJECTS: usize = 64;
const ADDRESS: usize = 128;
/// Characters of the name of a template.
const NAME: usize = 64;
const TOLERANCE_S: u32 = 3;
const MAX_STEP_S: u32 = 900;

pub(super) fn clock(of: &SynchronizeClockSpec) -> Parsed<Plan> {
    Ok(plan_of("synchronize_clock", true, false, clock_of(of)?))
}

pub(super) fn clock_of(of: &SynchronizeClockSpec) -> Parsed<SynchronizeClock> {
    let method = match v1::ClockMethod::try_from(of.method).map_err(|_| "method: is none")? {
        v1::ClockMethod::Unspecified => None,
        v1::ClockMethod::Shift => Some(ClockMethod::Shift),
        v1::ClockMethod::Set => Some(ClockMethod::Set),
        v1::ClockMethod::Preset => Some(ClockMethod::Preset),
    };
    let tolerance = seconds("tolerance", of.tolerance.as_ref())?.unwrap_or(TOLERANCE_S);
    if tolerance == 0 {
        return Err("tolerance: is at least a second".to_owned());
    }
    Ok(SynchronizeClock {
        object: object_or(&of.object, CLOCK)?,
        tolerance: Duration::from_secs(tolerance.into()),
        max_step: Duration::from_secs(seconds("max_step", of.max_step.as_ref())?.unwrap_or(MAX_STEP_S).into()),
        method,
    })
}

pub(super) fn load_profile(of: &ConfigureLoadProfileSpec) -> Parsed<Plan> {
    let profile = object_or(&of.profile, LOAD_PROFILE)?;
    let mut assignments = Vec::new();
    if !of.capture_objects.is_empty() {
        let objects = objects("capture_objects", &of.capture_objects, 0)?;
        assignments.push(assign(PROFILE_GENERIC, profile, 3, objects));
    }
    if let Some(period) = seconds("capture_period", of.capture_period.as_ref())? {
        assignments.push(assign(PROFILE_GENERIC, profile, 4, Value::DoubleLongUnsigned(period)));
    }
    let read_out = (!of.discard_rows).then_some(profile);
    plan("configure_load_profile", configure(assignments, read_out)?)
}

pub(super) fn push(of: &ConfigurePushSpec) -> Parsed<Plan> {
    plan("configure_push", push_of(of)?)
}

pub(super) fn push_of(of: &ConfigurePushSpec) -> Parsed<Configure> {
    let object = object_or(&of.object, PUSH)?;
    if of.version > 2 {
        return Err("version: is from 0 to 2".to_owned());
    }
    let mut assignments = Vec::new();
    let mut add = |attribute, value| assignments.push(assign(PUSH_SETUP, object, attribute, value));
    if !of.objects.is_empty() {
        add(2, objects("objects", &of.objects, of.version)?);
    }
    if let Some(to) = &of.destination {
        let number = |field: &str, number| {
            u8::try_from(number).map_err(|_| format!("destination.{field}: is from 0 to 255")).map(Value::Enum)
        };
        if to.address.len() > ADDRESS {
            return Err(format!("destination.address: has at most {ADDRESS} octets"));
        }
        let address = Value::OctetString(to.address.clone());
        let (transport, message) = (number("transport", to.transport)?, number("message_type", to.message_type)?);
        add(3, Value::Structure(vec![transport, address, message]));
    }
    let short = |field: &str, of: Option<&prost_types::Duration>| -> Parsed<Option<Value>> {
        let Some(seconds) = seconds(field, of)? else { return Ok(None) };
        let seconds = u16::try_from(seconds).map_err(|_| format!("{field}: is at most 65535 seconds"))?;
        Ok(Some(Value::LongUnsigned(seconds)))
    };
    if let Some(delay) = short("randomisation", of.randomisation.as_ref())? {
        add(5, delay);
    }
    if let Some(retries) = of.retries {
        add(6, Value::Unsigned(u8::try_from(retries).map_err(|_| "retries: is from 0 to 255")?));
    }
    if let Some(delay) = short("repetition_delay", of.repetition_delay.as_ref())? {
        if of.version > 1 {
            return Err("repetition_delay: version 2 of the class has more to it".to_owned());
        }
        add(7, delay);
    }
    configure(assignments, None)
}

pub(super) fn apply(of: &ApplyTemplateSpec) -> Parsed<Plan> {
    plan("apply_template", template_of(of.template.as_ref())?)
}

pub(super) fn template_of(of: Option<&ConfigurationTemplate>) -> Parsed<Configure> {
    configure(template(of)?, None)
}

pub(super) fn verify(of: &VerifyConfigurationSpec) -> Parsed<Plan> {
    let expected = template(of.template.as_ref())?;
    Ok(plan_of("verify_configuration", false, false, VerifyConfiguration { expected }))
}

/// The attributes of a template.
pub(super) fn template(of: Option<&ConfigurationTemplate>) -> Parsed<Vec<SetAttribute>> {
    let of = of.ok_or("template: is required")?;
    if !(1..=NAME).contains(&of.name.chars().count()) {
        return Err(format!("template.name: has from 1 to {NAME} characters"));
    }
    if of.attributes.iter().any(|attribute| attribute.selection.is_some()) {
        return Err("template.attributes: are whole, without selection".to_owned());
    }
    match set_attributes(&SetAttributesSpec { assignments: of.attributes.clone() })? {
        Operation::SetAttributes(assignments) => Ok(assignments),
        _ => Err("template.attributes: are none".to_owned()),
    }
}

fn configure(assignments: Vec<SetAttribute>, read_out: Option<ObisCode>) -> Parsed<Configure> {
    match assignments.is_empty() {
        true => Err("says nothing that is to be changed".to_owned()),
        false => Ok(Configure { assignments, read_out }),
    }
}

/// A plan that writes what differs; guarded where it may take supply away.
fn plan(kind: &'static str, of: Configure) -> Parsed<Plan> {
    let interrupts = of.assignments.iter().any(|set| set.guard() == Some(Guard::Supply));
    Ok(plan_of(kind, true, interrupts, of))
}

fn assign(class: ClassId, object: ObisCode, attribute: i8, value: Value) -> SetAttribute {
    SetAttribute { attribute: AttributeRef::new(class, object, AttributeId(attribute)), selection: None, value }
}

/// Captured objects; those of push setups from version 1 on with a restriction, from version 2 on with columns.
fn objects(field: &str, of: &[CapturedObject], version: u32) -> Parsed<Value> {
    if of.len() > OBJECTS {
        return Err(format!("{field}: at most {OBJECTS}"));
    }
    let object = |(n, of): (usize, &CapturedObject)| {
        let wrong = |what: &str, problem: &str| format!("{field}[{n}].{what}: {problem}");
        let class = parse::class(of.class_id).map_err(|error| wrong("class_id", error))?;
        let obis = parse::obis(&of.obis).map_err(|error| wrong("obis", &error))?;
        let attribute = i8::try_from(of.attribute).map_err(|_| wrong("attribute", "is from -128 to 127"))?;
        let index = u16::try_from(of.data_index).map_err(|_| wrong("data_index", "is from 0 to 65535"))?;
        let mut elements = vec![
            Value::LongUnsigned(class.0),
            Value::OctetString(obis.0.to_vec()),
            Value::Integer(attribute),
            Value::LongUnsigned(index),
        ];
        if version >= 1 {
            // No restriction.
            elements.push(Value::Structure(vec![Value::Enum(0), Value::Null]));
        }
        if version >= 2 {
            elements.push(Value::Array(Vec::new()));
        }
        Ok(Value::Structure(elements))
    };
    of.iter().enumerate().map(object).collect::<Parsed<_>>().map(Value::Array)
}

pub(super) fn clock_outcome(of: &ClockReport) -> v1::ClockOutcome {
    let method = match of.method {
        None => v1::ClockMethod::Unspecified,
        Some(ClockMethod::Shift) => v1::ClockMethod::Shift,
        Some(ClockMethod::Set) => v1::ClockMethod::Set,
        Some(ClockMethod::Preset) => v1::ClockMethod::Preset,
    };
    v1::ClockOutcome {
        deviation_before: of.before_ms.map(duration),
        deviation_after: Some(duration(of.after_ms)),
        round_trip: Some(duration(i64::try_from(of.round_trip_ms).unwrap_or(i64::MAX))),
        method: method.into(),
    }
}

/// Seconds and their fraction have the same sign.
fn duration(ms: i64) -> prost_types::Duration {
    prost_types::Duration { seconds: ms / 1_000, nanos: i32::try_from(ms % 1_000).unwrap_or(0) * 1_000_000 }
}

pub(super) fn drift(template: String, checked: usize, of: &[AttributeDrift]) -> v1::ConfigurationDrift {
    let difference = |of: &AttributeDrift| v1::AttributeDifference {
        attribute: Some(v1::AttributeRef {
            class_id: of.attribute.class.0.into(),
            obis: of.attribute.obis.to_string(),
            attribute: of.attribute.attribute.0.into(),
        }),
        expected: Some(value::to_proto(&of.expected)),
        found: of.found.as_ref().ok().map(value::to_proto),
        refusal: of.found.as_ref().err().map(ToString::to_string).unwrap_or_default(),
    };
    v1::ConfigurationDrift {
        template,
        checked: u32::try_from(checked).unwrap_or(u32::MAX),
        differences: of.iter().map(difference).collect(),
    }
}
