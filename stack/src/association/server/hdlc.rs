//! Associations over HDLC: all links of one line.

use super::connection::{ServerLink, ServerLinkEvent};
use crate::Instant;
use crate::hdlc::server::{Addresses, Event, Session, Station};
use crate::id::{ClientSap, ServerSap};
use crate::link::{LinkError, Storage};

impl<B, S, A> ServerLink for Station<B, S, A>
where
    B: Storage,
    S: AsRef<[Session<B>]> + AsMut<[Session<B>]>,
    A: Addresses,
{
    fn handle_input(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.handle_input(bytes, now)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        self.poll_transmit(out)
    }

    fn poll_event(&mut self) -> Option<ServerLinkEvent> {
        let (index, event) = self.poll_event()?;
        let session = self.sessions().get(index)?;
        let (client, server) = (session.client()?, session.server()?);
        Some(match event {
            Event::Apdu(_) => ServerLinkEvent::Apdu { client, server },
            Event::Opened | Event::Closed => ServerLinkEvent::Reset { client, server },
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn apdu(&mut self) -> &mut [u8] {
        self.apdu()
    }

    fn release_apdu(&mut self) {
        self.release_apdu();
    }

    fn is_multi_drop(&self) -> bool {
        true
    }

    fn can_send(&self, client: ClientSap, server: ServerSap) -> bool {
        self.can_send(client, server)
    }

    fn is_answerable(&self, client: ClientSap, server: ServerSap) -> bool {
        !self.holds_unnumbered(client, server)
    }

    /// The link of one client goes down: the line lives on.
    fn expel(&mut self) -> Result<(), LinkError> {
        self.disconnect_current();
        Ok(())
    }

    /// An answer to what came outside a link is dropped: there is no sequence to send it in, and the line lives on.
    fn send(&mut self, client: ClientSap, server: ServerSap, apdu: &[u8], _: Instant) -> Result<(), LinkError> {
        if self.holds_unnumbered(client, server) {
            return Ok(());
        }
        self.send(client, server, apdu)
    }

    /// Outside the sequence (UI). To a client that has set up no link it goes only after
    /// [`Station::bind`] has given it a session: the address on the line of a logical device is the station's to know.
    fn notify(&mut self, client: ClientSap, server: ServerSap, apdu: &[u8], _: Instant) -> Result<(), LinkError> {
        let theirs = |session: &Session<B>| session.client() == Some(client) && session.server() == Some(server);
        let index = self.sessions().iter().position(theirs).ok_or(LinkError::NotOpen)?;
        self.session(index).ok_or(LinkError::NotOpen)?.send_unnumbered(apdu)
    }
}
