//! Tasks as they become due, a bounded number of them at a time.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{Jobs, task};
use crate::{
    clock::LONGEST_NAP,
    operation::{MeterAccess, Priority},
    store::{ClaimedTask, JobState, Store, StoreError, TaskResult},
};

/// How often jobs are looked over as a whole.
const EVERY: SignedDuration = SignedDuration::from_secs(10);

/// Longer than any failure or limit puts an attempt off.
const PUT_OFF_MAX: SignedDuration = SignedDuration::from_hours(2);

/// How long after a failure of the store it is asked again.
const STORE_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

impl<S: Store, A: MeterAccess> Jobs<S, A> {
    /// Does what is due until `stop`, and takes up what a process before left.
    pub(super) async fn run(self, stop: CancellationToken) {
        while let Err(error) = self.take_up().await {
            tracing::warn!(%error, "jobs cannot be taken up");
            let pause = sleep_until(Instant::now() + STORE_PAUSE);
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
        let mut running = JoinSet::new();
        let mut tidied = Timestamp::MIN;
        loop {
            self.tidy(&mut tidied).await;
            let (saturated, wake_at) = match self.claim(&mut running, &stop).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    tracing::warn!(%error, "tasks cannot be claimed");
                    (false, Instant::now() + STORE_PAUSE)
                }
            };
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {
                        // Those that have something in the air wait for its answer, within their own bound.
                        while running.join_next().await.is_some() {}
                        return;
                    }
                    Some(_) = running.join_next() => {
                        while running.try_join_next().is_some() {}
                        if saturated {
                            break;
                        }
                    }
                    () = self.shared.wake.notified() => break,
                    () = sleep_until(wake_at) => break,
                }
            }
        }
    }

    /// Takes what is due as far as there is room; whether there was not, and when to look again.
    async fn claim(&self, running: &mut JoinSet<()>, stop: &CancellationToken) -> Result<(bool, Instant), StoreError> {
        let store = self.store();
        let places = self.shared.options.in_flight;
        let kept = places / 10;
        let now = self.shared.clock.now();
        self.step().await;
        let mut claimed: Vec<ClaimedTask> = Vec::new();
        let room = (places - kept).saturating_sub(running.len());
        if room > 0 {
            claimed = store.claim_tasks(now, Priority::Low, room).await?;
        }
        let urgent = places.saturating_sub(running.len() + claimed.len());
        if room == claimed.len() && urgent > 0 {
            claimed.extend(store.claim_tasks(now, Priority::High, urgent).await?);
        }
        let saturated = claimed.len() >= room;
        for task in claimed {
            let (jobs, stop) = (self.clone(), stop.clone());
            running.spawn(async move {
                let in_air = AtomicBool::new(false);
                task::carry_out(&jobs, task, &in_air, &stop).await;
            });
        }
        let latest = Instant::now() + LONGEST_NAP;
        let wake_at = match saturated {
            true => latest,
            false => store.next_task_due().await?.map_or(latest, |due| self.shared.clock.nap(due)),
        };
        Ok((saturated, wake_at))
    }

    /// Now and then: ends jobs whose approval came too late, and completes what the store broke off.
    async fn tidy(&self, last: &mut Timestamp) {
        let now = self.shared.clock.now();
        let due = last.saturating_add(EVERY).unwrap_or(Timestamp::MAX);
        if (*last..due).contains(&now) {
            return;
        }
        let set_back = now < *last;
        *last = now;
        let mut tidied = self.end_unapproved().await;
        if set_back {
            tidied = tidied.and(self.hasten().await);
        }
        if self.shared.untidy.swap(false, Ordering::AcqRel) {
            tidied = tidied.and(self.complete().await);
        }
        if let Err(error) = tidied {
            self.shared.untidy.store(true, Ordering::Release);
            tracing::warn!(%error, "jobs cannot be tidied up");
        }
    }

    /// Takes up what a process before left: tasks that were running, and jobs that were between two states.
    async fn take_up(&self) -> Result<(), StoreError> {
        self.step().await;
        let tasks = self.store().recover_tasks(self.shared.clock.now()).await?;
        if tasks > 0 {
            tracing::info!(tasks, "tasks of an earlier run are taken up");
        }
        self.hasten().await?;
        self.complete().await
    }

    /// Has attempts made now that were put off until a time which only a clock that was ahead can have meant: further ones, and
    /// first ones of jobs that were to begin at once.
    async fn hasten(&self) -> Result<(), StoreError> {
        let now = self.shared.clock.now();
        let limit = now.saturating_add(PUT_OFF_MAX).unwrap_or(Timestamp::MAX);
        let tasks = self.store().hasten_tasks(limit, now).await?;
        if tasks > 0 {
            tracing::info!(tasks, "tasks were put off by a clock that was ahead");
        }
        Ok(())
    }

    /// Completes jobs that are between two states.
    async fn complete(&self) -> Result<(), StoreError> {
        let store = self.store();
        for job in store.open_jobs(JobState::Cancelling).await? {
            self.end_waiting(job, TaskResult::Cancelled).await?;
        }
        for job in store.open_jobs(JobState::Running).await? {
            if self.load(job).await?.is_some_and(|loaded| loaded.plan.waves.is_some()) {
                continue;
            }
            self.release(job).await?;
        }
        for job in store.open_jobs(JobState::Expanding).await? {
            if let Err(error) = self.expand(job).await {
                tracing::warn!(%job, %error, "a job cannot be expanded");
            }
        }
        Ok(())
    }
}
