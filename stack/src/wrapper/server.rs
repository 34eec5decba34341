//! Server side of a wrapper connection.

use super::transmit::TransmitQueue;
use super::{Framer, Header};
use crate::Instant;
use crate::id::{ClientSap, ServerSap};
use crate::link::{Events, LinkError, Storage};

/// What a wrapper connection has to tell its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An APDU has arrived and waits in [`Wrapper::apdu`] until [`Wrapper::release_apdu`].
    Apdu {
        /// Who sent it.
        client: ClientSap,
        /// The logical device it is for.
        server: ServerSap,
    },
    /// The octet stream is lost; the connection must be closed.
    Failed(LinkError),
}

/// One accepted TCP connection, which may carry any number of clients and logical devices.
///
/// Whether a pair of ports exists is for the application to say: it drops what it does not know, and the
/// connection lives on.
#[derive(Debug)]
pub struct Wrapper<B> {
    framer: Framer<B>,
    transmit: TransmitQueue<B>,
    events: Events<Event>,
    failed: bool,
}

impl<B: Storage> Wrapper<B> {
    /// A connection that accepts APDUs up to the size of `receive` and sends up to 8 octets (the header) less than the
    /// size of `transmit`; one APDU may take `read_timeout_ms` milliseconds to arrive.
    pub const fn new(receive: B, transmit: B, read_timeout_ms: u32) -> Self {
        Self {
            framer: Framer::new(receive, read_timeout_ms),
            transmit: TransmitQueue::new(transmit),
            events: Events::new(),
            failed: false,
        }
    }

    /// Sends an APDU of logical device `server` to `client`: a response or a push.
    ///
    /// # Errors
    /// `NotOpen` after a failure; `Busy` when earlier APDUs still fill the storage; `ApduTooLong`.
    pub fn send(&mut self, client: ClientSap, server: ServerSap, apdu: &[u8]) -> Result<(), LinkError> {
        if self.failed {
            return Err(LinkError::NotOpen);
        }
        self.transmit.push(Header::response(client, server, 0), apdu)
    }

    /// Hands in octets of the connection; returns how many were taken. While an APDU waits none are.
    pub fn handle_input(&mut self, bytes: &[u8], now: Instant) -> usize {
        if self.framer.header().is_some() {
            return 0;
        }
        match self.framer.handle_input(bytes, now, |_| true) {
            Ok(taken) => {
                if let Some(header) = self.framer.header() {
                    let (client, server) = (ClientSap(header.source), ServerSap(header.destination));
                    self.events.push(Event::Apdu { client, server });
                }
                taken
            }
            Err(error) => {
                self.fail(error);
                bytes.len()
            }
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Err(error) = self.framer.handle_timeout(now) {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: LinkError) {
        self.failed = true;
        self.events.push(Event::Failed(error));
    }

    /// Octets for the connection, written into `out`; returns how many. `None`: nothing to send.
    pub fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        self.transmit.poll(out)
    }

    /// Whether everything was taken that was to be sent.
    pub fn is_empty(&self) -> bool {
        self.transmit.is_empty()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None`: not needed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.framer.poll_timeout()
    }

    /// The received APDU, which may be changed in place; empty when none waits.
    pub fn apdu(&mut self) -> &mut [u8] {
        self.framer.apdu()
    }

    /// Gives the received APDU's storage back.
    pub fn release_apdu(&mut self) {
        self.framer.release_apdu();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const T0: Instant = Instant::from_millis(0);

    #[test]
    fn several_clients_and_logical_devices_share_a_connection() {
        let mut link = Wrapper::new([0; 32], [0; 32], 1_000);
        let stream = hex!("0001 0010 0001 0002 0102 0001 0001 0011 0001 03");
        assert_eq!(link.handle_input(&stream, T0), 10);
        let (client, server) = (ClientSap(16), ServerSap(1));
        assert_eq!(link.poll_event(), Some(Event::Apdu { client, server }));
        assert_eq!(link.apdu(), [1, 2]);
        link.send(client, server, &[0xAA]).unwrap();
        link.release_apdu();
        assert_eq!(link.handle_input(&stream[10..], T0), 9);
        let (client, server) = (ClientSap(1), ServerSap(17));
        assert_eq!(link.poll_event(), Some(Event::Apdu { client, server }));
        link.send(client, server, &[0xBB]).unwrap();
        let mut out = [0; 32];
        let length = link.poll_transmit(&mut out).unwrap();
        assert_eq!(out[..length], hex!("0001 0001 0010 0001 AA 0001 0011 0001 0001 BB"));
    }

    #[test]
    fn a_lost_stream_is_reported_and_nothing_more_is_sent() {
        let mut link = Wrapper::new([0; 12], [0; 12], 1_000);
        assert_eq!(link.handle_input(&hex!("0001 0010 0001 000D 0102"), T0), 10);
        assert_eq!(link.poll_event(), Some(Event::Failed(LinkError::Oversize { length: 13, limit: 12 })));
        assert_eq!(link.send(ClientSap(16), ServerSap(1), &[1]), Err(LinkError::NotOpen));
    }

    #[test]
    fn lesson_15_an_incomplete_request_ends_at_the_read_timeout() {
        let mut link = Wrapper::new([0; 12], [0; 12], 1_000);
        link.handle_input(&hex!("0001 0010 0001"), T0);
        link.handle_timeout(link.poll_timeout().unwrap());
        assert_eq!(link.poll_event(), Some(Event::Failed(LinkError::ReadTimeout)));
        assert_eq!(link.poll_timeout(), None);
    }
}
