//! Accepting connections, whatever they are for.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tracing::warn;

use super::Shared;

/// How long to wait before accepting again when the system is out of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// The next connection; `None` when the fleet ends.
pub(in crate::simulator) async fn next(shared: &Shared, listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.cancel.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
