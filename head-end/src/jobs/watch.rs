//! Jobs as they go on.

use std::time::Duration;

use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::Instant,
};

use super::{JobError, Jobs};
use crate::{
    operation::MeterAccess,
    store::{JobId, JobRow, Store, TaskCounts, TaskRow},
};

/// Tasks told of at once.
const TASKS: usize = 500;
/// How often a job is looked at while it changes.
const PACE: Duration = Duration::from_millis(200);
/// How long nothing is told.
const SILENCE: Duration = Duration::from_secs(15);

/// Where a job stands.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The job.
    pub job: JobRow,
    /// Its tasks, counted.
    pub counts: TaskCounts,
    /// Tasks that ended since the last one.
    pub ended: Vec<TaskRow>,
    /// Where to go on from.
    pub seq: u64,
}

/// Follows one job.
#[derive(Debug)]
pub struct Watch<S, A> {
    jobs: Jobs<S, A>,
    job: JobId,
    changes: broadcast::Receiver<JobId>,
    seq: u64,
    last: Option<Instant>,
    done: bool,
}

impl<S: Store, A: MeterAccess> Jobs<S, A> {
    /// Follows a job from the task end `after` on; 0 for all of them.
    #[must_use]
    pub fn watch(&self, job: JobId, after: u64) -> Watch<S, A> {
        let changes = self.shared.changes.subscribe();
        Watch { jobs: self.clone(), job, changes, seq: after, last: None, done: false }
    }

    /// Waits until a job has ended, or `deadline`; the job as it is then.
    ///
    /// # Errors
    /// [`JobError::NotFound`]; the store's own.
    pub async fn wait(&self, job: JobId, deadline: Instant) -> Result<JobRow, JobError> {
        let mut changes = self.shared.changes.subscribe();
        loop {
            let row = self.store().job(job).await?.ok_or(JobError::NotFound(job))?;
            if row.state.has_ended() || Instant::now() >= deadline {
                return Ok(row);
            }
            // Time over is looked at above.
            let _ = tokio::time::timeout_at(deadline, next_change(&mut changes, job)).await;
        }
    }
}

impl<S: Store, A: MeterAccess> Watch<S, A> {
    /// The next news; `None` after the last of a job that has ended.
    ///
    /// # Errors
    /// [`JobError::NotFound`]; the store's own.
    pub async fn next(&mut self) -> Result<Option<Progress>, JobError> {
        if self.done {
            return Ok(None);
        }
        if let Some(last) = self.last {
            let _ = tokio::time::timeout(SILENCE, next_change(&mut self.changes, self.job)).await;
            tokio::time::sleep_until(last + PACE).await;
        }
        // The job before its tasks: what ended before the job did is seen with its end.
        let store = self.jobs.store();
        let job = store.job(self.job).await?.ok_or(JobError::NotFound(self.job))?;
        let ended = store.ended_tasks(self.job, self.seq, TASKS).await?;
        let counts = store.count_tasks(self.job).await?;
        let full = ended.len() == TASKS;
        self.seq = ended.last().map_or(self.seq, |(seq, _)| *seq);
        self.done = job.state.has_ended() && !full;
        self.last = (!full).then(Instant::now);
        let ended = ended.into_iter().map(|(_, task)| task).collect();
        Ok(Some(Progress { job, counts, ended, seq: self.seq }))
    }
}

/// Waits for news of `job`; who is too far behind to know looks at once.
async fn next_change(changes: &mut broadcast::Receiver<JobId>, job: JobId) {
    loop {
        match changes.recv().await {
            Ok(changed) if changed != job => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}
