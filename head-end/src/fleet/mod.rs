//! One task for each live meter, which owns its connection and is the only one that ever talks to it.
//!
//! ```text
//!   Fleet::execute ──▶ mailbox (bounded) ──▶ Actor ──▶ Session ──▶ Driver ──▶ Transport
//!                                              │          │           └ dlms::association::client::Connection
//!                                              │          └ one request, one answer
//!                                              └ opens, keeps, releases; limits of the route
//! ```
//!
//! Every wait has a deadline, every queue a bound. A meter that misbehaves fails its own operations with a typed
//! error; the others do not notice.

mod actor;
mod attributes;
mod batch;
mod calls;
mod contact;
mod counters;
mod counts;
mod datagram;
mod directory;
mod discover;
mod driver;
mod explain;
mod failure;
mod identify;
mod link;
mod mailbox;
mod memory;
mod notification;
mod open;
mod perform;
mod profile;
mod registers;
mod registry;
mod room;
mod route;
mod session;
mod sign_on;
mod tapped;
mod trace;
mod transport;
mod work;

#[cfg(test)]
mod tests;

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dlms::id::{ClientSap, ServerSap};
use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::{
    calls::Line,
    notification::encode,
    profile::{moment, profile_rows},
    registers::date_time,
    transport::prepare,
};
pub use self::{
    counts::Counts,
    datagram::DatagramLine,
    notification::Notification,
    profile::{Gap, gaps},
    transport::{ByteStream, Connector, Network, Transport, TransportError},
};

use self::{
    actor::{Actor, Control, Job, Limits, Ties},
    calls::{Calls, Slot},
    contact::{Contacts, Tally},
    directory::Directory,
    driver::OsRandom,
    failure::{expired, head_end},
    mailbox::{Refused, mailbox},
    notification::Inbox,
    open::Environment,
    registry::{Mailbox, Registry},
    route::Routes,
    trace::{Tap, Traces},
    work::Work,
};
use crate::{
    config::QuirkModels,
    meter::{Authentication, DEFAULT_MAX_PDU, LinkConfig, MeterConfig, MeterId, TimePolicy, Timeouts},
    operation::{
        Diagnosis, Identity, MeterAccess, MeterDirectory, Operation, Outcome, RequestError, RequestErrorKind as Kind,
        Terms, Trace, TraceError,
    },
};

/// How much longer than its deadline a caller waits for the precise word of an actor that has begun.
const PRECISION: Duration = Duration::from_secs(2);

/// Limits of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetOptions {
    /// Operations that may wait for one meter; a tenth of the places is kept for those of high priority.
    pub mailbox: usize,
    /// Sessions on one configured route at a time.
    pub route_sessions: usize,
    /// How long the task of a meter without association and without work lives.
    pub actor_idle: Duration,
    /// How long the release of an association may take.
    pub release: Duration,
    /// By how much a meter's unauthenticated word may move our invocation counter up.
    pub counter_jump_max: u32,
    /// Notifications that may wait to be taken.
    pub notifications: usize,
    /// Which deviations are tolerated, by kind of meter.
    pub quirks: QuirkModels,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self {
            mailbox: 32,
            route_sessions: 8,
            actor_idle: Duration::from_secs(60),
            release: Duration::from_secs(2),
            counter_jump_max: 1 << 24,
            notifications: 1_024,
            quirks: QuirkModels::default(),
        }
    }
}

/// The live meters of this head-end. Clones share them.
#[derive(Clone)]
pub struct Fleet(Arc<Inner>);

struct Inner {
    registry: Registry,
    routes: Arc<Routes>,
    directory: Arc<dyn Directory>,
    connector: Arc<dyn Connector>,
    random: OsRandom,
    options: FleetOptions,
    notifications: mpsc::Sender<Notification>,
    /// No new work; the present is finished.
    stop: CancellationToken,
    /// The present work is dropped.
    abort: CancellationToken,
    tasks: TaskTracker,
    counts: Arc<Counts>,
    contacts: Contacts,
    traces: Arc<Traces>,
    calls: Calls,
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").field("meters", &self.0.registry.len()).finish_non_exhaustive()
    }
}

/// How much waits for meters, and how much shares media, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// Meters that have a task.
    pub meters: usize,
    /// Operations that wait in all mailboxes.
    pub waiting: usize,
    /// Operations that wait in the fullest mailbox.
    pub longest: usize,
    /// Routes in use.
    pub routes: usize,
    /// Sessions on them.
    pub route_sessions: usize,
    /// Sessions that wait for a place on one of them.
    pub route_waiting: usize,
}

/// Why a fleet cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// The operating system has no random numbers, without which no challenge can be made.
    #[error("the operating system has no random numbers: {0}")]
    Random(String),
    /// A limit of zero, with which nothing would ever be done.
    #[error("{0} must be at least 1")]
    Limit(&'static str),
}

impl Fleet {
    /// A fleet of the meters in `directory`, reached through `connector`; and what its meters send of their own
    /// accord. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`FleetError`].
    pub fn start<D: MeterDirectory>(
        directory: Arc<D>,
        connector: impl Connector,
        options: FleetOptions,
    ) -> Result<(Self, mpsc::Receiver<Notification>), FleetError> {
        let limits = [
            ("mailbox", options.mailbox),
            ("route_sessions", options.route_sessions),
            ("notifications", options.notifications),
        ];
        if let Some((name, _)) = limits.into_iter().find(|(_, limit)| *limit == 0) {
            return Err(FleetError::Limit(name));
        }
        let random = OsRandom::new().map_err(|error| FleetError::Random(error.to_string()))?;
        let (notifications, received) = mpsc::channel(options.notifications);
        let inner = Inner {
            registry: Registry::default(),
            routes: Arc::new(Routes::new(options.route_sessions)),
            directory,
            connector: Arc::new(connector),
            random,
            options,
            notifications,
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            tasks: TaskTracker::new(),
            counts: Arc::default(),
            contacts: Contacts::default(),
            traces: Arc::default(),
            calls: Calls::default(),
        };
        Ok((Self(Arc::new(inner)), received))
    }

    /// How many meters have a task now.
    #[must_use]
    pub fn live_meters(&self) -> usize {
        self.0.registry.len()
    }

    /// What it has done.
    #[must_use]
    pub fn counts(&self) -> &Arc<Counts> {
        &self.0.counts
    }

    /// How much waits and how much is shared at this moment.
    #[must_use]
    pub fn load(&self) -> Load {
        let (waiting, longest) = self.0.registry.waiting();
        let (routes, route_sessions, route_waiting) = self.0.routes.load();
        Load { meters: self.0.registry.len(), waiting, longest, routes, route_sessions, route_waiting }
    }

    /// Takes no more work, lets the present work end and releases the associations; what has not ended by `deadline`
    /// is dropped. Returns how many tasks were.
    pub async fn shutdown(&self, deadline: Instant) -> usize {
        self.0.stop.cancel();
        self.0.tasks.close();
        if timeout_at(deadline, self.0.tasks.wait()).await.is_ok() {
            return 0;
        }
        let left = self.0.tasks.len();
        tracing::warn!(meters = left, "tasks did not end in time and are dropped");
        self.0.abort.cancel();
        self.0.tasks.wait().await;
        left
    }

    /// Starts the task of a meter.
    fn spawn(&self, meter: &MeterId, voice: Arc<Mutex<()>>) -> Mailbox {
        let Inner { options, .. } = &*self.0;
        let (jobs, queue) = mailbox(options.mailbox);
        let control = Arc::new(Control::default());
        let environment = self.environment(meter, self.0.calls.slot(meter), self.0.notifications.clone());
        let limits = Limits { actor_idle: options.actor_idle, release: options.release };
        let routes = Arc::clone(&self.0.routes);
        let stop = self.0.stop.clone();
        let ties = Ties { jobs: queue, control: Arc::clone(&control), stop, voice: Arc::clone(&voice) };
        let actor = Actor::new(meter.clone(), environment, routes, limits, ties);
        self.0.tasks.spawn(supervise(self.clone(), meter.clone(), Arc::clone(&control), actor));
        Mailbox { jobs, control, voice }
    }

    /// Where what is done with a meter is counted.
    fn tally(&self, meter: &MeterId) -> Tally {
        Tally { all: Arc::clone(&self.0.counts), own: self.0.contacts.of(meter, Timestamp::now()) }
    }

    fn environment(&self, meter: &MeterId, line: Arc<Slot>, inbox: mpsc::Sender<Notification>) -> Environment {
        Environment {
            directory: Arc::clone(&self.0.directory),
            connector: Arc::clone(&self.0.connector),
            line,
            stop: self.0.stop.clone(),
            random: self.0.random,
            inbox: Inbox::new(meter.clone(), inbox),
            counter_jump_max: self.0.options.counter_jump_max,
            quirks: self.0.options.quirks.clone(),
            counts: self.tally(meter),
            tap: Tap::new(meter.clone(), Arc::clone(&self.0.traces)),
        }
    }

    /// Takes a connection that a meter, or somebody who says so, has made; its task tries it. `false` when too many wait.
    pub(crate) fn called(&self, meter: &MeterId, line: Line) -> bool {
        if self.0.stop.is_cancelled() || !self.0.calls.push(meter, line) {
            return false;
        }
        self.0.registry.get_or_start(meter, |voice| self.spawn(meter, voice)).control.call();
        true
    }

    /// Asks whoever has connected who it is; gives the connection back.
    pub(crate) async fn ask_identity(&self, line: Line, deadline: Instant) -> Result<(Line, Identity), RequestError> {
        let nobody = MeterId::try_new("unknown").map_err(|error| head_end(Kind::InvalidRequest, error.to_string()))?;
        let slot = Slot::holding(line);
        // What it sends meanwhile is of nobody that is known.
        let environment = self.environment(&nobody, Arc::clone(&slot), mpsc::channel(1).0);
        let config = Arc::new(MeterConfig {
            id: nobody,
            revision: 0,
            link: LinkConfig::DialIn,
            client: ClientSap::PUBLIC,
            server: ServerSap(1),
            authentication: Authentication::None,
            ciphering: None,
            meter_title: None,
            time: TimePolicy::default(),
            route: None,
            timeouts: Timeouts::default(),
            max_pdu: DEFAULT_MAX_PDU,
            gateway: None,
            rotation: None,
        });
        let work = Work { deadline, abandoned: &|| false, waits: false };
        let identity = identify::identify(&environment, &config, &work).await?;
        let line = slot.take_current();
        let line = line.ok_or_else(|| head_end(Kind::Unreachable, "the connection did not outlast the question"))?;
        Ok((line, identity))
    }

    /// Forgets connections of meters that were closed.
    pub(crate) fn sweep_calls(&self) {
        self.0.calls.sweep();
    }

    async fn submit(&self, meter: &MeterId, operation: Operation, terms: Terms) -> Result<Outcome, RequestError> {
        let Terms { deadline, priority } = terms;
        let mutating = operation.is_mutating();
        let started = Arc::new(AtomicBool::new(false));
        let (reply, answer) = oneshot::channel();
        self.enqueue(meter, Job { operation, deadline, priority, started: Arc::clone(&started), reply })?;
        tokio::pin!(answer);
        let has_started = || started.load(Ordering::Acquire);
        let outcome = match timeout_at(deadline, &mut answer).await {
            Ok(outcome) => outcome,
            Err(_) if !has_started() => return Err(expired("while the request was queued")),
            // The actor knows whether anything was sent, and will say so in a moment.
            Err(_) => match timeout_at(deadline + PRECISION, &mut answer).await {
                Ok(outcome) => outcome,
                Err(_) if mutating => {
                    return Err(expired("before the meter's task answered")
                        .with_kind(Kind::UnknownOutcome)
                        .with_sent(true));
                }
                Err(_) => return Err(expired("before the meter's task answered")),
            },
        };
        outcome.unwrap_or_else(|_| Err(self.dropped(mutating && has_started())))
    }

    fn enqueue(&self, meter: &MeterId, mut job: Job) -> Result<(), RequestError> {
        loop {
            if self.0.stop.is_cancelled() {
                return Err(head_end(Kind::ShuttingDown, "the head-end is shutting down"));
            }
            let mailbox = self.0.registry.get_or_start(meter, |voice| self.spawn(meter, voice));
            match mailbox.jobs.try_send(job) {
                Ok(()) => return Ok(()),
                Err(Refused::Full) => {
                    let limit = self.0.options.mailbox;
                    let message = format!("as many requests as may wait for this meter already do (of {limit} places)");
                    return Err(head_end(Kind::Busy, message));
                }
                // The actor ended a moment ago: its place is taken by a new one.
                Err(Refused::Closed(back)) => job = back,
            }
        }
    }

    /// A job whose task ended without answering it.
    fn dropped(&self, maybe_sent: bool) -> RequestError {
        let (kind, message) = match self.0.stop.is_cancelled() {
            true => (Kind::ShuttingDown, "the head-end was shut down before the request was done"),
            false => (Kind::Unreachable, "the meter's task ended unexpectedly"),
        };
        let error = head_end(kind, message);
        if maybe_sent { error.with_kind(Kind::UnknownOutcome).with_sent(true) } else { error }
    }
}

impl MeterAccess for Fleet {
    async fn execute(&self, meter: &MeterId, operation: Operation, terms: Terms) -> Result<Outcome, RequestError> {
        let (began, kind) = (Instant::now(), operation.index());
        let result = self.submit(meter, operation, terms).await;
        match &result {
            Err(error) if error.kind() == Kind::NotFound => self.0.contacts.forget(meter),
            _ => {
                let (contact, now) = (self.tally(meter).own, Timestamp::now());
                contact.ended(result.as_ref().map(drop), began.elapsed(), now);
            }
        }
        let ended = result.as_ref().map(|_| ()).map_err(RequestError::kind);
        self.0.counts.operation(kind, ended, began.elapsed());
        result.map_err(|error| error.with_meter(meter))
    }

    fn invalidate(&self, meter: &MeterId) {
        if let Some(mailbox) = self.0.registry.get(meter) {
            mailbox.control.invalidate();
        }
    }

    fn diagnosis(&self, meter: &MeterId) -> Option<Diagnosis> {
        let contact = self.0.contacts.get(meter)?;
        let waiting = self.0.registry.get(meter).map_or(0, |mailbox| mailbox.jobs.len());
        let route = contact.route().and_then(|name| self.0.routes.load_of(&name));
        Some(Diagnosis { route, ..contact.diagnosis(waiting, Timestamp::now()) })
    }

    fn trace(&self, meter: &MeterId, octets: bool) -> Result<Trace, TraceError> {
        self.0.traces.follow(meter.clone(), octets)
    }
}

/// Runs an actor to its end. A panic in it ends this meter's task and nothing else: its callers are told, and the next
/// request starts a new one.
async fn supervise(fleet: Fleet, meter: MeterId, control: Arc<Control>, actor: Box<Actor>) {
    let run = AssertUnwindSafe(actor.run()).catch_unwind();
    tokio::select! {
        ended = run => if let Err(panic) = ended {
            let reason = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            tracing::error!(%meter, reason = reason.unwrap_or("unknown"), "the meter's task panicked");
        },
        () = fleet.0.abort.cancelled() => {}
    }
    fleet.0.registry.remove(&meter, &control);
    fleet.0.routes.tidy();
}
