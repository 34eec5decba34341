//! What happens to tasks.

use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;

use super::{
    super::{
        pool::{execute, get as column, limit as count, row as one, rows, unsigned},
        schema::lock,
    },
    row::{self, TASK_COLUMNS, millis},
};
use crate::{
    meter::MeterId,
    operation::Priority,
    store::{
        ClaimedTask, JobId, JobState, Permit, RateLimit, Retry, StoreError, TaskEnd, TaskFilter, TaskRef, TaskResult,
        TaskRow, codes,
    },
};

pub(super) async fn claim(
    db: &Transaction<'_>,
    now: Timestamp,
    priority: Priority,
    limit: usize,
) -> Result<Vec<ClaimedTask>, StoreError> {
    let mut claimed = Vec::new();
    for priority in Priority::ALL.into_iter().rev().filter(|of| *of >= priority) {
        let room = limit.saturating_sub(claimed.len());
        if room > 0 {
            claim_of(db, now, priority, room, &mut claimed).await?;
        }
    }
    Ok(claimed)
}

async fn claim_of(
    db: &Transaction<'_>,
    now: Timestamp,
    priority: Priority,
    room: usize,
    claimed: &mut Vec<ClaimedTask>,
) -> Result<(), StoreError> {
    // What somebody else claims or ends just now is not waited for.
    let sql = "WITH due AS (
                   SELECT job, meter FROM tasks WHERE state = 0 AND priority = $1 AND due_ms <= $2
                   ORDER BY due_ms LIMIT $3 FOR UPDATE SKIP LOCKED)
               UPDATE tasks SET state = 1 FROM due WHERE tasks.job = due.job AND tasks.meter = due.meter
               RETURNING tasks.job, tasks.meter, attempts, refusals, sent_ms, checkpoint, due_ms";
    let values = (codes::PRIORITIES.number(priority), millis(now), count(room));
    let mut found = Vec::new();
    for row in rows(db, "claiming tasks", sql, &[&values.0, &values.1, &values.2]).await? {
        let task = TaskRef { job: row::id(column(&row, 0)?)?, meter: row::meter(column(&row, 1)?)? };
        let claimed = ClaimedTask {
            task,
            attempts: unsigned(&row, 2)?,
            refusals: unsigned(&row, 3)?,
            sent: column::<Option<i64>>(&row, 4)?.map(row::time).transpose()?,
            checkpoint: column(&row, 5)?,
        };
        found.push((column::<i64>(&row, 6)?, claimed));
    }
    found.sort_by_key(|(due, _)| *due);
    claimed.extend(found.into_iter().map(|(_, task)| task));
    Ok(())
}

pub(super) async fn rival(db: &impl GenericClient, task: TaskRef) -> Result<Option<JobId>, StoreError> {
    let sql = "SELECT tasks.job FROM tasks JOIN jobs ON jobs.id = tasks.job
               WHERE tasks.meter = $2 AND tasks.state <> 2 AND tasks.job <> $1
                 AND (tasks.state = 1 OR tasks.checkpoint IS NOT NULL)
                 AND jobs.kind = (SELECT kind FROM jobs WHERE id = $1)
               ORDER BY tasks.job LIMIT 1";
    let job = task.job.0.as_bytes().as_slice();
    let found = one(db, "looking for another job", sql, &[&job, &task.meter.as_str()]).await?;
    found.map(|row| row::id(column(&row, 0)?)).transpose()
}

pub(super) async fn next_due(db: &impl GenericClient) -> Result<Option<Timestamp>, StoreError> {
    let mut due: Option<i64> = None;
    for priority in Priority::ALL {
        let sql = "SELECT min(due_ms) FROM tasks WHERE state = 0 AND priority = $1";
        let row = one(db, "looking for the next task", sql, &[&codes::PRIORITIES.number(priority)]).await?;
        let of: Option<i64> = row.map_or(Ok(None), |row| column(&row, 0))?;
        due = [due, of].into_iter().flatten().min();
    }
    due.map(row::time).transpose()
}

/// Holds the row of a job until the transaction ends; its state.
pub(super) async fn hold_job(db: &Transaction<'_>, job: JobId) -> Result<Option<JobState>, StoreError> {
    let sql = "SELECT state FROM jobs WHERE id = $1 FOR NO KEY UPDATE";
    state(db, job, sql).await
}

async fn state(db: &Transaction<'_>, job: JobId, sql: &str) -> Result<Option<JobState>, StoreError> {
    let row = one(db, "reading the state of a job", sql, &[&job.0.as_bytes().as_slice()]).await?;
    row.map(|row| codes::JOB_STATES.variant(column(&row, 0)?).ok_or_else(|| row::corrupt("state"))).transpose()
}

pub(super) async fn begin_action(
    db: &Transaction<'_>,
    task: &TaskRef,
    now: Timestamp,
    checkpoint: &[u8],
    limit: Option<RateLimit>,
) -> Result<Permit, StoreError> {
    // Shared: actions of one job do not wait for each other, but a cancellation comes before or after each of them.
    if state(db, task.job, "SELECT state FROM jobs WHERE id = $1 FOR SHARE").await? != Some(JobState::Running) {
        return Ok(Permit::Cancelled);
    }
    if let Some(limit) = limit
        && let Some(when) = exhausted_until(db, task, now, limit).await?
    {
        return Ok(Permit::NotBefore(when));
    }
    let sql = "UPDATE tasks SET sent_ms = $3, checkpoint = $4, acted_ms = CASE WHEN $5 THEN $3 ELSE acted_ms END
               WHERE job = $1 AND meter = $2";
    let (job, meter) = (task.job.0.as_bytes().as_slice(), task.meter.as_str());
    execute(db, "noting an action", sql, &[&job, &meter, &millis(now), &checkpoint, &limit.is_some()]).await?;
    Ok(Permit::Go)
}

/// When the oldest of the last `limit.most` interruptions is long enough ago, where it is not. Counting and noting are
/// one step: until the transaction ends nobody else counts.
async fn exhausted_until(
    db: &Transaction<'_>,
    task: &TaskRef,
    now: Timestamp,
    limit: RateLimit,
) -> Result<Option<Timestamp>, StoreError> {
    let action = "counting interruptions";
    lock(db, "interruptions").await?;
    let within = i64::try_from(limit.within.as_millis()).unwrap_or(i64::MAX);
    let since = millis(now).saturating_sub(within);
    let offset = i64::try_from(limit.most.saturating_sub(1)).unwrap_or(i64::MAX);
    let sql = "SELECT acted_ms FROM tasks
               WHERE tenant IS NOT DISTINCT FROM (SELECT tenant FROM tasks WHERE job = $1 AND meter = $2)
                 AND acted_ms > $3
               ORDER BY acted_ms DESC LIMIT 1 OFFSET $4";
    let (job, meter) = (task.job.0.as_bytes().as_slice(), task.meter.as_str());
    let row = one(db, action, sql, &[&job, &meter, &since, &offset]).await?;
    let oldest: Option<i64> = row.map(|row| column(&row, 0)).transpose()?;
    oldest.map(|oldest| row::time(oldest.saturating_add(within).saturating_add(1))).transpose()
}

pub(super) async fn settle(
    db: &Transaction<'_>,
    task: &TaskRef,
    acted: bool,
    checkpoint: Option<&[u8]>,
) -> Result<(), StoreError> {
    let sql = "UPDATE tasks SET sent_ms = NULL, acted_ms = CASE WHEN $3 THEN acted_ms ELSE NULL END,
                   checkpoint = coalesce($4, checkpoint)
               WHERE job = $1 AND meter = $2";
    let (job, meter) = (task.job.0.as_bytes().as_slice(), task.meter.as_str());
    execute(db, "noting an outcome", sql, &[&job, &meter, &acted, &checkpoint]).await.map(drop)
}

pub(super) async fn requeue(db: &Transaction<'_>, task: &TaskRef, retry: &Retry) -> Result<(), StoreError> {
    let action = "putting a task back";
    let state = hold_job(db, task.job).await?;
    let sql = "UPDATE tasks SET state = 0, due_ms = $3, attempts = $4, refusals = $5, failure = coalesce($6, failure)
               WHERE job = $1 AND meter = $2 AND state = 1";
    let (job, meter) = (task.job.0.as_bytes().as_slice(), task.meter.as_str());
    let (attempts, refusals) = (i64::from(retry.attempts), i64::from(retry.refusals));
    execute(db, action, sql, &[&job, &meter, &millis(retry.due), &attempts, &refusals, &retry.failure]).await?;
    let sql = "SELECT 1 FROM tasks WHERE job = $1 AND meter = $2 AND sent_ms IS NULL";
    if state != Some(JobState::Running) && one(db, action, sql, &[&job, &meter]).await?.is_some() {
        let at = Timestamp::now();
        return end(db, task, &TaskEnd { result: TaskResult::Cancelled, failure: None, outcome: None, at }).await;
    }
    Ok(())
}

/// Ends the tasks of the job `$1` that `which` selects as `ended`, and numbers their ends.
fn ending(which: &str) -> String {
    format!(
        "WITH ended AS (
             UPDATE tasks SET state = 2, sent_ms = NULL, checkpoint = NULL, result = $2,
                 failure = coalesce($3, failure), outcome = $4, ended_ms = $5
             WHERE job = $1 AND state <> 2 AND {which} RETURNING meter)
         INSERT INTO task_ends (job, meter) SELECT $1, meter FROM ended"
    )
}

pub(super) async fn end(db: &Transaction<'_>, task: &TaskRef, how: &TaskEnd) -> Result<(), StoreError> {
    hold_job(db, task.job).await?;
    let (job, meter) = (task.job.0.as_bytes().as_slice(), task.meter.as_str());
    let (result, at) = (codes::TASK_RESULTS.number(how.result), millis(how.at));
    let sql = ending("meter = $6");
    execute(db, "ending a task", &sql, &[&job, &result, &failure_of(how), &how.outcome, &at, &meter]).await?;
    end_job_if_done(db, task.job).await
}

/// What succeeded after all has no failure.
fn failure_of(how: &TaskEnd) -> Option<&[u8]> {
    if how.result == TaskResult::Succeeded { Some(&[]) } else { how.failure.as_deref() }
}

pub(super) async fn end_waiting(
    db: &Transaction<'_>,
    job: JobId,
    how: &TaskEnd,
    limit: usize,
) -> Result<usize, StoreError> {
    hold_job(db, job).await?;
    let sql = ending(
        "sent_ms IS NULL AND meter = ANY(ARRAY(
             SELECT meter FROM tasks WHERE job = $1 AND state IN (0, 3) AND sent_ms IS NULL LIMIT $6 FOR UPDATE))",
    );
    let id = job.0.as_bytes().as_slice();
    let (result, at) = (codes::TASK_RESULTS.number(how.result), millis(how.at));
    let values = (failure_of(how), count(limit));
    let ended = execute(db, "ending tasks", &sql, &[&id, &result, &values.0, &how.outcome, &at, &values.1]).await?;
    end_job_if_done(db, job).await?;
    Ok(usize::try_from(ended).unwrap_or(usize::MAX))
}

/// Ends a job that runs, or is being cancelled, and has no task left. Its row must be held.
pub(super) async fn end_job_if_done(db: &Transaction<'_>, job: JobId) -> Result<(), StoreError> {
    let sql = "UPDATE jobs SET state = CASE state WHEN 2 THEN 4 ELSE 5 END, updated_ms = $2
               WHERE id = $1 AND state IN (2, 3)
                 AND NOT EXISTS (SELECT 1 FROM tasks WHERE job = $1 AND state IN (0, 1, 3))";
    let id = job.0.as_bytes().as_slice();
    execute(db, "ending a job", sql, &[&id, &millis(Timestamp::now())]).await.map(drop)
}

pub(super) async fn get(db: &impl GenericClient, task: &TaskRef) -> Result<Option<TaskRow>, StoreError> {
    let sql = format!("SELECT {TASK_COLUMNS} FROM tasks WHERE job = $1 AND meter = $2");
    let (job, meter) = (task.job.0.as_bytes().as_slice(), task.meter.as_str());
    one(db, "reading a task", &sql, &[&job, &meter]).await?.map(|row| row::task(&row, 0)).transpose()
}

pub(super) async fn list(
    db: &impl GenericClient,
    job: JobId,
    filter: TaskFilter,
    after: Option<&MeterId>,
    limit: usize,
) -> Result<Vec<TaskRow>, StoreError> {
    let sql = format!(
        "SELECT {TASK_COLUMNS} FROM tasks
         WHERE job = $1 AND meter > $2 AND ($3::smallint IS NULL OR result = $3) ORDER BY meter LIMIT $4"
    );
    let (id, after) = (job.0.as_bytes().as_slice(), after.map_or("", MeterId::as_str));
    let result = filter.result.map(|result| codes::TASK_RESULTS.number(result));
    let rows = rows(db, "listing tasks", &sql, &[&id, &after, &result, &count(limit)]).await?;
    rows.iter().map(|row| row::task(row, 0)).collect()
}

pub(super) async fn ended(
    db: &impl GenericClient,
    job: JobId,
    after: u64,
    limit: usize,
) -> Result<Vec<(u64, TaskRow)>, StoreError> {
    let sql = format!(
        "SELECT task_ends.seq, {TASK_COLUMNS} FROM task_ends JOIN tasks USING (job, meter)
         WHERE job = $1 AND task_ends.seq > $2 ORDER BY task_ends.seq LIMIT $3"
    );
    let (id, after) = (job.0.as_bytes().as_slice(), i64::try_from(after).unwrap_or(i64::MAX));
    let rows = rows(db, "following a job", &sql, &[&id, &after, &count(limit)]).await?;
    rows.iter().map(|row| Ok((column::<i64>(row, 0)?.unsigned_abs(), row::task(row, 1)?))).collect()
}
