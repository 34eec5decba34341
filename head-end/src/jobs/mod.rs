//! Jobs: operations over a selection of meters, done whatever the lines, the meters and this process do.
//!
//! ```text
//!   submit ──▶ job row ──▶ task rows ──▶ [approval] ──▶ claim ──▶ Procedure ──▶ MeterAccess
//!                                                        ▲           │ act: sent_at in the store first
//!                                                        └─ retry ◀──┤
//!                                             resolve ◀── sent, not answered
//! ```
//!
//! A job and its tasks are in the store before anything is sent. Who kills the process loses nothing: tasks that were
//! running are taken up at the next start, and those with an action in the air are resolved by reading the meter, never
//! by sending the action again.

mod engine;
mod options;
mod procedure;
pub mod procedures;
mod registered;
mod report;
mod retry;
mod select;
mod submit;
mod task;
#[cfg(test)]
mod trap;
mod watch;
mod waves;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicBool},
};

use jiff::Timestamp;
use tokio::sync::{Mutex, Notify, broadcast};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    options::JobOptions,
    procedure::{Plan, Procedure, Resolution, Visit},
    registered::{Amend, Registered},
    report::{
        AttributeDrift, ClockMethod, ClockReport, FirmwareReport, FirmwareStep, FirmwareVersion, KeysReport, KeysState,
        LifecycleReport, LifecycleStep, PolicyReport, Report, StepKind, StepResult, SupplyReport, SupplyState,
    },
    select::Selection,
    submit::{JobError, NewJob, Target},
    task::PROTECTED_LABEL,
    watch::{Progress, Watch},
    waves::{Canary, WavePolicy},
};
use crate::{
    clock::Clock,
    head_end::HeadEnd,
    meter::MeterId,
    operation::{MeterAccess, RequestError, RequestErrorKind},
    store::{JobId, JobRow, Store, StoreError, TaskRef},
};

/// Between what is stored of a job and what is done: the API's messages.
pub trait Codec: Send + Sync + 'static {
    /// What a specification asks for.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    fn plan(&self, spec: &[u8]) -> Result<Plan, String>;

    /// What a task of a job with this specification gave, to be stored.
    fn report(&self, spec: &[u8], report: &Report) -> Vec<u8>;

    /// Why a task did not succeed, to be stored.
    fn failure(&self, error: &RequestError) -> Vec<u8>;
}

/// The jobs of a head-end. Clones share them.
pub struct Jobs<S, A> {
    shared: Arc<Shared<S, A>>,
}

struct Shared<S, A> {
    head_end: HeadEnd<S, A>,
    codec: Box<dyn Codec>,
    clock: Arc<dyn Clock>,
    options: JobOptions,
    wake: Notify,
    changes: broadcast::Sender<JobId>,
    alarms: broadcast::Sender<Alarm>,
    /// Jobs with tasks in flight, so that each is parsed once.
    loaded: Mutex<HashMap<JobId, Arc<Loaded>>>,
    /// Whether a job may be between two states because the store broke its change off.
    untidy: AtomicBool,
    /// Where a test lets this process die.
    #[cfg(test)]
    trap: Arc<trap::Trap>,
}

/// A job that is being done.
struct Loaded {
    row: JobRow,
    plan: Plan,
}

/// Something that a person has to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Which meter.
    pub meter: MeterId,
    /// In which job it was noticed.
    pub job: JobId,
    /// What it is.
    pub kind: AlarmKind,
    /// When.
    pub at: Timestamp,
}

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlarmKind {
    /// Authentication failed twice: the meter is left alone.
    Security,
}

/// Jobs kept parsed.
const LOADED_MAX: usize = 256;
/// Changes and alarms that a slow listener may be behind.
const BEHIND: usize = 1_024;

impl<S, A> Clone for Jobs<S, A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S, A> std::fmt::Debug for Jobs<S, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl<S: Store, A: MeterAccess> Jobs<S, A> {
    /// Starts the engine as a task of `engines`; it ends with `stop`.
    pub fn start(
        head_end: HeadEnd<S, A>,
        codec: impl Codec,
        clock: Arc<dyn Clock>,
        options: JobOptions,
        engines: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let shared = Shared {
            head_end,
            codec: Box::new(codec),
            clock,
            options,
            wake: Notify::new(),
            changes: broadcast::channel(BEHIND).0,
            alarms: broadcast::channel(BEHIND).0,
            loaded: Mutex::default(),
            untidy: AtomicBool::new(false),
            #[cfg(test)]
            trap: Arc::default(),
        };
        let jobs = Self { shared: Arc::new(shared) };
        engines.spawn(jobs.clone().run_waves(stop.clone()));
        engines.spawn(jobs.clone().run(stop));
        jobs
    }

    /// Alarms as they are raised.
    #[must_use]
    pub fn alarms(&self) -> broadcast::Receiver<Alarm> {
        self.shared.alarms.subscribe()
    }

    /// The clock that due times and expiry are compared with.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// Where jobs, tasks and results are.
    #[must_use]
    pub fn store(&self) -> &S {
        self.shared.head_end.registry().store()
    }

    /// Before and after what must survive the death of the process at that moment.
    #[cfg_attr(not(test), allow(clippy::unused_async, reason = "tests wait here for ever"))]
    async fn step(&self) {
        #[cfg(test)]
        self.shared.trap.step().await;
    }

    async fn settle(&self, task: &TaskRef, acted: bool, checkpoint: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.step().await;
        self.store().settle_action(task.clone(), acted, checkpoint).await?;
        self.step().await;
        Ok(())
    }

    fn retry_at(&self, meter: &MeterId, now: Timestamp, kind: RequestErrorKind, failures: u32) -> Timestamp {
        retry::due(meter, now, self.shared.options.retry_floor, kind, failures)
    }

    fn changed(&self, job: JobId) {
        // Nobody may be listening.
        let _ = self.shared.changes.send(job);
    }

    fn alarm(&self, alarm: Alarm) {
        tracing::error!(meter = %alarm.meter, job = %alarm.job, kind = ?alarm.kind, "alarm");
        let _ = self.shared.alarms.send(alarm);
    }

    /// A job as its tasks need it; `None` where it is gone, or its specification cannot be read.
    async fn load(&self, job: JobId) -> Result<Option<Arc<Loaded>>, StoreError> {
        if let Some(loaded) = self.shared.loaded.lock().await.get(&job) {
            return Ok(Some(Arc::clone(loaded)));
        }
        let Some(row) = self.store().job(job).await? else { return Ok(None) };
        let plan = match self.shared.codec.plan(&row.spec) {
            Ok(plan) => plan,
            Err(error) => {
                tracing::error!(%job, %error, "the specification of a job cannot be read");
                return Ok(None);
            }
        };
        let loaded = Arc::new(Loaded { row, plan });
        let mut cache = self.shared.loaded.lock().await;
        if cache.len() >= LOADED_MAX {
            cache.clear();
        }
        cache.insert(job, Arc::clone(&loaded));
        Ok(Some(loaded))
    }
}
