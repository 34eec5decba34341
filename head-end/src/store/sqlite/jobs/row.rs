//! Rows of jobs and tasks.

use jiff::Timestamp;
use rusqlite::{Row, types::FromSql};

use crate::{
    meter::{MeterId, Tenant},
    store::{
        JobId, JobRow, StoreError, TaskRow, TaskState, codes,
        sqlite::{control::FILE, failure::Context},
    },
};

pub(super) const JOB_COLUMNS: &str = "id, tenant, creator, kind, spec, target, mutating, interrupts, priority, \
                                      not_before_ms, expires_ms, reason, state, approver, created_ms, updated_ms";

pub(super) const TASK_COLUMNS: &str = "tasks.meter, tasks.state, tasks.due_ms, tasks.attempts, tasks.sent_ms, \
                                       tasks.result, tasks.failure, tasks.outcome, tasks.ended_ms";

pub(super) fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

pub(super) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt { file: FILE.to_owned(), reason: format!("a job or task with an impossible {what}") }
}

pub(super) fn meter(name: &str) -> Result<MeterId, StoreError> {
    MeterId::try_new(name).map_err(|_| corrupt("meter"))
}

pub(super) fn state(number: i16) -> Result<TaskState, StoreError> {
    codes::TASK_STATES.variant(number).ok_or_else(|| corrupt("state"))
}

pub(super) fn time(millis: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(millis).map_err(|_| corrupt("time"))
}

fn get<T: FromSql>(row: &Row<'_>, column: usize) -> Result<T, StoreError> {
    row.get(column).context(FILE, "reading a job or task")
}

pub(super) fn id(bytes: [u8; 16]) -> JobId {
    JobId(uuid::Uuid::from_bytes(bytes))
}

pub(super) fn job(row: &Row<'_>) -> Result<JobRow, StoreError> {
    let tenant: Option<String> = get(row, 1)?;
    let tenant: Option<Tenant> = tenant.map(|name| name.parse().map_err(|_| corrupt("tenant"))).transpose()?;
    Ok(JobRow {
        id: id(get(row, 0)?),
        tenant,
        creator: get(row, 2)?,
        kind: get(row, 3)?,
        spec: get(row, 4)?,
        target: get(row, 5)?,
        mutating: get(row, 6)?,
        interrupts: get(row, 7)?,
        priority: codes::PRIORITIES.variant(get(row, 8)?).ok_or_else(|| corrupt("priority"))?,
        not_before: time(get(row, 9)?)?,
        expires: time(get(row, 10)?)?,
        reason: get(row, 11)?,
        state: codes::JOB_STATES.variant(get(row, 12)?).ok_or_else(|| corrupt("state"))?,
        approver: get(row, 13)?,
        created: time(get(row, 14)?)?,
        updated: time(get(row, 15)?)?,
    })
}

/// A task from the columns that begin at `first`.
pub(super) fn task(row: &Row<'_>, first: usize) -> Result<TaskRow, StoreError> {
    let result: Option<i16> = get(row, first + 5)?;
    let moment = |column| get::<Option<i64>>(row, first + column)?.map(time).transpose();
    Ok(TaskRow {
        meter: meter(&get::<String>(row, first)?)?,
        state: state(get(row, first + 1)?)?,
        due: time(get(row, first + 2)?)?,
        attempts: get(row, first + 3)?,
        sent: moment(4)?,
        result: result
            .map(|number| codes::TASK_RESULTS.variant(number).ok_or_else(|| corrupt("result")))
            .transpose()?,
        failure: get::<Option<Vec<u8>>>(row, first + 6)?.filter(|failure| !failure.is_empty()),
        outcome: get(row, first + 7)?,
        ended: moment(8)?,
    })
}
