//! TCP: the wrapper, and HDLC frames in a stream.

use std::net::SocketAddr;
use std::sync::Arc;

use dlms::association::server::Source;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tracing::debug;

use super::find::Find;
use super::gateway::{Front, PREFIX_OCTETS, SharedLine};
use super::line::{self, LineEnd};
use super::uses::{Place, Way};
use super::{ASSOCIATIONS, ASSOCIATIONS_OF_ONE, Port, Shared, accept};
use crate::simulator::FleetError;
use crate::simulator::fault::FaultKind;

/// Connections that wait to be accepted: a head-end opens many at once, and the system cuts this down to what it allows.
const BACKLOG: u32 = 4_096;

/// Serves wrapper connections; returns the address that is listened on.
pub(in crate::simulator) async fn listen_wrapper(
    shared: &Arc<Shared>,
    address: SocketAddr,
    find: Find,
) -> Result<SocketAddr, FleetError> {
    listen(shared, address, find, Way::Tcp).await
}

/// Serves HDLC connections; returns the address that is listened on.
pub(in crate::simulator) async fn listen_hdlc(
    shared: &Arc<Shared>,
    address: SocketAddr,
    find: Find,
) -> Result<SocketAddr, FleetError> {
    listen(shared, address, find, Way::HdlcTcp).await
}

async fn listen(shared: &Arc<Shared>, address: SocketAddr, find: Find, way: Way) -> Result<SocketAddr, FleetError> {
    let protocol = if way == Way::HdlcTcp { "hdlc-tcp" } else { "tcp" };
    let refused = |source| FleetError::Listen { protocol, address, source };
    let listener = if find.is_shared() { shared_listener(address) } else { TcpListener::bind(address).await };
    let listener = listener.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    shared.tasks.spawn(serve_all(Arc::clone(shared), listener, find, way));
    Ok(bound)
}

fn shared_listener(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn serve_all(shared: Arc<Shared>, listener: TcpListener, find: Find, way: Way) {
    while let Some((stream, peer)) = accept::next(&shared, &listener).await {
        let admitted = match admit(&shared, &find, way, &stream) {
            Ok(admitted) => admitted,
            Err(refusal) => {
                debug!(%peer, refusal, "a connection is refused");
                // To the client it looks like a port where nobody listens, and the host keeps nothing of it.
                let _ = stream.set_zero_linger();
                continue;
            }
        };
        let behind = find.line().cloned();
        shared.tasks.spawn(async move {
            // All of it: a block takes along only the parts that it names.
            let Admitted { port, place, descriptor } = admitted;
            let end = match behind {
                Some(line) => serve_front(&port, &line, stream, way).await,
                None => serve(&port, stream, way).await,
            };
            debug!(%peer, %end, "connection ended");
            drop((place, descriptor));
        });
    }
}

/// A connection that may stay.
struct Admitted {
    port: Port,
    place: Place,
    descriptor: OwnedSemaphorePermit,
}

fn admit(shared: &Arc<Shared>, find: &Find, way: Way, stream: &TcpStream) -> Result<Admitted, &'static str> {
    let counts = &shared.counts;
    let Some(site) = stream.local_addr().ok().and_then(|local| find.at(local.ip())) else {
        counts.refused_destination.add(1);
        return Err("it is for no meter");
    };
    let Some(descriptor) = shared.descriptors.take() else {
        counts.refused_descriptors.add(1);
        return Err("no descriptor is left for it");
    };
    let Some(place) = Place::take(site, way, shared.limits.connections_per_port) else {
        counts.refused_full.add(1);
        return Err("the meter has as many as it takes");
    };
    Ok(Admitted { port: Port::new(shared, site), place, descriptor })
}

/// Serves a connection until it ends.
pub(super) async fn serve(port: &Port, mut stream: TcpStream, way: Way) -> LineEnd {
    // Small answers must not wait for more to come.
    if let Err(error) = stream.set_nodelay(true) {
        return LineEnd::Io(error);
    }
    let source = match stream.peer_addr() {
        Ok(peer) => Source::of_address(peer.ip()),
        Err(error) => return LineEnd::Io(error),
    };
    let faults = port.fault_plan(way);
    let end = match way {
        Way::HdlcTcp => line::run(port, port.hdlc_line(true, source), &mut stream, faults).await,
        _ if port.is_alone() => {
            line::run(port, port.wrapper_line::<ASSOCIATIONS_OF_ONE>(source), &mut stream, faults).await
        }
        _ => line::run(port, port.wrapper_line::<ASSOCIATIONS>(source), &mut stream, faults).await,
    };
    let closed = match end {
        LineEnd::Fault(FaultKind::Reset | FaultKind::Reboot) => stream.set_zero_linger(),
        _ => stream.shutdown().await,
    };
    if let Err(error) = closed {
        debug!(%error, "the connection was not closed in good order");
    }
    end
}

/// Serves a connection to a gateway or concentrator until it ends.
async fn serve_front(port: &Port, line: &SharedLine, mut stream: TcpStream, way: Way) -> LineEnd {
    let source = match stream.set_nodelay(true).and_then(|()| stream.peer_addr()) {
        Ok(peer) => Source::of_address(peer.ip()),
        Err(error) => return LineEnd::Io(error),
    };
    let front = Front::new(port, line, source, way);
    let end = match way {
        Way::HdlcTcp => {
            let station = port.hdlc_station(true, line.addresses(), PREFIX_OCTETS);
            front.run(station, &mut stream).await
        }
        _ => front.run(port.wrapper_link(PREFIX_OCTETS), &mut stream).await,
    };
    if let Err(error) = stream.shutdown().await {
        debug!(%error, "the connection was not closed in good order");
    }
    end
}
