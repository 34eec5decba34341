//! Rows that nobody needs any more.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{SqliteStore, control::FILE, failure::Context};
use crate::store::{StoreError, UpkeepStore, upkeep::first_id};

impl UpkeepStore for SqliteStore {
    async fn forget_jobs(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.0.control.write(move |db| forget_jobs(db, before, count(limit))).await
    }

    async fn forget_events(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let sql = "DELETE FROM events WHERE sequence IN
                       (SELECT sequence FROM (SELECT sequence, received_ms FROM events ORDER BY sequence LIMIT ?2)
                        WHERE received_ms < ?1)
                   AND sequence < (SELECT max(sequence) FROM events)";
        self.forget("forgetting events", sql, before, limit).await
    }

    async fn forget_runs(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let sql = "DELETE FROM plan_runs WHERE id IN (SELECT id FROM plan_runs WHERE created_ms < ?1 LIMIT ?2)";
        self.forget("forgetting runs of plans", sql, before, limit).await
    }
}

impl SqliteStore {
    async fn forget(
        &self,
        action: &'static str,
        sql: &'static str,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let forget = move |db: &Connection| {
            db.prepare_cached(sql)
                .and_then(|mut delete| delete.execute(params![before.as_millisecond(), count(limit)]))
                .context(FILE, action)
        };
        self.0.control.write(forget).await
    }
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn forget_jobs(db: &Connection, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let action = "forgetting a job";
    let job: Option<[u8; 16]> = db
        .prepare_cached("SELECT id FROM jobs WHERE id < ?1 AND state >= 4 AND updated_ms < ?2 ORDER BY id LIMIT 1")
        .and_then(|mut query| {
            query.query_row(params![first_id(before), before.as_millisecond()], |row| row.get(0)).optional()
        })
        .context(FILE, action)?;
    let Some(job) = job else { return Ok(0) };
    let delete = |sql: &str| {
        db.prepare_cached(sql).and_then(|mut delete| delete.execute(params![job, limit])).context(FILE, action)
    };
    let ends = delete("DELETE FROM task_ends WHERE seq IN (SELECT seq FROM task_ends WHERE job = ?1 LIMIT ?2)")?;
    let tasks =
        delete("DELETE FROM tasks WHERE job = ?1 AND meter IN (SELECT meter FROM tasks WHERE job = ?1 LIMIT ?2)")?;
    let mut gone = ends + tasks;
    if count(gone) < limit {
        gone += db.execute("DELETE FROM jobs WHERE id = ?1", [job]).context(FILE, action)?;
    }
    Ok(gone)
}
