//! Jobs whose tasks are let run in waves.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    SqliteStore,
    row::{corrupt, millis, time},
};
use crate::{
    meter::MeterId,
    store::{
        JobId, StoreError, WaveStore, WavesRow, WavesState, codes,
        sqlite::{control::FILE, failure::Context},
    },
};

impl WaveStore for SqliteStore {
    async fn waves(&self, job: JobId) -> Result<Option<WavesRow>, StoreError> {
        self.0.readers.control(move |db| get(db, job)).await
    }

    async fn save_waves(&self, row: WavesRow) -> Result<bool, StoreError> {
        self.0.control.write(move |db| save(db, &row)).await
    }

    async fn release_named(&self, job: JobId, meters: Vec<MeterId>) -> Result<usize, StoreError> {
        self.0.control.write(move |db| release(db, job, &meters)).await
    }

    async fn hold_tasks(&self, job: JobId, limit: usize) -> Result<usize, StoreError> {
        self.0.control.write(move |db| hold(db, job, limit)).await
    }
}

fn get(db: &Connection, job: JobId) -> Result<Option<WavesRow>, StoreError> {
    let row = db
        .prepare_cached(
            "SELECT revision, state, wave, target, tolerated, next_ms, reason FROM job_waves WHERE job = ?1",
        )
        .and_then(|mut query| {
            query
                .query_row([job.0.as_bytes()], |row| {
                    let (state, next): (i16, Option<i64>) = (row.get(1)?, row.get(5)?);
                    let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
                    let row = WavesRow {
                        job,
                        revision: count(0)?,
                        state: WavesState::Running,
                        wave: row.get(2)?,
                        target: count(3)?,
                        tolerated: count(4)?,
                        next: None,
                        reason: row.get(6)?,
                    };
                    Ok((row, state, next))
                })
                .optional()
        })
        .context(FILE, "reading the waves of a job")?;
    row.map(|(row, state, next)| {
        let state = codes::WAVES_STATES.variant(state).ok_or_else(|| corrupt("wave"))?;
        Ok(WavesRow { state, next: next.map(time).transpose()?, ..row })
    })
    .transpose()
}

fn save(db: &Connection, row: &WavesRow) -> Result<bool, StoreError> {
    db.prepare_cached(
        "INSERT INTO job_waves (job, revision, state, wave, target, tolerated, next_ms, reason)
         SELECT ?1, ?2 + 1, ?3, ?4, ?5, ?6, ?7, ?8
         WHERE ?2 = coalesce((SELECT revision FROM job_waves WHERE job = ?1), 0)
         ON CONFLICT (job) DO UPDATE SET revision = excluded.revision, state = excluded.state, wave = excluded.wave,
             target = excluded.target, tolerated = excluded.tolerated, next_ms = excluded.next_ms,
             reason = excluded.reason",
    )
    .and_then(|mut save| {
        save.execute(params![
            row.job.0.as_bytes(),
            whole(row.revision),
            codes::WAVES_STATES.number(row.state),
            row.wave,
            whole(row.target),
            whole(row.tolerated),
            row.next.map(millis),
            row.reason,
        ])
    })
    .map(|rows| rows > 0)
    .context(FILE, "writing the waves of a job")
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn release(db: &Connection, job: JobId, meters: &[MeterId]) -> Result<usize, StoreError> {
    let mut update = db
        .prepare_cached("UPDATE tasks SET state = 0 WHERE job = ?1 AND meter = ?2 AND state = 3")
        .context(FILE, "releasing tasks")?;
    let mut released = 0;
    for meter in meters {
        released += update.execute(params![job.0.as_bytes(), meter.as_str()]).context(FILE, "releasing a task")?;
    }
    Ok(released)
}

fn hold(db: &Connection, job: JobId, limit: usize) -> Result<usize, StoreError> {
    db.prepare_cached(
        "UPDATE tasks SET state = 3 WHERE job = ?1 AND meter IN
             (SELECT meter FROM tasks WHERE job = ?1 AND state = 0 AND sent_ms IS NULL LIMIT ?2)",
    )
    .and_then(|mut update| update.execute(params![job.0.as_bytes(), i64::try_from(limit).unwrap_or(i64::MAX)]))
    .context(FILE, "holding tasks")
}
