//! Plans on the way in and out.

use std::collections::{BTreeMap, BTreeSet};

use dlms_proto::v1::{self, Plan, plan};
use tonic_types::FieldViolation;

use crate::{
    api::parse::{self, Violations, to_timestamp},
    group::GroupId,
    meter::SettingsError,
    operation::Priority,
    plan::{Cadence, PlanRecord, PlanRegister, PlanSettings, PlanTarget},
};

/// The settings of a plan of a request; what is wrong is noted under `plan.`.
pub(super) fn settings(violations: &mut Violations, plan: &Plan) -> Option<PlanSettings> {
    let defaults = PlanSettings::default();
    let mut obis = |field: String, text: &str| violations.check(field, parse::obis(text));
    let profiles = plan.profiles.iter().enumerate().map(|(n, text)| obis(format!("plan.profiles[{n}]"), text));
    let profiles: Vec<_> = profiles.collect();
    let registers = plan.registers.iter().enumerate().map(|(n, register)| {
        let obis = obis(format!("plan.registers[{n}].obis"), &register.obis);
        let class = u16::try_from(register.class_id).ok();
        obis.map(|obis| PlanRegister { obis, class: class.filter(|class| *class != 0) })
    });
    let registers: Vec<_> = registers.collect();
    let wide = |register: &v1::PlanRegister| u16::try_from(register.class_id).is_err();
    if plan.registers.iter().any(wide) {
        violations.add("plan.registers", "class_id: at most 65535");
    }
    let target = target(violations, plan.target.as_ref());
    let cadence = cadence(violations, plan.cadence.as_ref());
    let priority = match v1::PlanPriority::try_from(plan.priority) {
        Ok(v1::PlanPriority::Unspecified | v1::PlanPriority::Normal) => Some(Priority::Normal),
        Ok(v1::PlanPriority::Low) => Some(Priority::Low),
        Ok(v1::PlanPriority::High) => Some(Priority::High),
        Err(_) => {
            violations.add("plan.priority", "is not a priority");
            None
        }
    };
    let or = |value: u32, default: u32| if value == 0 { default } else { value };
    let cadence = cadence?;
    let window = match cadence {
        Cadence::Seconds(every) => every.max(1),
        Cadence::Day | Cadence::Month => defaults.window_s,
    };
    Some(PlanSettings {
        display_name: plan.display_name.clone(),
        profiles: profiles.into_iter().collect::<Option<_>>()?,
        registers: registers.into_iter().collect::<Option<_>>()?,
        target: target?,
        time_zone: plan.time_zone.clone(),
        cadence,
        window_start_s: plan.window_start_s,
        window_s: or(plan.window_length_s, window),
        deadline_s: or(plan.deadline_s, defaults.deadline_s),
        grace_s: plan.grace_s.unwrap_or(defaults.grace_s),
        backfill_s: plan.backfill_s.unwrap_or(defaults.backfill_s),
        attempt_s: or(plan.attempt_timeout_s, defaults.attempt_s),
        priority: priority?,
        paused: plan.paused,
    })
}

fn target(violations: &mut Violations, target: Option<&plan::Target>) -> Option<PlanTarget> {
    match target {
        None => {
            violations.add("plan.target", "is required: a selector or meters");
            None
        }
        Some(plan::Target::Group(name)) => {
            violations.check("plan.group", GroupId::from_resource_name(name)).map(PlanTarget::Group)
        }
        Some(plan::Target::Selector(selector)) => Some(PlanTarget::Labels(selector.labels.clone())),
        Some(plan::Target::Meters(list)) => {
            let mut names = BTreeSet::new();
            for (n, name) in list.meters.iter().enumerate() {
                names.insert(violations.check(format!("plan.meters.meters[{n}]"), parse::meter_name(name))?);
            }
            Some(PlanTarget::Meters(names.into_iter().map(|meter| meter.as_str().to_owned()).collect()))
        }
    }
}

fn cadence(violations: &mut Violations, cadence: Option<&plan::Cadence>) -> Option<Cadence> {
    match cadence {
        None => {
            violations.add("plan.cadence", "is required: every, daily or monthly");
            None
        }
        Some(plan::Cadence::Daily(_)) => Some(Cadence::Day),
        Some(plan::Cadence::Monthly(_)) => Some(Cadence::Month),
        Some(plan::Cadence::Every(every)) => {
            let seconds = u32::try_from(every.seconds).ok().filter(|_| every.nanos == 0);
            if seconds.is_none() {
                violations.add("plan.every", "whole seconds, at most a day");
            }
            match seconds? {
                86_400 => Some(Cadence::Day),
                seconds => Some(Cadence::Seconds(seconds)),
            }
        }
    }
}

/// Fields that an update may change.
const FIELDS: [&str; 14] = [
    "display_name",
    "profiles",
    "registers",
    "target",
    "time_zone",
    "cadence",
    "window_start_s",
    "window_length_s",
    "deadline_s",
    "grace_s",
    "backfill_s",
    "attempt_timeout_s",
    "priority",
    "paused",
];

/// What becomes of `current` when the fields of `mask` are taken from `update`.
pub(super) fn merge(
    current: PlanSettings,
    update: &Plan,
    mask: Option<&prost_types::FieldMask>,
) -> Result<PlanSettings, Vec<SettingsError>> {
    let paths: Vec<&str> = match mask {
        Some(mask) if !mask.paths.iter().any(|path| path == "*") => mask.paths.iter().map(String::as_str).collect(),
        _ => FIELDS.to_vec(),
    };
    let mut merged = of_settings(&current);
    let mut violations = Violations::default();
    for path in paths {
        let from = update.clone();
        match path {
            "display_name" => merged.display_name = from.display_name,
            "profiles" => merged.profiles = from.profiles,
            "registers" => merged.registers = from.registers,
            "target" | "selector" | "meters" | "group" => merged.target = from.target,
            "time_zone" => merged.time_zone = from.time_zone,
            "cadence" | "every" | "daily" | "monthly" => merged.cadence = from.cadence,
            "window_start_s" => merged.window_start_s = from.window_start_s,
            "window_length_s" => merged.window_length_s = from.window_length_s,
            "deadline_s" => merged.deadline_s = from.deadline_s,
            "grace_s" => merged.grace_s = from.grace_s,
            "backfill_s" => merged.backfill_s = from.backfill_s,
            "attempt_timeout_s" => merged.attempt_timeout_s = from.attempt_timeout_s,
            "priority" => merged.priority = from.priority,
            "paused" => merged.paused = from.paused,
            // Only we set them; a plan that was read can be written back.
            "name" | "etag" | "create_time" | "update_time" => {}
            other => violations.add("update_mask", format!("{other:?} is not a field of a plan that can be changed")),
        }
    }
    let settings = settings(&mut violations, &merged);
    let wrong = |wrong: FieldViolation| SettingsError {
        field: wrong.field.trim_start_matches("plan.").to_owned().into(),
        problem: wrong.description,
    };
    violations.into_result().map_err(|violations| violations.into_iter().map(wrong).collect::<Vec<_>>())?;
    settings.ok_or_else(Vec::new)
}

pub(super) fn to_proto(record: &PlanRecord) -> Plan {
    Plan {
        name: record.id.resource_name(),
        etag: record.revision.to_string(),
        create_time: Some(to_timestamp(record.created)),
        update_time: Some(to_timestamp(record.updated)),
        ..of_settings(&record.settings)
    }
}

fn of_settings(settings: &PlanSettings) -> Plan {
    let register = |register: &PlanRegister| v1::PlanRegister {
        obis: register.obis.to_string(),
        class_id: register.class.unwrap_or_default().into(),
    };
    Plan {
        display_name: settings.display_name.clone(),
        profiles: settings.profiles.iter().map(ToString::to_string).collect(),
        registers: settings.registers.iter().map(register).collect(),
        target: Some(match &settings.target {
            PlanTarget::Labels(labels) => plan::Target::Selector(v1::LabelSelector { labels: BTreeMap::clone(labels) }),
            PlanTarget::Group(group) => plan::Target::Group(group.resource_name()),
            PlanTarget::Meters(meters) => plan::Target::Meters(v1::MeterList {
                meters: meters.iter().map(|meter| format!("meters/{meter}")).collect(),
            }),
        }),
        time_zone: settings.time_zone.clone(),
        cadence: Some(match settings.cadence {
            Cadence::Day => plan::Cadence::Daily(v1::Daily {}),
            Cadence::Month => plan::Cadence::Monthly(v1::Monthly {}),
            Cadence::Seconds(seconds) => {
                plan::Cadence::Every(prost_types::Duration { seconds: seconds.into(), nanos: 0 })
            }
        }),
        window_start_s: settings.window_start_s,
        window_length_s: settings.window_s,
        deadline_s: settings.deadline_s,
        grace_s: Some(settings.grace_s),
        backfill_s: Some(settings.backfill_s),
        attempt_timeout_s: settings.attempt_s,
        priority: match settings.priority {
            Priority::Low => v1::PlanPriority::Low,
            Priority::Normal => v1::PlanPriority::Normal,
            Priority::High => v1::PlanPriority::High,
        }
        .into(),
        paused: settings.paused,
        ..Plan::default()
    }
}
