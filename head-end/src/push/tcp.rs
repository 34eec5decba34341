//! Connections of meters that push: the wrapper, or HDLC frames.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use dlms::{
    axdr::Writer,
    hdlc::{self, FRAME_MAX},
    link::LinkError,
    wrapper::{Framer, Header, encode_datagram},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout_at},
};

use super::{Refused, Shared, blocks::Blocks};
use crate::store::Store;

/// Octets that are read at once.
const READ: usize = 2_048;
/// How long a receiver of confirmations may take to take one.
const WRITE: Duration = Duration::from_secs(10);
/// Silence inside an HDLC frame, in milliseconds: packets are cut and delayed.
const INTER_OCTET_MS: u32 = 5_000;

/// What a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Wrapper,
    Hdlc,
}

/// Takes connections until the engine stops.
pub(super) async fn listen<S: Store>(shared: Arc<Shared<S>>, listener: TcpListener, framing: Framing) {
    while let Some(next) = shared.stop.run_until_cancelled(shared.door.next(&listener)).await {
        let Some((stream, place)) = next else {
            shared.intake.counts.connection_refused();
            continue;
        };
        shared.intake.counts.connection();
        let serving = Arc::clone(&shared);
        shared.tasks.spawn(async move {
            let peer = place.peer;
            let connection = Connection { shared: &serving, stream, peer };
            let served = serving.stop.run_until_cancelled(connection.serve(framing)).await;
            if let Some(Err(error)) = served {
                tracing::debug!(%peer, %error, "a connection of pushes ended");
            }
            drop(place);
        });
    }
}

struct Connection<'a, S> {
    shared: &'a Shared<S>,
    stream: TcpStream,
    peer: SocketAddr,
}

impl<S: Store> Connection<'_, S> {
    async fn serve(mut self, framing: Framing) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        match framing {
            Framing::Wrapper => self.wrapper().await,
            Framing::Hdlc => self.hdlc().await,
        }
    }

    async fn wrapper(&mut self) -> io::Result<()> {
        let limit = self.shared.options.apdu_octets;
        let read_ms = u32::try_from(self.shared.options.read.as_millis()).unwrap_or(u32::MAX);
        // Only while something is half received, so that silent meters cost little.
        let mut framer: Option<Framer<Vec<u8>>> = None;
        let mut blocks = Blocks::new(limit);
        let mut room = [0; READ];
        loop {
            let due = framer.as_ref().and_then(Framer::poll_timeout);
            let Some(count) = self.read(&mut room, due).await? else { break };
            let mut rest = room.get(..count).unwrap_or_default();
            while !rest.is_empty() {
                let now = self.shared.ticks();
                let framer = framer.get_or_insert_with(|| Framer::new(vec![0; limit], read_ms));
                match framer.handle_input(rest, now, |_| true) {
                    Ok(used) => rest = rest.get(used..).unwrap_or_default(),
                    Err(error) => return self.lost(error),
                }
                let Some(header) = framer.header() else { continue };
                let apdu = framer.apdu().to_vec();
                framer.release_apdu();
                match self.take(&mut blocks, apdu).await {
                    Ok(Some(confirmation)) => self.reply(header, &confirmation).await?,
                    Ok(None) => {}
                    Err(Refused::RateLimited) => return Ok(()),
                    Err(_) => {}
                }
            }
            if framer.as_ref().is_some_and(|framer| framer.poll_timeout().is_none()) {
                framer = None;
            }
        }
        Ok(())
    }

    async fn hdlc(&mut self) -> io::Result<()> {
        let limit = self.shared.options.apdu_octets;
        // Nobody holds a conversation here, so that numbered frames can only be pushes.
        let mut listener =
            hdlc::Listener::new(vec![0; FRAME_MAX], vec![0; limit.saturating_add(3)], INTER_OCTET_MS, true);
        let mut blocks = Blocks::new(limit);
        let mut room = [0; READ];
        let mut errors = 0;
        loop {
            let Some(count) = self.read(&mut room, None).await? else { break };
            let mut rest = room.get(..count).unwrap_or_default();
            while !rest.is_empty() {
                let now = self.shared.ticks();
                listener.handle_timeout(now);
                let used = listener.handle_input(rest, now);
                rest = rest.get(used..).unwrap_or_default();
                for _ in errors..listener.frame_errors() {
                    self.shared.intake.refuse(&Refused::Malformed("an HDLC frame"), self.peer);
                    if !self.shared.door.limits().take(self.peer.ip()) {
                        return Ok(());
                    }
                }
                errors = listener.frame_errors();
                let taken = match listener.poll_event() {
                    Some(_) => {
                        let apdu = listener.apdu().to_vec();
                        listener.release_apdu();
                        // Nobody confirms on a line that is the meter's to speak on.
                        self.take(&mut blocks, apdu).await
                    }
                    None if used == 0 => break,
                    None => continue,
                };
                if let Err(Refused::RateLimited) = taken {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Waits for octets; `None` at the end of the stream, and when the peer takes too long.
    async fn read(&mut self, room: &mut [u8], due: Option<dlms::Instant>) -> io::Result<Option<usize>> {
        let idle = Instant::now() + self.shared.options.idle;
        let until = due.map_or(idle, |due| idle.min(self.shared.moment(due)));
        match timeout_at(until, self.stream.read(room)).await {
            Ok(Ok(0)) => Ok(None),
            Ok(count) => count.map(Some),
            Err(_) => {
                if due.is_some() {
                    self.shared.intake.refuse(&Refused::Malformed("a wrapped APDU"), self.peer);
                }
                Ok(None)
            }
        }
    }

    fn lost(&self, error: LinkError) -> io::Result<()> {
        let refused = match error {
            LinkError::Oversize { limit, .. } => Refused::TooLong { limit },
            _ => Refused::Malformed("a wrapped APDU"),
        };
        self.shared.intake.refuse(&refused, self.peer);
        Ok(())
    }

    /// Takes an APDU or a block of one; returns what is to be answered.
    async fn take(&self, blocks: &mut Blocks, apdu: Vec<u8>) -> Result<Option<Vec<u8>>, Refused> {
        self.shared.take(blocks, apdu, self.peer).await
    }

    async fn reply(&mut self, to: Header, apdu: &[u8]) -> io::Result<()> {
        let octets = wrapped(to, apdu);
        match timeout_at(Instant::now() + WRITE, self.stream.write_all(&octets)).await {
            Ok(written) => written,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// An APDU back to where a header came from.
pub(super) fn wrapped(to: Header, apdu: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; Header::LENGTH.saturating_add(apdu.len())];
    let header = Header { source: to.destination, destination: to.source, length: 0 };
    let mut writer = Writer::new(&mut octets);
    // There is room for all of it.
    let written = encode_datagram(header, apdu, &mut writer).map_or(0, |()| writer.len());
    octets.truncate(written);
    octets
}
