//! Jobs whose tasks are let run in waves: a few meters first, then more, as long as little goes wrong.
//!
//! ```text
//!   tasks held ──▶ wave 0 (canary) ──▶ all ended ──▶ pause ──▶ wave 1 ──▶ ... ──▶ no task held: the job ends
//!                        │ too many failed: stopped          ▲
//!                        └──────── a person resumes ─────────┘
//! ```
//!
//! What is written down is how many tasks may run; releasing them is done again until it is so, whoever dies meanwhile.

use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Duration, Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{JobError, Jobs, Loaded};
use crate::{
    clock::LONGEST_NAP,
    meter::MeterId,
    operation::MeterAccess,
    store::{JobId, JobState, Store, StoreError, TaskCounts, TaskRef, TaskResult, WavesRow, WavesState},
};

/// Tasks held together.
const BATCH: usize = 1_000;
/// How often waves are looked at while tasks end.
const PACE: Duration = Duration::from_millis(250);
/// How often a change is tried that others make at the same time.
const ATTEMPTS: u32 = 8;

/// How the tasks of a job are let run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WavePolicy {
    /// The first wave.
    pub canary: Canary,
    /// Meters of the waves behind it; the last number repeats.
    pub sizes: Vec<u64>,
    /// From the end of a wave to the beginning of the next.
    pub pause: SignedDuration,
    /// Percent of the meters let run so far that may fail; more stop the job.
    pub failures_percent: u8,
}

/// The first wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Canary {
    /// So many meters.
    Count(u64),
    /// These meters.
    Meters(Vec<MeterId>),
}

impl WavePolicy {
    /// Meters of a wave behind the first.
    fn size(&self, wave: u32) -> u64 {
        let place = usize::try_from(wave.saturating_sub(1)).unwrap_or(usize::MAX);
        self.sizes.get(place).or(self.sizes.last()).copied().unwrap_or(u64::MAX)
    }

    /// Whether so many failures among so many meters are too many.
    fn is_too_much(&self, failed: u64, released: u64) -> bool {
        u128::from(failed) * 100 > u128::from(self.failures_percent) * u128::from(released)
    }
}

/// Tasks that ended otherwise than they should.
fn failed(counts: &TaskCounts) -> u64 {
    counts.ended() - counts.of(TaskResult::Succeeded) - counts.of(TaskResult::Cancelled)
}

impl<S: Store, A: MeterAccess> Jobs<S, A> {
    /// Lets waves run as they become due, until `stop`.
    pub(super) async fn run_waves(self, stop: CancellationToken) {
        let mut changes = self.shared.changes.subscribe();
        loop {
            let begun = Instant::now();
            let wake = self.look_at_waves().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "waves of jobs cannot be looked at");
                begun + Duration::from_secs(1)
            });
            let changed = async {
                // Who is too far behind to know looks as well.
                if let Err(RecvError::Closed) = changes.recv().await {
                    std::future::pending::<()>().await;
                }
                sleep_until(begun + PACE).await;
                while changes.try_recv().is_ok() {}
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = changed => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Looks at every job that runs in waves; when to do so again at the latest.
    async fn look_at_waves(&self) -> Result<Instant, StoreError> {
        let mut wake = Instant::now() + LONGEST_NAP;
        for job in self.store().open_jobs(JobState::Running).await? {
            let Some(loaded) = self.load(job).await? else { continue };
            if let Some(policy) = &loaded.plan.waves
                && let Some(next) = self.advance(job, &loaded, policy).await?
            {
                wake = wake.min(self.shared.clock.nap(next));
            }
        }
        Ok(wake)
    }

    /// Takes a job as far as it may be; when something is to be done next without anything happening.
    async fn advance(&self, job: JobId, loaded: &Loaded, policy: &WavePolicy) -> Result<Option<Timestamp>, StoreError> {
        let expires = loaded.row.expires;
        let now = self.shared.clock.now();
        if now >= expires {
            // What was never let run ends as expired, and the job with it.
            self.release(job).await?;
            return Ok(None);
        }
        let row = self.waves_row(job).await?;
        if row.state != WavesState::Running {
            self.hold(job).await?;
            return Ok(Some(expires));
        }
        let counts = self.store().count_tasks(job).await?;
        let released = counts.total() - counts.held;
        let failures = failed(&counts).saturating_sub(row.tolerated);
        if policy.is_too_much(failures, released) {
            let percent = policy.failures_percent;
            let reason = format!("{failures} of {released} meters failed, more than {percent} %");
            tracing::warn!(%job, reason, "a job in waves is stopped");
            if self.store().save_waves(WavesRow { state: WavesState::Stopped, reason, ..row }).await? {
                self.hold(job).await?;
                self.changed(job);
            }
            return Ok(Some(expires));
        }
        if row.target == 0 {
            return self.begin(job, policy, row).await.map(|()| Some(expires));
        }
        if counts.held == 0 {
            return Ok(None);
        }
        if released < row.target {
            // The process died before it was done, or a pause put them back.
            let named = match &policy.canary {
                Canary::Meters(meters) if row.wave == 0 => self.store().release_named(job, meters.clone()).await?,
                _ => 0,
            };
            if named == 0 {
                self.let_run(job, row.target - released).await?;
            }
            self.shared.wake.notify_one();
            return Ok(Some(expires));
        }
        if counts.waiting + counts.running > 0 {
            return Ok(Some(expires));
        }
        let Some(next) = row.next else {
            let next = now.saturating_add(policy.pause).unwrap_or(Timestamp::MAX);
            self.store().save_waves(WavesRow { next: Some(next), ..row }).await?;
            self.changed(job);
            return Ok(Some(next.min(expires)));
        };
        if now < next {
            return Ok(Some(next.min(expires)));
        }
        let wave = row.wave.saturating_add(1);
        let size = policy.size(wave);
        let target = released.saturating_add(size);
        if self.store().save_waves(WavesRow { wave, target, next: None, ..row }).await? {
            self.let_run(job, size).await?;
            self.changed(job);
        }
        Ok(Some(expires))
    }

    /// Lets the first wave run.
    async fn begin(&self, job: JobId, policy: &WavePolicy, row: WavesRow) -> Result<(), StoreError> {
        let store = self.store();
        let row = match &policy.canary {
            Canary::Count(count) => WavesRow { target: *count, ..row },
            Canary::Meters(meters) => {
                let mut there: u64 = 0;
                for meter in meters {
                    there += u64::from(store.task(TaskRef { job, meter: meter.clone() }).await?.is_some());
                }
                match there {
                    0 => {
                        let reason = "none of the meters of the first wave belongs to the job".to_owned();
                        WavesRow { state: WavesState::Stopped, reason, target: 1, ..row }
                    }
                    there => {
                        // Before the count of them is written, so that no others take their places.
                        store.release_named(job, meters.clone()).await?;
                        WavesRow { target: there, ..row }
                    }
                }
            }
        };
        store.save_waves(row).await?;
        self.shared.wake.notify_one();
        self.changed(job);
        Ok(())
    }

    async fn let_run(&self, job: JobId, tasks: u64) -> Result<(), StoreError> {
        let mut left = usize::try_from(tasks).unwrap_or(usize::MAX);
        while left > 0 {
            let batch = left.min(BATCH);
            let released = self.store().release_tasks(job, batch).await?;
            left -= released;
            if released < batch {
                break;
            }
        }
        self.shared.wake.notify_one();
        Ok(())
    }

    async fn hold(&self, job: JobId) -> Result<(), StoreError> {
        while self.store().hold_tasks(job, BATCH).await? == BATCH {}
        Ok(())
    }

    async fn waves_row(&self, job: JobId) -> Result<WavesRow, StoreError> {
        let none = WavesRow {
            job,
            revision: 0,
            state: WavesState::Running,
            wave: 0,
            target: 0,
            tolerated: 0,
            next: None,
            reason: String::new(),
        };
        Ok(self.store().waves(job).await?.unwrap_or(none))
    }

    /// How far a job in waves is; `None` for one that does not run in waves.
    ///
    /// # Errors
    /// The store's own.
    pub async fn waves(&self, job: JobId) -> Result<Option<WavesRow>, JobError> {
        match self.load(job).await? {
            Some(loaded) if loaded.plan.waves.is_some() => Ok(Some(self.waves_row(job).await?)),
            _ => Ok(None),
        }
    }

    /// Lets no further task of a job in waves begin. What is being done goes on to a point from which it can be
    /// resumed.
    ///
    /// # Errors
    /// [`JobError::State`] for a job that does not run; the store's own.
    pub async fn pause(&self, job: JobId) -> Result<WavesRow, JobError> {
        let paused = |row, _| WavesRow { state: WavesState::Paused, reason: String::new(), ..row };
        let row = self.change_waves(job, paused).await?;
        self.hold(job).await?;
        Ok(row)
    }

    /// Goes on with a job in waves that was paused or stopped. The failures so far no longer stop it.
    ///
    /// # Errors
    /// As [`pause`](Self::pause).
    pub async fn resume(&self, job: JobId) -> Result<WavesRow, JobError> {
        let running = |row, tolerated| WavesRow { state: WavesState::Running, tolerated, reason: String::new(), ..row };
        self.change_waves(job, running).await
    }

    /// Writes what `change` makes of the row and the number of failures so far.
    async fn change_waves(
        &self,
        job: JobId,
        change: impl Fn(WavesRow, u64) -> WavesRow + Send,
    ) -> Result<WavesRow, JobError> {
        for _ in 0..ATTEMPTS {
            let state = self.store().job(job).await?.ok_or(JobError::NotFound(job))?.state;
            let before = self.waves(job).await?;
            let Some(before) = before.filter(|_| state == JobState::Running) else {
                return Err(JobError::State(state));
            };
            let row = change(before, failed(&self.store().count_tasks(job).await?));
            if self.store().save_waves(row.clone()).await? {
                self.changed(job);
                return Ok(WavesRow { revision: row.revision + 1, ..row });
            }
        }
        Err(StoreError::Overloaded { what: "the waves of a job" }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_grow_and_the_last_size_repeats() {
        let policy = WavePolicy {
            canary: Canary::Count(5),
            sizes: vec![10, 100],
            pause: SignedDuration::ZERO,
            failures_percent: 10,
        };
        assert_eq!([1, 2, 3, 9].map(|wave| policy.size(wave)), [10, 100, 100, 100]);
        assert!(policy.is_too_much(1, 5) && !policy.is_too_much(1, 10) && policy.is_too_much(2, 15));
        assert!(!policy.is_too_much(0, 0));
        let never = WavePolicy { failures_percent: 100, ..policy };
        assert!(!never.is_too_much(7, 7));
    }
}
