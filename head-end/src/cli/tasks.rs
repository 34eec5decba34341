//! Jobs and their tasks as they are printed.

use dlms_proto::v1::{
    self, Job, Task, TaskOutcome, TaskState, lifecycle_step::Result as StepResult, task_outcome::Kind,
};
use serde_json::{Value, json};

use super::{
    Format,
    json::{self, object, text, time},
    output, value,
};

pub(super) fn print_jobs(format: Format, jobs: &[Job]) {
    if format == Format::Json {
        return jobs.iter().for_each(|job| output::print_json(&job_json(job)));
    }
    let mut table =
        output::table(&["JOB", "KIND", "STATE", "METERS", "DONE", "FAILED", "MADE (UTC)", "BY", "EXPIRES", "REASON"]);
    for job in jobs {
        let counts = job.counts.unwrap_or_default();
        table.add_row([
            job.name.trim_start_matches("jobs/").to_owned(),
            job.kind.clone(),
            state(job),
            counts.total.to_string(),
            counts.succeeded.to_string(),
            failed(&counts).to_string(),
            output::time_text(job.create_time.as_ref()),
            job.creator.clone(),
            output::time_text(job.expires_at.as_ref()),
            job.reason.clone(),
        ]);
    }
    output::print_table(&table);
}

/// Tasks that ended otherwise than they should.
pub(super) const fn failed(of: &v1::TaskCounts) -> u64 {
    of.meter_refused + of.unreachable + of.security_failed + of.expired + of.cancelled + of.unknown_outcome
}

fn state(job: &Job) -> String {
    job.state().as_str_name().trim_start_matches("JOB_STATE_").to_owned()
}

pub(super) fn job_json(of: &Job) -> Value {
    let counts = of.counts.unwrap_or_default();
    object([
        ("name", json!(of.name)),
        ("kind", json!(of.kind)),
        ("state", json!(state(of))),
        ("counts", counts_json(&counts)),
        ("priority", json!(of.priority().as_str_name().trim_start_matches("PRIORITY_"))),
        ("not_before", time(of.not_before.as_ref())),
        ("expires_at", time(of.expires_at.as_ref())),
        ("reason", text(&of.reason)),
        ("creator", text(&of.creator)),
        ("approver", text(&of.approver)),
        ("create_time", time(of.create_time.as_ref())),
        ("update_time", time(of.update_time.as_ref())),
    ])
}

fn counts_json(of: &v1::TaskCounts) -> Value {
    json!({
        "total": of.total,
        "waiting": of.waiting,
        "running": of.running,
        "succeeded": of.succeeded,
        "meter_refused": of.meter_refused,
        "unreachable": of.unreachable,
        "security_failed": of.security_failed,
        "expired": of.expired,
        "cancelled": of.cancelled,
        "unknown_outcome": of.unknown_outcome,
    })
}

pub(super) fn print(format: Format, tasks: &[Task]) {
    if format == Format::Json {
        return tasks.iter().for_each(|task| output::print_json(&to_json(task)));
    }
    let mut table = output::table(&["METER", "RESULT", "OUTCOME", ""]);
    for task in tasks {
        let result = match task.state() {
            TaskState::Ended => output::result_name(task.result),
            other => other.as_str_name().trim_start_matches("TASK_STATE_").to_owned(),
        };
        let outcome = task.outcome.as_ref().and_then(|of| of.kind.as_ref());
        table.add_row([
            task.meter.trim_start_matches("meters/").to_owned(),
            result,
            outcome.map(summary).unwrap_or_default(),
            output::failure_text(task.failure.as_ref()),
        ]);
    }
    output::print_table(&table);
}

/// An outcome in a few words.
pub(super) fn summary(of: &Kind) -> String {
    let attributes = |of: &[v1::AttributeResult]| {
        let shown = of.iter().map(|of| of.value.as_ref().map(value::show).unwrap_or_default());
        shown.collect::<Vec<_>>().join(", ")
    };
    match of {
        Kind::Registers(of) => {
            let shown = of.results.iter().map(|of| of.reading.as_ref().map(value::show_channel).unwrap_or_default());
            shown.collect::<Vec<_>>().join(", ")
        }
        Kind::Profile(of) => format!("{} rows", of.rows),
        Kind::Attributes(of) => attributes(&of.results),
        Kind::Method(of) => of.return_value.as_ref().map(value::show).unwrap_or_default(),
        Kind::Bundle(of) => format!("{} items", of.items.len()),
        Kind::Ping(of) => of.round_trip.map(|of| format!("{} ms", millis(&of))).unwrap_or_default(),
        Kind::Supply(of) => {
            let state = |of: &Option<v1::SupplyStatus>| of.as_ref().map(control_state).unwrap_or_default();
            match of.before {
                Some(_) if of.switched => format!("{} -> {}", state(&of.before), state(&of.after)),
                _ => state(&of.after),
            }
        }
        Kind::Firmware(of) => {
            let step = of.step().as_str_name().trim_start_matches("FIRMWARE_STEP_");
            match (of.version_before.as_str(), of.version_after.as_str()) {
                (before, after) if before == after => format!("{step} {after}"),
                (before, after) => format!("{step} {before} -> {after}"),
            }
        }
        Kind::Clock(of) => {
            let seconds = |of: &Option<prost_types::Duration>| {
                of.as_ref().map_or_else(|| "?".to_owned(), |of| format!("{:+.1} s", millis(of) as f64 / 1_000.0))
            };
            match of.method() {
                v1::ClockMethod::Unspecified if of.deviation_before == of.deviation_after => {
                    seconds(&of.deviation_after)
                }
                _ => format!("{} -> {}", seconds(&of.deviation_before), seconds(&of.deviation_after)),
            }
        }
        Kind::Drift(of) => {
            let shown = of.differences.iter().map(|of| {
                let attribute = of.attribute.clone().unwrap_or_default();
                let show = |of: &Option<v1::Value>| of.as_ref().map(value::show).unwrap_or_default();
                let found = if of.refusal.is_empty() { show(&of.found) } else { of.refusal.clone() };
                let (class, obis) = (attribute.class_id, attribute.obis);
                format!("{class}/{obis}/{}: {found} instead of {}", attribute.attribute, show(&of.expected))
            });
            let shown = shown.collect::<Vec<_>>().join("; ");
            if shown.is_empty() { format!("{} as they should be", of.checked) } else { shown }
        }
        Kind::FirmwareVersions(of) => {
            let shown = of.versions.iter().map(|of| format!("{} {}", of.object, of.version));
            shown.collect::<Vec<_>>().join(", ")
        }
        Kind::Keys(of) => format!("{} keys", keys_state(of)),
        Kind::Lifecycle(of) => {
            let shown = of.steps.iter().map(|step| {
                let result = match step.result() {
                    StepResult::Done => String::new(),
                    other => format!(" {}", word(other.as_str_name(), "RESULT_")),
                };
                let detail = if step.detail.is_empty() { String::new() } else { format!(" ({})", step.detail) };
                format!("{}{result}{detail}", word(step.kind().as_str_name(), "KIND_"))
            });
            shown.collect::<Vec<_>>().join("\n")
        }
        Kind::Policy(of) => {
            format!("requests {}, responses {}", protection(of.request.as_ref()), protection(of.response.as_ref()))
        }
    }
}

/// The name of a number without what all of them begin with, in small letters.
fn word(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase().replace('_', " ")
}

fn keys_state(of: &v1::KeysOutcome) -> String {
    of.state().as_str_name().trim_start_matches("STATE_").to_lowercase()
}

fn protection(of: Option<&v1::MessageProtection>) -> String {
    let of = of.copied().unwrap_or_default();
    let names = [("authenticated", of.authenticated), ("encrypted", of.encrypted), ("signed", of.signed)];
    names.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect::<Vec<_>>().join("+")
}

fn control_state(of: &v1::SupplyStatus) -> String {
    of.state().as_str_name().trim_start_matches("CONTROL_STATE_").to_owned()
}

pub(super) fn millis(of: &prost_types::Duration) -> i64 {
    of.seconds * 1_000 + i64::from(of.nanos / 1_000_000)
}

pub(super) fn to_json(of: &Task) -> Value {
    object([
        ("meter", json!(of.meter)),
        ("state", json!(of.state().as_str_name().trim_start_matches("TASK_STATE_"))),
        ("result", if of.result == 0 { Value::Null } else { json!(output::result_name(of.result)) }),
        ("failure", json::failure(of.failure.as_ref())),
        ("attempts", json!(of.attempts)),
        ("due_time", time(of.due_time.as_ref())),
        ("end_time", time(of.end_time.as_ref())),
        ("outcome", of.outcome.as_ref().map_or(Value::Null, outcome)),
    ])
}

fn outcome(of: &TaskOutcome) -> Value {
    let registers = |of: &[v1::RegisterResult]| Value::Array(of.iter().map(json::register).collect());
    match of.kind.as_ref() {
        None => Value::Null,
        Some(Kind::Registers(of)) => json!({ "registers": registers(&of.results) }),
        Some(Kind::Profile(of)) => object([
            ("layout", of.layout.as_ref().map_or(Value::Null, json::layout)),
            ("rows", json!(of.rows)),
            ("interrupted", json::failure(of.interrupted.as_ref())),
        ]),
        Some(Kind::Attributes(of)) => {
            json!({ "attributes": of.results.iter().map(json::attribute).collect::<Vec<_>>() })
        }
        Some(Kind::Method(of)) => object([("return_value", of.return_value.as_ref().map_or(Value::Null, json::value))]),
        Some(Kind::Bundle(of)) => {
            json!({ "items": of.items.iter().map(item_json).collect::<Vec<_>>() })
        }
        Some(Kind::Ping(of)) => ping(of),
        Some(Kind::Supply(of)) => object([
            ("before", of.before.as_ref().map_or(Value::Null, supply)),
            ("after", of.after.as_ref().map_or(Value::Null, supply)),
            ("switched", json!(of.switched)),
            ("registers", registers(&of.registers)),
        ]),
        Some(Kind::Firmware(of)) => object([
            ("image", json!(of.image)),
            ("step", json!(of.step().as_str_name().trim_start_matches("FIRMWARE_STEP_"))),
            ("version_before", text(&of.version_before)),
            ("version_after", text(&of.version_after)),
            ("blocks", json!(of.blocks)),
            ("blocks_sent", json!(of.blocks_sent)),
            ("resumed", json!(of.resumed)),
        ]),
        Some(Kind::Clock(of)) => {
            let ms = |of: &Option<prost_types::Duration>| of.as_ref().map_or(Value::Null, |of| json!(millis(of)));
            object([
                ("deviation_before_ms", ms(&of.deviation_before)),
                ("deviation_after_ms", ms(&of.deviation_after)),
                ("round_trip_ms", ms(&of.round_trip)),
                ("method", json!(of.method().as_str_name().trim_start_matches("CLOCK_METHOD_"))),
            ])
        }
        Some(Kind::Drift(of)) => {
            let value = |of: &Option<v1::Value>| of.as_ref().map_or(Value::Null, json::value);
            let difference = |of: &v1::AttributeDifference| {
                let attribute = of.attribute.clone().unwrap_or_default();
                object([
                    ("class_id", json!(attribute.class_id)),
                    ("obis", json!(attribute.obis)),
                    ("attribute", json!(attribute.attribute)),
                    ("expected", value(&of.expected)),
                    ("found", value(&of.found)),
                    ("refusal", text(&of.refusal)),
                ])
            };
            json!({
                "template": of.template,
                "checked": of.checked,
                "differences": of.differences.iter().map(difference).collect::<Vec<_>>(),
            })
        }
        Some(Kind::FirmwareVersions(of)) => {
            let version = |of: &v1::FirmwareVersion| json!({ "object": of.object, "version": of.version });
            json!({ "versions": of.versions.iter().map(version).collect::<Vec<_>>() })
        }
        Some(Kind::Keys(of)) => {
            let key = |key: v1::KeyKind| json!(key.as_str_name().trim_start_matches("KEY_KIND_"));
            json!({ "state": keys_state(of), "keys": of.keys().map(key).collect::<Vec<_>>() })
        }
        Some(Kind::Lifecycle(of)) => {
            let step = |of: &v1::LifecycleStep| {
                object([
                    ("kind", json!(of.kind().as_str_name().trim_start_matches("KIND_"))),
                    ("result", json!(of.result().as_str_name().trim_start_matches("RESULT_"))),
                    ("detail", text(&of.detail)),
                    ("failure", json::failure(of.failure.as_ref())),
                    ("time", time(of.time.as_ref())),
                ])
            };
            json!({
                "steps": of.steps.iter().map(step).collect::<Vec<_>>(),
                "status": of.status().as_str_name().trim_start_matches("LIFECYCLE_STATUS_"),
                "registers": registers(&of.registers),
            })
        }
        Some(Kind::Policy(of)) => json!({
            "class_version": of.class_version,
            "request": protection(of.request.as_ref()),
            "response": protection(of.response.as_ref()),
        }),
    }
}

pub(super) fn ping(of: &v1::PingOutcome) -> Value {
    let ms = |of: &Option<prost_types::Duration>| of.as_ref().map_or(Value::Null, |of| json!(millis(of)));
    object([
        ("round_trip_ms", ms(&of.round_trip)),
        ("opening_ms", ms(&of.opening)),
        ("connection_ms", ms(&of.connection)),
        ("association_ms", ms(&of.association)),
        ("server_max_pdu", json!(of.server_max_pdu)),
        ("conformance", json!(of.conformance)),
    ])
}

/// One item of a bundle.
pub(super) fn item_json(of: &v1::BundleItemOutcome) -> Value {
    object([
        ("result", json!(output::result_name(of.result))),
        ("failure", json::failure(of.failure.as_ref())),
        ("outcome", of.outcome.as_ref().map_or(Value::Null, outcome)),
    ])
}

fn supply(of: &v1::SupplyStatus) -> Value {
    json!({
        "connected": of.connected,
        "state": control_state(of),
        "mode": of.mode,
        "read_time": time(of.read_time.as_ref()),
    })
}
