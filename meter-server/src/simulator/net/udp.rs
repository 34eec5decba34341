//! UDP: one wrapper APDU in each datagram.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dlms::association::server::Source;
use dlms::wrapper::{Header, decode_datagram, server::Wrapper};
use tracing::{debug, warn};

use super::clients::Clients;
use super::datagrams::{Arrival, Datagrams};
use super::find::Find;
use super::room::Room;
use super::spoil::{Spoilt, spoil};
use super::uses::Way;
use super::{Line, OsRandom, Port, Shared, ticks};
use crate::simulator::FleetError;
use crate::simulator::fault::{FaultKind, FaultPlan};

/// Largest datagram.
const DATAGRAM_OCTETS: usize = 65_535;

/// A client's address, and the meter's that it speaks to.
type Key = (SocketAddr, IpAddr);

/// What is kept of one client of one meter.
struct Peer {
    port: Port,
    line: Box<Line<Wrapper<Room>>>,
    faults: FaultPlan,
    silent: bool,
    heard: Instant,
    /// Times that the device had started when the client was first heard.
    boots: u32,
}

/// Serves datagrams; returns the address that is listened on.
pub(in crate::simulator) async fn listen(
    shared: &Arc<Shared>,
    address: SocketAddr,
    find: Find,
) -> Result<SocketAddr, FleetError> {
    let refused = |source| FleetError::Listen { protocol: "udp", address, source };
    let socket = if find.is_shared() { Datagrams::bind_shared(address).await } else { Datagrams::bind(address).await };
    let socket = Arc::new(socket.map_err(refused)?);
    let bound = socket.local_addr().map_err(refused)?;
    let limits = &shared.limits;
    let limit = if find.is_shared() { limits.udp_clients_shared } else { limits.udp_clients_per_port };
    let server = Server { shared: Arc::clone(shared), socket, find, peers: Clients::new(limit) };
    shared.tasks.spawn(server.run());
    Ok(bound)
}

struct Server {
    shared: Arc<Shared>,
    socket: Arc<Datagrams>,
    find: Find,
    peers: Clients<Key, Peer>,
}

impl Server {
    async fn run(mut self) {
        let cancel = self.shared.cancel.clone();
        let mut datagram = vec![0; DATAGRAM_OCTETS];
        let mut outgoing = vec![0; DATAGRAM_OCTETS];
        loop {
            let received = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                received = self.socket.receive(&mut datagram) => received,
            };
            match received {
                Ok(arrival) => {
                    let octets = datagram.get(..arrival.length).unwrap_or_default();
                    self.answer(octets, arrival, &mut outgoing).await;
                }
                // A client that is gone shows as an error of the next call; the socket lives on.
                Err(error) => debug!(%error, "no datagram"),
            }
        }
        self.peers.drain().for_each(Peer::close);
    }

    async fn answer(&mut self, datagram: &[u8], arrival: Arrival, outgoing: &mut [u8]) {
        let (from, counts) = (arrival.from, &self.shared.counts);
        counts.datagrams.add(1);
        counts.received_octets.add(datagram.len() as u64);
        let wpdu = match decode_datagram(datagram) {
            // Octets behind the APDU belong to nothing: a datagram carries one.
            Ok((_, apdu)) => datagram.get(..Header::LENGTH.saturating_add(apdu.len())).unwrap_or_default(),
            Err(error) => {
                counts.datagrams_dropped.add(1);
                debug!(%from, %error, "datagram dropped");
                return;
            }
        };
        let Some(mut peer) = self.take(arrival) else {
            self.shared.counts.refused_destination.add(1);
            debug!(%from, to = %arrival.to, "a datagram is for no meter");
            return;
        };
        let was_associated = peer.line.is_associated();
        let now = ticks(Instant::now());
        let handled = peer.line.handle_input(wpdu, now, &mut *peer.port.device(), &mut OsRandom).map(drop);
        if let Err(error) = handled {
            debug!(%from, %error, "association over UDP lost");
            peer.close();
            return;
        }
        loop {
            self.send(&mut peer, arrival, outgoing).await;
            // Further blocks of an answer are due at once; anything later waits for the client.
            let now = ticks(Instant::now());
            if peer.line.poll_timeout().is_none_or(|due| due > now) {
                break;
            }
            let handled = peer.line.handle_timeout(now, &mut *peer.port.device(), &mut OsRandom);
            if let Err(error) = handled {
                debug!(%from, %error, "association over UDP lost");
                peer.close();
                return;
            }
        }
        let associated = peer.line.is_associated();
        if was_associated && !associated && !peer.silent {
            // Released in good order: nothing of it is needed any more.
            peer.close();
            return;
        }
        if let Some(forgotten) = self.peers.put((from, arrival.to), associated, peer) {
            self.shared.counts.clients_forgotten.add(1);
            forgotten.close();
        }
    }

    /// Sends what waits for a client, with the faults that are due.
    async fn send(&self, peer: &mut Peer, arrival: Arrival, outgoing: &mut [u8]) {
        let counts = &self.shared.counts;
        while let Some(length) = peer.line.poll_transmit(outgoing) {
            let octets = outgoing.get(..length).unwrap_or_default();
            let fault = peer.faults.next();
            counts.faults.add(fault.is_some().into());
            peer.silent |= fault == Some(FaultKind::Silence);
            if fault == Some(FaultKind::Reboot) {
                peer.port.reboot();
            }
            // Without connections, closing one is not answering.
            let unanswered = [FaultKind::Close, FaultKind::Reset, FaultKind::HalfClose, FaultKind::Reboot];
            if peer.silent || fault.is_some_and(|fault| unanswered.contains(&fault)) {
                continue;
            }
            counts.answers.add(1);
            counts.sent_octets.add(length as u64);
            let delay = match fault {
                Some(FaultKind::Delay(delay)) => Some(delay),
                Some(FaultKind::Slow(rate)) => Some(Duration::from_secs_f64(length as f64 / f64::from(rate))),
                _ => None,
            };
            if let Some(delay) = delay {
                self.send_later(octets.to_vec(), arrival, delay);
                continue;
            }
            let Spoilt { ahead, octets, twice } = spoil(octets, fault, &peer.faults);
            if let Some(ahead) = ahead {
                self.send_now(&ahead, arrival).await;
            }
            self.send_now(&octets, arrival).await;
            if twice {
                self.send_now(&octets, arrival).await;
            }
        }
    }

    async fn send_now(&self, octets: &[u8], arrival: Arrival) {
        if let Err(error) = self.socket.send(octets, arrival.to, arrival.from).await {
            warn!(to = %arrival.from, %error, "cannot send a datagram");
        }
    }

    /// Sends a datagram after a while, without keeping other clients waiting.
    fn send_later(&self, octets: Vec<u8>, arrival: Arrival, delay: Duration) {
        let (socket, cancel) = (Arc::clone(&self.socket), self.shared.cancel.clone());
        self.shared.tasks.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(delay) => {
                    if let Err(error) = socket.send(&octets, arrival.to, arrival.from).await {
                        warn!(to = %arrival.from, %error, "cannot send a datagram");
                    }
                }
            }
        });
    }

    /// Takes a client out of the list, or makes a new one. Those that were silent for too long are forgotten.
    fn take(&mut self, arrival: Arrival) -> Option<Peer> {
        let site = self.find.at(arrival.to)?;
        let now = Instant::now();
        let idle = self.shared.limits.idle;
        let is_over = |peer: &Peer| now.duration_since(peer.heard) > idle;
        for associated in [false, true] {
            while let Some(expired) = self.peers.take_first(associated, is_over) {
                expired.close();
            }
        }
        let boots = site.boots();
        let mut known = self.peers.take((arrival.from, arrival.to));
        if let Some(forgotten) = known.take_if(|peer| peer.boots != boots) {
            forgotten.close();
        }
        let mut peer = known.unwrap_or_else(|| {
            let port = Port::new(&self.shared, site);
            let source = Source::of_address(arrival.from.ip());
            let (line, faults) = (port.wrapper_line(source), port.fault_plan(Way::Udp));
            Peer { line, faults, silent: false, heard: now, boots, port }
        });
        peer.heard = now;
        Some(peer)
    }
}

impl Peer {
    /// Ends its association.
    fn close(mut self) {
        self.line.close(&mut *self.port.device());
    }
}
