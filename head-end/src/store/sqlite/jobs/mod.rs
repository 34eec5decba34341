//! Jobs and their tasks.

mod row;
mod task;
mod waves;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use self::row::{JOB_COLUMNS, job as job_of, millis};
use super::{SqliteStore, control::FILE, failure::Context, requests};
use crate::{
    meter::{MeterId, Tenant},
    operation::Priority,
    store::{
        ClaimedTask, Inserted, JobFilter, JobId, JobRow, JobState, JobStore, Permit, RateLimit, RequestKey,
        RequestState, Retry, StoreError, TaskCounts, TaskEnd, TaskFilter, TaskRef, TaskRow, TaskState, codes,
    },
};

impl JobStore for SqliteStore {
    async fn insert_job(&self, job: JobRow, request: Option<RequestKey>) -> Result<Inserted, StoreError> {
        self.0.control.write(move |db| insert(db, &job, request.as_ref())).await
    }

    async fn add_tasks(&self, job: JobId, meters: Vec<MeterId>) -> Result<(), StoreError> {
        self.0.control.write(move |db| add(db, job, &meters)).await
    }

    async fn last_task(&self, job: JobId) -> Result<Option<MeterId>, StoreError> {
        self.0.readers.control(move |db| last(db, job)).await
    }

    async fn move_job(
        &self,
        job: JobId,
        from: JobState,
        to: JobState,
        approver: Option<String>,
    ) -> Result<bool, StoreError> {
        self.0.control.write(move |db| shift(db, job, from, to, approver.as_deref())).await
    }

    async fn release_tasks(&self, job: JobId, limit: usize) -> Result<usize, StoreError> {
        self.0.control.write(move |db| release(db, job, limit)).await
    }

    async fn end_waiting(&self, job: JobId, end: TaskEnd, limit: usize) -> Result<usize, StoreError> {
        self.0.control.write(move |db| task::end_waiting(db, job, &end, limit)).await
    }

    async fn job(&self, job: JobId) -> Result<Option<JobRow>, StoreError> {
        self.0.readers.control(move |db| get(db, job)).await
    }

    async fn list_jobs(
        &self,
        filter: JobFilter,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<JobRow>, StoreError> {
        self.0.readers.control(move |db| list(db, &filter, after, limit)).await
    }

    async fn count_tasks(&self, job: JobId) -> Result<TaskCounts, StoreError> {
        self.0.readers.control(move |db| count(db, job)).await
    }

    async fn claim_tasks(
        &self,
        now: Timestamp,
        priority: Priority,
        limit: usize,
    ) -> Result<Vec<ClaimedTask>, StoreError> {
        self.0.control.write(move |db| task::claim(db, now, priority, limit)).await
    }

    async fn rival(&self, task: TaskRef) -> Result<Option<JobId>, StoreError> {
        self.0.readers.control(move |db| task::rival(db, &task)).await
    }

    async fn next_task_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.0.readers.control(task::next_due).await
    }

    async fn begin_action(
        &self,
        task: TaskRef,
        now: Timestamp,
        checkpoint: Vec<u8>,
        limit: Option<RateLimit>,
    ) -> Result<Permit, StoreError> {
        self.0.control.write(move |db| task::begin_action(db, &task, now, &checkpoint, limit)).await
    }

    async fn settle_action(&self, task: TaskRef, acted: bool, checkpoint: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.0.control.write(move |db| task::settle(db, &task, acted, checkpoint.as_deref())).await
    }

    async fn requeue_task(&self, task: TaskRef, retry: Retry) -> Result<(), StoreError> {
        self.0.control.write(move |db| task::requeue(db, &task, &retry)).await
    }

    async fn end_task(&self, task: TaskRef, end: TaskEnd) -> Result<(), StoreError> {
        self.0.control.write(move |db| task::end(db, &task, &end)).await
    }

    async fn task(&self, task: TaskRef) -> Result<Option<TaskRow>, StoreError> {
        self.0.readers.control(move |db| task::get(db, &task)).await
    }

    async fn list_tasks(
        &self,
        job: JobId,
        filter: TaskFilter,
        after: Option<MeterId>,
        limit: usize,
    ) -> Result<Vec<TaskRow>, StoreError> {
        self.0.readers.control(move |db| task::list(db, job, filter, after.as_ref(), limit)).await
    }

    async fn ended_tasks(&self, job: JobId, after: u64, limit: usize) -> Result<Vec<(u64, TaskRow)>, StoreError> {
        self.0.readers.control(move |db| task::ended(db, job, after, limit)).await
    }

    async fn recover_tasks(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.0.control.write(move |db| task::recover(db, now)).await
    }

    async fn hasten_tasks(&self, limit: Timestamp, now: Timestamp) -> Result<usize, StoreError> {
        self.0.control.write(move |db| task::hasten(db, limit, now)).await
    }

    async fn open_jobs(&self, state: JobState) -> Result<Vec<JobId>, StoreError> {
        self.0.readers.control(move |db| open(db, state)).await
    }

    async fn count_interrupted(
        &self,
        tenant: Option<Tenant>,
        since: Timestamp,
        except: JobId,
    ) -> Result<u64, StoreError> {
        self.0.readers.control(move |db| interrupted(db, tenant.as_ref(), since, except)).await
    }
}

fn insert(db: &Connection, job: &JobRow, request: Option<&RequestKey>) -> Result<Inserted, StoreError> {
    if let Some(request) = request {
        if let RequestState::Finished(id) = requests::begin(db, request)? {
            let id = uuid::Uuid::from_slice(&id).map_err(|error| StoreError::Corrupt {
                file: FILE.to_owned(),
                reason: format!("the answer to request {:?} is no job: {error}", request.id),
            })?;
            return Ok(Inserted::Repeated(JobId(id)));
        }
        requests::finish(db, request, job.id.0.as_bytes())?;
    }
    db.prepare_cached(
        "INSERT INTO jobs (id, tenant, creator, kind, spec, target, mutating, interrupts, priority, not_before_ms,
                           expires_ms, reason, state, approver, created_ms, updated_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )
    .and_then(|mut insert| {
        insert.execute(params![
            job.id.0.as_bytes(),
            job.tenant.as_ref().map(Tenant::as_str),
            job.creator,
            job.kind,
            job.spec,
            job.target,
            job.mutating,
            job.interrupts,
            codes::PRIORITIES.number(job.priority),
            millis(job.not_before),
            millis(job.expires),
            job.reason,
            codes::JOB_STATES.number(job.state),
            job.approver,
            millis(job.created),
            millis(job.updated),
        ])
    })
    .context(FILE, "adding a job")?;
    Ok(Inserted::New)
}

fn add(db: &Connection, job: JobId, meters: &[MeterId]) -> Result<(), StoreError> {
    let row = get(db, job)?.ok_or_else(|| StoreError::NotFound(job.resource_name()))?;
    if row.state != JobState::Expanding {
        return Ok(());
    }
    let tenant = row.tenant.as_ref().map(Tenant::as_str);
    let held = codes::TASK_STATES.number(TaskState::Held);
    let (priority, due) = (codes::PRIORITIES.number(row.priority), millis(row.not_before));
    let mut insert = db
        .prepare_cached(
            "INSERT INTO tasks (job, meter, tenant, state, priority, due_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (job, meter) DO NOTHING",
        )
        .context(FILE, "adding tasks")?;
    for meter in meters {
        insert
            .execute(params![job.0.as_bytes(), meter.as_str(), tenant, held, priority, due])
            .context(FILE, "adding a task")?;
    }
    Ok(())
}

fn last(db: &Connection, job: JobId) -> Result<Option<MeterId>, StoreError> {
    let name: Option<String> = db
        .prepare_cached("SELECT max(meter) FROM tasks WHERE job = ?1")
        .and_then(|mut query| query.query_row([job.0.as_bytes()], |row| row.get(0)))
        .context(FILE, "looking for the last task")?;
    name.as_deref().map(row::meter).transpose()
}

fn shift(
    db: &Connection,
    job: JobId,
    from: JobState,
    to: JobState,
    approver: Option<&str>,
) -> Result<bool, StoreError> {
    db.prepare_cached(
        "UPDATE jobs SET state = ?3, approver = coalesce(?4, approver), updated_ms = ?5 WHERE id = ?1 AND state = ?2",
    )
    .and_then(|mut update| {
        update.execute(params![
            job.0.as_bytes(),
            codes::JOB_STATES.number(from),
            codes::JOB_STATES.number(to),
            approver,
            millis(Timestamp::now()),
        ])
    })
    .map(|rows| rows > 0)
    .context(FILE, "changing the state of a job")
}

fn release(db: &Connection, job: JobId, limit: usize) -> Result<usize, StoreError> {
    let released = db
        .prepare_cached(
            "UPDATE tasks SET state = 0 WHERE job = ?1 AND meter IN
                 (SELECT meter FROM tasks WHERE job = ?1 AND state = 3 ORDER BY meter LIMIT ?2)",
        )
        .and_then(|mut update| update.execute(params![job.0.as_bytes(), i64::try_from(limit).unwrap_or(i64::MAX)]))
        .context(FILE, "releasing tasks")?;
    task::end_job_if_done(db, job)?;
    Ok(released)
}

fn get(db: &Connection, job: JobId) -> Result<Option<JobRow>, StoreError> {
    db.prepare_cached(&format!("SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?1"))
        .and_then(|mut query| query.query_row([job.0.as_bytes()], |row| Ok(job_of(row))).optional())
        .context(FILE, "reading a job")?
        .transpose()
}

fn list(db: &Connection, filter: &JobFilter, after: Option<JobId>, limit: usize) -> Result<Vec<JobRow>, StoreError> {
    let mut query = db
        .prepare_cached(&format!(
            "SELECT {JOB_COLUMNS} FROM jobs
             WHERE (?1 IS NULL OR id < ?1) AND (?2 IS NULL OR tenant = ?2) AND (?3 IS NULL OR state = ?3)
               AND (?5 IS NULL OR kind = ?5)
             ORDER BY id DESC LIMIT ?4"
        ))
        .context(FILE, "listing jobs")?;
    let after = after.map(|after| *after.0.as_bytes());
    let rows = query
        .query_map(
            params![
                after,
                filter.tenant.as_ref().map(Tenant::as_str),
                filter.state.map(|state| codes::JOB_STATES.number(state)),
                i64::try_from(limit).unwrap_or(i64::MAX),
                filter.kind,
            ],
            |row| Ok(job_of(row)),
        )
        .context(FILE, "listing jobs")?;
    rows.map(|row| row.context(FILE, "listing jobs")?).collect()
}

fn count(db: &Connection, job: JobId) -> Result<TaskCounts, StoreError> {
    let mut query = db
        .prepare_cached("SELECT state, result, count(*) FROM tasks WHERE job = ?1 GROUP BY state, result")
        .context(FILE, "counting tasks")?;
    let rows = query
        .query_map([job.0.as_bytes()], |row| {
            Ok((row.get::<_, i16>(0)?, row.get::<_, Option<u8>>(1)?, row.get::<_, i64>(2)?.unsigned_abs()))
        })
        .context(FILE, "counting tasks")?;
    let mut counts = TaskCounts::default();
    for row in rows {
        let (state, result, tasks) = row.context(FILE, "counting tasks")?;
        match (row::state(state)?, result.and_then(|result| result.checked_sub(1))) {
            (TaskState::Waiting, _) => counts.waiting += tasks,
            (TaskState::Held, _) => counts.held += tasks,
            (TaskState::Running, _) => counts.running += tasks,
            (TaskState::Ended, result) => {
                if let Some(count) = result.and_then(|result| counts.ended.get_mut(usize::from(result))) {
                    *count += tasks;
                }
            }
        }
    }
    Ok(counts)
}

fn open(db: &Connection, state: JobState) -> Result<Vec<JobId>, StoreError> {
    let mut query = db
        .prepare_cached("SELECT id FROM jobs WHERE state = ?1 AND state < 4 ORDER BY id")
        .context(FILE, "looking for open jobs")?;
    let rows = query
        .query_map([codes::JOB_STATES.number(state)], |row| row.get::<_, [u8; 16]>(0))
        .context(FILE, "looking for open jobs")?;
    rows.map(|row| row.map(|id| JobId(uuid::Uuid::from_bytes(id))).context(FILE, "looking for open jobs")).collect()
}

fn interrupted(db: &Connection, tenant: Option<&Tenant>, since: Timestamp, except: JobId) -> Result<u64, StoreError> {
    // What was refused or withdrawn before it began took nothing away.
    db.prepare_cached(
        "SELECT count(*) FROM jobs JOIN tasks ON tasks.job = jobs.id
         WHERE jobs.interrupts AND jobs.created_ms >= ?1 AND jobs.tenant IS ?2 AND jobs.id <> ?3
           AND (tasks.result IS NULL OR tasks.acted_ms IS NOT NULL)",
    )
    .and_then(|mut query| {
        query.query_row(params![millis(since), tenant.map(Tenant::as_str), except.0.as_bytes()], |row| {
            row.get::<_, i64>(0)
        })
    })
    .map(i64::unsigned_abs)
    .context(FILE, "counting interruptions")
}
