//! Sends telegrams to whoever listens, at moments of simulated time.
//!
//! A device makes each telegram once for all who listen, and none when nobody does. A reader that falls behind is sent
//! away: a customer port does not wait either.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dlms::id::ServerSap;
use dlms::p1::EncodeError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_serial::{SerialPortBuilderExt, SerialStream};
use tracing::{debug, warn};

use super::cipher::seal;
use super::counter::{Keeper, next_counter};
use super::{P1Config, Peaks, push, telegram};
use crate::moment::Moment;
use crate::simulator::FleetError;
use crate::simulator::config::SerialConfig;
use crate::simulator::fleet::DeviceHandle;
use crate::simulator::net::{Shared, accept};

/// Telegrams that a reader may be behind.
pub(super) const BEHIND: usize = 8;
/// How long a telegram may take to leave.
const WRITE: Duration = if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(5) };
/// Shortest pause between telegrams however fast simulated time runs.
const PAUSE_MIN: Duration = Duration::from_millis(2);
/// How long to wait before a port that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Longest sleep: a system that was suspended must not sleep on.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// The customer port of one device.
struct Source {
    device: DeviceHandle,
    config: P1Config,
    interval_ms: i64,
    telegrams: broadcast::Sender<Arc<[u8]>>,
    /// Somebody has begun to listen.
    listener: Notify,
    places: Arc<Semaphore>,
}

/// Opens the customer ports of these devices; returns where TCP connections are accepted, device by device.
pub(in crate::simulator) async fn open(
    shared: &Arc<Shared>,
    devices: &[DeviceHandle],
    config: &P1Config,
) -> Result<Vec<SocketAddr>, FleetError> {
    let interval_ms = match config.interval_seconds {
        Some(seconds) => i64::from(seconds) * 1000,
        None => i64::from(config.dialect.interval_ms()),
    };
    if !(1..=86_400_000).contains(&interval_ms) {
        return Err(FleetError::Setting { what: "the interval of telegrams", range: "from 1 to 86400 seconds" });
    }
    if config.serial.len() > devices.len() {
        return Err(FleetError::SerialPorts { ports: config.serial.len(), devices: devices.len() });
    }
    let has_push = |device: &DeviceHandle, setup| {
        let mut groups = device.site.population.groups(device.site.numbers.clone());
        groups.all(|group| group.model.pushes.iter().any(|push| push.instance == setup))
    };
    if let Some(setup) = config.dialect.push_setup()
        && !devices.iter().all(|device| has_push(device, setup))
    {
        let range = "one whose push setup the model has";
        return Err(FleetError::Setting { what: "the dialect of the customer port", range });
    }
    let mut addresses = Vec::new();
    for (number, device) in (0_u32..).zip(devices) {
        let serial = config.serial.get(number as usize);
        if config.tcp.is_none() && serial.is_none() {
            break;
        }
        let source = Arc::new(Source {
            device: device.clone(),
            config: config.clone(),
            interval_ms,
            telegrams: broadcast::Sender::new(BEHIND),
            listener: Notify::new(),
            places: Arc::new(Semaphore::new(shared.limits.connections_per_port)),
        });
        if let Some(first) = config.tcp {
            addresses.push(listen(shared, &source, counted(first, number)?).await?);
        }
        if let Some(serial) = serial {
            let stream = open_serial(serial);
            let stream = stream.map_err(|source| FleetError::Serial { path: serial.path.clone(), source })?;
            let (shared, source, serial) = (Arc::clone(shared), Arc::clone(&source), serial.clone());
            shared.tasks.clone().spawn(async move {
                tokio::select! {
                    () = shared.cancel.cancelled() => {}
                    () = serve_serial(&source, &serial, stream) => {}
                }
            });
        }
        let cancel = shared.cancel.clone();
        shared.tasks.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = source.run() => {}
            }
        });
    }
    Ok(addresses)
}

fn counted(first: SocketAddr, meter: u32) -> Result<SocketAddr, FleetError> {
    let port = match first.port() {
        0 => Some(0),
        port => u32::from(port).checked_add(meter).and_then(|port| u16::try_from(port).ok()),
    };
    let port = port.ok_or(FleetError::Ports { first: first.port(), meter })?;
    Ok(SocketAddr::new(first.ip(), port))
}

async fn listen(shared: &Arc<Shared>, source: &Arc<Source>, address: SocketAddr) -> Result<SocketAddr, FleetError> {
    let refused = |source| FleetError::Listen { protocol: "p1", address, source };
    // The socket takes the place of a connection.
    let Some(descriptor) = shared.descriptors.take() else {
        return Err(refused(io::Error::other("the process may open no more descriptors")));
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    shared.tasks.spawn(serve_readers(Arc::clone(shared), Arc::clone(source), listener, descriptor));
    Ok(bound)
}

async fn serve_readers(
    shared: Arc<Shared>,
    source: Arc<Source>,
    listener: TcpListener,
    _descriptor: OwnedSemaphorePermit,
) {
    while let Some((stream, peer)) = accept::next(&shared, &listener).await {
        let places = (shared.descriptors.take(), Arc::clone(&source.places).try_acquire_owned().ok());
        let (Some(descriptor), Some(place)) = places else {
            debug!(%peer, "a reader of the customer port is one too many");
            let _ = stream.set_zero_linger();
            continue;
        };
        let (cancel, source) = (shared.cancel.clone(), Arc::clone(&source));
        shared.tasks.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                end = serve_tcp(&source, stream) => debug!(%peer, %end, "a reader of the customer port left"),
            }
            drop((descriptor, place));
        });
    }
}

/// Why a reader is no longer served.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("it closed")]
    Closed,
    #[error("it fell behind")]
    Behind,
    #[error("{0}")]
    Io(#[from] io::Error),
}

async fn serve_tcp(source: &Source, mut stream: TcpStream) -> End {
    let (mut incoming, mut outgoing) = stream.split();
    // What a reader sends has no meaning here, but that it has gone must be seen.
    let gone = async move {
        let mut ignored = [0; 256];
        loop {
            match incoming.read(&mut ignored).await {
                Ok(0) => return End::Closed,
                Ok(_) => {}
                Err(error) => return End::Io(error),
            }
        }
    };
    let end = tokio::select! {
        end = gone => end,
        end = send(source, &mut outgoing) => end,
    };
    if matches!(end, End::Behind) {
        // What it has not read is not worth keeping.
        let _ = stream.set_zero_linger();
    }
    end
}

/// Sends telegrams as they are made.
async fn send(source: &Source, out: &mut (impl AsyncWriteExt + Unpin)) -> End {
    let telegrams = source.telegrams.subscribe();
    source.listener.notify_one();
    pass_on(telegrams, out).await
}

pub(super) async fn pass_on(
    mut telegrams: broadcast::Receiver<Arc<[u8]>>,
    out: &mut (impl AsyncWriteExt + Unpin),
) -> End {
    loop {
        let telegram = match telegrams.recv().await {
            Ok(telegram) => telegram,
            Err(RecvError::Lagged(_)) => return End::Behind,
            Err(RecvError::Closed) => return End::Closed,
        };
        match tokio::time::timeout(WRITE, out.write_all(&telegram)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return End::Io(error),
            Err(_) => return End::Behind,
        }
    }
}

fn open_serial(config: &SerialConfig) -> tokio_serial::Result<SerialStream> {
    tokio_serial::new(config.path.to_string_lossy(), config.baud).open_native_async()
}

/// A serial port has no reader that could be sent away: one that is full or lost is opened again.
async fn serve_serial(source: &Source, config: &SerialConfig, stream: SerialStream) {
    let mut stream = Some(stream);
    loop {
        if let Some(open) = &mut stream {
            let end = send(source, open).await;
            debug!(path = %config.path.display(), %end, "customer port begun anew");
        }
        tokio::time::sleep(RETRY).await;
        stream = open_serial(config)
            .inspect_err(|error| warn!(path = %config.path.display(), %error, "cannot open the customer port"))
            .ok();
    }
}

impl Source {
    /// Makes telegrams while somebody listens.
    async fn run(&self) {
        let timeline = self.device.with(|device| *device.timeline());
        let (mut peaks, mut last) = (Peaks::default(), i64::MIN);
        loop {
            if self.telegrams.receiver_count() == 0 {
                self.listener.notified().await;
            }
            let now = timeline.now();
            let slot = now.as_millis().div_euclid(self.interval_ms).max(last).saturating_add(1);
            let due = Moment::from_millis(slot.saturating_mul(self.interval_ms));
            match timeline.until(due) {
                // Nothing is sent where time stands still.
                None => {
                    tokio::time::sleep(SLEEP_MAX).await;
                    continue;
                }
                Some(pause) if pause > SLEEP_MAX => {
                    tokio::time::sleep(SLEEP_MAX).await;
                    continue;
                }
                Some(pause) => tokio::time::sleep(pause.max(PAUSE_MIN)).await,
            }
            last = slot;
            if let Some(telegram) = self.telegram(due, &mut peaks).await {
                // Fails when the last reader has just left.
                let _ = self.telegrams.send(telegram.into());
            }
        }
    }

    /// The octets of the telegram or list of a moment; `None` when there is none.
    async fn telegram(&self, at: Moment, peaks: &mut Peaks) -> Option<Vec<u8>> {
        let dialect = self.config.dialect;
        let list = if dialect.is_push() { Some(push::List::at(dialect, at)?) } else { None };
        let made = self.device.with(|device| {
            device.act(ServerSap(1), |meter, _| {
                let octets = match list {
                    Some(list) => push::notification(dialect, list, meter, at).map_err(EncodeError::from),
                    None => telegram(meter, dialect, at, peaks),
                };
                (octets, meter.identity().system_title, meter.identity().serial.clone())
            })
        });
        let (plain, title, serial) = made?;
        let plain = plain.inspect_err(|error| warn!(%error, "no telegram could be written")).ok()?;
        let octets = match dialect.is_ciphered() {
            false => plain,
            true => {
                let folder = self.device.site.population.state_folder();
                let keeper = folder.map(|folder| Keeper { folder, serial: &serial });
                let counter = next_counter(title, keeper).await?;
                let sealed = seal(dialect, &self.config.keys, title, counter, &plain);
                sealed.inspect_err(|error| warn!(%error, "a telegram could not be ciphered")).ok()?
            }
        };
        if !dialect.is_push() {
            return Some(octets);
        }
        push::framed(dialect, &octets).inspect_err(|error| warn!(%error, "a list could not be framed")).ok()
    }
}
