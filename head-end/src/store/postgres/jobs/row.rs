//! Rows of jobs and tasks.

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::super::{
    failure,
    pool::{get, unsigned},
};
use crate::{
    meter::{MeterId, Tenant},
    store::{JobId, JobRow, StoreError, TaskRow, codes},
};

pub(super) const JOB_COLUMNS: &str = "id, tenant, creator, kind, spec, target, mutating, interrupts, priority, \
                                      not_before_ms, expires_ms, reason, state, approver, created_ms, updated_ms";

pub(super) const TASK_COLUMNS: &str = "tasks.meter, tasks.state, tasks.due_ms, tasks.attempts, tasks.sent_ms, \
                                       tasks.result, tasks.failure, tasks.outcome, tasks.ended_ms";

pub(super) fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

pub(super) fn corrupt(what: &str) -> StoreError {
    failure::corrupt(format!("a job or task with an impossible {what}"))
}

pub(super) fn meter(name: &str) -> Result<MeterId, StoreError> {
    MeterId::try_new(name).map_err(|_| corrupt("meter"))
}

pub(super) fn time(millis: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(millis).map_err(|_| corrupt("time"))
}

pub(super) fn id(octets: &[u8]) -> Result<JobId, StoreError> {
    Uuid::from_slice(octets).map(JobId).map_err(|_| corrupt("name"))
}

pub(super) fn job(row: &Row) -> Result<JobRow, StoreError> {
    let tenant: Option<&str> = get(row, 1)?;
    let tenant: Option<Tenant> = tenant.map(|name| name.parse().map_err(|_| corrupt("tenant"))).transpose()?;
    Ok(JobRow {
        id: id(get(row, 0)?)?,
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
pub(super) fn task(row: &Row, first: usize) -> Result<TaskRow, StoreError> {
    let moment = |column| get::<Option<i64>>(row, first + column)?.map(time).transpose();
    let result = |number| codes::TASK_RESULTS.variant(number).ok_or_else(|| corrupt("result"));
    Ok(TaskRow {
        meter: meter(get(row, first)?)?,
        state: codes::TASK_STATES.variant(get(row, first + 1)?).ok_or_else(|| corrupt("state"))?,
        due: time(get(row, first + 2)?)?,
        attempts: unsigned(row, first + 3)?,
        sent: moment(4)?,
        result: get::<Option<i16>>(row, first + 5)?.map(result).transpose()?,
        failure: get::<Option<Vec<u8>>>(row, first + 6)?.filter(|failure| !failure.is_empty()),
        outcome: get(row, first + 7)?,
        ended: moment(8)?,
    })
}
