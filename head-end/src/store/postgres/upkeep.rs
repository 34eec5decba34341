//! Rows that nobody needs any more.

use deadpool_postgres::Transaction;
use jiff::Timestamp;

use super::{
    PostgresStore,
    pool::{execute, get, limit as count, row},
};
use crate::store::{StoreError, UpkeepStore, upkeep::first_id};

impl UpkeepStore for PostgresStore {
    async fn forget_jobs(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let action = "forgetting a job";
        self.0.connections.write(action, move |db| Box::pin(forget_jobs(db, before, limit))).await
    }

    async fn forget_events(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let sql = "DELETE FROM events WHERE sequence = ANY(ARRAY(
                       SELECT sequence FROM (SELECT sequence, received_ms FROM events ORDER BY sequence LIMIT $2) AS oldest
                       WHERE received_ms < $1))
                   AND sequence < (SELECT max(sequence) FROM events)";
        self.forget("forgetting events", sql, before, limit).await
    }

    async fn forget_runs(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let sql = "DELETE FROM plan_runs WHERE id = ANY(ARRAY(
                       SELECT id FROM plan_runs WHERE created_ms < $1 LIMIT $2))";
        self.forget("forgetting runs of plans", sql, before, limit).await
    }
}

impl PostgresStore {
    async fn forget(
        &self,
        action: &'static str,
        sql: &'static str,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let gone = execute(db, action, sql, &[&before.as_millisecond(), &count(limit)]).await?;
                    Ok(usize::try_from(gone).unwrap_or(usize::MAX))
                })
            })
            .await
    }
}

async fn forget_jobs(db: &Transaction<'_>, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let action = "forgetting a job";
    let sql = "SELECT id FROM jobs WHERE id < $1 AND state >= 4 AND updated_ms < $2 ORDER BY id LIMIT 1 FOR UPDATE";
    let first = first_id(before);
    let Some(found) = row(db, action, sql, &[&&first[..], &before.as_millisecond()]).await? else { return Ok(0) };
    let job: &[u8] = get(&found, 0)?;
    let ends = "DELETE FROM task_ends WHERE seq = ANY(ARRAY(SELECT seq FROM task_ends WHERE job = $1 LIMIT $2))";
    let tasks = "DELETE FROM tasks
                 WHERE job = $1 AND meter = ANY(ARRAY(SELECT meter FROM tasks WHERE job = $1 LIMIT $2))";
    let mut gone = 0;
    for sql in [ends, tasks] {
        gone += usize::try_from(execute(db, action, sql, &[&job, &count(limit)]).await?).unwrap_or(usize::MAX);
    }
    if gone < limit {
        execute(db, action, "DELETE FROM jobs WHERE id = $1", &[&job]).await?;
        gone += 1;
    }
    Ok(gone)
}
