//! TCP: the wrapper, and HDLC frames in a stream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::line::{self, LineEnd};
use super::{ConnectionNumbers, Port};
use crate::simulator::FleetError;
use crate::simulator::fault::FaultKind;

/// How long to wait before accepting again when the system is out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy)]
enum Framing {
    Wrapper,
    Hdlc,
}

/// Serves wrapper connections; returns the address that is listened on.
pub(in crate::simulator) async fn listen_wrapper(port: &Port, address: SocketAddr) -> Result<SocketAddr, FleetError> {
    listen(port, address, Framing::Wrapper).await
}

/// Serves HDLC connections; returns the address that is listened on.
pub(in crate::simulator) async fn listen_hdlc(port: &Port, address: SocketAddr) -> Result<SocketAddr, FleetError> {
    listen(port, address, Framing::Hdlc).await
}

async fn listen(port: &Port, address: SocketAddr, framing: Framing) -> Result<SocketAddr, FleetError> {
    let protocol = match framing {
        Framing::Wrapper => "tcp",
        Framing::Hdlc => "hdlc-tcp",
    };
    let refused = |source| FleetError::Listen { protocol, address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    port.tasks.spawn(accept(port.clone(), listener, framing));
    Ok(bound)
}

async fn accept(port: Port, listener: TcpListener, framing: Framing) {
    let numbers = ConnectionNumbers::default();
    let places = Arc::new(Semaphore::new(port.limits.connections_per_port));
    loop {
        let accepted = tokio::select! {
            biased;
            () = port.cancel.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            debug!(%peer, "too many connections, one is closed");
            continue;
        };
        let (port, number) = (port.clone(), numbers.next());
        port.tasks.clone().spawn(async move {
            let end = serve(&port, stream, framing, number).await;
            debug!(%peer, %end, "connection ended");
            drop(place);
        });
    }
}

async fn serve(port: &Port, mut stream: TcpStream, framing: Framing, number: u64) -> LineEnd {
    // Small answers must not wait for more to come.
    if let Err(error) = stream.set_nodelay(true) {
        return LineEnd::Io(error);
    }
    let faults = port.fault_plan(number);
    let end = match framing {
        Framing::Wrapper => line::run(port, port.wrapper_line(), &mut stream, faults).await,
        Framing::Hdlc => line::run(port, port.hdlc_line(true), &mut stream, faults).await,
    };
    let closed = match end {
        LineEnd::Fault(FaultKind::Reset) => stream.set_zero_linger(),
        _ => stream.shutdown().await,
    };
    if let Err(error) = closed {
        debug!(%error, "the connection was not closed in good order");
    }
    end
}
