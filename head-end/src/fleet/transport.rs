//! Octets to and from a meter: TCP, UDP, serial ports, or anything that reads and writes.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};
use tokio_serial::SerialPortBuilderExt;

use super::{
    calls::Lent,
    datagram::{DatagramLine, Sockets},
    sign_on::{opening_baud, sign_on},
};
use crate::meter::{HostPort, LinkConfig, ModeE};

/// Silence on a TCP connection after which the operating system probes whether the peer is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// Between two such probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// A stream of octets in both directions.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// An open way to a meter.
pub enum Transport {
    /// Octets in order, cut anywhere.
    Stream(Box<dyn ByteStream>),
    /// The same on a connection that the meter has made.
    Lent(Lent),
    /// One APDU in each datagram, over a socket that meters share.
    Datagram(DatagramLine),
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Stream(_) => "Stream",
            Self::Lent(_) => "Lent",
            Self::Datagram(_) => "Datagram",
        })
    }
}

/// Why a transport could not be opened, or broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The name service does not know the host, or did not answer.
    #[error("{host} cannot be resolved: {reason}")]
    Resolve {
        /// The host.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// Nobody listens there.
    #[error("{peer} refused the connection")]
    Refused {
        /// Where to.
        peer: String,
    },
    /// The connection was not made in time.
    #[error("no connection to {peer} within {} ms", after.as_millis())]
    TimedOut {
        /// Where to.
        peer: String,
        /// How long was waited.
        after: Duration,
    },
    /// The peer, or something on the way, broke the connection.
    #[error("the connection was reset")]
    Reset,
    /// There is no way to the peer.
    #[error("{peer} cannot be reached: {reason}")]
    Unreachable {
        /// Where to.
        peer: String,
        /// What the operating system said.
        reason: String,
    },
    /// The serial port is missing, busy or refuses its settings.
    #[error("serial port {device}: {reason}")]
    Port {
        /// Its path.
        device: String,
        /// What the operating system said.
        reason: String,
    },
    /// The meter makes its connection itself, and has none.
    #[error("the meter connects by itself, and is not connected")]
    NotCalled,
    /// Anything else that the operating system said.
    #[error("input or output failed: {reason}")]
    Io {
        /// What it said.
        reason: String,
    },
}

impl TransportError {
    /// The error of an open transport.
    pub(super) fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                Self::Reset
            }
            _ => Self::Io { reason: error.to_string() },
        }
    }

    fn from_connect(peer: impl ToString, error: &io::Error) -> Self {
        let peer = peer.to_string();
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused { peer },
            io::ErrorKind::ConnectionReset => Self::Reset,
            _ => Self::Unreachable { peer, reason: error.to_string() },
        }
    }
}

/// Opens transports. The fleet uses [`Network`]; tests bring streams of their own.
pub trait Connector: Send + Sync + 'static {
    /// Opens the way to a meter, at the latest by `deadline`.
    fn connect<'a>(
        &'a self,
        link: &'a LinkConfig,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Transport, TransportError>>;
}

/// The operating system's sockets and serial ports. Clones share the datagram sockets.
#[derive(Clone, Default)]
pub struct Network(Arc<Sockets>);

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network")
    }
}

impl Connector for Network {
    fn connect<'a>(
        &'a self,
        link: &'a LinkConfig,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Transport, TransportError>> {
        Box::pin(async move {
            match link {
                LinkConfig::TcpWrapper { address } | LinkConfig::HdlcTcp { address, .. } => {
                    tcp(address, deadline).await.map(|stream| Transport::Stream(Box::new(stream)))
                }
                // The fleet itself knows of connections that meters make.
                LinkConfig::DialIn => Err(TransportError::NotCalled),
                LinkConfig::UdpWrapper { address } => self.udp(address, deadline).await.map(Transport::Datagram),
                LinkConfig::HdlcSerial { device, baud, mode_e, .. } => {
                    serial(device, *baud, mode_e.as_ref(), deadline).await
                }
            }
        })
    }
}

async fn resolve(address: &HostPort, deadline: Instant) -> Result<Vec<SocketAddr>, TransportError> {
    let failed = |reason: String| TransportError::Resolve { host: address.host().to_owned(), reason };
    let started = Instant::now();
    match timeout_at(deadline, lookup_host((address.host(), address.port()))).await {
        Err(_) => Err(failed(format!("no answer within {} ms", started.elapsed().as_millis()))),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Ok(Ok(addresses)) => {
            let addresses: Vec<_> = addresses.collect();
            if addresses.is_empty() { Err(failed("it has no address".into())) } else { Ok(addresses) }
        }
    }
}

/// Tries the addresses of the host one after the other; the last error is told.
async fn tcp(address: &HostPort, deadline: Instant) -> Result<TcpStream, TransportError> {
    let started = Instant::now();
    let addresses = resolve(address, deadline).await?;
    let mut last = None;
    for (index, peer) in addresses.iter().enumerate() {
        // Each address gets its share of what is left, so that a dead first one does not use up the time.
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match timeout_at(Instant::now() + share, TcpStream::connect(peer)).await {
            Err(_) => last = Some(TransportError::TimedOut { peer: address.to_string(), after: started.elapsed() }),
            Ok(Err(error)) => last = Some(TransportError::from_connect(address, &error)),
            Ok(Ok(stream)) => {
                prepare(&stream).map_err(|error| TransportError::from_io(&error))?;
                return Ok(stream);
            }
        }
    }
    Err(last.unwrap_or(TransportError::TimedOut { peer: address.to_string(), after: started.elapsed() }))
}

/// Makes a connection fit for meters.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    // A request is one small segment that waits for nothing.
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

impl Network {
    /// The first address of the host that there is a way to.
    async fn udp(&self, address: &HostPort, deadline: Instant) -> Result<DatagramLine, TransportError> {
        let nothing = TransportError::Resolve { host: address.host().to_owned(), reason: "it has no address".into() };
        let mut last = nothing;
        for peer in resolve(address, deadline).await? {
            match self.0.open(peer) {
                Ok(line) => return Ok(line),
                Err(error) => last = TransportError::from_connect(address, &error),
            }
        }
        Err(last)
    }
}

/// Opens a serial port with 8 data bits, no parity and one stop bit, as HDLC has it (IEC 62056-46), and signs on there
/// where that comes first.
async fn serial(
    device: &Path,
    baud: u32,
    mode_e: Option<&ModeE>,
    deadline: Instant,
) -> Result<Transport, TransportError> {
    let failed = |reason: String| TransportError::Port { device: device.display().to_string(), reason };
    let path = device.to_str().ok_or_else(|| failed("its path is not valid UTF-8".into()))?;
    let mut port = tokio_serial::new(path, opening_baud(baud, mode_e))
        .data_bits(tokio_serial::DataBits::Eight)
        .parity(tokio_serial::Parity::None)
        .stop_bits(tokio_serial::StopBits::One)
        .flow_control(tokio_serial::FlowControl::None)
        .open_native_async()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mode_e) = mode_e {
        let selected = sign_on(&mut port, baud, mode_e, deadline).await.map_err(failed)?;
        tracing::debug!(device = path, baud = selected, "signed on");
    }
    Ok(Transport::Stream(Box::new(port)))
}

/// What a transport brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// This many octets.
    Octets(usize),
    /// The peer will send no more.
    End,
}

impl Transport {
    /// Whether every [`write`](Self::write) must be one whole APDU.
    pub(super) const fn is_datagram(&self) -> bool {
        matches!(self, Self::Datagram(_))
    }

    /// Waits for octets. A datagram that is not one whole wrapped APDU is passed over: it would put every later one
    /// out of step.
    ///
    /// Cancel safety: no octet is lost when the future is dropped.
    pub(super) async fn read(&mut self, room: &mut [u8]) -> Result<Received, TransportError> {
        match self {
            Self::Stream(stream) => received(stream.read(room).await),
            Self::Lent(stream) => received(stream.read(room).await),
            Self::Datagram(line) => loop {
                let taken = line.receive(|datagram| {
                    let (_, apdu) = dlms::wrapper::decode_datagram(datagram).map_err(|error| error.to_string())?;
                    let length = dlms::wrapper::Header::LENGTH + apdu.len();
                    let whole = datagram.get(..length).ok_or("no length")?;
                    room.get_mut(..length).ok_or("too long")?.copy_from_slice(whole);
                    Ok::<_, String>(length)
                });
                match taken.await {
                    Ok(length) => return Ok(Received::Octets(length)),
                    Err(error) => tracing::debug!(error, "datagram passed over"),
                }
            },
        }
    }

    /// Waits for something to [`read`](Self::read), and where that cannot be had otherwise, reads it into `room`.
    ///
    /// Cancel safety: no octet is lost when the future is dropped.
    pub(super) async fn wake(&mut self, room: &mut [u8]) -> Result<Received, TransportError> {
        match self {
            Self::Stream(_) | Self::Lent(_) => self.read(room).await,
            Self::Datagram(line) => {
                line.arrived().await;
                Ok(Received::Octets(0))
            }
        }
    }

    /// Sends some of `octets`; returns how many.
    ///
    /// Cancel safety: when the future is dropped, nothing was sent.
    pub(super) async fn write(&mut self, octets: &[u8]) -> Result<usize, TransportError> {
        match self {
            Self::Stream(stream) => sent(stream.write(octets).await),
            Self::Lent(stream) => sent(stream.write(octets).await),
            Self::Datagram(line) => match line.send(octets).await {
                Ok(()) => Ok(octets.len()),
                Err(error) => Err(TransportError::from_io(&error)),
            },
        }
    }

    /// Tells the peer that nothing more will come.
    pub(super) async fn shutdown(&mut self) {
        let ended = match self {
            Self::Stream(stream) => stream.shutdown().await,
            Self::Lent(stream) => stream.shutdown().await,
            Self::Datagram(_) => Ok(()),
        };
        if let Err(error) = ended {
            tracing::trace!(%error, "the peer had closed already");
        }
    }

    /// Gives a connection that the meter has made back, for another session; whether it is one.
    pub(super) fn give_back(&mut self) -> bool {
        match self {
            Self::Lent(lent) => {
                lent.give_back();
                true
            }
            Self::Stream(_) | Self::Datagram(_) => false,
        }
    }
}

fn received(read: io::Result<usize>) -> Result<Received, TransportError> {
    match read {
        Ok(0) => Ok(Received::End),
        Ok(count) => Ok(Received::Octets(count)),
        Err(error) => Err(TransportError::from_io(&error)),
    }
}

fn sent(written: io::Result<usize>) -> Result<usize, TransportError> {
    match written {
        Ok(0) => Err(TransportError::Reset),
        Ok(count) => Ok(count),
        Err(error) => Err(TransportError::from_io(&error)),
    }
}
