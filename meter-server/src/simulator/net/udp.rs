//! UDP: one wrapper APDU in each datagram.

use std::net::SocketAddr;
use std::time::Instant;

use dlms::wrapper::{Header, decode_datagram, server::Wrapper};
use tokio::net::UdpSocket;
use tracing::{debug, warn};

use super::{ConnectionNumbers, Line, OsRandom, Port, ticks};
use crate::simulator::FleetError;
use crate::simulator::fault::{FaultKind, FaultPlan};

/// Largest datagram.
const DATAGRAM_OCTETS: usize = 65_535;

/// What is kept of one client address.
struct Peer {
    address: SocketAddr,
    line: Line<Wrapper<Vec<u8>>>,
    faults: FaultPlan,
    silent: bool,
    heard: Instant,
}

/// Serves datagrams; returns the address that is listened on.
pub(in crate::simulator) async fn listen(port: &Port, address: SocketAddr) -> Result<SocketAddr, FleetError> {
    let refused = |source| FleetError::Listen { protocol: "udp", address, source };
    let socket = UdpSocket::bind(address).await.map_err(refused)?;
    let bound = socket.local_addr().map_err(refused)?;
    let server = Server { port: port.clone(), socket, peers: Vec::new(), numbers: ConnectionNumbers::default() };
    port.tasks.spawn(server.run());
    Ok(bound)
}

struct Server {
    port: Port,
    socket: UdpSocket,
    /// The one heard last at the end.
    peers: Vec<Peer>,
    numbers: ConnectionNumbers,
}

impl Server {
    async fn run(mut self) {
        let cancel = self.port.cancel.clone();
        let mut datagram = vec![0; DATAGRAM_OCTETS];
        let mut outgoing = vec![0; DATAGRAM_OCTETS];
        loop {
            let received = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                received = self.socket.recv_from(&mut datagram) => received,
            };
            match received {
                Ok((length, from)) => {
                    self.answer(datagram.get(..length).unwrap_or_default(), from, &mut outgoing).await;
                }
                // A client that is gone shows as an error of the next call; the socket lives on.
                Err(error) => debug!(%error, "no datagram"),
            }
        }
        for peer in &mut self.peers {
            peer.line.close(&mut *self.port.device());
        }
    }

    async fn answer(&mut self, datagram: &[u8], from: SocketAddr, outgoing: &mut [u8]) {
        let wpdu = match decode_datagram(datagram) {
            // Octets behind the APDU belong to nothing: a datagram carries one.
            Ok((_, apdu)) => datagram.get(..Header::LENGTH.saturating_add(apdu.len())).unwrap_or_default(),
            Err(error) => {
                debug!(%from, %error, "datagram dropped");
                return;
            }
        };
        let mut peer = self.take(from);
        let now = ticks(Instant::now());
        if let Err(error) = peer.line.handle_input(wpdu, now, &mut *self.port.device(), &mut OsRandom) {
            debug!(%from, %error, "association over UDP lost");
            peer.line.close(&mut *self.port.device());
            return;
        }
        loop {
            self.send(&mut peer, from, outgoing).await;
            // Further blocks of an answer are due at once; anything later waits for the client.
            let now = ticks(Instant::now());
            if peer.line.poll_timeout().is_none_or(|due| due > now) {
                break;
            }
            if let Err(error) = peer.line.handle_timeout(now, &mut *self.port.device(), &mut OsRandom) {
                debug!(%from, %error, "association over UDP lost");
                peer.line.close(&mut *self.port.device());
                return;
            }
        }
        self.peers.push(peer);
    }

    /// Sends what waits for a client, with the faults that are due.
    async fn send(&self, peer: &mut Peer, from: SocketAddr, outgoing: &mut [u8]) {
        while let Some(length) = peer.line.poll_transmit(outgoing) {
            let mut octets = outgoing.get(..length).unwrap_or_default().to_vec();
            match peer.faults.next() {
                Some(FaultKind::Silence) => peer.silent = true,
                Some(FaultKind::Delay(delay)) => tokio::time::sleep(delay).await,
                Some(FaultKind::Garbage) => octets = peer.faults.garbage(length),
                Some(FaultKind::Truncate) => octets.truncate(length / 2),
                // Without connections, closing one is not answering.
                Some(FaultKind::Close | FaultKind::Reset) => continue,
                None => {}
            }
            if peer.silent {
                continue;
            }
            if let Err(error) = self.socket.send_to(&octets, from).await {
                warn!(%from, %error, "cannot send a datagram");
            }
        }
    }

    /// Takes the client at this address out of the list: a known one, or a new one for whom others are forgotten.
    fn take(&mut self, address: SocketAddr) -> Peer {
        let now = Instant::now();
        let idle = self.port.limits.idle;
        while let Some(oldest) = self.peers.first() {
            let full = self.peers.len() >= self.port.limits.udp_clients_per_port;
            let expired = now.duration_since(oldest.heard) > idle;
            let known = self.peers.iter().any(|peer| peer.address == address);
            if !expired && (known || !full) {
                break;
            }
            let mut forgotten = self.peers.remove(0);
            forgotten.line.close(&mut *self.port.device());
        }
        let mut peer = match self.peers.iter().position(|peer| peer.address == address) {
            Some(at) => self.peers.remove(at),
            None => Peer {
                address,
                line: self.port.wrapper_line(),
                faults: self.port.fault_plan(self.numbers.next()),
                silent: false,
                heard: now,
            },
        };
        peer.heard = now;
        peer
    }
}
