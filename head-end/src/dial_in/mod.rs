//! Meters that connect to the head-end (as behind GPRS), and are then read on the connection that they made.
//!
//! ```text
//!   TCP ─▶ what it sends first: heartbeat, notification, a line of text ┐
//!     └──▶ silence: an association of the public client ────────────────┴▶ claim ▶ registered meter ▶ its actor
//!                                                                                   association ▶ belief
//! ```
//!
//! What a caller says of itself is a claim. It chooses whose association is tried on the connection, and nothing else: only
//! when that has opened, with the keys of the meter where it has some, does the connection take the place of the one
//! before.

mod claim;
mod options;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::claim::{Begun, Claim};
pub use self::options::DialInOptions;
use crate::{
    events::EventLog,
    fleet::{Fleet, Line},
    measure::Counter,
    meter::{EquipmentId, LifecycleStatus, LinkConfig, MeterId},
    operation::Identity,
    push::{Admitted, Alerts, Door, PushSink, Unclaimed, write_notes},
    registry::{Registry, RegistryError},
    store::{DeviceIdentity, Store, StoredMeter},
};

/// How often connections that nobody uses are looked at.
const SWEEP: Duration = Duration::from_secs(5);
/// Connections a minute from one source: a meter that is turned away comes back at once.
const RATE: u32 = 600;

/// Outcomes of connections, as they are counted.
const OUTCOMES: [&str; 5] = ["identified", "unknown", "silent", "refused", "too_many"];

/// What became of connections that meters made.
#[derive(Debug, Default)]
pub struct Counts {
    outcomes: [Counter; OUTCOMES.len()],
    unclaimed_dropped: Counter,
}

impl Counts {
    fn count(&self, outcome: &'static str) {
        let place = OUTCOMES.iter().position(|name| *name == outcome);
        place.and_then(|place| self.outcomes.get(place)).map(Counter::inc);
    }

    /// Connections by outcome.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        OUTCOMES.into_iter().zip(self.outcomes.iter().map(Counter::get))
    }

    /// Sightings of unknown devices that found no room.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.unclaimed_dropped.get()
    }
}

/// The listeners for meters that connect.
#[derive(Debug)]
pub struct DialIn {
    counts: Arc<Counts>,
    addresses: Vec<SocketAddr>,
}

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for meters on {address}")]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub source: io::Error,
}

/// What all connections share.
struct Shared<S> {
    registry: Arc<Registry<S>>,
    fleet: Arc<Fleet>,
    /// Where notifications go that come before a session.
    pushes: Arc<dyn PushSink>,
    options: DialInOptions,
    counts: Arc<Counts>,
    unclaimed: Unclaimed,
    alerts: Alerts,
}

impl DialIn {
    /// Opens the listeners of `options` and serves them on `tasks` until `stop`. At most `unclaimed` unknown devices are
    /// remembered.
    ///
    /// # Errors
    /// [`ListenError`]; then nothing is listened for.
    pub(crate) async fn start<S: Store>(
        (registry, events): (Arc<Registry<S>>, Arc<EventLog>),
        fleet: Arc<Fleet>,
        pushes: Arc<dyn PushSink>,
        (options, unclaimed): (DialInOptions, usize),
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Self, ListenError> {
        let mut listeners = Vec::new();
        for &address in &options.listen {
            let listener = TcpListener::bind(address).await;
            listeners.push(listener.map_err(|source| ListenError { address, source })?);
        }
        let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let counts = Arc::new(Counts::default());
        let this = Self { counts: Arc::clone(&counts), addresses };
        if listeners.is_empty() {
            return Ok(this);
        }
        let door = Door::new(options.connections, options.connections_per_source, RATE);
        let (noted, alerts) = (Unclaimed::default(), Alerts::default());
        let shared = Arc::new(Shared { registry, fleet, pushes, options, counts, unclaimed: noted, alerts });
        for listener in listeners {
            let listening = listen(Arc::clone(&shared), Arc::clone(&door), listener, tasks.clone(), stop.clone());
            tasks.spawn(stop.clone().run_until_cancelled_owned(listening));
        }
        let (sweeping, fleet) = (stop.clone(), Arc::clone(&shared.fleet));
        tasks.spawn(sweeping.run_until_cancelled_owned(async move {
            let mut ticks = tokio::time::interval(SWEEP);
            loop {
                ticks.tick().await;
                fleet.sweep_calls();
            }
        }));
        let stop = stop.clone();
        tasks.spawn(async move {
            let Shared { registry, unclaimed: heard, alerts, .. } = &*shared;
            write_notes(&**registry.store(), &events, heard, alerts, unclaimed, &stop).await;
        });
        Ok(this)
    }

    /// What became of connections so far.
    #[must_use]
    pub const fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Where it is listened, in the order of the options.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

/// Takes connections; never ends.
async fn listen<S: Store>(
    shared: Arc<Shared<S>>,
    door: Arc<Door>,
    listener: TcpListener,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    loop {
        let Some((stream, place)) = door.next(&listener).await else {
            shared.counts.count("too_many");
            continue;
        };
        if !door.limits().take(place.peer.ip()) {
            shared.counts.count("too_many");
            continue;
        }
        let shared = Arc::clone(&shared);
        tasks.spawn(stop.clone().run_until_cancelled_owned(async move {
            let peer = place.peer;
            let outcome = shared.greet(stream, place).await;
            shared.counts.count(outcome);
            tracing::debug!(%peer, outcome, "a connection of a meter");
        }));
    }
}

impl<S: Store> Shared<S> {
    /// Finds out who calls, and hands the connection to whoever speaks to that meter; what became of it.
    async fn greet(&self, mut stream: tokio::net::TcpStream, place: Admitted) -> &'static str {
        let peer = place.peer;
        if let Err(error) = crate::fleet::prepare(&stream) {
            tracing::debug!(%peer, %error, "a connection of a meter cannot be used");
            return "silent";
        }
        let deadline = Instant::now() + self.options.identify;
        let begun = match claim::begin(&mut stream, self.options.first, deadline).await {
            Ok(begun) => begun,
            Err(error) => {
                tracing::debug!(%peer, %error, "a connection of a meter ended before it was known whose");
                return "silent";
            }
        };
        let Begun { mut claim, apdu, rest } = begun;
        if let Some(apdu) = apdu {
            // Kept like any other push; where its tag is right, it names its meter.
            if let Some(meter) = self.pushes.take(apdu, peer).await {
                claim = Some(Claim::Meter(meter));
            }
        }
        let line = Line::new(stream, &rest, place);
        let (line, claim) = match claim {
            Some(claim) => (line, claim),
            None => match self.fleet.ask_identity(line, deadline).await {
                Ok((line, identity)) => (line, claimed(identity)),
                Err(error) => {
                    tracing::debug!(%peer, %error, "a connection of a meter that does not say who it is");
                    return "silent";
                }
            },
        };
        match self.meter(&claim).await {
            Ok(Some(meter)) if self.fleet.called(&meter, line) => "identified",
            Ok(Some(_)) => "too_many",
            Ok(None) => {
                if let Some(identity) = claim.identity(peer)
                    && !self.unclaimed.heard(identity, peer)
                {
                    self.counts.unclaimed_dropped.inc();
                }
                "unknown"
            }
            Err(error) => {
                tracing::warn!(%peer, %error, "whose connection it is could not be found out");
                "refused"
            }
        }
    }

    /// The meter that is registered for a claim and connects itself; none where several are.
    async fn meter(&self, claim: &Claim) -> Result<Option<MeterId>, RegistryError> {
        let store = self.registry.store();
        let mut found = match claim {
            Claim::Meter(meter) => store.meter(meter).await?.into_iter().collect(),
            Claim::Title(title) => store.meters_by_title(*title).await?,
            Claim::Name(name) => store.meters_by_device_name(name).await?,
            Claim::Nothing => Vec::new(),
        };
        let dials_in = |stored: &StoredMeter| {
            let settings = &stored.record.settings;
            matches!(settings.link, LinkConfig::DialIn) && settings.lifecycle.status != LifecycleStatus::Decommissioned
        };
        found.retain(dials_in);
        Ok(found.pop().filter(|_| found.is_empty()).map(|stored| stored.record.id))
    }
}

/// What a meter said of itself when it was asked.
fn claimed(identity: Identity) -> Claim {
    let name = identity.logical_device_name.and_then(|name| String::from_utf8(name).ok());
    match (name.map(|name| name.trim().to_owned()), identity.system_title) {
        (Some(name), _) if !name.is_empty() => Claim::Name(name),
        (_, Some(title)) => Claim::Title(title),
        (_, None) => Claim::Nothing,
    }
}

impl Claim {
    /// What an unknown caller is remembered as.
    fn identity(&self, peer: SocketAddr) -> Option<DeviceIdentity> {
        match self {
            Self::Meter(_) => None,
            Self::Title(title) => Some(DeviceIdentity::Title(*title)),
            Self::Name(name) => {
                let text = || EquipmentId::printed_text(name);
                Some(text().map_or(DeviceIdentity::Address(peer.ip().to_canonical()), DeviceIdentity::Name))
            }
            Self::Nothing => Some(DeviceIdentity::Address(peer.ip().to_canonical())),
        }
    }
}
