//! What meters send by themselves.
//!
//! ```text
//!   TCP, UDP, HDLC ─▶ frames, general blocks ─▶ Intake ──▶ store ──▶ confirmation
//!                       bounded, rate-limited      │         │
//!                                                  │         └▶ Reader: readings and events
//!                                                  └ system title ▶ key ▶ tag ▶ counter
//! ```
//!
//! Nothing of a payload is believed before its tag is verified with the key of the meter that the system title names,
//! and its counter is above all that were seen, which the store knows across restarts. Counter and notification are
//! kept in one transaction; the confirmation follows it. Nothing that arrives changes where a meter is looked for.

mod alerts;
mod blocks;
mod body;
mod counts;
mod door;
mod intake;
mod learn;
mod limits;
mod options;
mod reader;
mod refused;
mod session;
mod tcp;
mod template;
mod udp;
mod unclaimed;

#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::{Mutex, Notify, mpsc},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::{
    alerts::Alerts,
    door::{Admitted, Door},
    unclaimed::Unclaimed,
};
use self::{blocks::Blocks, intake::Intake, limits::Limits, reader::Reader, tcp::Framing};
pub use self::{
    counts::{Counts, Seen},
    options::PushOptions,
    refused::Refused,
    template::{BodyShape, Template, Templates},
};
use crate::{
    events::EventLog, fleet::Notification, head_end::HeadEnd, meter::MeterId, operation::MeterAccess,
    registry::Registry, store::Store,
};

/// How often unclaimed devices are written.
const UNCLAIMED_PERIOD: Duration = Duration::from_secs(1);

/// The listeners of a head-end.
#[derive(Debug)]
pub struct Listeners {
    counts: Arc<Counts>,
    kept: Arc<Notify>,
    addresses: Vec<SocketAddr>,
    sink: Arc<dyn PushSink>,
}

/// Takes notifications that came elsewhere.
pub(crate) trait PushSink: Send + Sync {
    /// Takes one like those that come to the listeners; the meter, where it is believed and kept.
    fn take(&self, apdu: Vec<u8>, source: SocketAddr) -> BoxFuture<'_, Option<MeterId>>;
}

impl std::fmt::Debug for dyn PushSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PushSink")
    }
}

impl<S: Store> PushSink for Shared<S> {
    fn take(&self, mut apdu: Vec<u8>, source: SocketAddr) -> BoxFuture<'_, Option<MeterId>> {
        Box::pin(async move {
            if !self.door.limits().take(source.ip()) {
                self.intake.refuse(&Refused::RateLimited, source);
                return None;
            }
            self.intake.take(&mut apdu, source).await.ok().map(|taken| taken.meter)
        })
    }
}

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for pushes on {address}")]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub source: io::Error,
}

/// What all listeners share.
#[derive(Debug)]
struct Shared<S> {
    registry: Arc<Registry<S>>,
    intake: Intake<S>,
    options: PushOptions,
    /// Those who connect, whose addresses are theirs.
    door: Arc<Door>,
    /// Of those who send datagrams alone, and may say any address: they fill no table but this one.
    datagrams: Limits,
    tasks: TaskTracker,
    stop: CancellationToken,
    began: Instant,
}

impl<S: Store> Shared<S> {
    fn ticks(&self) -> dlms::Instant {
        let elapsed = Instant::now().saturating_duration_since(self.began).as_millis();
        dlms::Instant::from_millis(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    fn moment(&self, ticks: dlms::Instant) -> Instant {
        self.began + Duration::from_millis(ticks.as_millis())
    }

    /// Takes an APDU or a block of one, if its source may send it; returns what is to be answered.
    async fn take(&self, blocks: &mut Blocks, apdu: Vec<u8>, peer: SocketAddr) -> Result<Option<Vec<u8>>, Refused> {
        if !self.door.limits().take(peer.ip()) {
            self.intake.refuse(&Refused::RateLimited, peer);
            return Err(Refused::RateLimited);
        }
        self.gather(blocks, apdu, peer).await
    }

    async fn gather(&self, blocks: &mut Blocks, apdu: Vec<u8>, peer: SocketAddr) -> Result<Option<Vec<u8>>, Refused> {
        let limit = self.options.apdu_octets;
        let joined = match apdu.len() > limit {
            true => Err(Refused::TooLong { limit }),
            false => blocks.push(apdu),
        };
        match joined {
            Ok(Some(mut apdu)) => self.intake.take(&mut apdu, peer).await.map(|taken| taken.confirmation),
            Ok(None) => Ok(None),
            Err(refused) => {
                self.intake.refuse(&refused, peer);
                Err(refused)
            }
        }
    }
}

impl Listeners {
    /// Opens the listeners of `options` and serves them on `tasks` until `stop`; takes what comes inside sessions as well, and
    /// with the second part what comes elsewhere.
    ///
    /// # Errors
    /// [`ListenError`]; then nothing is listened for.
    pub async fn start<S: Store>(
        registry: Arc<Registry<S>>,
        events: Arc<EventLog>,
        notifications: mpsc::Receiver<Notification>,
        (options, elsewhere): (PushOptions, bool),
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Self, ListenError> {
        let mut streams = Vec::new();
        let framings = options.tcp.iter().map(|address| (*address, Framing::Wrapper));
        for (address, framing) in framings.chain(options.hdlc_tcp.iter().map(|address| (*address, Framing::Hdlc))) {
            let listener = TcpListener::bind(address).await;
            streams.push((listener.map_err(|source| ListenError { address, source })?, framing));
        }
        let mut sockets = Vec::new();
        for &address in &options.udp {
            let socket = UdpSocket::bind(address).await;
            sockets.push(socket.map_err(|source| ListenError { address, source })?);
        }
        let addresses = streams.iter().map(|(listener, _)| listener.local_addr());
        let addresses: io::Result<Vec<_>> = addresses.chain(sockets.iter().map(UdpSocket::local_addr)).collect();
        let addresses = addresses.map_err(|source| {
            let address = SocketAddr::from(([0, 0, 0, 0], 0));
            ListenError { address, source }
        })?;
        let (counts, kept) = (Arc::new(Counts::default()), Arc::new(Notify::new()));
        let shared = Arc::new(Shared {
            registry: Arc::clone(&registry),
            intake: Intake::new(registry, Arc::clone(&counts), Arc::clone(&kept)),
            door: Door::new(options.connections, options.connections_per_source, options.rate_per_minute),
            datagrams: Limits::new(options.rate_per_minute, 0),
            tasks: tasks.clone(),
            stop: stop.clone(),
            began: Instant::now(),
            options,
        });
        for (listener, framing) in streams {
            tasks.spawn(tcp::listen(Arc::clone(&shared), listener, framing));
        }
        for socket in sockets {
            tasks.spawn(udp::listen(Arc::clone(&shared), socket));
        }
        tasks.spawn(session::listen(Arc::clone(&shared), notifications));
        let sink = Arc::clone(&shared);
        if !addresses.is_empty() || elsewhere {
            tasks.spawn(async move {
                let (store, Intake { unclaimed, alerts, .. }) = (&**shared.registry.store(), &shared.intake);
                write_notes(store, &events, unclaimed, alerts, shared.options.unclaimed, &shared.stop).await;
            });
        }
        Ok(Self { counts, kept, addresses, sink })
    }

    /// Reads what was kept into readings and events, on `tasks` until `stop`.
    pub fn read<S: Store, A: MeterAccess>(
        &self,
        head_end: HeadEnd<S, A>,
        templates: Templates,
        keep: Duration,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let reader = Arc::new(Reader {
            head_end,
            templates,
            counts: Arc::clone(&self.counts),
            kept: Arc::clone(&self.kept),
            keep,
            stop: stop.clone(),
            learning: Mutex::default(),
        });
        tasks.spawn(reader.run());
    }

    /// What takes notifications that came elsewhere.
    pub(crate) fn sink(&self) -> Arc<dyn PushSink> {
        Arc::clone(&self.sink)
    }

    /// What was seen so far.
    #[must_use]
    pub const fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Where it is listened: TCP with the wrapper, HDLC, UDP, each in the order of the options.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Wakes whoever reads what was kept.
    #[must_use]
    pub const fn kept(&self) -> &Arc<Notify> {
        &self.kept
    }
}

/// Writes what was noticed until `stop`: unknown devices, `most` of them at most, and events of the head-end's own.
pub(crate) async fn write_notes<S: Store>(
    store: &S,
    events: &EventLog,
    unclaimed: &Unclaimed,
    alerts: &Alerts,
    most: usize,
    stop: &CancellationToken,
) {
    let mut ticks = tokio::time::interval(UNCLAIMED_PERIOD);
    loop {
        let stopped = stop.run_until_cancelled(ticks.tick()).await.is_none();
        for device in unclaimed.write(store, most).await {
            tracing::info!(device = device.identity.text(), source = device.source, "an unknown device was heard");
            alerts.unclaimed(device.identity, &device.source);
        }
        if let Err(error) = events.record(store, alerts.take()).await {
            tracing::error!(%error, "what was noticed was not taken by the store as events");
        }
        if stopped {
            return;
        }
    }
}
