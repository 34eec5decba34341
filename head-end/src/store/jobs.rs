//! Jobs and their tasks.

use std::{fmt, future::Future, str::FromStr, time::Duration};

use jiff::Timestamp;
use uuid::Uuid;

use super::{RequestKey, StoreError};
use crate::{
    meter::{MeterId, Tenant},
    operation::Priority,
};

/// Jobs and their tasks: what is to be done survives, and so does what may have been done.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait JobStore: Send + Sync + 'static {
    /// Adds a job without tasks; with `request`, once for each request id.
    ///
    /// # Errors
    /// [`StoreError::RequestMismatch`], or the store's own.
    fn insert_job(
        &self,
        job: JobRow,
        request: Option<RequestKey>,
    ) -> impl Future<Output = Result<Inserted, StoreError>> + Send;

    /// Adds tasks that are held until [`release_tasks`](Self::release_tasks); those that are there stay as they are. A job
    /// that is no longer expanding gets none: it was cancelled meanwhile, or somebody else has completed it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the store's own.
    fn add_tasks(&self, job: JobId, meters: Vec<MeterId>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The last meter, by name, that the job has a task for.
    ///
    /// # Errors
    /// The store's own.
    fn last_task(&self, job: JobId) -> impl Future<Output = Result<Option<MeterId>, StoreError>> + Send;

    /// Moves a job from one state to another; whether it was in the first one. `approver` is who let it run.
    ///
    /// # Errors
    /// The store's own.
    fn move_job(
        &self,
        job: JobId,
        from: JobState,
        to: JobState,
        approver: Option<String>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Makes up to `limit` held tasks due, in the order of their meters; how many there were. A job without any task left to do ends.
    ///
    /// # Errors
    /// The store's own.
    fn release_tasks(&self, job: JobId, limit: usize) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Ends up to `limit` tasks that have not begun, or that wait for another attempt and have nothing in the air; how
    /// many there were.
    ///
    /// # Errors
    /// The store's own.
    fn end_waiting(
        &self,
        job: JobId,
        end: TaskEnd,
        limit: usize,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// A job.
    ///
    /// # Errors
    /// The store's own.
    fn job(&self, job: JobId) -> impl Future<Output = Result<Option<JobRow>, StoreError>> + Send;

    /// Jobs, the newest first, from the one behind `after`.
    ///
    /// # Errors
    /// The store's own.
    fn list_jobs(
        &self,
        filter: JobFilter,
        after: Option<JobId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<JobRow>, StoreError>> + Send;

    /// How many tasks of a job are in which state.
    ///
    /// # Errors
    /// The store's own.
    fn count_tasks(&self, job: JobId) -> impl Future<Output = Result<TaskCounts, StoreError>> + Send;

    /// Takes up to `limit` tasks that are due, of `priority` or above: the most important first, then the longest due.
    ///
    /// # Errors
    /// The store's own.
    fn claim_tasks(
        &self,
        now: Timestamp,
        priority: Priority,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<ClaimedTask>, StoreError>> + Send;

    /// Another open job of the same kind that is at work on the task's meter: one whose task runs, or has something to
    /// remember.
    ///
    /// # Errors
    /// The store's own.
    fn rival(&self, task: TaskRef) -> impl Future<Output = Result<Option<JobId>, StoreError>> + Send;

    /// When the next task is due.
    ///
    /// # Errors
    /// The store's own.
    fn next_task_due(&self) -> impl Future<Output = Result<Option<Timestamp>, StoreError>> + Send;

    /// Notes that an action is about to leave, unless its job was cancelled or too many took supply away of late.
    ///
    /// # Errors
    /// The store's own; nothing may be sent then.
    fn begin_action(
        &self,
        task: TaskRef,
        now: Timestamp,
        checkpoint: Vec<u8>,
        limit: Option<RateLimit>,
    ) -> impl Future<Output = Result<Permit, StoreError>> + Send;

    /// Notes that the outcome of the action is known. `acted` is whether it was carried out; `checkpoint`
    /// takes the place of the one that is there, if given.
    ///
    /// # Errors
    /// The store's own.
    fn settle_action(
        &self,
        task: TaskRef,
        acted: bool,
        checkpoint: Option<Vec<u8>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lets a task wait for another attempt; with nothing in the air and its job cancelled, it ends instead.
    ///
    /// # Errors
    /// The store's own.
    fn requeue_task(&self, task: TaskRef, retry: Retry) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends a task, and its job with the last one.
    ///
    /// # Errors
    /// The store's own.
    fn end_task(&self, task: TaskRef, end: TaskEnd) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// One task.
    ///
    /// # Errors
    /// The store's own.
    fn task(&self, task: TaskRef) -> impl Future<Output = Result<Option<TaskRow>, StoreError>> + Send;

    /// Tasks of a job in the order of their meters, from the one behind `after`.
    ///
    /// # Errors
    /// The store's own.
    fn list_tasks(
        &self,
        job: JobId,
        filter: TaskFilter,
        after: Option<MeterId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<TaskRow>, StoreError>> + Send;

    /// Tasks of a job that ended, in the order in which they did, from the one behind `after`.
    ///
    /// # Errors
    /// The store's own.
    fn ended_tasks(
        &self,
        job: JobId,
        after: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(u64, TaskRow)>, StoreError>> + Send;

    /// To be called once before the first claim of a process: tasks that a process before left running wait again.
    ///
    /// # Errors
    /// The store's own.
    fn recover_tasks(&self, now: Timestamp) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Makes tasks due at `now` that wait until after `limit`, be it for another attempt or because their job was to begin at
    /// once when it was made; how many there were. Those whose job is to begin later than it was made go on waiting.
    ///
    /// # Errors
    /// The store's own.
    fn hasten_tasks(&self, limit: Timestamp, now: Timestamp) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Jobs in one of the states before the end.
    ///
    /// # Errors
    /// The store's own.
    fn open_jobs(&self, state: JobState) -> impl Future<Output = Result<Vec<JobId>, StoreError>> + Send;

    /// Meters that jobs of `tenant` made since `since` take supply from, those of `except` apart.
    ///
    /// # Errors
    /// The store's own.
    fn count_interrupted(
        &self,
        tenant: Option<Tenant>,
        since: Timestamp,
        except: JobId,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// Names a job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub Uuid);

impl JobId {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// `jobs/{job}`.
    #[must_use]
    pub fn resource_name(self) -> String {
        format!("jobs/{self}")
    }
}

impl Default for JobId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// Names a task.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaskRef {
    /// Of which job.
    pub job: JobId,
    /// Of which meter.
    pub meter: MeterId,
}

/// A job as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRow {
    /// Its name.
    pub id: JobId,
    /// Whose it is.
    pub tenant: Option<Tenant>,
    /// Who asked for it.
    pub creator: String,
    /// What it does, for lists and metrics.
    pub kind: String,
    /// What it does, in the words of the API.
    pub spec: Vec<u8>,
    /// With which meters, in the words of the API.
    pub target: Vec<u8>,
    /// Whether it changes meters.
    pub mutating: bool,
    /// Whether it takes supply away.
    pub interrupts: bool,
    /// Before whom.
    pub priority: Priority,
    /// When it may begin.
    pub not_before: Timestamp,
    /// When nothing of it is begun any more.
    pub expires: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// Where it stands.
    pub state: JobState,
    /// Who let it run, where that was asked for.
    pub approver: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When its state changed.
    pub updated: Timestamp,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Its tasks are being written.
    Expanding,
    /// A second person has to agree.
    AwaitingApproval,
    /// Its tasks are done as they become due.
    Running,
    /// No task of it is begun any more; those that were end properly.
    Cancelling,
    /// All its tasks have ended.
    Finished,
    /// All its tasks have ended, those that had not begun without having been done.
    Cancelled,
}

impl JobState {
    /// All, in the order of their numbers in the store.
    pub const ALL: [Self; 6] =
        [Self::Expanding, Self::AwaitingApproval, Self::Running, Self::Cancelling, Self::Finished, Self::Cancelled];

    /// Whether nothing happens any more.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled)
    }
}

/// What became of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskResult {
    /// Done.
    Succeeded,
    /// The meter said no.
    MeterRefused,
    /// The meter could not be reached.
    Unreachable,
    /// Keys, tags, counters.
    SecurityFailed,
    /// It was not done before its time had passed.
    Expired,
    /// It was withdrawn, or may not be done.
    Cancelled,
    /// It may have been done, and nobody can tell.
    UnknownOutcome,
}

impl TaskResult {
    /// All, in the order of their numbers in API and store, which begin at 1.
    pub const ALL: [Self; 7] = [
        Self::Succeeded,
        Self::MeterRefused,
        Self::Unreachable,
        Self::SecurityFailed,
        Self::Expired,
        Self::Cancelled,
        Self::UnknownOutcome,
    ];

    /// Name for metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::MeterRefused => "meter_refused",
            Self::Unreachable => "unreachable",
            Self::SecurityFailed => "security_failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::UnknownOutcome => "unknown_outcome",
        }
    }
}

/// Whether a job was there already.
#[derive(Clone, Debug, PartialEq)]
pub enum Inserted {
    /// It is new.
    New,
    /// The request had been made before: the job of that time.
    Repeated(JobId),
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Of one tenant; `None` for all.
    pub tenant: Option<Tenant>,
    /// In one state; `None` for all.
    pub state: Option<JobState>,
    /// Of one kind; `None` for all.
    pub kind: Option<&'static str>,
}

/// Which tasks to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// With one result; `None` for all, ended or not.
    pub result: Option<TaskResult>,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskState {
    /// It waits for its time.
    Waiting,
    /// It is being done.
    Running,
    /// It has ended.
    Ended,
    /// It waits for its job to be let run.
    Held,
}

impl TaskState {
    /// All, in the order of their numbers in the store.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Running, Self::Ended, Self::Held];
}

/// How many tasks are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Not begun, or waiting for another attempt.
    pub waiting: u64,
    /// Not to be begun until their job, or the wave that they are in, may run.
    pub held: u64,
    /// Being done.
    pub running: u64,
    /// Ended, by result, in the order of [`TaskResult::ALL`].
    pub ended: [u64; 7],
}

impl TaskCounts {
    /// Counts `others` too.
    pub(crate) fn add(&mut self, others: &Self) {
        self.waiting += others.waiting;
        self.held += others.held;
        self.running += others.running;
        for (sum, other) in self.ended.iter_mut().zip(others.ended) {
            *sum += other;
        }
    }

    /// All tasks.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.waiting + self.held + self.running + self.ended()
    }

    /// Those that have ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended.iter().sum()
    }

    /// Those that ended with `result`.
    #[must_use]
    pub fn of(&self, result: TaskResult) -> u64 {
        self.ended.get(result as usize).copied().unwrap_or(0)
    }
}

/// A task as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRow {
    /// Of which meter.
    pub meter: MeterId,
    /// Where it stands.
    pub state: TaskState,
    /// When it is due, or was.
    pub due: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
    /// When an action left whose outcome is not known.
    pub sent: Option<Timestamp>,
    /// What became of it.
    pub result: Option<TaskResult>,
    /// Why the last attempt did not succeed, in the words of the API.
    pub failure: Option<Vec<u8>>,
    /// What it gave, in the words of the API.
    pub outcome: Option<Vec<u8>>,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

/// A task that the caller is to do now.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimedTask {
    /// Which one.
    pub task: TaskRef,
    /// Attempts before this one.
    pub attempts: u32,
    /// Failures of security so far.
    pub refusals: u32,
    /// When an action left whose outcome is not known: it is to be resolved, and not done.
    pub sent: Option<Timestamp>,
    /// What the procedure wanted to remember.
    pub checkpoint: Option<Vec<u8>>,
}

/// How many tasks of one tenant may take supply away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// So many at most.
    pub most: u64,
    /// In so long.
    pub within: Duration,
}

/// Whether an action may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It may, and is noted as sent.
    Go,
    /// Its job was cancelled.
    Cancelled,
    /// Too many took supply away of late: not before then.
    NotBefore(Timestamp),
}

/// Another attempt.
#[derive(Clone, Debug)]
pub struct Retry {
    /// When.
    pub due: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
    /// Failures of security so far.
    pub refusals: u32,
    /// Why it is needed, in the words of the API; `None` leaves what is there.
    pub failure: Option<Vec<u8>>,
}

/// The end of a task.
#[derive(Clone, Debug)]
pub struct TaskEnd {
    /// What became of it.
    pub result: TaskResult,
    /// Why it did not succeed, in the words of the API; `None` leaves what is there.
    pub failure: Option<Vec<u8>>,
    /// What it gave, in the words of the API.
    pub outcome: Option<Vec<u8>>,
    /// When.
    pub at: Timestamp,
}
