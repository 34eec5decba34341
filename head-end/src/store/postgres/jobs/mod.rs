//! Jobs and their tasks.
//!
//! What may end a job, and what numbers the ends of its tasks, holds the row of the job first; tasks are held after it.

mod row;
mod task;
mod waves;

use deadpool_postgres::{GenericClient, Transaction};
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use self::row::{JOB_COLUMNS, millis};
use super::{
    PostgresStore,
    failure::corrupt,
    pool::{execute, get, limit as count, row as one, rows, text},
    requests,
};
use crate::{
    meter::{MeterId, Tenant},
    operation::Priority,
    store::{
        ClaimedTask, Inserted, JobFilter, JobId, JobRow, JobState, JobStore, Permit, RateLimit, RequestKey, Retry,
        StoreError, TaskCounts, TaskEnd, TaskFilter, TaskRef, TaskRow, TaskState, codes,
    },
};

impl JobStore for PostgresStore {
    async fn insert_job(&self, job: JobRow, request: Option<RequestKey>) -> Result<Inserted, StoreError> {
        let action = "adding a job";
        self.0
            .connections
            .write(action, move |db| Box::pin(async move { insert(db, &job, request.as_ref()).await }))
            .await
    }

    async fn add_tasks(&self, job: JobId, meters: Vec<MeterId>) -> Result<(), StoreError> {
        let action = "adding tasks";
        self.0.connections.write(action, move |db| Box::pin(async move { add(db, job, &meters).await })).await
    }

    async fn last_task(&self, job: JobId) -> Result<Option<MeterId>, StoreError> {
        let action = "looking for the last task";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let sql = "SELECT max(meter) FROM tasks WHERE job = $1";
                    let row = one(db, action, sql, &[&job.0.as_bytes().as_slice()]).await?;
                    let name: Option<String> = row.map_or(Ok(None), |row| get(&row, 0))?;
                    name.as_deref().map(row::meter).transpose()
                })
            })
            .await
    }

    async fn move_job(
        &self,
        job: JobId,
        from: JobState,
        to: JobState,
        approver: Option<String>,
    ) -> Result<bool, StoreError> {
        let action = "changing the state of a job";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let sql = "UPDATE jobs SET state = $3, approver = coalesce($4, approver), updated_ms = $5
                               WHERE id = $1 AND state = $2";
                    let (from, to) = (codes::JOB_STATES.number(from), codes::JOB_STATES.number(to));
                    let approver = approver.as_deref().map(text);
                    let now = millis(Timestamp::now());
                    let id = job.0.as_bytes().as_slice();
                    Ok(execute(db, action, sql, &[&id, &from, &to, &approver, &now]).await? > 0)
                })
            })
            .await
    }

    async fn release_tasks(&self, job: JobId, limit: usize) -> Result<usize, StoreError> {
        let action = "releasing tasks";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    task::hold_job(db, job).await?;
                    let sql = "UPDATE tasks SET state = 0 WHERE job = $1 AND meter = ANY(ARRAY(
                                   SELECT meter FROM tasks WHERE job = $1 AND state = 3 ORDER BY meter LIMIT $2
                                   FOR UPDATE))";
                    let id = job.0.as_bytes().as_slice();
                    let released = execute(db, action, sql, &[&id, &count(limit)]).await?;
                    task::end_job_if_done(db, job).await?;
                    Ok(usize::try_from(released).unwrap_or(usize::MAX))
                })
            })
            .await
    }

    async fn end_waiting(&self, job: JobId, end: TaskEnd, limit: usize) -> Result<usize, StoreError> {
        let action = "ending tasks";
        self.0
            .connections
            .write(action, move |db| Box::pin(async move { task::end_waiting(db, job, &end, limit).await }))
            .await
    }

    async fn job(&self, job: JobId) -> Result<Option<JobRow>, StoreError> {
        self.0.connections.read("reading a job", move |db| Box::pin(job_of(db, job))).await
    }

    async fn list_jobs(
        &self,
        filter: JobFilter,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<JobRow>, StoreError> {
        let action = "listing jobs";
        self.0.connections.read(action, move |db| Box::pin(async move { list(db, &filter, after, limit).await })).await
    }

    async fn count_tasks(&self, job: JobId) -> Result<TaskCounts, StoreError> {
        self.0.connections.read("counting tasks", move |db| Box::pin(counts(db, job))).await
    }

    async fn claim_tasks(
        &self,
        now: Timestamp,
        priority: Priority,
        limit: usize,
    ) -> Result<Vec<ClaimedTask>, StoreError> {
        self.0.guard.check()?;
        let action = "claiming tasks";
        self.0.connections.write(action, move |db| Box::pin(task::claim(db, now, priority, limit))).await
    }

    async fn rival(&self, task: TaskRef) -> Result<Option<JobId>, StoreError> {
        self.0.connections.read("looking for another job", move |db| Box::pin(task::rival(db, task))).await
    }

    async fn next_task_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.0.connections.read("looking for the next task", |db| Box::pin(task::next_due(db))).await
    }

    async fn begin_action(
        &self,
        task: TaskRef,
        now: Timestamp,
        checkpoint: Vec<u8>,
        limit: Option<RateLimit>,
    ) -> Result<Permit, StoreError> {
        self.0.guard.check()?;
        let action = "noting an action";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move { task::begin_action(db, &task, now, &checkpoint, limit).await })
            })
            .await
    }

    async fn settle_action(&self, task: TaskRef, acted: bool, checkpoint: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.task_write("noting an outcome", move |db| {
            Box::pin(async move { task::settle(db, &task, acted, checkpoint.as_deref()).await })
        })
        .await
    }

    async fn requeue_task(&self, task: TaskRef, retry: Retry) -> Result<(), StoreError> {
        self.task_write("putting a task back", move |db| {
            Box::pin(async move { task::requeue(db, &task, &retry).await })
        })
        .await
    }

    async fn end_task(&self, task: TaskRef, end: TaskEnd) -> Result<(), StoreError> {
        self.task_write("ending a task", move |db| Box::pin(async move { task::end(db, &task, &end).await })).await
    }

    async fn task(&self, task: TaskRef) -> Result<Option<TaskRow>, StoreError> {
        let action = "reading a task";
        self.0.connections.read(action, move |db| Box::pin(async move { task::get(db, &task).await })).await
    }

    async fn list_tasks(
        &self,
        job: JobId,
        filter: TaskFilter,
        after: Option<MeterId>,
        limit: usize,
    ) -> Result<Vec<TaskRow>, StoreError> {
        let action = "listing tasks";
        self.0
            .connections
            .read(action, move |db| Box::pin(async move { task::list(db, job, filter, after.as_ref(), limit).await }))
            .await
    }

    async fn ended_tasks(&self, job: JobId, after: u64, limit: usize) -> Result<Vec<(u64, TaskRow)>, StoreError> {
        self.0.connections.read("following a job", move |db| Box::pin(task::ended(db, job, after, limit))).await
    }

    async fn recover_tasks(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.0.guard.check()?;
        let action = "taking up tasks";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let sql = "UPDATE tasks SET state = 0, due_ms = least(due_ms, $1) WHERE state = 1";
                    let found = execute(db, action, sql, &[&millis(now)]).await?;
                    Ok(usize::try_from(found).unwrap_or(usize::MAX))
                })
            })
            .await
    }

    async fn hasten_tasks(&self, limit: Timestamp, now: Timestamp) -> Result<usize, StoreError> {
        let action = "hastening tasks";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let sql = "UPDATE tasks SET due_ms = $2 FROM jobs WHERE jobs.id = tasks.job
                               AND tasks.state = 0 AND tasks.due_ms > $1
                               AND (tasks.due_ms > jobs.not_before_ms OR jobs.not_before_ms <= jobs.created_ms)";
                    let found = execute(db, action, sql, &[&millis(limit), &millis(now)]).await?;
                    Ok(usize::try_from(found).unwrap_or(usize::MAX))
                })
            })
            .await
    }

    async fn open_jobs(&self, state: JobState) -> Result<Vec<JobId>, StoreError> {
        let action = "looking for open jobs";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let sql = "SELECT id FROM jobs WHERE state = $1 AND state < 4 ORDER BY id";
                    let rows = rows(db, action, sql, &[&codes::JOB_STATES.number(state)]).await?;
                    rows.iter().map(|row| row::id(get(row, 0)?)).collect()
                })
            })
            .await
    }

    async fn count_interrupted(
        &self,
        tenant: Option<Tenant>,
        since: Timestamp,
        except: JobId,
    ) -> Result<u64, StoreError> {
        let action = "counting interruptions";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    // What was refused or withdrawn before it began took nothing away.
                    let sql = "SELECT count(*) FROM jobs JOIN tasks ON tasks.job = jobs.id
                               WHERE jobs.interrupts AND jobs.created_ms >= $1
                                 AND jobs.tenant IS NOT DISTINCT FROM $2 AND jobs.id <> $3
                                 AND (tasks.result IS NULL OR tasks.acted_ms IS NOT NULL)";
                    let tenant = tenant.as_ref().map(Tenant::as_str);
                    let except = except.0.as_bytes().as_slice();
                    let row = one(db, action, sql, &[&millis(since), &tenant, &except]).await?;
                    row.map_or(Ok(0), |row| get::<i64>(&row, 0)).map(i64::unsigned_abs)
                })
            })
            .await
    }
}

impl PostgresStore {
    async fn task_write(
        &self,
        action: &'static str,
        work: impl for<'a> FnOnce(&'a Transaction<'a>) -> BoxFuture<'a, Result<(), StoreError>> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.0.connections.write(action, work).await
    }
}

async fn insert(db: &Transaction<'_>, job: &JobRow, request: Option<&RequestKey>) -> Result<Inserted, StoreError> {
    let work = async {
        let sql = "INSERT INTO jobs (id, tenant, creator, kind, spec, target, mutating, interrupts, priority,
                                     not_before_ms, expires_ms, reason, state, approver, created_ms, updated_ms)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
        let approver = job.approver.as_deref().map(text);
        execute(
            db,
            "adding a job",
            sql,
            &[
                &job.id.0.as_bytes().as_slice(),
                &job.tenant.as_ref().map(Tenant::as_str),
                &text(&job.creator),
                &text(&job.kind),
                &job.spec,
                &job.target,
                &job.mutating,
                &job.interrupts,
                &codes::PRIORITIES.number(job.priority),
                &millis(job.not_before),
                &millis(job.expires),
                &text(&job.reason),
                &codes::JOB_STATES.number(job.state),
                &approver,
                &millis(job.created),
                &millis(job.updated),
            ],
        )
        .await?;
        Ok(job.id)
    };
    let keep = |id: &JobId| Ok(id.0.as_bytes().to_vec());
    let again = |kept: Vec<u8>| Box::pin(std::future::ready(row::id(&kept))) as _;
    let (id, repeated) = requests::once(db, request, work, keep, again).await?;
    Ok(if repeated { Inserted::Repeated(id) } else { Inserted::New })
}

async fn add(db: &Transaction<'_>, job: JobId, meters: &[MeterId]) -> Result<(), StoreError> {
    // Held, so that it is not cancelled before the tasks are there to be ended.
    let state = task::hold_job(db, job).await?;
    let row = job_of(db, job).await?.ok_or_else(|| StoreError::NotFound(job.resource_name()))?;
    if state != Some(JobState::Expanding) {
        return Ok(());
    }
    let sql = "INSERT INTO tasks (job, meter, tenant, state, priority, due_ms)
               SELECT $1, meter, $3, $4, $5, $6 FROM unnest($2::text[]) AS n (meter)
               ON CONFLICT (job, meter) DO NOTHING";
    let names: Vec<&str> = meters.iter().map(MeterId::as_str).collect();
    execute(
        db,
        "adding tasks",
        sql,
        &[
            &job.0.as_bytes().as_slice(),
            &names,
            &row.tenant.as_ref().map(Tenant::as_str),
            &codes::TASK_STATES.number(TaskState::Held),
            &codes::PRIORITIES.number(row.priority),
            &millis(row.not_before),
        ],
    )
    .await
    .map(drop)
}

async fn job_of(db: &impl GenericClient, job: JobId) -> Result<Option<JobRow>, StoreError> {
    let sql = format!("SELECT {JOB_COLUMNS} FROM jobs WHERE id = $1");
    one(db, "reading a job", &sql, &[&job.0.as_bytes().as_slice()]).await?.as_ref().map(row::job).transpose()
}

async fn list(
    db: &impl GenericClient,
    filter: &JobFilter,
    after: Option<JobId>,
    limit: usize,
) -> Result<Vec<JobRow>, StoreError> {
    let sql = format!(
        "SELECT {JOB_COLUMNS} FROM jobs
         WHERE ($1::bytea IS NULL OR id < $1) AND ($2::text IS NULL OR tenant = $2)
           AND ($3::smallint IS NULL OR state = $3) AND ($5::text IS NULL OR kind = $5)
         ORDER BY id DESC LIMIT $4"
    );
    let after = after.as_ref().map(|after| after.0.as_bytes().as_slice());
    let tenant = filter.tenant.as_ref().map(Tenant::as_str);
    let state = filter.state.map(|state| codes::JOB_STATES.number(state));
    let rows = rows(db, "listing jobs", &sql, &[&after, &tenant, &state, &count(limit), &filter.kind]).await?;
    rows.iter().map(row::job).collect()
}

async fn counts(db: &impl GenericClient, job: JobId) -> Result<TaskCounts, StoreError> {
    let sql = "SELECT state, result, count(*) FROM tasks WHERE job = $1 GROUP BY state, result";
    let rows = rows(db, "counting tasks", sql, &[&job.0.as_bytes().as_slice()]).await?;
    let mut counts = TaskCounts::default();
    for row in &rows {
        let (result, tasks) = (get::<Option<i16>>(row, 1)?, get::<i64>(row, 2)?.unsigned_abs());
        match codes::TASK_STATES.variant(get(row, 0)?) {
            Some(TaskState::Waiting) => counts.waiting += tasks,
            Some(TaskState::Held) => counts.held += tasks,
            Some(TaskState::Running) => counts.running += tasks,
            Some(TaskState::Ended) => {
                let result = result.and_then(|number| codes::TASK_RESULTS.variant(number));
                if let Some(count) = result.and_then(|result| counts.ended.get_mut(result as usize)) {
                    *count += tasks;
                }
            }
            None => return Err(corrupt("a task with an impossible state")),
        }
    }
    Ok(counts)
}
