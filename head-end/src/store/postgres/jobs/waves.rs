//! Jobs whose tasks are let run in waves.

use super::{
    super::{
        PostgresStore,
        pool::{execute, get, limit as count, row as one, text, unsigned},
    },
    row::{corrupt, millis, time},
};
use crate::{
    meter::MeterId,
    store::{JobId, StoreError, WaveStore, WavesRow, codes},
};

impl WaveStore for PostgresStore {
    async fn waves(&self, job: JobId) -> Result<Option<WavesRow>, StoreError> {
        let action = "reading the waves of a job";
        self.0
            .connections
            .read(action, move |db| {
                Box::pin(async move {
                    let sql = "SELECT revision, state, wave, target, tolerated, next_ms, reason FROM job_waves
                               WHERE job = $1";
                    let Some(row) = one(db, action, sql, &[&job.0.as_bytes().as_slice()]).await? else {
                        return Ok(None);
                    };
                    let whole = |column| get::<i64>(&row, column).map(i64::unsigned_abs);
                    Ok(Some(WavesRow {
                        job,
                        revision: whole(0)?,
                        state: codes::WAVES_STATES.variant(get(&row, 1)?).ok_or_else(|| corrupt("wave"))?,
                        wave: unsigned(&row, 2)?,
                        target: whole(3)?,
                        tolerated: whole(4)?,
                        next: get::<Option<i64>>(&row, 5)?.map(time).transpose()?,
                        reason: get(&row, 6)?,
                    }))
                })
            })
            .await
    }

    async fn save_waves(&self, row: WavesRow) -> Result<bool, StoreError> {
        let action = "writing the waves of a job";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
                    // The first row is only made by who knows of none, and a later one replaces what its writer knew.
                    let sql = if row.revision == 0 {
                        "INSERT INTO job_waves (job, revision, state, wave, target, tolerated, next_ms, reason)
                         VALUES ($1, $2::bigint + 1, $3, $4, $5, $6, $7, $8) ON CONFLICT (job) DO NOTHING"
                    } else {
                        "UPDATE job_waves SET revision = $2::bigint + 1, state = $3, wave = $4, target = $5, tolerated = $6,
                             next_ms = $7, reason = $8
                         WHERE job = $1 AND revision = $2"
                    };
                    let values = (whole(row.revision), whole(row.target), whole(row.tolerated));
                    let saved = execute(
                        db,
                        action,
                        sql,
                        &[
                            &row.job.0.as_bytes().as_slice(),
                            &values.0,
                            &codes::WAVES_STATES.number(row.state),
                            &i64::from(row.wave),
                            &values.1,
                            &values.2,
                            &row.next.map(millis),
                            &text(&row.reason),
                        ],
                    )
                    .await?;
                    Ok(saved > 0)
                })
            })
            .await
    }

    async fn release_named(&self, job: JobId, meters: Vec<MeterId>) -> Result<usize, StoreError> {
        let action = "releasing tasks";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let names: Vec<&str> = meters.iter().map(MeterId::as_str).collect();
                    let sql = "UPDATE tasks SET state = 0 WHERE job = $1 AND meter = ANY($2) AND state = 3";
                    let released = execute(db, action, sql, &[&job.0.as_bytes().as_slice(), &names]).await?;
                    Ok(usize::try_from(released).unwrap_or(usize::MAX))
                })
            })
            .await
    }

    async fn hold_tasks(&self, job: JobId, limit: usize) -> Result<usize, StoreError> {
        let action = "holding tasks";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let sql = "UPDATE tasks SET state = 3 WHERE job = $1 AND state = 0 AND meter = ANY(ARRAY(
                                   SELECT meter FROM tasks WHERE job = $1 AND state = 0 AND sent_ms IS NULL
                                   LIMIT $2 FOR UPDATE))";
                    let held = execute(db, action, sql, &[&job.0.as_bytes().as_slice(), &count(limit)]).await?;
                    Ok(usize::try_from(held).unwrap_or(usize::MAX))
                })
            })
            .await
    }
}
