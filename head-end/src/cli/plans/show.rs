//! Plans as they are printed.

use dlms_proto::v1::{GetCollectionPerformanceResponse, Plan, PlanRun, PlanState, Timeliness, plan};
use serde_json::{Value, json};

use crate::cli::{Format, json::time, output};

pub(super) fn plans(format: Format, plans: &[Plan]) {
    if format == Format::Json {
        plans.iter().for_each(|plan| output::print_json(&plan_json(plan)));
        return;
    }
    let mut table = output::table(&["PLAN", "EVERY", "ZONE", "OF", "PROFILES", "REGISTERS", "PAUSED"]);
    for plan in plans {
        table.add_row([
            plan.name.trim_start_matches("plans/").to_owned(),
            every(plan),
            if plan.time_zone.is_empty() { "UTC".to_owned() } else { plan.time_zone.clone() },
            target(plan),
            plan.profiles.join(" "),
            plan.registers.len().to_string(),
            if plan.paused { "yes".to_owned() } else { String::new() },
        ]);
    }
    output::print_table(&table);
}

fn every(plan: &Plan) -> String {
    match &plan.cadence {
        Some(plan::Cadence::Every(every)) => format!("{} s", every.seconds),
        Some(plan::Cadence::Daily(_)) => "day".to_owned(),
        Some(plan::Cadence::Monthly(_)) => "month".to_owned(),
        None => String::new(),
    }
}

fn target(plan: &Plan) -> String {
    match &plan.target {
        Some(plan::Target::Selector(selector)) if selector.labels.is_empty() => "all meters".to_owned(),
        Some(plan::Target::Selector(selector)) => {
            selector.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
        }
        Some(plan::Target::Group(group)) => group.clone(),
        Some(plan::Target::Meters(list)) => format!("{} meters", list.meters.len()),
        None => String::new(),
    }
}

fn plan_json(plan: &Plan) -> Value {
    let target = match &plan.target {
        Some(plan::Target::Selector(selector)) => json!({ "labels": selector.labels }),
        Some(plan::Target::Group(group)) => json!({ "group": group }),
        Some(plan::Target::Meters(list)) => json!({ "meters": list.meters }),
        None => Value::Null,
    };
    let cadence = match &plan.cadence {
        Some(plan::Cadence::Every(every)) => json!(every.seconds),
        _ => json!(every(plan)),
    };
    let registers =
        plan.registers.iter().map(|register| json!({ "obis": register.obis, "class_id": register.class_id }));
    json!({
        "name": plan.name,
        "display_name": plan.display_name,
        "profiles": plan.profiles,
        "registers": registers.collect::<Vec<_>>(),
        "target": target,
        "every": cadence,
        "time_zone": plan.time_zone,
        "window_start_s": plan.window_start_s,
        "window_length_s": plan.window_length_s,
        "deadline_s": plan.deadline_s,
        "grace_s": plan.grace_s,
        "backfill_s": plan.backfill_s,
        "attempt_timeout_s": plan.attempt_timeout_s,
        "priority": plan.priority().as_str_name().trim_start_matches("PLAN_PRIORITY_"),
        "paused": plan.paused,
        "etag": plan.etag,
        "create_time": time(plan.create_time.as_ref()),
        "update_time": time(plan.update_time.as_ref()),
    })
}

pub(super) fn states(format: Format, states: &[PlanState]) {
    if format == Format::Json {
        for of in states {
            output::print_json(&json!({
                "meter": of.meter,
                "due_time": time(of.due_time.as_ref()),
                "watermark": time(of.watermark.as_ref()),
                "attempt": of.attempt,
                "error": of.error,
                "message": of.message,
                "attempt_time": time(of.attempt_time.as_ref()),
                "success_time": time(of.success_time.as_ref()),
                "contact_time": time(of.contact_time.as_ref()),
            }));
        }
        return;
    }
    let mut table = output::table(&["METER", "COMPLETE UP TO", "NEXT TURN", "ATTEMPT", "ERROR"]);
    for of in states {
        let due = of.due_time.as_ref().map_or_else(|| "stopped".to_owned(), |due| output::time_text(Some(due)));
        let error = if of.error.is_empty() { String::new() } else { format!("{}: {}", of.error, of.message) };
        table.add_row([
            of.meter.trim_start_matches("meters/").to_owned(),
            output::time_text(of.watermark.as_ref()),
            due,
            of.attempt.to_string(),
            error,
        ]);
    }
    output::print_table(&table);
}

pub(super) fn run(format: Format, run: &PlanRun) {
    match format {
        Format::Json => output::print_json(&json!({
            "name": run.name,
            "create_time": time(run.create_time.as_ref()),
            "meters": run.meters,
            "succeeded": run.succeeded,
            "failed": run.failed,
            "done": run.done,
        })),
        Format::Table => output::print(format_args!(
            "{}: {} of {} meters complete, {} given up",
            run.name, run.succeeded, run.meters, run.failed
        )),
    }
}

pub(super) fn performance(format: Format, of: &GetCollectionPerformanceResponse) {
    let (all, available) = (of.all.unwrap_or_default(), of.available.unwrap_or_default());
    if format == Format::Json {
        output::print_json(&json!({ "all": counts(&all), "available": counts(&available) }));
        return;
    }
    let head = ["METERS", "", "DUE", "BY DEADLINE", "4 H", "8 H", "24 H", "HELD", "ABSENT"];
    let mut table = output::table(&head);
    for (name, of) in [("all", all), ("available", available)] {
        let share = |part: u64| match of.due {
            0 => String::new(),
            due => format!("{:.2} %", part as f64 * 100.0 / due as f64),
        };
        table.add_row([
            name.to_owned(),
            of.meters.to_string(),
            of.due.to_string(),
            share(of.by_deadline),
            share(of.within_4_h),
            share(of.within_8_h),
            share(of.within_24_h),
            share(of.held),
            share(of.absent),
        ]);
    }
    output::print_table(&table);
}

fn counts(of: &Timeliness) -> Value {
    json!({
        "meters": of.meters,
        "due": of.due,
        "by_deadline": of.by_deadline,
        "within_4_h": of.within_4_h,
        "within_8_h": of.within_8_h,
        "within_24_h": of.within_24_h,
        "held": of.held,
        "absent": of.absent,
    })
}
