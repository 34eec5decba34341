//! A link without a link: every APDU in UI frames, for pre-established associations and broadcasts.

use super::Session;
use crate::Instant;
use crate::hdlc::Address;
use crate::link::{Link, LinkError, LinkEvent, Storage};

/// The client's side of exchanges outside any HDLC link (UI frames): nothing is set up, numbered or acknowledged.
///
/// With an all-station address this is how many meters are told the same at once: a
/// [`Connection`](crate::association::client::Connection) in a pre-established association, and its unconfirmed services.
/// What the other side sends in UI frames is received.
#[derive(Debug)]
pub struct Connectionless<B> {
    session: Session<B>,
    destination: Address,
    event: Option<LinkEvent>,
}

impl<B: Storage> Connectionless<B> {
    /// Sends to `destination`, over a session whose link is never opened.
    pub const fn new(session: Session<B>, destination: Address) -> Self {
        Self { session, destination, event: None }
    }
}

impl<B: Storage> Link for Connectionless<B> {
    fn open(&mut self, _now: Instant) {
        self.event = Some(LinkEvent::Opened);
    }

    fn close(&mut self, _now: Instant) {
        self.event = Some(LinkEvent::Closed);
    }

    fn send(&mut self, apdu: &[u8], _now: Instant) -> Result<(), LinkError> {
        self.session.send_unnumbered(self.destination, apdu)
    }

    fn handle_input(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.session.handle_input(bytes, now)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
    }

    fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        self.session.poll_transmit(out)
    }

    fn poll_event(&mut self) -> Option<LinkEvent> {
        self.event.take().or_else(|| self.session.poll_event())
    }

    fn apdu(&mut self) -> &mut [u8] {
        self.session.apdu()
    }

    fn release_apdu(&mut self) {
        self.session.release_apdu();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }
}
