//! Everything on one line of a meter: framing below, several associations above.

use super::association::Association;
use super::device::Device;
use super::lockout::Source;
use super::outbox::Queue;
use crate::Instant;
use crate::apdu::{Conformance, tag};
use crate::id::{ClientSap, ServerSap};
use crate::link::{LinkError, Storage};
use crate::security::{Crypto, Random};
use crate::wrapper;

/// Tag of an AARQ: the proposal of an association.
const AARQ: u8 = 0x60;
/// AARE: rejected permanently, no reason given, for context 1, with an initiate error "other".
const NOBODY_HERE: [u8; 33] = [
    0x61, 0x1F, 0xA1, 0x09, 0x06, 0x07, 0x60, 0x85, 0x74, 0x05, 0x08, 0x01, 0x01, 0xA2, 0x03, 0x02, 0x01, 0x01, 0xA3,
    0x05, 0xA1, 0x03, 0x02, 0x01, 0x01, 0xBE, 0x06, 0x04, 0x04, 0x0E, 0x01, 0x06, 0x00,
];
/// Silence after which an exchange of blocks is given up, in milliseconds. No source states one.
const EXCHANGE_TIMEOUT_MS: u64 = 60_000;
/// ExceptionResponse: service not allowed, operation not possible.
const NOT_ASSOCIATED: [u8; 3] = [0xD8, 1, 1];

/// Server side of a link: it carries APDUs of any client to any logical device.
///
/// After any input drain [`poll_event`](Self::poll_event), then [`poll_transmit`](Self::poll_transmit), and sleep
/// no later than [`poll_timeout`](Self::poll_timeout).
pub trait ServerLink {
    /// Octets of the line; returns how many were taken, fewer than all while an APDU waits.
    fn handle_input(&mut self, bytes: &[u8], now: Instant) -> usize;

    /// Does what is due at `now`.
    fn handle_timeout(&mut self, now: Instant);

    /// Octets for the line, written into `out`; returns how many.
    fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize>;

    /// The next event.
    fn poll_event(&mut self) -> Option<ServerLinkEvent>;

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None`: not needed.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The received APDU, which may be changed in place.
    fn apdu(&mut self) -> &mut [u8];

    /// Gives the received APDU's storage back.
    fn release_apdu(&mut self);

    /// Sends an APDU of logical device `server` to `client`.
    ///
    /// # Errors
    /// [`LinkError`], when the link is gone, busy or too narrow.
    fn send(&mut self, client: ClientSap, server: ServerSap, apdu: &[u8], now: Instant) -> Result<(), LinkError>;

    /// Sends an APDU that nobody asked for: a notification. In sequence with the answers unless the link has a better
    /// way.
    ///
    /// # Errors
    /// As [`send`](Self::send); `Busy` when it has to be tried again after the client has sent something.
    fn notify(&mut self, client: ClientSap, server: ServerSap, apdu: &[u8], now: Instant) -> Result<(), LinkError> {
        self.send(client, server, apdu, now)
    }

    /// Whether the APDU that has come can be answered at all. What is sent to what cannot be is dropped.
    fn is_answerable(&self, client: ClientSap, server: ServerSap) -> bool {
        let _ = (client, server);
        true
    }

    /// Whether what was sent to `client` before has left, so that another APDU can follow it.
    fn can_send(&self, client: ClientSap, server: ServerSap) -> bool {
        let _ = (client, server);
        true
    }

    /// Whether other stations listen on the same line: what is for nobody here may be for one of them.
    fn is_multi_drop(&self) -> bool {
        false
    }

    /// Drops the peer whose APDU was handed out last, as it has sent too much that is no good.
    ///
    /// # Errors
    /// [`LinkError::Expelled`] where the whole line is that peer's, and is to be closed.
    fn expel(&mut self) -> Result<(), LinkError> {
        Err(LinkError::Expelled)
    }
}

/// What a server's link has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerLinkEvent {
    /// An APDU waits in [`ServerLink::apdu`].
    Apdu {
        /// Who sent it.
        client: ClientSap,
        /// Whom it is for.
        server: ServerSap,
    },
    /// The link between these two was set up anew or taken down: an association over it is gone.
    Reset {
        /// The client.
        client: ClientSap,
        /// The logical device.
        server: ServerSap,
    },
    /// The octet stream is lost: the line must be closed.
    Failed(LinkError),
}

/// Everything on one line of a meter: a link, and at most `N` associations over it, each of a client with a
/// logical device.
///
/// Hand in octets with [`handle_input`](Self::handle_input) and send what
/// [`poll_transmit`](Self::poll_transmit) yields, in turn until all are taken, call [`handle_timeout`](Self::handle_timeout) when
/// [`poll_timeout`](Self::poll_timeout) says so, and [`close`](Self::close) when the line is gone. The device is
/// lent for the time of each call.
///
/// `Q` is where notifications wait; see [`with_outbox`](Self::with_outbox).
#[derive(Debug)]
pub struct Connection<L, C: Crypto, B, const N: usize, Q = ()> {
    pub(super) link: L,
    pub(super) associations: [Association<C, B>; N],
    /// The association that was used last stands at its number's place; the lowest is replaced first.
    pub(super) used: [u32; N],
    pub(super) clock: u32,
    /// When an exchange of blocks is given up, in the place of its association.
    pub(super) deadlines: [Option<Instant>; N],
    pub(super) out: B,
    pub(super) failed: Option<LinkError>,
    /// Notifications that wait.
    pub(super) outbox: Q,
    /// Octets of an APDU may still be on their way.
    pub(super) sending: bool,
    /// The link takes no notification before the client has sent something.
    pub(super) blocked: bool,
    /// The last moment this machine heard of.
    pub(super) now: Instant,
}

impl<L: ServerLink, C: Crypto, B: Storage, const N: usize> Connection<L, C, B, N> {
    /// A line without associations. `storage` makes the storage of each association (see [`Association`]); `out`
    /// holds one response and bounds its length.
    pub fn new(link: L, mut storage: impl FnMut() -> B, out: B) -> Self {
        let associations = core::array::from_fn(|_| Association::new(ClientSap(0), ServerSap(0), storage()));
        Self {
            link,
            associations,
            used: [0; N],
            clock: 0,
            deadlines: [None; N],
            out,
            failed: None,
            outbox: (),
            sending: false,
            blocked: false,
            now: Instant::from_millis(0),
        }
    }
}

impl<L: ServerLink, C: Crypto, B: Storage, const N: usize, Q: Queue> Connection<L, C, B, N, Q> {
    /// Says where the octets of this line come from: a number for each line of the meter, or the address of a peer
    /// ([`Source::of_address`]). Failed authentications are counted for each source, so that who guesses on one line does
    /// not lock out a client on another. Without it all lines are one source.
    pub fn set_source(&mut self, source: Source) {
        self.associations.iter_mut().for_each(|association| association.set_source(source));
    }

    /// The link, for what only it knows of: HDLC addresses of clients that are to be notified without a link.
    pub const fn link_mut(&mut self) -> &mut L {
        &mut self.link
    }

    /// Octets of the line. Returns how many were taken: fewer than all when a response is to be sent first; hand
    /// in the rest after [`poll_transmit`](Self::poll_transmit) returned `None`.
    ///
    /// # Errors
    /// Why the octet stream is lost: the line must be closed.
    pub fn handle_input<D: Device, R: Random>(
        &mut self,
        bytes: &[u8],
        now: Instant,
        device: &mut D,
        random: &mut R,
    ) -> Result<usize, LinkError> {
        let mut taken: usize = 0;
        self.blocked &= bytes.is_empty();
        loop {
            let rest = bytes.get(taken..).unwrap_or_default();
            let more = self.link.handle_input(rest, now);
            taken = taken.saturating_add(more);
            let answered = self.pump(now, device, random);
            if let Some(error) = self.failed {
                return Err(error);
            }
            if answered || more == 0 || taken >= bytes.len() {
                self.flush(now, device, Some(random));
                return Ok(taken);
            }
        }
    }

    /// Does what is due at `now`.
    ///
    /// # Errors
    /// Why the octet stream is lost: the line must be closed.
    pub fn handle_timeout<D: Device, R: Random>(
        &mut self,
        now: Instant,
        device: &mut D,
        random: &mut R,
    ) -> Result<(), LinkError> {
        self.link.handle_timeout(now);
        for (association, deadline) in self.associations.iter_mut().zip(&mut self.deadlines) {
            if deadline.is_some_and(|deadline| now >= deadline) {
                *deadline = None;
                association.abandon_exchange();
            }
        }
        self.pump(now, device, random);
        self.flush(now, device, Some(random));
        self.failed.map_or(Ok(()), Err)
    }

    /// Octets for the line, written into `out`; returns how many. `None`: nothing to send.
    pub fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        let length = self.link.poll_transmit(out);
        self.sending &= length.is_some();
        length
    }

    /// The line's links.
    #[must_use]
    pub const fn link(&self) -> &L {
        &self.link
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None`: not needed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        // A further block of an answer is due as soon as the one before it has left.
        let due = self.associations.iter().any(|association| self.has_block(association)).then_some(self.now);
        let silent = self.deadlines.iter().copied().flatten();
        silent.chain(self.link.poll_timeout()).chain(self.notification_due()).chain(due).min()
    }

    fn has_block(&self, association: &Association<C, B>) -> bool {
        association.has_block() && self.link.can_send(association.client(), association.server())
    }

    /// Whether any client is associated.
    #[must_use]
    pub fn is_associated(&self) -> bool {
        self.associations.iter().any(Association::is_open)
    }

    /// The line is gone, and with it all associations.
    pub fn close<D: Device>(&mut self, device: &mut D) {
        self.associations.iter_mut().for_each(|association| association.reset(device));
    }

    /// Answers what has arrived; whether anything had.
    fn pump<D: Device, R: Random>(&mut self, now: Instant, device: &mut D, random: &mut R) -> bool {
        let mut any = false;
        self.now = now;
        while let Some(event) = self.link.poll_event() {
            any = true;
            match event {
                ServerLinkEvent::Failed(error) => self.failed = Some(error),
                ServerLinkEvent::Reset { client, server } => {
                    self.associations
                        .iter_mut()
                        .filter(|association| association.client() == client && association.server() == server)
                        .for_each(|association| association.reset(device));
                }
                ServerLinkEvent::Apdu { client, server } => {
                    self.answer(client, server, now, device, random);
                    self.link.release_apdu();
                }
            }
        }
        any | (D::OFFER.has(Conformance::GENERAL_BLOCK_TRANSFER) && self.send_blocks(now, device))
    }

    /// Sends further blocks of answers, one for each client whose link is free; whether there were any.
    fn send_blocks<D: Device>(&mut self, now: Instant, device: &mut D) -> bool {
        let mut any = false;
        for slot in 0..N {
            let Some(association) = self.associations.get(slot).filter(|found| self.has_block(found)) else { continue };
            let (client, server) = (association.client(), association.server());
            let Some(association) = self.associations.get_mut(slot) else { continue };
            let Some(place) = association.next_block(device, self.out.as_mut()) else { continue };
            any = true;
            self.sending = true;
            if let Err(error) = self.link.send(client, server, self.out.as_ref().get(place).unwrap_or_default(), now) {
                self.failed = Some(error);
            }
        }
        any
    }

    #[cfg_attr(feature = "small", inline(never))]
    fn answer<D: Device, R: Random>(
        &mut self,
        client: ClientSap,
        server: ServerSap,
        now: Instant,
        device: &mut D,
        random: &mut R,
    ) {
        self.sending = true;
        let first = self.link.apdu().first().copied();
        if D::OFFER.gateway && first == Some(tag::GATEWAY_REQUEST) && self.route(client, server, now, device) {
            return;
        }
        let own = |association: &&Association<C, B>| association.client() == client && association.server() == server;
        let open = self.associations.iter().find(own).is_some_and(Association::is_open);
        let unsolicited = matches!(
            first,
            Some(
                tag::DATA_NOTIFICATION_CONFIRM
                    | tag::GENERAL_GLO_CIPHERING
                    | tag::GENERAL_CIPHERING
                    | tag::GENERAL_SIGNING
            )
        );
        if !open && unsolicited && self.confirmed_outside(client, server, device) {
            return;
        }
        let proposes = first == Some(AARQ);
        if device.association(client, server).is_none() {
            // Another device on the line may be meant; on a line of its own the server says that there is nobody.
            if proposes
                && !self.link.is_multi_drop()
                && let Err(error) = self.link.send(client, server, &NOBODY_HERE, now)
            {
                self.failed = Some(error);
            }
            return;
        }
        let Some(slot) = self.slot(client, server, proposes, device) else {
            // No room, and no proposal that would deserve somebody else's.
            if let Err(error) = self.link.send(client, server, &NOT_ASSOCIATED, now) {
                self.failed = Some(error);
            }
            return;
        };
        let answerable = self.link.is_answerable(client, server);
        let Some(association) = self.associations.get_mut(slot) else { return };
        let apdu = self.link.apdu();
        let place = association.handle(apdu, now, device, random, self.out.as_mut());
        if !answerable {
            // Its first block is dropped: those behind it would be for nothing.
            association.abandon_exchange();
        }
        let exhausted = association.is_exhausted();
        if let Some(deadline) = self.deadlines.get_mut(slot) {
            *deadline = association.is_exchanging().then(|| now.after_ms(EXCHANGE_TIMEOUT_MS));
        }
        if let Some(confirmation) = association.take_confirmation() {
            self.confirmed(client, server, confirmation, device);
        }
        if let Some(place) = place {
            let response = self.out.as_ref().get(place).unwrap_or_default();
            if let Err(error) = self.link.send(client, server, response, now) {
                self.failed = Some(error);
            }
        }
        if exhausted {
            match self.link.expel() {
                // The line lives on. Where there was no link to take down, nothing else would let the association that
                // is pre-established come back.
                Ok(()) => {
                    if let Some(association) = self.associations.get_mut(slot) {
                        association.reset(device);
                    }
                }
                Err(error) => self.failed = Some(error),
            }
        }
    }

    /// The place of this pair's association: its own, a free one, or, for a proposal, that of the one not used for
    /// longest.
    #[cfg_attr(feature = "small", inline(never))]
    fn slot<D: Device>(
        &mut self,
        client: ClientSap,
        server: ServerSap,
        proposes: bool,
        device: &mut D,
    ) -> Option<usize> {
        let own = |association: &Association<C, B>| association.client() == client && association.server() == server;
        let found = self.associations.iter().position(own).or_else(|| {
            let oldest = |slot: &usize| {
                let open = self.associations.get(*slot).is_some_and(Association::is_open);
                (open, self.used.get(*slot).copied())
            };
            let slot = (0..N).min_by_key(oldest)?;
            let association = self.associations.get_mut(slot)?;
            if association.is_open() && !proposes {
                return None;
            }
            association.reset(device);
            association.assign(client, server);
            Some(slot)
        })?;
        self.clock = self.clock.wrapping_add(1);
        *self.used.get_mut(found)? = self.clock;
        Some(found)
    }
}

impl<B: Storage> ServerLink for wrapper::server::Wrapper<B> {
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
        Some(match self.poll_event()? {
            wrapper::server::Event::Apdu { client, server } => ServerLinkEvent::Apdu { client, server },
            wrapper::server::Event::Failed(error) => ServerLinkEvent::Failed(error),
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

    fn send(&mut self, client: ClientSap, server: ServerSap, apdu: &[u8], _: Instant) -> Result<(), LinkError> {
        self.send(client, server, apdu)
    }

    fn can_send(&self, _: ClientSap, _: ServerSap) -> bool {
        self.is_empty()
    }
}
