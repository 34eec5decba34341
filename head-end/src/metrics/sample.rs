//! What has to be counted in the store: jobs, tasks and plans. It is done from time to time and never for a scrape.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    collection::{Collection, CollectionError, Timeliness},
    operation::MeterAccess,
    plan::PlanRecord,
    store::{JobState, JobStore, PlanState, PlanStore, Store, StoreError, TaskCounts},
};

/// Between two counts, at least.
const PERIOD: Duration = Duration::from_secs(60);
/// How many times as long as the last count the pause before the next one is: counting takes a twentieth of one core at
/// most, however large the fleet is.
const REST: u32 = 19;
/// States read at once.
const PAGE: usize = 1_000;
/// What is looked at of profiles.
const SPAN: SignedDuration = SignedDuration::from_hours(24);

/// What was counted last.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) jobs: [u64; JobState::ALL.len()],
    pub(super) tasks: TaskCounts,
    pub(super) plans_active: u64,
    pub(super) plans_paused: u64,
    pub(super) meters: Standing,
    pub(super) intervals: Timeliness,
}

/// Where the meters of plans stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Their turn is to come.
    pub(super) waiting: u64,
    /// It is their turn.
    pub(super) due: u64,
    /// It has been for longer than the plan's deadline.
    pub(super) late: u64,
    /// They failed last time.
    pub(super) failing: u64,
    /// They are left alone until somebody changes something.
    pub(super) stopped: u64,
}

impl Standing {
    fn count(&mut self, state: &PlanState, plan: &PlanRecord, now: Timestamp) {
        let deadline = SignedDuration::from_secs(plan.settings.deadline_s.into());
        let place = match state.due {
            None => &mut self.stopped,
            _ if state.attempt > 0 => &mut self.failing,
            Some(due) if due > now => &mut self.waiting,
            Some(due) if now.duration_since(due) <= deadline => &mut self.due,
            Some(_) => &mut self.late,
        };
        *place += 1;
    }
}

/// Counts until `stop`.
pub(super) async fn run<S: Store, A: MeterAccess>(
    store: Arc<S>,
    collection: Collection<S, A>,
    sample: watch::Sender<Option<Arc<Sample>>>,
    stop: CancellationToken,
) {
    let counting = async {
        loop {
            let began = Instant::now();
            match take(&*store, &collection).await {
                Ok(counted) => drop(sample.send_replace(Some(Arc::new(counted)))),
                Err(error) => tracing::warn!(%error, "jobs and plans could not be counted for the metrics"),
            }
            tokio::time::sleep(PERIOD.max(began.elapsed() * REST)).await;
        }
    };
    // Counting reads only: it may be dropped anywhere.
    let never: Option<()> = stop.run_until_cancelled(counting).await;
    debug_assert!(never.is_none());
}

async fn take<S: Store, A: MeterAccess>(store: &S, collection: &Collection<S, A>) -> Result<Sample, CollectionError> {
    let at = Instant::now();
    let (jobs, tasks) = work(store).await?;
    let mut sample = Sample {
        at,
        jobs,
        tasks,
        plans_active: 0,
        plans_paused: 0,
        meters: Standing::default(),
        intervals: Timeliness::default(),
    };
    let now = Timestamp::now();
    let mut after = None;
    loop {
        let plans = store.list_plans(after, PAGE).await?;
        for plan in &plans {
            if plan.settings.paused {
                sample.plans_paused += 1;
                continue;
            }
            sample.plans_active += 1;
            states(store, plan, now, &mut sample.meters).await?;
            match collection.performance(&plan.id, now.saturating_sub(SPAN).unwrap_or(now)..now).await {
                Ok(performance) => sample.intervals.add(&performance.all),
                // It was deleted in the meantime.
                Err(CollectionError::Store(StoreError::NotFound(_))) => {}
                Err(error) => return Err(error),
            }
        }
        if plans.len() < PAGE {
            return Ok(sample);
        }
        after = plans.last().map(|plan| plan.id.clone());
    }
}

async fn work<S: JobStore>(store: &S) -> Result<([u64; JobState::ALL.len()], TaskCounts), StoreError> {
    let mut jobs = [0; JobState::ALL.len()];
    let mut tasks = TaskCounts::default();
    for (state, count) in JobState::ALL.into_iter().zip(&mut jobs).filter(|(state, _)| !state.has_ended()) {
        let open = store.open_jobs(state).await?;
        *count = open.len() as u64;
        for job in open {
            tasks.add(&store.count_tasks(job).await?);
        }
    }
    Ok((jobs, tasks))
}

async fn states<S: PlanStore>(
    store: &S,
    plan: &PlanRecord,
    now: Timestamp,
    standing: &mut Standing,
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = store.plan_states(&plan.id, after, PAGE).await?;
        page.iter().for_each(|state| standing.count(state, plan, now));
        if page.len() < PAGE {
            return Ok(());
        }
        after = page.last().map(|state| state.meter.clone());
    }
}
