//! Jobs as callers make, allow and withdraw them.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Jobs;
use crate::{
    group::GroupId,
    meter::{MeterId, Tenant},
    operation::{MeterAccess, Priority},
    registry::RegistryError,
    store::{Inserted, JobId, JobRow, JobState, RequestKey, Store, StoreError, TaskEnd, TaskResult},
};

/// Tasks written, released or ended together.
pub(super) const BATCH: usize = 1_000;
/// Until when something may be asked for, at most.
const EXPIRY_MAX: SignedDuration = SignedDuration::from_hours(24 * 90);

/// Which meters a job is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// These.
    Meters(Vec<String>),
    /// Those of this group when the job is made.
    Group(GroupId),
    /// Those that have all these labels when the job is made; none at all means every meter.
    Labels(BTreeMap<String, String>),
}

/// A job to be made.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Whose it is.
    pub tenant: Option<Tenant>,
    /// Who asks for it.
    pub creator: String,
    /// What to do, as [`Codec::plan`](super::Codec::plan) reads it.
    pub spec: Vec<u8>,
    /// With which meters.
    pub target: Target,
    /// Before whom.
    pub priority: Priority,
    /// When it may begin; `None` at once.
    pub not_before: Option<Timestamp>,
    /// When nothing of it is begun any more; required for what changes meters.
    pub expires: Option<Timestamp>,
    /// Why, for people.
    pub reason: String,
    /// Recognises a repetition.
    pub request: Option<RequestKey>,
}

/// Why a job is not made, or not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// A field of the request is wrong.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which one.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no such job.
    #[error("there is no job {0}")]
    NotFound(JobId),
    /// There is no such meter.
    #[error("meter {0} is not registered")]
    NoMeter(MeterId),
    /// There is no such group.
    #[error("group {0} is not registered")]
    NoGroup(GroupId),
    /// It would cut off more customers than the installation allows in a day.
    #[error(
        "{asked} meters, with {before} that were asked for within a day, are more than the {most} that may be cut off; \
         nothing was sent"
    )]
    MassDisconnect {
        /// Meters of this job.
        asked: u64,
        /// Meters of others.
        before: u64,
        /// The limit.
        most: u64,
    },
    /// It needs a second person, and this head-end knows none.
    #[error(
        "{asked} meters are more than the {most} that may be cut off without a second person, and there is none as long as \
         no callers are configured; nothing was sent"
    )]
    NobodyToApprove {
        /// Meters of this job.
        asked: u64,
        /// The limit.
        most: u64,
    },
    /// Who made a job may not let it run.
    #[error("a job that awaits approval must be approved by somebody else than {0}, who made it")]
    SamePerson(String),
    /// The job is not in the state for this.
    #[error("the job is {0:?}")]
    State(JobState),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

fn invalid(field: &'static str, problem: impl Into<String>) -> JobError {
    JobError::Invalid { field, problem: problem.into() }
}

impl<S: Store, A: MeterAccess> Jobs<S, A> {
    /// Makes a job; it and all its tasks are in the store when this returns.
    ///
    /// Cancel safety: a job whose maker goes away in the middle is completed at the next start of the head-end.
    ///
    /// # Errors
    /// [`JobError`]; nothing was sent to any meter then.
    pub async fn submit(&self, new: NewJob) -> Result<JobId, JobError> {
        let now = self.now();
        let plan = self.shared.codec.plan(&new.spec).map_err(|problem| invalid("spec", problem))?;
        let target = checked(new.target)?;
        if let Target::Meters(meters) = &target
            && let [meter] = &meters[..]
        {
            let id = MeterId::try_new(meter).map_err(|error| invalid("target", error.to_string()))?;
            if self.store().meter(&id).await?.is_none() {
                return Err(JobError::NoMeter(id));
            }
        }
        if let Target::Group(group) = &target
            && self.store().group(group.as_str()).await?.is_none()
        {
            return Err(JobError::NoGroup(group.clone()));
        }
        let not_before = new.not_before.unwrap_or(now).max(now);
        let expires = match new.expires {
            Some(expires) => expires,
            None if plan.mutating => return Err(invalid("expires_at", "is required for what changes meters")),
            None => plus(not_before, self.shared.options.expiry),
        };
        if expires <= not_before {
            return Err(invalid("expires_at", "has passed, or is not after not_before"));
        }
        if expires.duration_since(now) > EXPIRY_MAX {
            return Err(invalid("expires_at", "is more than 90 days ahead"));
        }
        let row = JobRow {
            id: JobId::new(),
            tenant: new.tenant,
            creator: new.creator,
            kind: plan.kind.to_owned(),
            spec: new.spec,
            target: serde_json::to_vec(&target).map_err(|error| invalid("target", error.to_string()))?,
            mutating: plan.mutating,
            interrupts: plan.interrupts,
            priority: new.priority,
            not_before,
            expires,
            reason: new.reason,
            state: JobState::Expanding,
            approver: None,
            created: now,
            updated: now,
        };
        let id = row.id;
        self.step().await;
        let id = match self.store().insert_job(row, new.request).await? {
            Inserted::New => id,
            // A repetition completes what the first call could not.
            Inserted::Repeated(id) => id,
        };
        self.tidied(self.expand(id).await)?;
        Ok(id)
    }

    /// Has the engine complete what the store broke off half way.
    fn tidied<T>(&self, done: Result<T, JobError>) -> Result<T, JobError> {
        if let Err(JobError::Store(_) | JobError::Registry(_)) = &done {
            self.shared.untidy.store(true, Ordering::Release);
        }
        done
    }

    /// Writes the tasks of a job that has not got all of them, and lets it run or wait for approval.
    pub(super) async fn expand(&self, job: JobId) -> Result<(), JobError> {
        let store = self.store();
        let row = store.job(job).await?.ok_or(JobError::NotFound(job))?;
        if row.state != JobState::Expanding {
            return Ok(());
        }
        let corrupt = |error: serde_json::Error| StoreError::Corrupt {
            file: "jobs".to_owned(),
            reason: format!("the target of {job} cannot be read: {error}"),
        };
        let target: Target = serde_json::from_slice(&row.target).map_err(corrupt)?;
        let after = store.last_task(job).await?;
        match self.select_behind(target, row.tenant.clone(), after).await {
            Ok(mut selection) => loop {
                let meters = selection.page().await?;
                if meters.is_empty() {
                    break;
                }
                self.step().await;
                store.add_tasks(job, meters).await?;
            },
            // Removed since the job was asked for: there is nobody left to do it with.
            Err(JobError::NoGroup(_)) => {}
            Err(error) => return Err(error),
        }
        self.judge(row).await
    }

    /// Lets a job with all its tasks run, unless it needs approval or goes too far.
    async fn judge(&self, row: JobRow) -> Result<(), JobError> {
        let (store, job, options) = (self.store(), row.id, &self.shared.options);
        let mut state = JobState::Running;
        if row.interrupts {
            let asked = store.count_tasks(job).await?.total();
            let since = self.now().saturating_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
            let before = store.count_interrupted(row.tenant, since, job).await?;
            let most = options.interruptions_per_day;
            let above = options.approval_above;
            let refused = match asked > above {
                _ if asked.saturating_add(before) > most => Some(JobError::MassDisconnect { asked, before, most }),
                true if !options.second_person => Some(JobError::NobodyToApprove { asked, most: above }),
                _ => None,
            };
            if let Some(refused) = refused {
                store.move_job(job, JobState::Expanding, JobState::Cancelling, None).await?;
                self.end_waiting(job, TaskResult::Cancelled).await?;
                return Err(refused);
            }
            if asked > above {
                state = JobState::AwaitingApproval;
            }
        }
        self.step().await;
        let moved = store.move_job(job, JobState::Expanding, state, None).await?;
        self.step().await;
        let in_waves = self.load(job).await?.is_some_and(|loaded| loaded.plan.waves.is_some());
        // Where it was not, it was cancelled meanwhile, and nothing of it is begun.
        if moved && state == JobState::Running && !in_waves {
            self.release(job).await?;
        }
        self.changed(job);
        Ok(())
    }

    /// Lets a job run that awaits approval.
    ///
    /// # Errors
    /// [`JobError::SamePerson`] for who made it; [`JobError::State`] for one that awaits nothing.
    pub async fn approve(&self, job: JobId, approver: &str) -> Result<(), JobError> {
        let row = self.store().job(job).await?.ok_or(JobError::NotFound(job))?;
        if row.state == JobState::Running && row.approver.as_deref() == Some(approver) {
            return Ok(());
        }
        if row.state != JobState::AwaitingApproval {
            return Err(JobError::State(row.state));
        }
        if row.creator == approver {
            return Err(JobError::SamePerson(row.creator));
        }
        let (from, to) = (JobState::AwaitingApproval, JobState::Running);
        if !self.store().move_job(job, from, to, Some(approver.to_owned())).await? {
            return Box::pin(self.approve(job, approver)).await;
        }
        self.tidied(self.release(job).await.map_err(JobError::from))?;
        self.changed(job);
        Ok(())
    }

    /// Withdraws a job: tasks that wait end at once, those that are being done end properly. One that has ended stays.
    ///
    /// # Errors
    /// [`JobError::NotFound`]; the store's own.
    pub async fn cancel(&self, job: JobId) -> Result<(), JobError> {
        let row = self.store().job(job).await?.ok_or(JobError::NotFound(job))?;
        if row.state.has_ended() {
            return Ok(());
        }
        for from in [JobState::Expanding, JobState::AwaitingApproval, JobState::Running] {
            self.store().move_job(job, from, JobState::Cancelling, None).await?;
        }
        self.tidied(self.end_waiting(job, TaskResult::Cancelled).await.map_err(JobError::from))
    }

    /// Ends jobs that nobody allowed before they expired.
    pub(super) async fn end_unapproved(&self) -> Result<(), StoreError> {
        let now = self.now();
        for job in self.store().open_jobs(JobState::AwaitingApproval).await? {
            let expired = self.store().job(job).await?.is_some_and(|row| row.expires <= now);
            if expired && self.store().move_job(job, JobState::AwaitingApproval, JobState::Cancelling, None).await? {
                self.end_waiting(job, TaskResult::Expired).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn release(&self, job: JobId) -> Result<(), StoreError> {
        while self.store().release_tasks(job, BATCH).await? == BATCH {}
        self.shared.wake.notify_one();
        Ok(())
    }

    pub(super) async fn end_waiting(&self, job: JobId, result: TaskResult) -> Result<(), StoreError> {
        let end = || TaskEnd { result, failure: None, outcome: None, at: self.now() };
        while self.store().end_waiting(job, end(), BATCH).await? == BATCH {
            self.changed(job);
        }
        self.changed(job);
        Ok(())
    }

    fn now(&self) -> Timestamp {
        let now = self.shared.clock.now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}

fn plus(moment: Timestamp, by: std::time::Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    moment.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// The target with each meter once, in the order of names.
pub(super) fn checked(target: Target) -> Result<Target, JobError> {
    match target {
        Target::Meters(mut meters) => {
            meters.sort_unstable();
            meters.dedup();
            if meters.is_empty() {
                return Err(invalid("target", "names no meter"));
            }
            for meter in &meters {
                MeterId::try_new(meter).map_err(|error| invalid("target", error.to_string()))?;
            }
            Ok(Target::Meters(meters))
        }
        other @ (Target::Labels(_) | Target::Group(_)) => Ok(other),
    }
}
