//! What tasks gave, as messages.

use dlms::{cosem::disconnect_control::ControlState, obis::ObisCode};
use dlms_proto::v1::{self, JobSpec, TaskOutcome, bundle_item, job_spec, task_outcome::Kind};

use crate::{
    api::{
        capture,
        jobs::{configuration, firmware, lifecycle},
        keys, parse,
        parse::to_timestamp,
        reading::answer,
        result, value,
    },
    jobs::{Report, SupplyReport, SupplyState},
    operation::{AttributeRef, ItemResult, ObjectRef, Outcome, Pong, RegisterReading, RequestError},
};

/// What was asked, as far as the answer has to name it.
#[derive(Clone, Copy)]
enum Asked<'a> {
    Registers(&'a [v1::RegisterSelector]),
    Attributes(&'a [v1::AttributeSelector]),
    Assignments(&'a [v1::AttributeAssignment]),
    Items(&'a [v1::BundleItem]),
    Other,
}

pub(super) fn of(spec: &JobSpec, report: &Report) -> TaskOutcome {
    let asked = match spec.kind.as_ref() {
        Some(job_spec::Kind::ReadRegisters(of)) => Asked::Registers(&of.registers),
        Some(job_spec::Kind::GetAttributes(of)) => Asked::Attributes(&of.attributes),
        Some(job_spec::Kind::SetAttributes(of)) => Asked::Assignments(&of.assignments),
        Some(job_spec::Kind::Bundle(of)) => Asked::Items(&of.items),
        Some(job_spec::Kind::DisconnectSupply(of)) => Asked::Registers(&of.registers),
        Some(job_spec::Kind::ReconnectSupply(of)) => Asked::Registers(&of.registers),
        _ => Asked::Other,
    };
    let kind = match report {
        Report::Operation(outcome) => operation(asked, outcome),
        Report::Supply(report) => Some(Kind::Supply(supply(asked, report))),
        Report::Firmware(report) => Some(Kind::Firmware(firmware::outcome(report))),
        Report::Clock(report) => Some(Kind::Clock(configuration::clock_outcome(report))),
        Report::Drift { checked, differences } => {
            let name = match spec.kind.as_ref() {
                Some(job_spec::Kind::VerifyConfiguration(of)) if !of.stored.is_empty() => Some(of.stored.clone()),
                Some(job_spec::Kind::VerifyConfiguration(of)) => of.template.as_ref().map(|of| of.name.clone()),
                _ => None,
            };
            Some(Kind::Drift(configuration::drift(name.unwrap_or_default(), *checked, differences)))
        }
        Report::Versions(versions) => Some(Kind::FirmwareVersions(firmware::read(versions))),
        Report::Keys(report) => Some(Kind::Keys(keys::keys_outcome(report))),
        Report::Lifecycle(report) => Some(Kind::Lifecycle(lifecycle::outcome(report))),
        Report::Policy(report) => Some(Kind::Policy(keys::policy_outcome(report))),
        Report::Changed { after } => {
            let results = after
                .iter()
                .map(|item| {
                    let asked = item.as_ref().map(|read| read.attribute).map_err(about);
                    asked.map_or_else(|_| v1::AttributeResult::default(), |asked| attribute(asked, item))
                })
                .collect();
            Some(Kind::Attributes(v1::AttributeResults { results }))
        }
    };
    TaskOutcome { kind }
}

fn about(error: &RequestError) -> Option<AttributeRef> {
    match error.object() {
        Some(ObjectRef::Attribute(attribute)) => Some(attribute),
        _ => None,
    }
}

fn attribute(asked: AttributeRef, item: &ItemResult<crate::operation::AttributeValue>) -> v1::AttributeResult {
    let mut results = answer::attributes(&[asked], std::slice::from_ref(item));
    results.pop().unwrap_or_default()
}

fn operation(asked: Asked<'_>, outcome: &Outcome) -> Option<Kind> {
    Some(match outcome {
        Outcome::Registers(items) => Kind::Registers(v1::RegisterResults { results: registers(asked, items) }),
        Outcome::Attributes(items) => {
            let asked = match asked {
                Asked::Attributes(asked) => refs(asked.iter().map(|asked| asked.attribute.as_ref())),
                _ => Vec::new(),
            };
            Kind::Attributes(v1::AttributeResults { results: answer::attributes(&asked, items) })
        }
        Outcome::Set(items) => {
            let asked = match asked {
                Asked::Assignments(asked) => refs(asked.iter().map(|asked| asked.attribute.as_ref())),
                _ => Vec::new(),
            };
            Kind::Attributes(v1::AttributeResults { results: answer::set(&asked, items).results })
        }
        Outcome::Profile(reading) => Kind::Profile(v1::ProfileOutcome {
            layout: Some(capture::layout(&reading.layout)),
            rows: reading.rows.len() as u64,
            interrupted: reading.interrupted.as_ref().map(result::failure),
        }),
        Outcome::Method(returned) => {
            Kind::Method(v1::MethodOutcome { return_value: returned.as_ref().map(value::to_proto) })
        }
        Outcome::Bundle(outcomes) => {
            let items: &[v1::BundleItem] = if let Asked::Items(items) = asked { items } else { &[] };
            Kind::Bundle(v1::BundleOutcome { items: bundle(items, outcomes) })
        }
        Outcome::Pong(of) => Kind::Ping(pong(of)),
        Outcome::Objects(_) | Outcome::Identity(_) => return None,
    })
}

pub(in crate::api) fn pong(of: &Pong) -> v1::PingOutcome {
    v1::PingOutcome {
        round_trip: duration(of.round_trip),
        opening: of.opening.and_then(|opening| duration(opening.total)),
        server_max_pdu: of.server_max_pdu.into(),
        conformance: of.conformance.bits(),
        connection: of.opening.and_then(|opening| duration(opening.connection)),
        association: of.opening.and_then(|opening| duration(opening.association)),
    }
}

/// What became of the items of a bundle.
pub(in crate::api) fn bundle(items: &[v1::BundleItem], outcomes: &[ItemResult<Outcome>]) -> Vec<v1::BundleItemOutcome> {
    outcomes.iter().zip(items).map(|(outcome, item)| bundle_item_of(item, outcome)).collect()
}

fn bundle_item_of(item: &v1::BundleItem, outcome: &ItemResult<Outcome>) -> v1::BundleItemOutcome {
    let asked = match item.kind.as_ref() {
        Some(bundle_item::Kind::ReadRegisters(of)) => Asked::Registers(&of.registers),
        Some(bundle_item::Kind::GetAttributes(of)) => Asked::Attributes(&of.attributes),
        Some(bundle_item::Kind::SetAttributes(of)) => Asked::Assignments(&of.assignments),
        _ => Asked::Other,
    };
    let (result, failure) = result::of(outcome);
    let outcome = outcome.as_ref().ok().map(|outcome| TaskOutcome { kind: operation(asked, outcome) });
    v1::BundleItemOutcome { result, failure, outcome }
}

fn refs<'a>(asked: impl Iterator<Item = Option<&'a v1::AttributeRef>>) -> Vec<AttributeRef> {
    // They were parsed before the job was made.
    asked.filter_map(|asked| parse::attribute(&mut parse::Violations::default(), "", asked)).collect()
}

fn registers(asked: Asked<'_>, items: &[ItemResult<RegisterReading>]) -> Vec<v1::RegisterResult> {
    let asked: &[v1::RegisterSelector] = if let Asked::Registers(asked) = asked { asked } else { &[] };
    let register = |(asked, item): (&v1::RegisterSelector, &ItemResult<RegisterReading>)| {
        answer::register(parse::obis(&asked.obis).unwrap_or(ObisCode([0; 6])), item)
    };
    asked.iter().zip(items).map(register).collect()
}

fn supply(asked: Asked<'_>, report: &SupplyReport) -> v1::SupplyOutcome {
    v1::SupplyOutcome {
        before: report.before.as_ref().map(status),
        after: Some(status(&report.after)),
        switched: report.switched,
        registers: registers(asked, &report.registers),
    }
}

fn status(state: &SupplyState) -> v1::SupplyStatus {
    let control = match state.control {
        ControlState::Disconnected => v1::ControlState::Disconnected,
        ControlState::Connected => v1::ControlState::Connected,
        ControlState::ReadyForReconnection => v1::ControlState::ReadyForReconnection,
        _ => v1::ControlState::Unspecified,
    };
    v1::SupplyStatus {
        connected: state.connected,
        state: control.into(),
        mode: state.mode.into(),
        read_time: Some(to_timestamp(state.read)),
    }
}

fn duration(of: std::time::Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(of).ok()
}
