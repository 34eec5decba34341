//! Datagram sockets that many meters share: a process has fewer descriptors than a fleet has meters.
//!
//! A socket tells its meters apart by their addresses. Where one address is used twice at a time, as by several logical
//! devices of one meter, and for a while after a session, each session is given another socket: an answer that comes too
//! late must not be taken for one to the session that follows.

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dashmap::{DashMap, Entry};
use socket2::SockRef;
use tokio::{
    net::UdpSocket,
    sync::Notify,
    task::AbortHandle,
    time::{Instant, sleep},
};

/// Sockets that the load is spread over.
const SPREAD: usize = 4;
/// Sockets of one family, at most: so many sessions can be held with one address.
const SOCKETS_MAX: usize = 256;
/// How long after a session its address is not used on the same socket.
const LINGER: Duration = Duration::from_secs(30);
/// Datagrams of one meter that may wait. A meter answers one request at a time; what goes beyond is lost, as on the way.
const WAITING: usize = 8;
/// Octets that may wait in the operating system for one socket, as far as that allows it.
const SYSTEM_BUFFER: usize = 4 * 1024 * 1024;
/// Room for the largest datagram.
const DATAGRAM_OCTETS: usize = 65_535;
/// How long a socket that the operating system complains about is left alone.
const RECOVERY: Duration = Duration::from_millis(100);

/// The sockets of both families.
#[derive(Default)]
pub(super) struct Sockets {
    v4: Pool,
    v6: Pool,
}

impl Sockets {
    /// A way to `peer`.
    ///
    /// # Errors
    /// As the operating system says; `AddrInUse` where too many sessions are held with that address.
    pub(super) fn open(&self, peer: SocketAddr) -> io::Result<DatagramLine> {
        if peer.is_ipv6() { &self.v6 } else { &self.v4 }.open(peer)
    }
}

/// Sockets of one family.
#[derive(Default)]
struct Pool {
    sockets: Mutex<Vec<Reading>>,
    next: AtomicUsize,
}

/// A socket, and the task that reads from it.
struct Reading {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Shared {
    socket: UdpSocket,
    peers: DashMap<SocketAddr, Peer>,
}

enum Peer {
    Live(Arc<Inbox>),
    /// Until when the address is not used again.
    Left(Instant),
}

impl Pool {
    fn open(&self, peer: SocketAddr) -> io::Result<DatagramLine> {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        while sockets.len() < SPREAD {
            sockets.push(Reading::start(peer.is_ipv6())?);
        }
        let first = self.next.fetch_add(1, Ordering::Relaxed) % SPREAD;
        let spread = (0..SPREAD).map(|n| (first + n) % SPREAD).chain(SPREAD..sockets.len());
        for index in spread {
            if let Some(line) = sockets.get(index).and_then(|reading| DatagramLine::new(&reading.shared, peer)) {
                return Ok(line);
            }
        }
        if sockets.len() < SOCKETS_MAX {
            let reading = Reading::start(peer.is_ipv6())?;
            let line = DatagramLine::new(&reading.shared, peer);
            sockets.push(reading);
            if let Some(line) = line {
                return Ok(line);
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{SOCKETS_MAX} sessions are held with that address")))
    }
}

impl Reading {
    fn start(v6: bool) -> io::Result<Self> {
        let any = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let socket = std::net::UdpSocket::bind(SocketAddr::new(any, 0))?;
        socket.set_nonblocking(true)?;
        if let Err(error) = SockRef::from(&socket).set_recv_buffer_size(SYSTEM_BUFFER) {
            tracing::debug!(%error, "the receive buffer keeps its size");
        }
        let shared = Arc::new(Shared { socket: UdpSocket::from_std(socket)?, peers: DashMap::new() });
        let task = tokio::spawn(read(Arc::clone(&shared))).abort_handle();
        Ok(Self { shared, task })
    }
}

/// Hands what arrives to whose it is, until the task is ended.
async fn read(shared: Arc<Shared>) {
    let mut room = vec![0; DATAGRAM_OCTETS];
    let mut tidied = Instant::now();
    loop {
        let received = tokio::select! {
            received = shared.socket.recv_from(&mut room) => received,
            () = sleep(LINGER) => Err(io::ErrorKind::TimedOut.into()),
        };
        match received {
            Ok((count, peer)) => {
                let inbox = match shared.peers.get(&peer).as_deref() {
                    Some(Peer::Live(inbox)) => Some(Arc::clone(inbox)),
                    _ => None,
                };
                match inbox {
                    Some(inbox) => inbox.push(room.get(..count).unwrap_or_default()),
                    None => tracing::trace!(%peer, octets = count, "datagram of nobody that is waited for"),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            Err(error) => {
                tracing::debug!(%error, "a datagram socket complains");
                sleep(RECOVERY).await;
            }
        }
        let now = Instant::now();
        if now >= tidied + LINGER {
            tidied = now;
            shared.peers.retain(|_, peer| !matches!(peer, Peer::Left(until) if *until <= now));
        }
    }
}

/// Datagrams of one meter that have arrived.
#[derive(Default)]
struct Inbox {
    waiting: Mutex<VecDeque<Box<[u8]>>>,
    arrived: Notify,
}

impl Inbox {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Box<[u8]>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, datagram: &[u8]) {
        let mut waiting = self.waiting();
        if waiting.len() < WAITING {
            waiting.push_back(datagram.into());
            drop(waiting);
            self.arrived.notify_one();
        }
    }
}

/// The way to one meter over a shared socket. What is sent leaves at once, what arrives waits here.
pub struct DatagramLine {
    shared: Arc<Shared>,
    peer: SocketAddr,
    inbox: Arc<Inbox>,
}

impl DatagramLine {
    /// Unless the address is in use on this socket, or was until just now.
    fn new(shared: &Arc<Shared>, peer: SocketAddr) -> Option<Self> {
        let inbox = Arc::<Inbox>::default();
        let live = Peer::Live(Arc::clone(&inbox));
        match shared.peers.entry(peer) {
            Entry::Vacant(free) => drop(free.insert(live)),
            Entry::Occupied(mut left) => match left.get() {
                Peer::Left(until) if *until <= Instant::now() => drop(left.insert(live)),
                Peer::Left(_) | Peer::Live(_) => return None,
            },
        }
        Some(Self { shared: Arc::clone(shared), peer, inbox })
    }

    /// Waits for a datagram; cancel safe.
    pub(super) async fn arrived(&self) {
        while self.inbox.waiting().is_empty() {
            self.inbox.arrived.notified().await;
        }
    }

    /// Waits for a datagram and hands it to `take`; cancel safe.
    pub(super) async fn receive<T>(&self, take: impl FnOnce(&[u8]) -> T) -> T {
        loop {
            let datagram = self.inbox.waiting().pop_front();
            match datagram {
                Some(datagram) => return take(&datagram),
                None => self.inbox.arrived.notified().await,
            }
        }
    }

    /// Sends one datagram.
    pub(super) async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.shared.socket.send_to(datagram, self.peer).await.map(|_| ())
    }
}

impl Drop for DatagramLine {
    fn drop(&mut self) {
        self.shared.peers.insert(self.peer, Peer::Left(Instant::now() + LINGER));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn meter() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    /// Who asked, as the meter sees it.
    async fn asked(meter: &UdpSocket, line: &DatagramLine) -> SocketAddr {
        line.send(b"?").await.unwrap();
        let mut room = [0; 8];
        meter.recv_from(&mut room).await.unwrap().1
    }

    #[tokio::test]
    async fn meters_on_one_socket_are_told_apart() {
        let sockets = Sockets::default();
        let mut lines = Vec::new();
        for _ in 0..32 {
            let (socket, address) = meter().await;
            lines.push((socket, sockets.open(address).unwrap()));
        }
        for (index, (socket, line)) in lines.iter().enumerate() {
            let from = asked(socket, line).await;
            socket.send_to(&[index as u8], from).await.unwrap();
        }
        for (index, (_, line)) in lines.iter().enumerate() {
            assert_eq!(line.receive(<[u8]>::to_vec).await, [index as u8]);
        }
        assert_eq!(sockets.v4.sockets.lock().unwrap().len(), SPREAD);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_in_use_or_used_just_now_gets_another_socket() {
        let sockets = Sockets::default();
        let (meter, address) = meter().await;
        let (one, other) = (sockets.open(address).unwrap(), sockets.open(address).unwrap());
        let (first, second) = (asked(&meter, &one).await, asked(&meter, &other).await);
        assert_ne!(first, second);
        drop((one, other));
        let mut seen = vec![first, second];
        for _ in 0..SPREAD {
            let line = sockets.open(address).unwrap();
            let from = asked(&meter, &line).await;
            assert!(!seen.contains(&from), "{from} again");
            seen.push(from);
        }
        // Later the sockets are used again.
        sleep(2 * LINGER).await;
        let line = sockets.open(address).unwrap();
        assert!(seen.contains(&asked(&meter, &line).await));
        assert_eq!(sockets.v4.sockets.lock().unwrap().len(), seen.len());
    }

    #[tokio::test]
    async fn what_nobody_takes_is_bounded_and_strangers_are_not_heard() {
        let sockets = Sockets::default();
        let (meter, address) = meter().await;
        let (stranger, _) = self::meter().await;
        let line = sockets.open(address).unwrap();
        let from = asked(&meter, &line).await;
        stranger.send_to(b"stranger", from).await.unwrap();
        for _ in 0..3 * WAITING {
            meter.send_to(b"meter", from).await.unwrap();
        }
        line.arrived().await;
        // Those that fit may still be on their way.
        sleep(Duration::from_millis(200)).await;
        let waiting = line.inbox.waiting();
        assert_eq!(waiting.len(), WAITING);
        assert!(waiting.iter().all(|datagram| **datagram == *b"meter"));
    }
}
