//! The engine: takes what is due, plan by plan in fair turns, and makes a bounded number of visits at once.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{
    task::{self, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    backoff, members,
    service::Inner,
    share::Shares,
    visit::{Visit, Visited},
};
use crate::{
    meter::MeterId,
    operation::{MeterAccess, RequestErrorKind},
    plan::{PlanId, PlanRecord, Schedule},
    store::{PlanState, Store, StoreError},
};

/// Limits of collection.
#[derive(Clone, Copy, Debug)]
pub struct CollectionOptions {
    /// Meters that are visited at the same time.
    pub in_flight: usize,
    /// How often plans are compared with the registry as a whole; changes are followed at once.
    pub reconcile: Duration,
}

impl Default for CollectionOptions {
    fn default() -> Self {
        Self { in_flight: 256, reconcile: Duration::from_secs(600) }
    }
}

/// States taken from the store at once.
const BATCH: usize = 512;

/// Plans that a head-end may have.
pub(super) const PLANS: usize = 1_000;

/// Failed authentications in a row after which a meter is left alone: more of them may lock our client out, and none
/// of them succeeds until somebody changes something.
const REFUSALS: u32 = 2;

/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// A plan that does not rest.
struct Active {
    plan: Arc<PlanRecord>,
    schedule: Arc<Schedule>,
    ready: VecDeque<PlanState>,
    /// When there may be more; `None` where nothing is known to come.
    next: Option<Timestamp>,
}

/// What a visit leaves: when the next turn of its meter is.
type Left = Option<Timestamp>;

pub(super) struct Engine<S, A> {
    inner: Arc<Inner<S, A>>,
    plans: BTreeMap<PlanId, Active>,
    shares: Shares,
    in_flight: HashSet<(PlanId, MeterId)>,
    /// Those of them that a run out of turn was asked for since they began.
    anew: HashSet<(PlanId, MeterId)>,
    visits: JoinSet<Left>,
    /// Whose visit a task is.
    whose: HashMap<task::Id, (PlanId, MeterId)>,
}

impl<S: Store, A: MeterAccess> Engine<S, A> {
    pub(super) fn new(inner: Arc<Inner<S, A>>) -> Self {
        Self {
            inner,
            plans: BTreeMap::new(),
            shares: Shares::default(),
            in_flight: HashSet::new(),
            anew: HashSet::new(),
            visits: JoinSet::new(),
            whose: HashMap::new(),
        }
    }

    fn store(&self) -> &Arc<S> {
        self.inner.head_end.registry().store()
    }

    fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Works until `stop`. What is in flight then is dropped: its state says that it is due, and its rows are there.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut reconcile = Instant::now();
        while !stop.is_cancelled() {
            let inner = Arc::clone(&self.inner);
            let woken = inner.wake.notified();
            let stepped = stop.run_until_cancelled(self.step(&mut reconcile)).await;
            let wait = match stepped {
                None => break,
                Some(Ok(())) => self.next_turn().min(reconcile),
                Some(Err(StoreError::Closed)) => break,
                Some(Err(error)) => {
                    tracing::warn!(%error, "collection waits for the store");
                    // A plan whose turns could not be read is read again.
                    Instant::now() + STORE_PAUSE
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = woken => {}
                () = sleep_until(wait) => {}
                Some(left) = self.visits.join_next_with_id() => self.leave(left),
            }
            while let Some(left) = self.visits.try_join_next_with_id() {
                self.leave(left);
            }
        }
        self.visits.shutdown().await;
    }

    async fn step(&mut self, reconcile: &mut Instant) -> Result<(), StoreError> {
        let changes = self.inner.take_changes();
        let all = changes.registry || *reconcile <= Instant::now();
        if changes.plans || all {
            let followed = self.load(all).await;
            if followed.is_err() {
                self.inner.plans_changed();
            }
            followed?;
        }
        if all {
            *reconcile = Instant::now() + self.inner.options.reconcile;
        }
        for meter in changes.meters {
            if let Err(error) = self.follow(&meter).await {
                self.inner.meter_changed(&meter);
                return Err(error);
            }
        }
        if changes.runs {
            // Whatever is held ready may have been asked for anew.
            let now = self.now();
            for active in self.plans.values_mut() {
                active.ready.clear();
                active.next = Some(now);
            }
            // Also of those that are visited: their visits know nothing of it.
            self.anew.clone_from(&self.in_flight);
        }
        self.fill().await
    }

    /// Reads the plans; those that are new or changed, or with `all` each, are brought in step with the registry.
    async fn load(&mut self, all: bool) -> Result<(), StoreError> {
        let now = self.now();
        let mut before = std::mem::take(&mut self.plans);
        for plan in self.store().list_plans(None, PLANS).await? {
            let id = plan.id.clone();
            let Some(schedule) = plan.settings.schedule().filter(|_| !plan.settings.paused) else { continue };
            match before.remove(&id) {
                Some(known) if known.plan.revision == plan.revision && !all => {
                    self.plans.insert(id, known);
                }
                _ => {
                    members::reconcile(&**self.store(), &plan, &schedule, now).await?;
                    let (plan, schedule) = (Arc::new(plan), Arc::new(schedule));
                    self.plans.insert(id, Active { plan, schedule, ready: VecDeque::new(), next: Some(now) });
                }
            }
        }
        Ok(())
    }

    async fn follow(&mut self, meter: &MeterId) -> Result<(), StoreError> {
        let record = self.store().meter(meter).await?.map(|stored| stored.record);
        let now = self.now();
        let store = Arc::clone(self.store());
        for active in self.plans.values_mut() {
            members::follow(&*store, &active.plan, &active.schedule, meter, record.as_ref(), now).await?;
            active.next = Some(now);
        }
        if record.is_some() {
            // A meter that was changed is worth another try.
            store.revive(meter, now).await?;
        }
        Ok(())
    }

    /// Starts visits while there are due meters and places.
    async fn fill(&mut self) -> Result<(), StoreError> {
        while self.visits.len() < self.inner.options.in_flight {
            self.refill().await?;
            let ready = self.plans.values().filter(|active| !active.ready.is_empty());
            let next = self.shares.next(ready.map(|active| (&active.plan.id, active.plan.settings.priority)));
            let Some(active) = next.and_then(|id| self.plans.get_mut(&id)) else { break };
            let Some(state) = active.ready.pop_front() else { break };
            let key = (state.plan.clone(), state.meter.clone());
            let (plan, schedule) = (Arc::clone(&active.plan), Arc::clone(&active.schedule));
            self.in_flight.insert(key.clone());
            let task = self.visits.spawn(visit(Arc::clone(&self.inner), plan, schedule, state));
            self.whose.insert(task.id(), key);
        }
        Ok(())
    }

    /// Takes due states of plans that have none ready.
    async fn refill(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        let store = Arc::clone(self.inner.head_end.registry().store());
        for (id, active) in &mut self.plans {
            if !active.ready.is_empty() || active.next.is_none_or(|next| next > now) {
                continue;
            }
            // Those that are visited at this moment are due until their state is written.
            let visited = self.in_flight.iter().filter(|(plan, _)| plan == id).count();
            let due = store.due_states(id, now, BATCH + visited).await?;
            let ready = due.into_iter().filter(|state| !self.in_flight.contains(&(id.clone(), state.meter.clone())));
            active.ready = ready.collect();
            if active.ready.is_empty() {
                // A visit that ends says when the next turn of its meter is.
                active.next = store.next_due(id, now).await?;
            }
        }
        Ok(())
    }

    /// A visit has ended.
    fn leave(&mut self, left: Result<(task::Id, Option<Timestamp>), task::JoinError>) {
        let (id, due) = left.unwrap_or_else(|error| {
            tracing::error!(%error, "a visit of collection ended unexpectedly");
            let again = self.now().checked_add(SignedDuration::try_from(STORE_PAUSE).unwrap_or_default());
            (error.id(), again.ok())
        });
        let Some(key) = self.whose.remove(&id) else { return };
        let due = if self.anew.remove(&key) { Some(self.now()) } else { due };
        if let (Some(active), Some(due)) = (self.plans.get_mut(&key.0), due) {
            active.next = Some(active.next.map_or(due, |next| next.min(due)));
        }
        self.in_flight.remove(&key);
    }

    /// When there may be something to do without anybody saying so.
    fn next_turn(&self) -> Instant {
        if self.visits.len() >= self.inner.options.in_flight {
            return Instant::now() + self.inner.options.reconcile;
        }
        let next = self.plans.values().filter_map(|active| active.next).min();
        next.map_or_else(|| Instant::now() + self.inner.options.reconcile, |next| self.inner.clock.nap(next))
    }
}

/// Visits a meter and writes down how it stands. Returns when its next turn is.
async fn visit<S: Store, A: MeterAccess>(
    inner: Arc<Inner<S, A>>,
    plan: Arc<PlanRecord>,
    schedule: Arc<Schedule>,
    state: PlanState,
) -> Left {
    let now = inner.clock.now();
    let offset = schedule.offset(&state.meter);
    // The last run whose turn has come for this meter: those before it were missed, and are part of it.
    let run = schedule.latest(now.checked_sub(offset).unwrap_or(now));
    let made = Visit { head_end: &inner.head_end, plan: &plan, schedule: &schedule, state: &state, run, now };
    let target = state.until.map_or(run.target, |until| until.max(run.target));
    let visited = made.make().await;
    let now = inner.clock.now();
    let next = schedule.after(run).opens.checked_add(offset).unwrap_or(Timestamp::MAX);
    let limit =
        SignedDuration::from_secs(i64::from(plan.settings.deadline_s).saturating_add(plan.settings.grace_s.into()));
    // A run out of turn has its time from when it was asked for.
    let begun = state.until.map_or(run.opens, |until| until.max(run.opens));
    let limit = begun.checked_add(limit).unwrap_or(Timestamp::MAX);
    let (state, ended) = stand(state, visited, Turn { now, run_opens: run.opens, target, next, limit });
    let due = state.due;
    let (id, meter) = (plan.id.clone(), state.meter.clone());
    if let Err(error) = inner.head_end.registry().store().write_state(state, ended).await {
        tracing::warn!(%meter, plan = %id, %error, "the state of a meter could not be written");
        // It is due still, but not at once.
        let again = now.checked_add(SignedDuration::try_from(STORE_PAUSE).unwrap_or_default());
        return again.ok();
    }
    inner.progress();
    due
}

/// The times of a turn.
struct Turn {
    now: Timestamp,
    run_opens: Timestamp,
    target: Timestamp,
    /// When the meter's next turn is without a failure.
    next: Timestamp,
    /// Until when this one is tried.
    limit: Timestamp,
}

/// How a meter stands after a visit, and whether a run that was asked for has ended for it.
fn stand(mut state: PlanState, visited: Visited, turn: Turn) -> (PlanState, Option<bool>) {
    state.watermark = Some(visited.watermark);
    state.attempted = Some(turn.now);
    if visited.contact {
        state.contact = Some(turn.now);
    }
    if visited.registers {
        state.registers = Some(turn.run_opens);
    }
    let complete = visited.watermark >= turn.target;
    let pause = match visited.error {
        None if complete => {
            (state.attempt, state.refusals, state.error) = (0, 0, None);
            state.succeeded = Some(turn.now);
            state.due = Some(turn.next);
            let ended = state.request.is_some().then_some(true);
            return (state, ended);
        }
        None => {
            state.attempt = state.attempt.saturating_add(1);
            state.refusals = 0;
            let message = "the meter has not got the newest captures yet".to_owned();
            state.error = Some(("NOT_YET".to_owned(), message));
            backoff::not_yet(state.attempt, &state.meter)
        }
        Some(error) => {
            if error.kind() == RequestErrorKind::ShuttingDown {
                // It was not the meter's turn that ended, but ours.
                return (state, None);
            }
            state.attempt = state.attempt.saturating_add(1);
            state.refusals = match error.kind() {
                RequestErrorKind::SecurityFailed => state.refusals.saturating_add(1),
                _ if visited.contact => 0,
                _ => state.refusals,
            };
            state.error = Some((error.kind().name().to_owned(), error.to_string()));
            backoff::pause(error.kind(), state.attempt, &state.meter)
        }
    };
    if state.refusals >= REFUSALS {
        tracing::warn!(meter = %state.meter, plan = %state.plan, "authentication failed twice: collection leaves the meter alone");
        state.due = None;
        let ended = state.request.is_some().then_some(false);
        return (state, ended);
    }
    let again = turn.now.checked_add(SignedDuration::try_from(pause).unwrap_or_default()).unwrap_or(turn.next);
    let gives_up = again > turn.limit;
    if gives_up {
        state.attempt = 0;
    }
    state.due = Some(if gives_up { turn.next } else { again.min(turn.next) });
    let ended = (gives_up && state.request.is_some()).then_some(false);
    (state, ended)
}
