//! One task for each live meter: the only one that ever talks to it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dlms::security::InvocationCounter;
use tokio::{
    sync::{Mutex, Notify, oneshot},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field};

use super::{
    failure::{expired, head_end},
    identify::identify,
    mailbox::Receiver,
    memory::Memory,
    open::{Environment, FAREWELL},
    perform::perform,
    route::{Place, Routes},
    session::Session,
    work::Work,
};
use crate::{
    measure::Inside,
    meter::{LinkConfig, MeterConfig, MeterId},
    operation::{Identity, Opening, Operation, Outcome, Priority, RequestError, RequestErrorKind as Kind},
};

/// How long after its deadline an operation that waits for the store is dropped.
const GRACE: Duration = Duration::from_secs(1);
/// How long opening an association on a connection that came in may take.
const CALL: Duration = Duration::from_secs(30);
/// Longer than connections of meters live.
const FOR_EVER: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Operations in a row before a place that others wait for is given up.
const TURN: u32 = 8;

/// An operation on its way to the meter.
pub(super) struct Job {
    pub(super) operation: Operation,
    pub(super) deadline: Instant,
    pub(super) priority: Priority,
    /// Set when it is no longer queued.
    pub(super) started: Arc<AtomicBool>,
    pub(super) reply: oneshot::Sender<Result<Outcome, RequestError>>,
}

/// What can be told to an actor beside jobs.
#[derive(Debug, Default)]
pub(super) struct Control {
    stale: AtomicBool,
    called: AtomicBool,
    changed: Notify,
}

impl Control {
    /// The meter, or somebody who says so, has connected.
    pub(super) fn call(&self) {
        self.called.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// The configuration of the meter has changed.
    pub(super) fn invalidate(&self) {
        self.stale.store(true, Ordering::Release);
        self.changed.notify_one();
    }
}

/// How an actor behaves.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// How long an actor without anything to do, and without an association, lives.
    pub(super) actor_idle: Duration,
    /// How long a release may take.
    pub(super) release: Duration,
}

/// What ties an actor to the fleet.
pub(super) struct Ties {
    pub(super) jobs: Receiver,
    pub(super) control: Arc<Control>,
    pub(super) stop: CancellationToken,
    /// Held while the actor may talk to its meter.
    pub(super) voice: Arc<Mutex<()>>,
}

/// The task of one live meter.
pub(super) struct Actor {
    meter: MeterId,
    environment: Environment,
    routes: Arc<Routes>,
    limits: Limits,
    jobs: Receiver,
    control: Arc<Control>,
    stop: CancellationToken,
    voice: Arc<Mutex<()>>,
    config: Option<Arc<MeterConfig>>,
    /// The registry does not know the meter: there is nothing to live for.
    unknown: bool,
    memory: Memory,
    live: Option<Box<Live>>,
}

/// An open association and the place that it takes.
struct Live {
    session: Session,
    /// How long opening it took.
    opening: Opening,
    place: Option<Place>,
    /// When it is released if nothing is asked until then.
    until: Instant,
    /// Operations since it was opened or others last had a chance.
    turn: u32,
    /// From the connection to the goodbye.
    span: Span,
    /// Counts it among the open ones.
    _open: [Inside; 2],
}

/// What an actor woke up for.
enum Wake {
    Job(Job),
    Changed,
    Lost(RequestError),
    Wanted,
    Idle,
    Stop,
}

impl Actor {
    pub(super) fn new(
        meter: MeterId,
        environment: Environment,
        routes: Arc<Routes>,
        limits: Limits,
        ties: Ties,
    ) -> Box<Self> {
        let Ties { jobs, control, stop, voice } = ties;
        let (config, live, memory) = (None, None, Memory::new());
        let unknown = false;
        Box::new(Self { meter, environment, routes, limits, jobs, control, stop, voice, config, unknown, memory, live })
    }

    /// Carries out jobs until there are none for a while, or until the fleet stops. Jobs that were queued when it
    /// stopped are answered.
    pub(super) async fn run(mut self: Box<Self>) {
        // An actor that ends may still be releasing its association: two never talk to one meter.
        let voice = Arc::clone(&self.voice);
        let _voice = voice.lock().await;
        loop {
            match self.wake().await {
                // What it takes to do something is on the heap, and not kept by every actor that waits.
                Wake::Job(job) => Box::pin(self.take(job)).await,
                Wake::Changed => {
                    if self.control.stale.swap(false, Ordering::AcqRel) {
                        Box::pin(self.forget()).await;
                    }
                    if self.control.called.swap(false, Ordering::AcqRel) {
                        Box::pin(self.answer_calls()).await;
                    }
                }
                Wake::Lost(error) => {
                    tracing::debug!(meter = %self.meter, %error, "association lost while idle");
                    self.environment.counts.failed(&error);
                    Box::pin(self.drop_session()).await;
                }
                Wake::Wanted => Box::pin(self.release()).await,
                Wake::Idle if self.live.is_some() => Box::pin(self.release()).await,
                Wake::Idle => {
                    // Nobody can queue a job after this, and what was queued before is still taken.
                    self.jobs.close();
                    while let Some(job) = self.jobs.try_recv() {
                        Box::pin(self.take(job)).await;
                    }
                    break;
                }
                Wake::Stop => break,
            }
        }
        self.jobs.close();
        while let Some(job) = self.jobs.try_recv() {
            let stopping = head_end(Kind::ShuttingDown, "the head-end is shutting down").with_meter(&self.meter);
            answer(job.reply, Err(stopping));
        }
        Box::pin(self.release()).await;
    }

    async fn wake(&mut self) -> Wake {
        let Self { jobs, control, stop, live, limits, unknown, .. } = self;
        let patience = if *unknown { Duration::ZERO } else { limits.actor_idle };
        let until = live.as_ref().map_or_else(|| Instant::now() + patience, |live| live.until);
        let idle = async {
            let Some(Live { session, place, .. }) = live.as_deref_mut() else { return std::future::pending().await };
            let wanted = async {
                match place {
                    Some(place) => place.wanted().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                error = session.idle() => Wake::Lost(error),
                () = wanted => Wake::Wanted,
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => Wake::Stop,
            () = control.changed.notified() => Wake::Changed,
            job = jobs.recv() => Wake::Job(job),
            wake = idle => wake,
            () = sleep_until(until) => Wake::Idle,
        }
    }

    /// Carries out one job, unless nobody waits for it any more.
    async fn take(&mut self, job: Job) {
        let Job { operation, deadline, started, reply, priority } = job;
        if reply.is_closed() {
            tracing::debug!(meter = %self.meter, operation = operation.name(), "skipped: the caller went away");
            return;
        }
        started.store(true, Ordering::Release);
        let result = if Instant::now() >= deadline {
            Err(expired("while the request was queued"))
        } else {
            if self.control.stale.swap(false, Ordering::AcqRel) {
                self.forget().await;
            }
            let abandoned = || reply.is_closed();
            self.carry_out(&operation, &Work { deadline, abandoned: &abandoned, waits: priority != Priority::Low })
                .await
        };
        answer(reply, result.map_err(|error| error.with_meter(&self.meter)));
        self.after_job().await;
    }

    /// Carries out an operation, once more where the first attempt failed without the meter having seen it.
    async fn carry_out(&mut self, operation: &Operation, work: &Work<'_>) -> Result<Outcome, RequestError> {
        if *operation == Operation::Identify {
            return self.identify(work).await.map(Outcome::Identity);
        }
        let mut again = true;
        loop {
            let reused = self.live.is_some();
            self.ensure_open(work).await?;
            let Some(live) = &mut self.live else {
                return Err(head_end(Kind::Unreachable, "the association was not opened"));
            };
            let (answers, octets) = (live.session.answers(), live.session.octets_sent());
            let opening = (!reused).then_some(live.opening);
            let span =
                tracing::info_span!(parent: &live.span, "operation", name = operation.name(), error = field::Empty);
            let performed = perform(&mut live.session, &mut self.memory, &self.environment, operation, opening, work);
            let performed = performed.instrument(span.clone());
            // The session keeps the deadline by itself; this is for the store.
            let Ok(result) = timeout_at(work.deadline + GRACE, performed).await else {
                let sent = live.session.octets_sent() > octets;
                span.record("error", "expired");
                self.drop_session().await;
                let error = expired("before the operation was done").with_sent(sent);
                let unknown = operation.is_mutating() && sent;
                return Err(if unknown { error.with_kind(Kind::UnknownOutcome) } else { error });
            };
            if let Err(error) = &result {
                span.record("error", field::display(error));
            }
            live.turn += 1;
            self.memory.receive_floor = live.session.receive_floor().unwrap_or(self.memory.receive_floor);
            self.environment.counts.counters(live.session.counters());
            live.until = Instant::now() + kept_for(live.session.config());

            let unheard = live.session.answers() == answers;
            let unsent = live.session.octets_sent() == octets;
            let lost = live.session.lost().map(RequestError::kind);
            self.memory.counter_refused = live.session.counter_refused();
            let refused = self.memory.counter_refused.is_some();
            // An idle association may have died unnoticed, and a refused counter was not understood: both can be asked
            // once more. What changes something is never sent twice, and what was answered wrongly not asked again.
            let safe = !operation.is_mutating() || unsent;
            let died = reused && lost == Some(Kind::Unreachable);
            let worth = unheard && (died || refused);
            if !(again && safe && worth) || work.check().is_err() {
                return result;
            }
            again = false;
        }
    }

    async fn ensure_open(&mut self, work: &Work<'_>) -> Result<(), RequestError> {
        if self.live.as_ref().is_some_and(|live| live.session.lost().is_some()) {
            self.drop_session().await;
        }
        if self.live.is_some() {
            return Ok(());
        }
        let config = self.config(work).await?;
        let route = self.routes.of(&config);
        self.environment.counts.on_route(route.as_ref().map(|route| route.name()));
        let place = match route {
            Some(route) => Some(route.enter(work.deadline).await?),
            None => None,
        };
        let began = Instant::now();
        let (session, span) = loop {
            match self.open(&config, work).await {
                Ok(opened) => break opened,
                // Whoever called first may not have been the meter.
                Err(_) if self.environment.line.is_called() && work.check().is_ok() => {}
                Err(error) => return Err(error),
            }
        };
        if matches!(config.link, LinkConfig::DialIn) {
            self.environment.counts.all.called(true);
        }
        self.live = Some(self.began(&config, (session, span), began, place));
        Ok(())
    }

    /// Opens an association once. A connection of the meter's own on which none could be opened is closed.
    async fn open(&mut self, config: &Arc<MeterConfig>, work: &Work<'_>) -> Result<(Session, Span), RequestError> {
        let span = tracing::info_span!(
            parent: None,
            "session",
            meter = %self.meter,
            route = config.route.as_deref(),
            octets_sent = field::Empty,
            error = field::Empty
        );
        let opened = Session::open(&self.environment, config, &mut self.memory, work);
        let opened = timeout_at(work.deadline + GRACE, opened.instrument(span.clone())).await;
        let opened = opened.unwrap_or_else(|_| Err(expired("while the association was opened")));
        let session = opened.inspect_err(|error| {
            span.record("error", field::display(error));
            self.environment.counts.not_opened(error);
            drop(self.environment.line.take_current());
        })?;
        Ok((session, span))
    }

    fn began(
        &mut self,
        config: &Arc<MeterConfig>,
        (session, span): (Session, Span),
        began: Instant,
        place: Option<Place>,
    ) -> Box<Live> {
        if config.rotation.is_some() {
            // What it opened with is known now; another session begins with what the registry says then.
            self.config = None;
        }
        let until = Instant::now() + kept_for(config);
        let opening = Opening { total: began.elapsed(), ..session.opening() };
        let open = self.environment.counts.opened(opening.total);
        Box::new(Live { session, opening, place, until, turn: 0, span, _open: open })
    }

    /// Tries the connections that came in: one takes the place of the present one when an association has opened on it, and
    /// not before.
    async fn answer_calls(&mut self) {
        let never = || false;
        while self.environment.line.is_called() && !self.stop.is_cancelled() {
            let work = Work { deadline: Instant::now() + CALL, abandoned: &never, waits: false };
            let config = match self.config(&work).await {
                Ok(config) if matches!(config.link, LinkConfig::DialIn) => config,
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(meter = %self.meter, %error, "a connection of the meter waits");
                    return;
                }
            };
            if let Some(live) = &self.live {
                self.memory.receive_floor = live.session.receive_floor().unwrap_or(self.memory.receive_floor);
            }
            let began = Instant::now();
            let opened = self.open(&config, &work).await;
            self.environment.counts.all.called(opened.is_ok());
            match opened {
                Ok(session) => {
                    let live = self.began(&config, session, began, None);
                    self.drop_session().await;
                    // What the one before left of counters and connection is older than what the new one has.
                    self.memory.counter = InvocationCounter::new(0, 0);
                    drop(self.environment.line.take_current());
                    self.live = Some(live);
                }
                Err(error) => {
                    tracing::info!(meter = %self.meter, %error, "no association on a connection of the meter")
                }
            }
        }
    }

    /// Asks who is there without a key: what is open is released before, as nobody talks to a meter twice.
    async fn identify(&mut self, work: &Work<'_>) -> Result<Identity, RequestError> {
        self.release().await;
        let config = self.config(work).await?;
        let _place = match self.routes.of(&config) {
            Some(route) => Some(route.enter(work.deadline).await?),
            None => None,
        };
        let asked = timeout_at(work.deadline + GRACE, identify(&self.environment, &config, work)).await;
        asked.unwrap_or_else(|_| Err(expired("before the meter said who it is")))
    }

    async fn config(&mut self, work: &Work<'_>) -> Result<Arc<MeterConfig>, RequestError> {
        if let Some(config) = &self.config {
            return Ok(Arc::clone(config));
        }
        let read = timeout_at(work.deadline, self.environment.directory.meter(&self.meter)).await;
        let read = read.map_err(|_| expired("while the meter's configuration was read"))?;
        self.unknown = matches!(&read, Err(error) if error.kind() == Kind::NotFound);
        let config = read?;
        self.config = Some(Arc::clone(&config));
        Ok(config)
    }

    /// Gets rid of what is lost, and gives others a chance where the medium is shared. The caller has its answer by now:
    /// a farewell that nobody confirms would keep it until its deadline has passed.
    async fn after_job(&mut self) {
        let Some(live) = &self.live else { return };
        if live.session.lost().is_some() {
            return self.drop_session().await;
        }
        let wanted = live.place.as_ref().is_some_and(Place::is_wanted);
        if wanted && (self.jobs.is_empty() || live.turn >= TURN) {
            self.release().await;
        }
    }

    /// The configuration changed: nothing that was learned under the old one is kept.
    async fn forget(&mut self) {
        self.release().await;
        self.config = None;
        self.memory = Memory::new();
    }

    /// Releases the association in good order.
    async fn release(&mut self) {
        self.end(self.limits.release).await;
    }

    /// Gets rid of an association that is lost.
    async fn drop_session(&mut self) {
        self.end(FAREWELL).await;
    }

    async fn end(&mut self, within: Duration) {
        let Some(live) = self.live.take() else { return };
        let Live { session, place, span, _open, .. } = *live;
        if let Some(lost) = session.lost() {
            span.record("error", field::display(lost));
            self.environment.counts.failed(lost);
        }
        span.record("octets_sent", session.octets_sent());
        self.memory.receive_floor = session.receive_floor().unwrap_or(self.memory.receive_floor);
        let notifications = session.notifications();
        let counter = session.close(Instant::now() + within).instrument(span).await;
        keep(&mut self.memory.counter, counter);
        drop(place);
        tracing::debug!(meter = %self.meter, notifications, "session ended");
    }
}

/// How long an association without requests is kept: on a connection that the meter made as long as it makes it, for we
/// cannot make another.
fn kept_for(config: &MeterConfig) -> Duration {
    if matches!(config.link, LinkConfig::DialIn) { FOR_EVER } else { config.timeouts.idle }
}

/// Puts the counters that a session left back.
fn keep(place: &mut InvocationCounter, counter: InvocationCounter) {
    if counter.end() > place.end() {
        *place = counter;
    }
}

fn answer(reply: oneshot::Sender<Result<Outcome, RequestError>>, result: Result<Outcome, RequestError>) {
    // Who went away does not want to know.
    drop(reply.send(result));
}
