//! Connections of others: as many as there may be, in all and of each source.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

use super::limits::Limits;

/// A pause after the operating system could give no connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Lets connections in.
#[derive(Debug)]
pub(crate) struct Door {
    limits: Limits,
    places: Arc<Semaphore>,
}

/// A place of one connection, given back on drop.
#[derive(Debug)]
pub(crate) struct Admitted {
    door: Arc<Door>,
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
    _place: OwnedSemaphorePermit,
}

impl Door {
    /// Room for so many connections, so many of each source, each of which may send so much a minute.
    pub(crate) fn new(connections: usize, connections_per_source: usize, rate_per_minute: u32) -> Arc<Self> {
        let limits = Limits::new(rate_per_minute, connections_per_source);
        Arc::new(Self { limits, places: Arc::new(Semaphore::new(connections)) })
    }

    /// How much each source may send.
    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The next connection, with its place; `None` where there was none for it, and it was closed.
    ///
    /// Cancel safety: no connection is lost when the future is dropped.
    pub(crate) async fn next(self: &Arc<Self>, listener: &TcpListener) -> Option<(TcpStream, Admitted)> {
        let (stream, peer) = loop {
            match listener.accept().await {
                Ok(accepted) => break accepted,
                Err(error) => {
                    tracing::warn!(%error, "no connection could be taken");
                    sleep(PAUSE).await;
                }
            }
        };
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let admitted = self.limits.connect(peer.ip());
        admitted.then(|| (stream, Admitted { door: Arc::clone(self), peer, _place: place }))
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.door.limits.disconnect(self.peer.ip());
    }
}
