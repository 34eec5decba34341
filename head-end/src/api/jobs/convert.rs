//! Jobs and tasks between the API and the library.

use dlms_proto::v1::{self, Job, TaskOutcome, target};
use prost::Message;
use tonic::Status;

use crate::{
    access::Caller,
    api::parse::{self, Violations, to_timestamp},
    group::GroupId,
    jobs::{NewJob, Target},
    operation::Priority,
    store::{JobRow, JobState, RequestKey, TaskCounts, TaskResult, TaskRow, TaskState},
};

/// Meters of one target, at most.
const METERS: usize = 100_000;

/// A job to be made; `request` gives the key of its request id.
pub(in crate::api) fn new_job(
    caller: &Caller,
    target: Option<&v1::Target>,
    spec: &v1::JobSpec,
    instruction: Option<&v1::Instruction>,
    request: impl FnOnce(&str) -> RequestKey,
) -> Result<NewJob, Status> {
    let none = v1::Instruction::default();
    let instruction = instruction.unwrap_or(&none);
    let mut violations = Violations::default();
    let target = of_target(&mut violations, target);
    let id = parse::request_id(&mut violations, &instruction.request_id);
    let priority = match v1::Priority::try_from(instruction.priority) {
        Ok(v1::Priority::Low) => Some(Priority::Low),
        Ok(v1::Priority::Unspecified | v1::Priority::Normal) => Some(Priority::Normal),
        Ok(v1::Priority::High) => Some(Priority::High),
        Err(_) => {
            violations.add("instruction.priority", "is no priority");
            None
        }
    };
    let mut moment = |field: &str, of: Option<&prost_types::Timestamp>| {
        of.and_then(|of| violations.check(format!("instruction.{field}"), parse::timestamp(of)))
    };
    let not_before = moment("not_before", instruction.not_before.as_ref());
    let expires = moment("expires_at", instruction.expires_at.as_ref());
    parse::reason(&mut violations, "instruction.reason", &instruction.reason);
    let (target, priority) = violations.finish(target.zip(priority))?;
    Ok(NewJob {
        tenant: caller.tenant.clone(),
        creator: caller.subject.to_string(),
        spec: spec.encode_to_vec(),
        target,
        priority,
        not_before,
        expires,
        reason: instruction.reason.clone(),
        request: id.map(request),
    })
}

pub(in crate::api) fn of_target(violations: &mut Violations, target: Option<&v1::Target>) -> Option<Target> {
    let name = |violations: &mut Violations, field: String, name: &str| {
        violations.check(field, parse::meter_name(name)).map(|id| id.as_str().to_owned())
    };
    match target.and_then(|target| target.kind.as_ref()) {
        None => {
            violations.add("target", "is required");
            None
        }
        Some(target::Kind::Meter(meter)) => {
            name(violations, "target.meter".to_owned(), meter).map(|meter| Target::Meters(vec![meter]))
        }
        Some(target::Kind::Meters(of)) => {
            parse::count(violations, "target.meters", of.meters.len(), METERS);
            let meters = of.meters.iter().take(METERS).enumerate();
            let meters: Vec<_> =
                meters.map(|(n, meter)| name(violations, format!("target.meters[{n}]"), meter)).collect();
            meters.into_iter().collect::<Option<_>>().map(Target::Meters)
        }
        Some(target::Kind::Group(group)) => {
            violations.check("target.group", GroupId::from_resource_name(group)).map(Target::Group)
        }
        Some(target::Kind::Selector(selector)) => Some(Target::Labels(selector.labels.clone())),
    }
}

pub(in crate::api) fn job(row: &JobRow, counts: &TaskCounts) -> Job {
    Job {
        name: row.id.resource_name(),
        kind: row.kind.clone(),
        state: state(row.state).into(),
        counts: Some(counted(counts)),
        priority: match row.priority {
            Priority::Low => v1::Priority::Low,
            Priority::Normal => v1::Priority::Normal,
            Priority::High => v1::Priority::High,
        }
        .into(),
        not_before: Some(to_timestamp(row.not_before)),
        expires_at: Some(to_timestamp(row.expires)),
        reason: row.reason.clone(),
        creator: row.creator.clone(),
        approver: row.approver.clone().unwrap_or_default(),
        create_time: Some(to_timestamp(row.created)),
        update_time: Some(to_timestamp(row.updated)),
    }
}

const fn state(state: JobState) -> v1::JobState {
    match state {
        JobState::Expanding => v1::JobState::Expanding,
        JobState::AwaitingApproval => v1::JobState::AwaitingApproval,
        JobState::Running => v1::JobState::Running,
        JobState::Cancelling => v1::JobState::Cancelling,
        JobState::Finished => v1::JobState::Finished,
        JobState::Cancelled => v1::JobState::Cancelled,
    }
}

/// The state of a filter; `None` for all.
pub(super) fn to_state(number: i32) -> Result<Option<JobState>, &'static str> {
    match v1::JobState::try_from(number).map_err(|_| "is no state of a job")? {
        v1::JobState::Unspecified => Ok(None),
        asked => Ok(JobState::ALL.into_iter().find(|one| state(*one) == asked)),
    }
}

/// The result of a filter; `None` for all.
pub(super) fn to_result(number: i32) -> Result<Option<TaskResult>, &'static str> {
    match v1::Result::try_from(number).map_err(|_| "is no result")? {
        v1::Result::Unspecified => Ok(None),
        asked => Ok(TaskResult::ALL.into_iter().find(|one| result(*one) == asked)),
    }
}

fn counted(counts: &TaskCounts) -> v1::TaskCounts {
    v1::TaskCounts {
        total: counts.total(),
        waiting: counts.waiting + counts.held,
        running: counts.running,
        succeeded: counts.of(TaskResult::Succeeded),
        meter_refused: counts.of(TaskResult::MeterRefused),
        unreachable: counts.of(TaskResult::Unreachable),
        security_failed: counts.of(TaskResult::SecurityFailed),
        expired: counts.of(TaskResult::Expired),
        cancelled: counts.of(TaskResult::Cancelled),
        unknown_outcome: counts.of(TaskResult::UnknownOutcome),
    }
}

const fn result(result: TaskResult) -> v1::Result {
    match result {
        TaskResult::Succeeded => v1::Result::Succeeded,
        TaskResult::MeterRefused => v1::Result::MeterRefused,
        TaskResult::Unreachable => v1::Result::Unreachable,
        TaskResult::SecurityFailed => v1::Result::SecurityFailed,
        TaskResult::Expired => v1::Result::Expired,
        TaskResult::Cancelled => v1::Result::Cancelled,
        TaskResult::UnknownOutcome => v1::Result::UnknownOutcome,
    }
}

pub(in crate::api) fn task(row: &TaskRow) -> v1::Task {
    let state = match row.state {
        TaskState::Ended => v1::TaskState::Ended,
        _ if row.sent.is_some() && row.state == TaskState::Waiting => v1::TaskState::Resolving,
        TaskState::Waiting | TaskState::Held => v1::TaskState::Waiting,
        TaskState::Running => v1::TaskState::Running,
    };
    // What was stored by this program is read by it, or shown as absent.
    let failure = row.failure.as_deref().and_then(|octets| v1::Failure::decode(octets).ok());
    let outcome = row.outcome.as_deref().and_then(|octets| TaskOutcome::decode(octets).ok());
    v1::Task {
        meter: row.meter.resource_name(),
        state: state.into(),
        result: row.result.map_or(v1::Result::Unspecified, result).into(),
        failure,
        attempts: row.attempts,
        due_time: Some(to_timestamp(row.due)),
        end_time: row.ended.map(to_timestamp),
        outcome,
    }
}
