//! Ports: lines that are read, and opened again when they fail.

use std::{future::pending, io, net::SocketAddr, sync::Arc, time::Duration};

use dlms::p1::{Event, Framer, TELEGRAM_OCTETS_MAX};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_serial::SerialPortBuilderExt;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Frame, ListenError, Place, Port, Refused, Sender, TelegramOptions, Telegrams};
use crate::{operation::MeterAccess, push::Door, store::Store};

/// Octets that are read at once.
const READ: usize = 2_048;
/// How long a telegram may take from its first octet to its last: at 9600 bit/s the longest takes more than the two
/// seconds that the others need.
const COMPLETE_MS: u32 = 10_000;
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// Pauses before a line is opened again, from the first to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What all ports share.
#[derive(Debug)]
pub(super) struct Surroundings {
    door: Arc<Door>,
    idle: Duration,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Surroundings {
    pub(super) fn new(options: &TelegramOptions, tasks: TaskTracker, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            door: Door::new(options.connections, options.connections_per_source, options.rate_per_minute),
            idle: options.idle,
            tasks,
            stop,
        })
    }
}

/// A port that is ready to be served.
#[derive(Debug)]
pub(super) struct OpenPort {
    port: Port,
    listener: Option<TcpListener>,
}

impl OpenPort {
    /// Opens what others connect to; other lines are opened when they are read.
    pub(super) async fn open(port: Port) -> Result<Self, ListenError> {
        let listener = match port.place {
            Place::Listen(address) => {
                let listener = TcpListener::bind(address).await;
                Some(listener.map_err(|source| ListenError { address, source })?)
            }
            Place::Serial { .. } | Place::Connect(_) => None,
        };
        Ok(Self { port, listener })
    }

    /// Where it is listened.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.listener.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Reads the line, or those who connect, until the end.
    pub(super) async fn run<S: Store, A: MeterAccess>(
        self,
        telegrams: Telegrams<S, A>,
        surroundings: Arc<Surroundings>,
    ) {
        let stop = surroundings.stop.clone();
        match self.listener {
            Some(listener) => listen(telegrams, surroundings, self.port, listener).await,
            None => {
                stop.run_until_cancelled(follow(&telegrams, &surroundings, &self.port)).await;
            }
        }
    }
}

impl Port {
    fn sender(&self) -> Sender {
        Sender {
            source: self.name.clone(),
            from: None,
            check_sum: self.check_sum,
            meter: self.meter.clone(),
            tenant: None,
            live: true,
        }
    }
}

/// Opens a line again and again; never ends.
async fn follow<S: Store, A: MeterAccess>(telegrams: &Telegrams<S, A>, surroundings: &Surroundings, port: &Port) {
    let line = Line { telegrams, surroundings, sender: port.sender(), limited: false };
    let mut pause = PAUSES.0;
    loop {
        let mut any = false;
        let ended = match &port.place {
            Place::Serial { device, baud, frame } => match serial(device, *baud, *frame) {
                Ok(mut stream) => line.read(&mut stream, &mut any).await,
                Err(error) => Err(error),
            },
            Place::Connect(address) => {
                match timeout(CONNECT, TcpStream::connect((address.host(), address.port()))).await {
                    Ok(Ok(mut stream)) => line.read(&mut stream, &mut any).await,
                    Ok(Err(error)) => Err(error),
                    Err(_) => Err(io::ErrorKind::TimedOut.into()),
                }
            }
            Place::Listen(_) => pending().await,
        };
        let reason = ended.err().map_or_else(|| "it was closed".to_owned(), |error| error.to_string());
        pause = if any { PAUSES.0 } else { pause };
        tracing::warn!(port = port.name, reason, again_s = pause.as_secs(), "a port for telegrams is opened again");
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

fn serial(device: &std::path::Path, baud: u32, frame: Frame) -> io::Result<tokio_serial::SerialStream> {
    let path = device.to_str().ok_or(io::ErrorKind::InvalidInput)?;
    let (bits, parity) = match frame {
        Frame::Eight => (tokio_serial::DataBits::Eight, tokio_serial::Parity::None),
        Frame::Seven => (tokio_serial::DataBits::Seven, tokio_serial::Parity::Even),
    };
    let port = tokio_serial::new(path, baud).data_bits(bits).parity(parity);
    Ok(port.stop_bits(tokio_serial::StopBits::One).open_native_async()?)
}

/// Takes connections until the engine stops.
async fn listen<S: Store, A: MeterAccess>(
    telegrams: Telegrams<S, A>,
    surroundings: Arc<Surroundings>,
    port: Port,
    listener: TcpListener,
) {
    let stop = surroundings.stop.clone();
    while let Some(next) = stop.run_until_cancelled(surroundings.door.next(&listener)).await {
        telegrams.counts().connected(next.is_some());
        let Some((mut stream, place)) = next else { continue };
        let peer = place.peer;
        let sender = Sender { source: peer.to_string(), from: Some(peer.ip()), ..port.sender() };
        let (telegrams, surroundings) = (telegrams.clone(), Arc::clone(&surroundings));
        surroundings.clone().tasks.spawn(async move {
            let line = Line { telegrams: &telegrams, surroundings: &surroundings, sender, limited: true };
            let read = surroundings.stop.run_until_cancelled(line.read(&mut stream, &mut false)).await;
            if let Some(Err(error)) = read {
                tracing::debug!(%peer, %error, "a connection of telegrams ended");
            }
            drop(place);
        });
    }
}

/// A line with telegrams on it.
struct Line<'a, S, A> {
    telegrams: &'a Telegrams<S, A>,
    surroundings: &'a Surroundings,
    sender: Sender,
    /// Whether whoever is at the other end may send only so much.
    limited: bool,
}

impl<S: Store, A: MeterAccess> Line<'_, S, A> {
    /// Reads until the end of the line, or until it is silent for too long. `any` is set when a telegram was taken.
    async fn read(&self, line: &mut (impl AsyncRead + Unpin), any: &mut bool) -> io::Result<()> {
        let mut framer = Framer::new(vec![0; TELEGRAM_OCTETS_MAX], COMPLETE_MS);
        let began = Instant::now();
        let now = || dlms::Instant::from_millis(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        let mut room = [0; READ];
        let mut idle = Instant::now() + self.surroundings.idle;
        loop {
            let due = framer.poll_timeout().map(|due| began + Duration::from_millis(due.as_millis()));
            let count = match timeout_at(due.map_or(idle, |due| idle.min(due)), line.read(&mut room)).await {
                Ok(Ok(0)) => return Ok(()),
                Ok(count) => count?,
                Err(_) if Instant::now() >= idle => return Err(io::ErrorKind::TimedOut.into()),
                Err(_) => 0,
            };
            if count > 0 {
                idle = Instant::now() + self.surroundings.idle;
            }
            let mut rest = room.get(..count).unwrap_or_default();
            framer.handle_timeout(now());
            loop {
                while let Some(event) = framer.poll_event() {
                    if !self.told(event, &mut framer, any).await {
                        return Ok(());
                    }
                }
                if rest.is_empty() {
                    break;
                }
                let used = framer.handle_input(rest, now());
                rest = rest.get(used..).unwrap_or_default();
            }
        }
    }

    /// Deals with what the framer has; whether the line may go on.
    async fn told(&self, event: Event, framer: &mut Framer<Vec<u8>>, any: &mut bool) -> bool {
        let counts = self.telegrams.counts();
        if let (true, Some(from)) = (self.limited, self.sender.from)
            && !self.surroundings.door.limits().take(from)
        {
            counts.ended(&Err(Refused::RateLimited));
            return false;
        }
        match event {
            Event::Telegram | Event::Ciphered => {
                *any |= self.telegrams.take(framer.octets(), &self.sender).await.is_ok();
            }
            Event::Dropped(reason) => counts.ended(&Err(Refused::Dropped(reason))),
            _ => {}
        }
        true
    }
}
