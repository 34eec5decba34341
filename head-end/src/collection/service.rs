//! What the rest of the head-end asks of collection.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{Arc, Mutex},
};

use dlms::obis::ObisCode;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    engine::{CollectionOptions, Engine, PLANS},
    gaps::{self, GapMap},
    performance::{self, Performance},
};
use crate::{
    clock::Clock,
    head_end::HeadEnd,
    meter::{MeterId, SettingsError},
    operation::MeterAccess,
    plan::{PlanId, PlanRecord, PlanSettings},
    store::{PlanRun, PlanState, RequestKey, RunRequest, Store, StoreError},
};

/// Why collection did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectionError {
    /// The plan breaks rules.
    #[error("the plan is not valid: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<SettingsError>),
    /// The plan rests, so that nothing of it runs.
    #[error("{0} is paused")]
    Paused(String),
    /// The store's own.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Collection. Clones share it.
#[derive(Debug)]
pub struct Collection<S, A>(Arc<Inner<S, A>>);

impl<S, A> Clone for Collection<S, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
pub(super) struct Inner<S, A> {
    pub(super) head_end: HeadEnd<S, A>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: CollectionOptions,
    pub(super) wake: Notify,
    changes: Mutex<Changes>,
    progress: watch::Sender<u64>,
}

/// What the engine has not looked at yet.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) plans: bool,
    pub(super) runs: bool,
    pub(super) meters: BTreeSet<MeterId>,
    /// So many meters that all plans are compared with the registry.
    pub(super) registry: bool,
}

impl<S, A> Inner<S, A> {
    pub(super) fn take_changes(&self) -> Changes {
        self.changes.lock().map(|mut changes| std::mem::take(&mut *changes)).unwrap_or_default()
    }

    fn change(&self, change: impl FnOnce(&mut Changes)) {
        if let Ok(mut changes) = self.changes.lock() {
            change(&mut changes);
        }
        self.wake.notify_one();
    }

    pub(super) fn plans_changed(&self) {
        self.change(|changes| changes.plans = true);
    }

    fn registry_changed(&self) {
        self.change(|changes| changes.registry = true);
    }

    pub(super) fn meter_changed(&self, meter: &MeterId) {
        self.change(|changes| {
            changes.meters.insert(meter.clone());
        });
    }

    /// The state of some meter was written.
    pub(super) fn progress(&self) {
        self.progress.send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl<S: Store, A: MeterAccess> Collection<S, A> {
    /// A group was made or removed: plans for it have other meters.
    pub fn groups_changed(&self) {
        self.0.registry_changed();
    }

    /// Collection over a head-end; nothing runs before [`start`](Self::start).
    #[must_use]
    pub fn new(head_end: HeadEnd<S, A>, clock: Arc<dyn Clock>, options: CollectionOptions) -> Self {
        Self(Arc::new(Inner {
            head_end,
            clock,
            options: CollectionOptions { in_flight: options.in_flight.max(1), ..options },
            wake: Notify::new(),
            changes: Mutex::default(),
            progress: watch::channel(0).0,
        }))
    }

    /// Starts the engine as one of `tasks`; it ends after `stop`.
    pub fn start(&self, tasks: &TaskTracker, stop: CancellationToken) {
        let (inner, changes) = (Arc::clone(&self.0), self.0.head_end.registry().changes());
        tasks.spawn(stop.clone().run_until_cancelled_owned(follow(inner, changes)));
        tasks.spawn(Engine::new(Arc::clone(&self.0)).run(stop));
    }

    fn store(&self) -> &Arc<S> {
        self.0.head_end.registry().store()
    }

    /// Has the engine look at the clock.
    #[cfg(test)]
    pub(super) fn look(&self) {
        self.0.wake.notify_one();
    }

    /// Changes whenever a meter has been visited.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.progress.subscribe()
    }

    /// Makes a plan.
    ///
    /// # Errors
    /// [`CollectionError::Invalid`] with every rule that is broken; the store's own.
    pub async fn create(
        &self,
        id: PlanId,
        settings: PlanSettings,
        request: Option<RequestKey>,
    ) -> Result<PlanRecord, CollectionError> {
        check(&settings)?;
        if self.store().list_plans(None, PLANS).await?.len() >= PLANS {
            return Err(StoreError::Overloaded { what: "plans" }.into());
        }
        let now = self.now();
        let plan = PlanRecord { id, revision: 1, created: now, updated: now, settings };
        let plan = self.store().create_plan(plan, request).await?;
        self.0.plans_changed();
        Ok(plan)
    }

    /// A plan.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; the store's own.
    pub async fn get(&self, id: &PlanId) -> Result<PlanRecord, CollectionError> {
        Ok(self.store().plan(id).await?.ok_or_else(|| StoreError::NotFound(id.resource_name()))?)
    }

    /// Plans in the order of their names, from the one behind `after`.
    ///
    /// # Errors
    /// The store's own.
    pub async fn list(&self, after: Option<PlanId>, limit: usize) -> Result<Vec<PlanRecord>, CollectionError> {
        Ok(self.store().list_plans(after, limit).await?)
    }

    /// Changes a plan: `change` makes the new settings from the present ones. What is held stays; meters that were
    /// stopped go on. With `revision`, only if that is the present one.
    ///
    /// # Errors
    /// [`CollectionError::Invalid`]; [`StoreError::Conflict`], [`StoreError::NotFound`]; the store's own.
    pub async fn update(
        &self,
        id: &PlanId,
        revision: Option<u64>,
        request: Option<RequestKey>,
        change: impl FnOnce(PlanSettings) -> Result<PlanSettings, Vec<SettingsError>> + Send,
    ) -> Result<PlanRecord, CollectionError> {
        let current = self.get(id).await?;
        let settings = change(current.settings.clone()).map_err(CollectionError::Invalid)?;
        check(&settings)?;
        let anew = current.settings.profiles != settings.profiles
            || current.settings.backfill_s != settings.backfill_s
            || current.settings.time_zone != settings.time_zone;
        let now = self.now();
        let base = revision.unwrap_or(current.revision);
        let plan = PlanRecord { revision: base.saturating_add(1), updated: now, settings, ..current };
        let plan = self.store().update_plan(plan, now, anew, request).await?;
        self.0.plans_changed();
        Ok(plan)
    }

    /// Lets a plan rest, or go on.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn pause(
        &self,
        id: &PlanId,
        paused: bool,
        request: Option<RequestKey>,
    ) -> Result<PlanRecord, CollectionError> {
        self.update(id, None, request, |settings| Ok(PlanSettings { paused, ..settings })).await
    }

    /// Removes a plan; readings stay.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::NotFound`]; the store's own.
    pub async fn delete(
        &self,
        id: &PlanId,
        revision: Option<u64>,
        request: Option<RequestKey>,
    ) -> Result<(), CollectionError> {
        self.store().delete_plan(id, revision, request).await?;
        self.0.plans_changed();
        Ok(())
    }

    /// Where the meters of a plan stand, in the order of their names.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; the store's own.
    pub async fn states(
        &self,
        id: &PlanId,
        after: Option<MeterId>,
        limit: usize,
    ) -> Result<Vec<PlanState>, CollectionError> {
        self.get(id).await?;
        Ok(self.store().plan_states(id, after, limit).await?)
    }

    /// Collects up to now, out of turn. With `from`, what is held is looked at again from there, and gaps are closed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`CollectionError::Paused`]; the store's own.
    pub async fn run_now(
        &self,
        id: &PlanId,
        meters: Option<Vec<MeterId>>,
        from: Option<Timestamp>,
        request: Option<RequestKey>,
    ) -> Result<PlanRun, CollectionError> {
        let plan = self.get(id).await?;
        let schedule = plan.settings.schedule().filter(|_| !plan.settings.paused);
        let Some(schedule) = schedule else { return Err(CollectionError::Paused(id.resource_name())) };
        let now = self.now();
        // Meters that were registered a moment ago belong to it as well.
        super::members::reconcile(&**self.store(), &plan, &schedule, now).await?;
        let run = RunRequest { id: Uuid::now_v7(), plan: id.clone(), meters, from, until: now, now };
        let run = self.store().request_run(run, request).await?;
        self.0.change(|changes| changes.runs = true);
        Ok(run)
    }

    /// A run that was asked for.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; the store's own.
    pub async fn run(&self, plan: &PlanId, id: Uuid) -> Result<PlanRun, CollectionError> {
        let run = self.store().plan_run(id).await?.filter(|run| run.plan == *plan);
        Ok(run.ok_or_else(|| StoreError::NotFound(format!("{}/runs/{id}", plan.resource_name())))?)
    }

    /// What is held and what is missing of a profile.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the meter; the store's own.
    pub async fn coverage(
        &self,
        meter: &MeterId,
        profile: ObisCode,
        span: Range<Timestamp>,
        zone: &TimeZone,
    ) -> Result<GapMap, CollectionError> {
        if self.store().meter(meter).await?.is_none() {
            return Err(StoreError::NotFound(meter.resource_name()).into());
        }
        Ok(gaps::map(&**self.store(), meter, profile, span, zone).await?)
    }

    /// How much of what a plan had to bring was here in time.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; the store's own.
    pub async fn performance(&self, id: &PlanId, span: Range<Timestamp>) -> Result<Performance, CollectionError> {
        let plan = self.get(id).await?;
        Ok(performance::of(&**self.store(), &plan, span, self.now()).await?)
    }

    fn now(&self) -> Timestamp {
        // The store keeps milliseconds.
        let now = self.0.clock.now();
        now.round(jiff::TimestampRound::new().smallest(jiff::Unit::Millisecond).mode(jiff::RoundMode::Floor))
            .unwrap_or(now)
    }
}

/// Tells the engine of meters that are registered, changed or removed.
async fn follow<S: Store, A: MeterAccess>(inner: Arc<Inner<S, A>>, mut changes: broadcast::Receiver<MeterId>) {
    loop {
        match changes.recv().await {
            Ok(meter) => inner.meter_changed(&meter),
            // Too many to keep up with: all are looked at.
            Err(broadcast::error::RecvError::Lagged(_)) => inner.registry_changed(),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

fn check(settings: &PlanSettings) -> Result<(), CollectionError> {
    let problems = settings.problems();
    if problems.is_empty() { Ok(()) } else { Err(CollectionError::Invalid(problems)) }
}

/// Longest time whose coverage or performance is looked at, in one question.
pub const LONGEST_SPAN: SignedDuration = SignedDuration::from_hours(400 * 24);
