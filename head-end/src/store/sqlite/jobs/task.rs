//! What happens to tasks.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::row::{self, TASK_COLUMNS, millis};
use crate::{
    meter::MeterId,
    operation::Priority,
    store::{
        ClaimedTask, JobId, Permit, RateLimit, Retry, StoreError, TaskEnd, TaskFilter, TaskRef, TaskResult, TaskRow,
        codes,
        sqlite::{control::FILE, failure::Context},
    },
};

pub(super) fn claim(
    db: &Connection,
    now: Timestamp,
    priority: Priority,
    limit: usize,
) -> Result<Vec<ClaimedTask>, StoreError> {
    let mut claimed = Vec::new();
    for priority in Priority::ALL.into_iter().rev().filter(|of| *of >= priority) {
        let room = limit.saturating_sub(claimed.len());
        if room > 0 {
            claim_of(db, now, priority, room, &mut claimed)?;
        }
    }
    let mut run = db
        .prepare_cached("UPDATE tasks SET state = 1 WHERE job = ?1 AND meter = ?2")
        .context(FILE, "claiming tasks")?;
    for ClaimedTask { task, .. } in &claimed {
        run.execute(params![task.job.0.as_bytes(), task.meter.as_str()]).context(FILE, "claiming a task")?;
    }
    Ok(claimed)
}

fn claim_of(
    db: &Connection,
    now: Timestamp,
    priority: Priority,
    room: usize,
    claimed: &mut Vec<ClaimedTask>,
) -> Result<(), StoreError> {
    let mut query = db
        .prepare_cached(
            "SELECT job, meter, attempts, refusals, sent_ms, checkpoint FROM tasks
             WHERE state = 0 AND priority = ?1 AND due_ms <= ?2 ORDER BY due_ms LIMIT ?3",
        )
        .context(FILE, "claiming tasks")?;
    let room = i64::try_from(room).unwrap_or(i64::MAX);
    let mut rows =
        query.query(params![codes::PRIORITIES.number(priority), millis(now), room]).context(FILE, "claiming tasks")?;
    while let Some(row) = rows.next().context(FILE, "claiming tasks")? {
        let read = || -> rusqlite::Result<_> {
            Ok((
                row.get::<_, [u8; 16]>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, u32>(2)?,
                row.get::<_, u32>(3)?,
                row.get::<_, Option<i64>>(4)?,
                row.get::<_, Option<Vec<u8>>>(5)?,
            ))
        };
        let (job, meter, attempts, refusals, sent, checkpoint) = read().context(FILE, "claiming a task")?;
        claimed.push(ClaimedTask {
            task: TaskRef { job: row::id(job), meter: row::meter(&meter)? },
            attempts,
            refusals,
            sent: sent.map(row::time).transpose()?,
            checkpoint,
        });
    }
    Ok(())
}

pub(super) fn rival(db: &Connection, task: &TaskRef) -> Result<Option<JobId>, StoreError> {
    db.prepare_cached(
        "SELECT tasks.job FROM tasks JOIN jobs ON jobs.id = tasks.job
         WHERE tasks.meter = ?2 AND tasks.state <> 2 AND tasks.job <> ?1
           AND (tasks.state = 1 OR tasks.checkpoint IS NOT NULL)
           AND jobs.kind = (SELECT kind FROM jobs WHERE id = ?1)
         ORDER BY tasks.job LIMIT 1",
    )
    .and_then(|mut query| {
        query.query_row(params![task.job.0.as_bytes(), task.meter.as_str()], |row| row.get::<_, [u8; 16]>(0)).optional()
    })
    .map(|found| found.map(row::id))
    .context(FILE, "looking for another job")
}

pub(super) fn next_due(db: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let mut due: Option<i64> = None;
    for priority in Priority::ALL {
        let of: Option<i64> = db
            .prepare_cached("SELECT min(due_ms) FROM tasks WHERE state = 0 AND priority = ?1")
            .and_then(|mut query| query.query_row([codes::PRIORITIES.number(priority)], |row| row.get(0)))
            .context(FILE, "looking for the next task")?;
        due = [due, of].into_iter().flatten().min();
    }
    due.map(row::time).transpose()
}

pub(super) fn begin_action(
    db: &Connection,
    task: &TaskRef,
    now: Timestamp,
    checkpoint: &[u8],
    limit: Option<RateLimit>,
) -> Result<Permit, StoreError> {
    if may_not_act(db, task.job)? {
        return Ok(Permit::Cancelled);
    }
    if let Some(limit) = limit
        && let Some(when) = exhausted_until(db, task, now, limit)?
    {
        return Ok(Permit::NotBefore(when));
    }
    db.prepare_cached(
        "UPDATE tasks SET sent_ms = ?3, checkpoint = ?4, acted_ms = CASE WHEN ?5 THEN ?3 ELSE acted_ms END
         WHERE job = ?1 AND meter = ?2",
    )
    .and_then(|mut update| {
        update.execute(params![task.job.0.as_bytes(), task.meter.as_str(), millis(now), checkpoint, limit.is_some()])
    })
    .context(FILE, "noting an action")?;
    Ok(Permit::Go)
}

/// When the oldest of the last `limit.most` interruptions is long enough ago, where it is not.
fn exhausted_until(
    db: &Connection,
    task: &TaskRef,
    now: Timestamp,
    limit: RateLimit,
) -> Result<Option<Timestamp>, StoreError> {
    let within = i64::try_from(limit.within.as_millis()).unwrap_or(i64::MAX);
    let since = millis(now).saturating_sub(within);
    let oldest: Option<i64> = db
        .prepare_cached(
            "SELECT acted_ms FROM tasks
             WHERE tenant IS (SELECT tenant FROM tasks WHERE job = ?1 AND meter = ?2) AND acted_ms > ?3
             ORDER BY acted_ms DESC LIMIT 1 OFFSET ?4",
        )
        .and_then(|mut query| {
            let offset = i64::try_from(limit.most.saturating_sub(1)).unwrap_or(i64::MAX);
            query
                .query_row(params![task.job.0.as_bytes(), task.meter.as_str(), since, offset], |row| row.get(0))
                .optional()
        })
        .context(FILE, "counting interruptions")?;
    oldest.map(|oldest| row::time(oldest.saturating_add(within).saturating_add(1))).transpose()
}

pub(super) fn settle(
    db: &Connection,
    task: &TaskRef,
    acted: bool,
    checkpoint: Option<&[u8]>,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE tasks SET sent_ms = NULL, acted_ms = CASE WHEN ?3 THEN acted_ms ELSE NULL END,
             checkpoint = coalesce(?4, checkpoint)
         WHERE job = ?1 AND meter = ?2",
    )
    .and_then(|mut update| update.execute(params![task.job.0.as_bytes(), task.meter.as_str(), acted, checkpoint]))
    .map(drop)
    .context(FILE, "noting an outcome")
}

pub(super) fn requeue(db: &Connection, task: &TaskRef, retry: &Retry) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE tasks SET state = 0, due_ms = ?3, attempts = ?4, refusals = ?5, failure = coalesce(?6, failure)
         WHERE job = ?1 AND meter = ?2 AND state = 1",
    )
    .and_then(|mut update| {
        update.execute(params![
            task.job.0.as_bytes(),
            task.meter.as_str(),
            millis(retry.due),
            retry.attempts,
            retry.refusals,
            retry.failure,
        ])
    })
    .context(FILE, "putting a task back")?;
    let waits: Option<bool> = db
        .prepare_cached("SELECT sent_ms IS NULL FROM tasks WHERE job = ?1 AND meter = ?2")
        .and_then(|mut query| {
            query.query_row(params![task.job.0.as_bytes(), task.meter.as_str()], |row| row.get(0)).optional()
        })
        .context(FILE, "putting a task back")?;
    if waits == Some(true) && may_not_act(db, task.job)? {
        let at = Timestamp::now();
        return end(db, task, &TaskEnd { result: TaskResult::Cancelled, failure: None, outcome: None, at });
    }
    Ok(())
}

pub(super) fn end(db: &Connection, task: &TaskRef, how: &TaskEnd) -> Result<(), StoreError> {
    let ended = db
        .prepare_cached(
            "UPDATE tasks SET state = 2, sent_ms = NULL, checkpoint = NULL, result = ?3, failure = coalesce(?4, failure),
                 outcome = ?5, ended_ms = ?6
             WHERE job = ?1 AND meter = ?2 AND state <> 2",
        )
        .and_then(|mut update| {
            // What succeeded after all has no failure.
            let failure = if how.result == TaskResult::Succeeded { Some(&[][..]) } else { how.failure.as_deref() };
            update.execute(params![
                task.job.0.as_bytes(),
                task.meter.as_str(),
                codes::TASK_RESULTS.number(how.result),
                failure,
                how.outcome,
                millis(how.at),
            ])
        })
        .context(FILE, "ending a task")?;
    if ended > 0 {
        db.prepare_cached("INSERT INTO task_ends (job, meter) VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute(params![task.job.0.as_bytes(), task.meter.as_str()]))
            .context(FILE, "noting the end of a task")?;
    }
    end_job_if_done(db, task.job)
}

pub(super) fn end_waiting(db: &Connection, job: JobId, how: &TaskEnd, limit: usize) -> Result<usize, StoreError> {
    let mut query = db
        .prepare_cached("SELECT meter FROM tasks WHERE job = ?1 AND state IN (0, 3) AND sent_ms IS NULL LIMIT ?2")
        .context(FILE, "ending tasks")?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let meters: Vec<String> = query
        .query_map(params![job.0.as_bytes(), limit], |row| row.get(0))
        .and_then(Iterator::collect)
        .context(FILE, "ending tasks")?;
    for meter in &meters {
        end(db, &TaskRef { job, meter: row::meter(meter)? }, how)?;
    }
    end_job_if_done(db, job)?;
    Ok(meters.len())
}

/// Ends a job that runs, or is being cancelled, and has no task left.
pub(super) fn end_job_if_done(db: &Connection, job: JobId) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE jobs SET state = CASE state WHEN 2 THEN 4 ELSE 5 END, updated_ms = ?2
         WHERE id = ?1 AND state IN (2, 3)
           AND NOT EXISTS (SELECT 1 FROM tasks WHERE job = ?1 AND state IN (0, 1, 3))",
    )
    .and_then(|mut update| update.execute(params![job.0.as_bytes(), millis(Timestamp::now())]))
    .map(drop)
    .context(FILE, "ending a job")
}

fn may_not_act(db: &Connection, job: JobId) -> Result<bool, StoreError> {
    let state: Option<i64> = db
        .prepare_cached("SELECT state FROM jobs WHERE id = ?1")
        .and_then(|mut query| query.query_row([job.0.as_bytes()], |row| row.get(0)).optional())
        .context(FILE, "reading the state of a job")?;
    Ok(state != Some(2))
}

pub(super) fn get(db: &Connection, task: &TaskRef) -> Result<Option<TaskRow>, StoreError> {
    db.prepare_cached(&format!("SELECT {TASK_COLUMNS} FROM tasks WHERE job = ?1 AND meter = ?2"))
        .and_then(|mut query| {
            query.query_row(params![task.job.0.as_bytes(), task.meter.as_str()], |row| Ok(row::task(row, 0))).optional()
        })
        .context(FILE, "reading a task")?
        .transpose()
}

pub(super) fn list(
    db: &Connection,
    job: JobId,
    filter: TaskFilter,
    after: Option<&MeterId>,
    limit: usize,
) -> Result<Vec<TaskRow>, StoreError> {
    let mut query = db
        .prepare_cached(&format!(
            "SELECT {TASK_COLUMNS} FROM tasks
             WHERE job = ?1 AND meter > ?2 AND (?3 IS NULL OR result = ?3) ORDER BY meter LIMIT ?4"
        ))
        .context(FILE, "listing tasks")?;
    let rows = query
        .query_map(
            params![
                job.0.as_bytes(),
                after.map_or("", MeterId::as_str),
                filter.result.map(|result| codes::TASK_RESULTS.number(result)),
                i64::try_from(limit).unwrap_or(i64::MAX),
            ],
            |row| Ok(row::task(row, 0)),
        )
        .context(FILE, "listing tasks")?;
    rows.map(|row| row.context(FILE, "listing tasks")?).collect()
}

pub(super) fn ended(db: &Connection, job: JobId, after: u64, limit: usize) -> Result<Vec<(u64, TaskRow)>, StoreError> {
    let mut query = db
        .prepare_cached(&format!(
            "SELECT task_ends.seq, {TASK_COLUMNS} FROM task_ends JOIN tasks USING (job, meter)
             WHERE task_ends.job = ?1 AND task_ends.seq > ?2 ORDER BY task_ends.seq LIMIT ?3"
        ))
        .context(FILE, "following a job")?;
    let rows = query
        .query_map(
            params![
                job.0.as_bytes(),
                i64::try_from(after).unwrap_or(i64::MAX),
                i64::try_from(limit).unwrap_or(i64::MAX),
            ],
            |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row::task(row, 1))),
        )
        .context(FILE, "following a job")?;
    rows.map(|row| {
        let (seq, task) = row.context(FILE, "following a job")?;
        Ok((seq, task?))
    })
    .collect()
}

pub(super) fn recover(db: &Connection, now: Timestamp) -> Result<usize, StoreError> {
    db.prepare_cached("UPDATE tasks SET state = 0, due_ms = min(due_ms, ?1) WHERE state = 1")
        .and_then(|mut update| update.execute([millis(now)]))
        .context(FILE, "taking up tasks")
}

pub(super) fn hasten(db: &Connection, limit: Timestamp, now: Timestamp) -> Result<usize, StoreError> {
    db.prepare_cached(
        "UPDATE tasks SET due_ms = ?2 WHERE state = 0 AND due_ms > ?1
         AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = tasks.job
                     AND (tasks.due_ms > not_before_ms OR not_before_ms <= created_ms))",
    )
    .and_then(|mut update| update.execute([millis(limit), millis(now)]))
    .context(FILE, "hastening tasks")
}
