//! Client side of a wrapper connection.

use super::transmit::TransmitQueue;
use super::{Framer, Header};
use crate::Instant;
use crate::deviation::Deviations;
use crate::id::{ClientSap, ServerSap};
use crate::link::{Events, Link, LinkError, LinkEvent, Storage};

/// One client and one server service access point on a TCP connection.
///
/// The caller connects first; [`Link::open`] then reports the link as up at once, for the wrapper has no set-up of
/// its own. After [`LinkEvent::Failed`] the TCP connection must be closed: its octet stream is lost.
#[derive(Debug)]
pub struct Wrapper<B> {
    client: ClientSap,
    server: ServerSap,
    framer: Framer<B>,
    transmit: TransmitQueue<B>,
    events: Events<LinkEvent>,
    open: bool,
    dropped: u32,
}

impl<B: Storage> Wrapper<B> {
    /// How long an APDU may take from its first octet to its last, in milliseconds, unless the caller knows better.
    pub const READ_TIMEOUT_MS: u32 = 30_000;

    /// A link from `client` to `server`. `receive` bounds the APDUs that are accepted, `transmit` those that are sent,
    /// each with 8 octets of header; `read_timeout_ms` bounds how long one APDU may arrive.
    pub const fn new(client: ClientSap, server: ServerSap, receive: B, transmit: B, read_timeout_ms: u32) -> Self {
        Self {
            client,
            server,
            framer: Framer::new(receive, read_timeout_ms),
            transmit: TransmitQueue::new(transmit),
            events: Events::new(),
            open: false,
            dropped: 0,
        }
    }

    /// Tolerates deviations of the header: see [`Framer::tolerate`].
    #[must_use]
    pub const fn tolerating(mut self, deviations: Deviations) -> Self {
        self.framer.tolerate(deviations);
        self
    }

    /// The client's service access point.
    pub const fn client(&self) -> ClientSap {
        self.client
    }

    /// The server's service access point.
    pub const fn server(&self) -> ServerSap {
        self.server
    }

    /// APDUs that were passed over because they were for another pair of ports.
    pub const fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Both storages, that of what arrives first, while nothing of an APDU is in them; `None` otherwise. See
    /// [`Connection::at_rest`](crate::association::client::Connection::at_rest).
    pub fn at_rest(&mut self) -> Option<[&mut B; 2]> {
        let rests = self.transmit.is_empty() && self.framer.is_empty();
        rests.then_some([self.framer.storage_mut(), self.transmit.storage_mut()])
    }

    fn fail(&mut self, error: LinkError) {
        self.transmit.clear();
        if self.open {
            self.open = false;
            self.events.push(LinkEvent::Failed(error));
        }
    }
}

impl<B: Storage> Link for Wrapper<B> {
    fn open(&mut self, _now: Instant) {
        self.framer.reset();
        self.transmit.clear();
        self.events.clear();
        self.open = true;
        self.events.push(LinkEvent::Opened);
    }

    fn close(&mut self, _now: Instant) {
        if self.open {
            self.open = false;
            self.events.push(LinkEvent::Closed);
        }
    }

    fn send(&mut self, apdu: &[u8], _now: Instant) -> Result<(), LinkError> {
        if !self.open {
            return Err(LinkError::NotOpen);
        }
        self.transmit.push(Header::request(self.client, self.server, 0), apdu)
    }

    fn can_send(&self) -> bool {
        self.open && self.transmit.is_empty()
    }

    fn handle_input(&mut self, bytes: &[u8], now: Instant) -> usize {
        if !self.open {
            return bytes.len();
        }
        if self.framer.header().is_some() {
            return 0;
        }
        let (client, server, dropped) = (self.client.0, self.server.0, &mut self.dropped);
        let taken = self.framer.handle_input(bytes, now, |header| {
            let ours = header.source == server && header.destination == client;
            *dropped = dropped.saturating_add(u32::from(!ours));
            ours
        });
        match taken {
            Ok(taken) => {
                if self.framer.header().is_some() {
                    self.events.push(LinkEvent::Apdu);
                }
                taken
            }
            Err(error) => {
                self.fail(error);
                bytes.len()
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Err(error) = self.framer.handle_timeout(now) {
            self.fail(error);
        }
    }

    fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        self.transmit.poll(out)
    }

    fn poll_event(&mut self) -> Option<LinkEvent> {
        self.events.pop()
    }

    fn apdu(&mut self) -> &mut [u8] {
        self.framer.apdu()
    }

    fn release_apdu(&mut self) {
        self.framer.release_apdu();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.framer.poll_timeout()
    }

    fn take_deviations(&mut self) -> Deviations {
        self.framer.take_deviations()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const T0: Instant = Instant::from_millis(0);

    fn opened() -> Wrapper<[u8; 64]> {
        let mut link = Wrapper::new(ClientSap::PUBLIC, ServerSap::MANAGEMENT, [0; 64], [0; 64], 1_000);
        link.open(T0);
        assert_eq!(link.poll_event(), Some(LinkEvent::Opened));
        link
    }

    /// Published exchange: the clock's time is read.
    #[test]
    fn a_request_leaves_and_its_answer_arrives() {
        let mut link = opened();
        link.send(&hex!("C001C100080000010000FF0200"), T0).unwrap();
        let mut out = [0; 64];
        let length = link.poll_transmit(&mut out).unwrap();
        assert_eq!(out[..length], hex!("0001 0010 0001 000D C001C100080000010000FF0200"));
        assert_eq!(link.poll_transmit(&mut out), None);

        let answer = hex!("0001 0001 0010 0012 C401C100090C07E9051D040A0F1E00FF8880");
        assert_eq!(link.handle_input(&answer, T0), answer.len());
        assert_eq!(link.poll_event(), Some(LinkEvent::Apdu));
        assert_eq!(link.poll_event(), None);
        assert_eq!(link.apdu(), &answer[8..]);
        assert_eq!(link.handle_input(&answer, T0), 0, "the stream waits for the release");
        link.release_apdu();
        assert_eq!(link.handle_input(&answer, T0), answer.len());
    }

    #[test]
    fn apdus_for_other_ports_are_dropped_and_counted() {
        let mut link = opened();
        let stale = hex!("0001 0002 0010 0002 0102 0001 0001 0011 0001 01 0001 0001 0010 0001 AA");
        assert_eq!(link.handle_input(&stale, T0), stale.len());
        assert_eq!(link.poll_event(), Some(LinkEvent::Apdu));
        assert_eq!(link.apdu(), [0xAA]);
        assert_eq!(link.dropped(), 2);
    }

    #[test]
    fn lesson_15_an_incomplete_answer_fails_the_link_in_time() {
        let mut link = opened();
        assert_eq!(link.handle_input(&hex!("0001 00"), T0), 3);
        assert_eq!(link.poll_timeout(), Some(T0.after_ms(1_000)));
        link.handle_timeout(T0.after_ms(1_000));
        assert_eq!(link.poll_event(), Some(LinkEvent::Failed(LinkError::ReadTimeout)));
        assert_eq!(link.send(&[1], T0), Err(LinkError::NotOpen));
        assert_eq!(link.poll_timeout(), None);
    }

    #[test]
    fn storage_is_lent_while_nothing_is_in_it() {
        let mut link = opened();
        assert!(link.at_rest().is_some());
        link.send(&[1], T0).unwrap();
        assert!(link.at_rest().is_none());
        assert_eq!(link.poll_transmit(&mut [0; 16]), Some(9));
        assert!(link.at_rest().is_some());
        let answer = hex!("0001 0001 0010 0002 AABB");
        for octets in answer.chunks(3) {
            link.handle_input(octets, T0);
            assert!(link.at_rest().is_none());
        }
        assert_eq!(link.poll_event(), Some(LinkEvent::Apdu));
        link.release_apdu();
        assert!(link.at_rest().is_some());
    }

    #[test]
    fn another_protocol_fails_the_link_once() {
        let mut link = opened();
        assert_eq!(link.handle_input(b"HTTP/1.1 400 Bad Request\r\n", T0), 26);
        assert_eq!(link.poll_event(), Some(LinkEvent::Failed(LinkError::UnsupportedVersion { found: 0x4854 })));
        assert_eq!(link.handle_input(b"HTTP/1.1", T0), 8);
        assert_eq!(link.poll_event(), None);
    }

    #[test]
    fn closing_is_reported_once_and_opening_again_starts_clean() {
        let mut link = opened();
        link.handle_input(&hex!("0001 0001"), T0);
        link.send(&[1], T0).unwrap();
        link.close(T0);
        link.close(T0);
        assert_eq!(link.poll_event(), Some(LinkEvent::Closed));
        assert_eq!(link.poll_event(), None);
        link.open(T0);
        assert_eq!(link.poll_transmit(&mut [0; 16]), None);
        assert_eq!(link.handle_input(&hex!("0001 0001 0010 0001 AA"), T0), 9);
        assert_eq!(link.poll_event(), Some(LinkEvent::Opened));
        assert_eq!(link.poll_event(), Some(LinkEvent::Apdu));
    }
}
