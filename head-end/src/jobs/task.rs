//! One attempt at one task.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{
    Alarm, AlarmKind, Jobs, Loaded, Registered, Report, Resolution, Visit,
    procedure::{Port, invalid},
};
use crate::{
    meter::{MeterId, MeterRecord, TimePolicy},
    operation::{Layer, MeterAccess, Operation, Outcome, RequestError, RequestErrorKind as Kind, Terms},
    registry::RegistryError,
    store::{
        ClaimedTask, ImageId, ImageRow, Permit, RateLimit, Retry, Store, StoreError, TaskEnd, TaskRef, TaskResult,
        WavesState,
    },
};

/// Failures of security after which a meter is left alone.
const REFUSALS_MAX: u32 = 2;
/// How long something in the air may take to be answered once the head-end stops.
const STOP_PATIENCE: Duration = Duration::from_secs(8);
/// How long after it was sent an action is resolved, at most, before its outcome stays unknown.
const RESOLVE_PATIENCE: SignedDuration = SignedDuration::from_hours(24);
/// How often the store may refuse to take an end, once the head-end stops, before it is left to the next start.
const STORE_ATTEMPTS: u32 = 10;
/// The first wait after that; it grows.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// What is to become of a task.
enum Next {
    End {
        result: TaskResult,
        failure: Option<RequestError>,
        outcome: Option<Vec<u8>>,
    },
    Again {
        due: Timestamp,
        attempts: u32,
        refusals: u32,
        failure: Option<RequestError>,
    },
    /// Nothing: the next start of the head-end takes it up.
    Park,
}

impl Next {
    fn end(result: TaskResult, failure: RequestError) -> Self {
        Self::End { result, failure: Some(failure), outcome: None }
    }
}

/// Makes one attempt, and writes down what became of it.
pub(super) async fn carry_out<S: Store, A: MeterAccess>(
    jobs: &Jobs<S, A>,
    claimed: ClaimedTask,
    in_air: &AtomicBool,
    stop: &CancellationToken,
) {
    in_air.store(claimed.sent.is_some(), Ordering::Release);
    // What panics is a failure of this one task: it is tried again, or resolved, as after any other.
    let attempt = async {
        match AssertUnwindSafe(attempt(jobs, &claimed, in_air)).catch_unwind().await {
            Ok(next) => next,
            Err(_) => broken(jobs, &claimed),
        }
    };
    tokio::pin!(attempt);
    let next = match stop.run_until_cancelled(&mut attempt).await {
        Some(next) => next,
        // What has not left need not leave, and what has may still be answered.
        None if in_air.load(Ordering::Acquire) && claimed.sent.is_none() => {
            timeout_at(Instant::now() + STOP_PATIENCE, attempt).await.unwrap_or(Next::Park)
        }
        None => Next::Park,
    };
    write_down(jobs, &claimed.task, next, stop).await;
}

/// After an attempt that panicked.
fn broken<S: Store, A: MeterAccess>(jobs: &Jobs<S, A>, claimed: &ClaimedTask) -> Next {
    tracing::error!(job = %claimed.task.job, meter = %claimed.task.meter, "an attempt panicked");
    let error = RequestError::new(Kind::Protocol, Layer::HeadEnd, "the attempt was broken off inside the head-end");
    Next::Again {
        due: jobs.retry_at(&claimed.task.meter, jobs.shared.clock.now(), Kind::Protocol, claimed.attempts),
        attempts: claimed.attempts.saturating_add(1),
        refusals: claimed.refusals,
        failure: Some(error),
    }
}

/// Waits for the store as long as it takes: a task whose end is not written would be running for ever.
async fn write_down<S: Store, A: MeterAccess>(jobs: &Jobs<S, A>, task: &TaskRef, next: Next, stop: &CancellationToken) {
    let codec = &jobs.shared.codec;
    let failure = |failure: &Option<RequestError>| failure.as_ref().map(|error| codec.failure(error));
    for attempt in 1_u32.. {
        jobs.step().await;
        let written = match &next {
            Next::Park => return,
            Next::End { result, failure: error, outcome } => {
                let outcome = outcome.clone();
                let at = jobs.shared.clock.now();
                let end = TaskEnd { result: *result, failure: failure(error), outcome, at };
                jobs.store().end_task(task.clone(), end).await
            }
            Next::Again { due, attempts, refusals, failure: error } => {
                let (due, attempts, refusals) = (*due, *attempts, *refusals);
                let retry = Retry { due, attempts, refusals, failure: failure(error) };
                jobs.store().requeue_task(task.clone(), retry).await
            }
        };
        match written {
            Ok(()) => {
                jobs.step().await;
                jobs.changed(task.job);
                return jobs.shared.wake.notify_one();
            }
            Err(StoreError::Closed) => break,
            Err(error) => {
                tracing::warn!(job = %task.job, meter = %task.meter, %error, "a task's end waits for the store")
            }
        }
        if attempt >= STORE_ATTEMPTS && stop.is_cancelled() {
            break;
        }
        tokio::time::sleep(STORE_PAUSE * attempt.min(STORE_ATTEMPTS)).await;
    }
    tracing::error!(job = %task.job, meter = %task.meter, "a task's end could not be kept; the next start takes it up");
}

async fn attempt<S: Store, A: MeterAccess>(jobs: &Jobs<S, A>, claimed: &ClaimedTask, in_air: &AtomicBool) -> Next {
    let task = &claimed.task;
    let now = jobs.shared.clock.now();
    let again = |failure: Option<RequestError>, due| Next::Again {
        due,
        attempts: claimed.attempts.saturating_add(1),
        refusals: claimed.refusals,
        failure,
    };
    let loaded = match jobs.load(task.job).await {
        Ok(Some(loaded)) => loaded,
        Ok(None) => return Next::end(TaskResult::Cancelled, invalid("the job is gone or cannot be read")),
        Err(error) => {
            return again(Some(error.into()), jobs.retry_at(&claimed.task.meter, now, Kind::Store, claimed.attempts));
        }
    };
    let until = match claimed.sent {
        Some(_) => Instant::now() + jobs.shared.options.attempt,
        None => jobs.shared.clock.instant(loaded.row.expires).min(Instant::now() + jobs.shared.options.attempt),
    };
    let port = Access {
        jobs,
        task,
        loaded: &loaded,
        terms: Terms { deadline: until, priority: loaded.row.priority },
        not_before: Mutex::new(None),
        goes_on: Mutex::new(None),
    };
    let visit = Visit::new(&task.meter, &port, claimed.checkpoint.as_deref(), in_air);
    if let Some(sent) = claimed.sent {
        return resolve(jobs, &loaded, claimed, &visit, sent).await;
    }
    if now >= loaded.row.expires {
        return Next::End { result: TaskResult::Expired, failure: None, outcome: None };
    }
    if let Err(error) = allowed(jobs, &loaded, &task.meter).await {
        return match error.kind() {
            Kind::Store => again(Some(error), jobs.retry_at(&claimed.task.meter, now, Kind::Store, claimed.attempts)),
            kind => Next::end(kind.into(), error),
        };
    }
    let encode = |report: &Report| jobs.shared.codec.report(&loaded.row.spec, report);
    let done = loaded.plan.procedure.run(&visit).await;
    let now = jobs.shared.clock.now();
    let error = match done {
        Ok(report) => match report.failure().map(|(error, any)| (error.clone(), any)) {
            None => return Next::End { result: TaskResult::Succeeded, failure: None, outcome: Some(encode(&report)) },
            // Where nothing was read, another attempt may.
            Some((error, false)) if error.is_retryable() && !loaded.plan.mutating => error,
            Some((error, _)) => {
                return Next::End { result: error.kind().into(), failure: Some(error), outcome: Some(encode(&report)) };
            }
        },
        Err(error) => error,
    };
    let decided = matches!(error.kind(), Kind::MeterRefused | Kind::InvalidRequest);
    if in_air.load(Ordering::Acquire) && !decided {
        // To be resolved as soon as the meter can be asked.
        return again(Some(error), jobs.retry_at(&claimed.task.meter, now, Kind::UnknownOutcome, 0));
    }
    let not_before = *port.not_before.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(not_before) = not_before {
        let (attempts, refusals) = (claimed.attempts, claimed.refusals);
        return Next::Again { due: not_before.min(loaded.row.expires), attempts, refusals, failure: Some(error) };
    }
    let goes_on = *port.goes_on.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(due) = goes_on {
        return Next::Again { due: due.min(loaded.row.expires), attempts: 0, refusals: 0, failure: None };
    }
    match error.kind() {
        Kind::ShuttingDown => Next::Park,
        Kind::SecurityFailed => {
            let refusals = claimed.refusals.saturating_add(1);
            if refusals >= REFUSALS_MAX {
                jobs.alarm(Alarm { meter: task.meter.clone(), job: task.job, kind: AlarmKind::Security, at: now });
                return Next::end(TaskResult::SecurityFailed, error);
            }
            let due = jobs.retry_at(&claimed.task.meter, now, Kind::SecurityFailed, refusals).min(loaded.row.expires);
            Next::Again { due, attempts: claimed.attempts.saturating_add(1), refusals, failure: Some(error) }
        }
        // The attempt's time is over, not the job's.
        Kind::Expired | Kind::Unreachable | Kind::Protocol | Kind::Busy | Kind::Store => {
            let due = jobs.retry_at(&claimed.task.meter, now, error.kind(), claimed.attempts).min(loaded.row.expires);
            again(Some(error), due)
        }
        kind => Next::end(kind.into(), error),
    }
}

async fn resolve<S: Store, A: MeterAccess>(
    jobs: &Jobs<S, A>,
    loaded: &Loaded,
    claimed: &ClaimedTask,
    visit: &Visit<'_>,
    sent: Timestamp,
) -> Next {
    let encode = |report: &Report| jobs.shared.codec.report(&loaded.row.spec, report);
    let resolved = loaded.plan.procedure.resolve(visit).await;
    let now = jobs.shared.clock.now();
    let again = |due, failure| Next::Again {
        due,
        attempts: claimed.attempts.saturating_add(1),
        refusals: claimed.refusals,
        failure,
    };
    match resolved {
        Ok(Resolution::Done(report)) => {
            Next::End { result: TaskResult::Succeeded, failure: None, outcome: Some(encode(&report)) }
        }
        Ok(Resolution::Unknown) => Next::End { result: TaskResult::UnknownOutcome, failure: None, outcome: None },
        Ok(Resolution::NotDone) => match jobs.settle(&claimed.task, false, None).await {
            Ok(()) if now >= loaded.row.expires => {
                Next::End { result: TaskResult::Expired, failure: None, outcome: None }
            }
            Ok(()) => again(now, None),
            Err(error) => {
                again(jobs.retry_at(&claimed.task.meter, now, Kind::Store, claimed.attempts), Some(error.into()))
            }
        },
        Err(error) if error.kind() == Kind::ShuttingDown => Next::Park,
        Err(error) => {
            let hopeless = matches!(error.kind(), Kind::NotFound | Kind::MeterRefused | Kind::InvalidRequest);
            if hopeless || now.duration_since(sent) >= RESOLVE_PATIENCE {
                return Next::end(TaskResult::UnknownOutcome, error);
            }
            again(jobs.retry_at(&claimed.task.meter, now, error.kind(), claimed.attempts), Some(error))
        }
    }
}

/// Label of meters that nobody may cut off from here.
pub const PROTECTED_LABEL: &str = "protected-customer";

/// The meter as it is registered now.
async fn record<S: Store, A: MeterAccess>(jobs: &Jobs<S, A>, meter: &MeterId) -> Result<MeterRecord, RequestError> {
    match jobs.shared.head_end.registry().get(meter).await {
        Ok(record) => Ok(record),
        Err(RegistryError::Store(error @ StoreError::NotFound(_))) => {
            Err(RequestError::new(Kind::NotFound, Layer::HeadEnd, error.to_string()))
        }
        Err(error) => Err(RequestError::new(Kind::Store, Layer::Store, error.to_string())),
    }
}

/// Whether the job may touch the meter as it is registered now.
async fn allowed<S: Store, A: MeterAccess>(
    jobs: &Jobs<S, A>,
    loaded: &Loaded,
    meter: &MeterId,
) -> Result<(), RequestError> {
    if !loaded.plan.interrupts && loaded.row.tenant.is_none() {
        return Ok(());
    }
    let record = record(jobs, meter).await?;
    if loaded.row.tenant.is_some() && loaded.row.tenant != record.settings.tenant {
        let error = StoreError::NotFound(meter.resource_name());
        return Err(RequestError::new(Kind::NotFound, Layer::HeadEnd, error.to_string()));
    }
    if !loaded.plan.interrupts {
        return Ok(());
    }
    match record.settings.labels.get(PROTECTED_LABEL).map(String::as_str) {
        None | Some("" | "false" | "no" | "0") => Ok(()),
        Some(_) => Err(invalid(format!("the customer is protected: the meter has the label {PROTECTED_LABEL}"))),
    }
}

/// The way of one attempt to its meter and to the store.
pub(super) struct Access<'a, S, A> {
    pub(super) jobs: &'a Jobs<S, A>,
    pub(super) task: &'a TaskRef,
    loaded: &'a Arc<Loaded>,
    terms: Terms,
    /// Set where the tenant took too much supply away of late.
    not_before: Mutex<Option<Timestamp>>,
    /// Set where the procedure is not done.
    goes_on: Mutex<Option<Timestamp>>,
}

impl<S: Store, A: MeterAccess> Port for Access<'_, S, A> {
    fn registered(&self) -> &dyn Registered {
        self
    }

    fn execute(&self, operation: Operation) -> BoxFuture<'_, Result<Outcome, RequestError>> {
        Box::pin(self.jobs.shared.head_end.perform(&self.task.meter, operation, self.terms))
    }

    fn begin(&self, checkpoint: Vec<u8>) -> BoxFuture<'_, Result<(), RequestError>> {
        Box::pin(async move {
            let now = self.jobs.shared.clock.now();
            if now >= self.loaded.row.expires {
                return Err(RequestError::new(Kind::Expired, Layer::HeadEnd, "the job expired before this was sent"));
            }
            let options = &self.jobs.shared.options;
            let limit = self
                .loaded
                .plan
                .interrupts
                .then_some(RateLimit { most: options.interruptions_per_hour, within: Duration::from_secs(3_600) });
            self.jobs.step().await;
            let permit = self.jobs.store().begin_action(self.task.clone(), now, checkpoint, limit).await?;
            self.jobs.step().await;
            match permit {
                Permit::Go => Ok(()),
                Permit::Cancelled => Err(RequestError::new(
                    Kind::Cancelled,
                    Layer::HeadEnd,
                    "the job was cancelled before this was sent",
                )),
                Permit::NotBefore(when) => {
                    *self.not_before.lock().unwrap_or_else(PoisonError::into_inner) = Some(when);
                    let message = format!(
                        "{} supplies were interrupted within an hour; the next may be at {when}",
                        options.interruptions_per_hour
                    );
                    Err(RequestError::new(Kind::Busy, Layer::HeadEnd, message))
                }
            }
        })
    }

    fn settle(&self, acted: bool, checkpoint: Option<Vec<u8>>) -> BoxFuture<'_, Result<(), RequestError>> {
        Box::pin(async move { Ok(self.jobs.settle(self.task, acted, checkpoint).await?) })
    }

    fn now(&self) -> Timestamp {
        self.jobs.shared.clock.now()
    }

    fn time_policy(&self) -> BoxFuture<'_, Result<TimePolicy, RequestError>> {
        Box::pin(async move { Ok(record(self.jobs, &self.task.meter).await?.settings.time_policy) })
    }

    fn is_paused(&self) -> BoxFuture<'_, Result<bool, RequestError>> {
        Box::pin(async move {
            let waves = self.jobs.store().waves(self.task.job).await?;
            Ok(waves.is_some_and(|waves| waves.state != WavesState::Running))
        })
    }

    fn go_on_after(&self, wait: Duration) {
        let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
        let due = self.now().saturating_add(wait).unwrap_or(Timestamp::MAX);
        *self.goes_on.lock().unwrap_or_else(PoisonError::into_inner) = Some(due);
    }

    fn image(&self, id: ImageId) -> BoxFuture<'_, Result<Option<ImageRow>, RequestError>> {
        Box::pin(async move { Ok(self.jobs.store().image(id).await?) })
    }

    fn image_chunk(&self, id: ImageId, number: u32) -> BoxFuture<'_, Result<Option<Vec<u8>>, RequestError>> {
        Box::pin(async move { Ok(self.jobs.store().image_chunk(id, number).await?) })
    }
}
