//! Meters that connect to the head-end themselves.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::uses::Way;
use super::{Port, Shared, tcp};
use crate::simulator::config::DialConfig;
use crate::simulator::device::sap;
use crate::simulator::fleet::handle::Site;
use crate::simulator::fleet::open::counted_ip;

/// How long a head-end may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(30);
/// Stream of the noise that moments are drawn from.
const MOMENTS: u64 = 4_000;

/// Lets meters connect until the fleet is shut down.
pub(in crate::simulator) fn start(shared: &Arc<Shared>, sites: Vec<Arc<Site>>, config: DialConfig) {
    let dialler = Arc::new(Dialler {
        shared: Arc::clone(shared),
        attempts: Semaphore::new(config.attempts.min(Semaphore::MAX_PERMITS)),
        sites,
        config,
    });
    shared.tasks.spawn(dialler.run());
}

struct Dialler {
    shared: Arc<Shared>,
    sites: Vec<Arc<Site>>,
    config: DialConfig,
    /// Connections that may be in the making.
    attempts: Semaphore,
}

/// A meter whose turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    at: Instant,
    index: usize,
    /// Times that it tried.
    tries: u32,
    /// Times in a row that it tried in vain.
    failures: u32,
}

impl Dialler {
    async fn run(self: Arc<Self>) {
        let start = Instant::now();
        let first =
            |index| Turn { at: start + self.jitter(index, 0, self.config.spread), index, tries: 0, failures: 0 };
        let mut waiting: BinaryHeap<Reverse<Turn>> = (0..self.sites.len()).map(|index| Reverse(first(index))).collect();
        // Everyone on a connection comes back here exactly once, so this is as bounded as connections are.
        let (ended, mut over) = mpsc::unbounded_channel();
        let mut connected = 0;
        loop {
            let next = waiting.peek().map(|turn| turn.0.at).filter(|_| connected < self.config.connections);
            tokio::select! {
                biased;
                () = self.shared.cancel.cancelled() => return,
                turn = over.recv() => {
                    connected -= 1;
                    waiting.extend(turn.map(Reverse));
                }
                () = sleep_until(next.unwrap_or(start)), if next.is_some() => {
                    let Some(Reverse(turn)) = waiting.pop() else { continue };
                    connected += 1;
                    let (dialler, ended) = (Arc::clone(&self), ended.clone());
                    self.shared.tasks.spawn(async move {
                        let next = dialler.turn(turn).await;
                        // The fleet is shut down when nobody wants to know.
                        let _ = ended.send(next);
                    });
                }
            }
        }
    }

    /// A meter's turn, from the attempt to the end of the connection; returns the next one.
    async fn turn(&self, turn: Turn) -> Turn {
        let connected = tokio::select! {
            () = self.shared.cancel.cancelled() => Err(std::io::ErrorKind::Interrupted.into()),
            connected = self.connect(turn.index) => connected,
        };
        let failures = match connected {
            Ok((stream, descriptor)) => {
                let end = self.serve(turn.index, stream).await;
                drop(descriptor);
                debug!(meter = turn.index, end, "dialled connection ended");
                0
            }
            Err(error) => {
                self.shared.counts.dial_failures.add(1);
                debug!(meter = turn.index, to = %self.config.to, %error, "cannot connect");
                turn.failures.saturating_add(1)
            }
        };
        let tries = turn.tries.saturating_add(1);
        let (shortest, longest) = self.config.pause;
        let pause = shortest.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(longest);
        // A whole half of it is random: whoever lost a head-end together does not come back together.
        let half = pause / 2;
        let at = Instant::now() + half + self.jitter(turn.index, tries, half);
        Turn { at, index: turn.index, tries, failures }
    }

    /// Opens a connection, from the meter's own address where it has one.
    async fn connect(&self, index: usize) -> std::io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let closed = || std::io::Error::from(std::io::ErrorKind::Interrupted);
        let _attempt = self.attempts.acquire().await.map_err(|_| closed())?;
        let descriptor = self.shared.descriptors.wait().await.ok_or_else(closed)?;
        let socket = if self.config.to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(first) = self.config.from {
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            let source = counted_ip(SocketAddr::new(first, 0), number);
            socket.bind(source.map_err(|error| std::io::Error::other(error.to_string()))?)?;
        }
        let stream = timeout(CONNECT, socket.connect(self.config.to)).await??;
        Ok((stream, descriptor))
    }

    async fn serve(&self, index: usize, mut stream: TcpStream) -> String {
        let Some(site) = self.sites.get(index) else { return String::new() };
        if self.config.banner {
            let name = site.population.identity(site.numbers.start, sap(0));
            let line = name.map(|identity| identity.logical_device_name).unwrap_or_default() + "\n";
            let sent = timeout(self.shared.limits.idle, stream.write_all(line.as_bytes())).await;
            if !matches!(sent, Ok(Ok(()))) {
                return "the banner was not taken".to_owned();
            }
        }
        tcp::serve(&Port::new(&self.shared, site), stream, Way::Dialled).await.to_string()
    }

    /// A part of `whole` that is another one for each meter and each time.
    fn jitter(&self, index: usize, tries: u32, whole: Duration) -> Duration {
        let Some(site) = self.sites.get(index) else { return whole };
        let noise = site.population.fault_noise(site.numbers.start).stream(MOMENTS);
        whole.mul_f64(noise.unit(i64::from(tries)))
    }
}
