//! One application association on the server's side: an APDU in, at most one APDU out.

use core::ops::Range;

use super::answer::{Answer, DECIPHERING_ERROR, OTHER_REASON, SERVICE_NOT_ALLOWED, invocation_counter_error};
use super::device::{Access, AuditEvent, Device};
use super::dispatch::{expects_no_answer, has_own_blocks, is_unconfirmed_access};
use super::general::{Exchange, Room};
use super::guard::Guard;
use super::lockout::Source;
use super::quirk::tolerates_request;
use super::transfer::{Transfer, Transfers};
use crate::Instant;
use crate::apdu::{Conformance, DataNotificationConfirm, ExceptionResponse, LongInvokeIdAndPriority, tag};
use crate::association::Referencing;
use crate::id::{ClientSap, ServerSap, SystemTitle};
use crate::link::Storage;
use crate::security::general::{self, Cipher, GeneralSession, KeyChoice, Layers, TransactionId};
use crate::security::hls::Challenge;
use crate::security::{
    self, CounterExhausted, Crypto, Envelope, ErrorClass, HEADROOM, KeyId, Protection, Random, ReceiveFloor,
    SecurityError, SecurityPolicy, TAG_LENGTH,
};

/// Services that keep something for the next request.
const TRANSFERS: Conformance = Conformance::BLOCK_TRANSFER_WITH_GET
    .union(Conformance::BLOCK_TRANSFER_WITH_SET)
    .union(Conformance::BLOCK_TRANSFER_WITH_ACTION)
    .union(Conformance::GENERAL_BLOCK_TRANSFER);
/// How long a client has for passes 3 and 4, in milliseconds.
const HLS_TIMEOUT_MS: u64 = 30_000;

/// One application association between a client and a logical device, on the server's side.
///
/// Hand every APDU to [`handle`](Self::handle) and send what it returns; call [`reset`](Self::reset)
/// when the link is lost.
///
/// ```text
///            AARQ accepted             reply_to_HLS_authentication verified
///   Idle ──────────────────▶ Pending ─────────────────────────────────────▶ Associated
///     │   AARQ accepted, no HLS; pre-established: any request                 ▲   │
///     └───────────────────────────────────────────────────────────────────────┘   │
///     ◀──────────── RLRQ, reset, refusal, too many APDUs that are no good ────────┘
/// ```
///
/// `B` holds requests that arrive in blocks, the request of a GET that is answered in blocks, and results of
/// methods that leave in blocks; what is longer than it is refused. 128 octets are enough for reading. With general
/// block transfer it also holds answers, the longest and all that are ciphered: give it a PDU at least.
#[derive(Debug)]
pub struct Association<C: Crypto, B> {
    pub(super) client: ClientSap,
    pub(super) server: ServerSap,
    pub(super) state: State<C>,
    pub(super) transfers: Transfers<B>,
    pub(super) exchange: Option<Exchange>,
    /// A notification that the client confirmed.
    pub(super) confirmation: Option<(LongInvokeIdAndPriority, Protection)>,
    pub(super) guard: Guard,
    /// Where the client's octets come from.
    pub(super) source: Source,
    /// The time of the last call.
    pub(super) now: Instant,
}

/// What exists in each state, and only then.
#[derive(Debug)]
pub(super) enum State<C: Crypto> {
    Idle,
    Pending(Pending<C>),
    Associated(Session<C>),
}

/// Accepted, but the client has still to answer the server's challenge.
#[derive(Debug)]
pub(super) struct Pending<C: Crypto> {
    pub(super) session: Session<C>,
    pub(super) client_challenge: Challenge,
    pub(super) server_challenge: Challenge,
    /// The server's system title, as far as it has one.
    pub(super) own_title: Option<SystemTitle>,
    /// When the AARQ was accepted.
    pub(super) since: Instant,
    /// Whether the client has asked for something else before.
    pub(super) warned: bool,
}

/// What was negotiated.
#[derive(Debug)]
pub(super) struct Session<C: Crypto> {
    pub(super) access: Access,
    pub(super) security: Option<Secured<C>>,
    pub(super) pre_established: bool,
}

/// Keys and counters of a ciphered association.
#[derive(Debug)]
pub(super) struct Secured<C: Crypto> {
    pub(super) context: security::Context<C>,
    pub(super) setup: u8,
    /// [`Device::key_generation`] of the keys in the context.
    pub(super) generation: u32,
    pub(super) peer: SystemTitle,
    /// Of the dedicated key, which lives as long as the association.
    pub(super) dedicated_floor: ReceiveFloor,
    /// Transmit counter of the dedicated key.
    pub(super) dedicated_counter: u32,
    /// Keys that came with messages.
    pub(super) messages: GeneralSession<C>,
}

/// How a response has to be wrapped: as its request was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrapping {
    pub(super) layers: Layers,
    /// To be echoed; empty where the request had none.
    pub(super) transaction: TransactionId,
    /// Whether the broadcast key was used.
    pub(super) broadcast: bool,
}

impl<C: Crypto, B: Storage> Association<C, B> {
    /// An association that is not open yet.
    pub const fn new(client: ClientSap, server: ServerSap, storage: B) -> Self {
        let transfers = Transfers { transfer: Transfer::None, long: storage, response: Protection::NONE };
        let now = Instant::from_millis(0);
        let (state, guard) = (State::Idle, Guard::NEW);
        let source = Source(0);
        Self { client, server, state, transfers, exchange: None, confirmation: None, guard, source, now }
    }

    /// Says where the client's octets come from, which failed authentications are counted for.
    pub const fn set_source(&mut self, source: Source) {
        self.source = source;
    }

    /// Gives a closed association to another pair.
    pub(super) fn assign(&mut self, client: ClientSap, server: ServerSap) {
        self.client = client;
        self.server = server;
        self.guard.restart();
    }

    /// Whether the peer has sent too much that cannot be deciphered: the association is over, and the line is to be
    /// closed where it is the peer's alone.
    #[must_use]
    pub const fn is_exhausted(&self) -> bool {
        self.guard.is_exhausted()
    }

    /// The client of this association.
    #[must_use]
    pub const fn client(&self) -> ClientSap {
        self.client
    }

    /// The logical device of this association.
    #[must_use]
    pub const fn server(&self) -> ServerSap {
        self.server
    }

    /// Whether a client is associated, or about to be.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !matches!(self.state, State::Idle)
    }

    /// Forgets everything: the link below was lost or closed.
    pub fn reset<D: Device>(&mut self, device: &mut D) {
        self.end(device);
        self.guard.restart();
    }

    /// Ends the association; what its peer has done is not forgotten.
    pub(super) fn end<D: Device>(&mut self, device: &mut D) {
        if matches!(&self.state, State::Associated(session) if !session.pre_established) {
            device.audit(AuditEvent::Released { client: self.client, server: self.server });
        }
        self.state = State::Idle;
        self.transfers.transfer = Transfer::None;
        self.exchange = None;
    }

    /// Takes one APDU of the client at `now` and writes the response into `out`; returns its place there, or
    /// `None` when nothing is to be sent. `apdu` is deciphered in place. As long as [`has_block`](Self::has_block),
    /// [`next_block`](Self::next_block) yields what is to be sent behind it.
    ///
    /// `out` must hold the longest response plus [`HEADROOM`] and [`TAG_LENGTH`]; it bounds the response together
    /// with the client's own limit, and longer values go out in blocks.
    pub fn handle<D: Device, R: Random>(
        &mut self,
        apdu: &mut [u8],
        now: Instant,
        device: &mut D,
        random: &mut R,
        out: &mut [u8],
    ) -> Option<Range<usize>> {
        self.now = now;
        if matches!(&self.state, State::Pending(pending) if now.since_ms(pending.since) >= HLS_TIMEOUT_MS) {
            self.end(device);
        }
        if D::OFFER.pre_established {
            self.establish(device);
        }
        self.renew_keys(device);
        let placed = match *apdu.first()? {
            0x60 => self.open(apdu, device, random, out),
            0x62 => self.release(apdu, device, out),
            tag::GENERAL_BLOCK_TRANSFER if D::OFFER.has(Conformance::GENERAL_BLOCK_TRANSFER) => {
                self.block(apdu, device, random, out)
            }
            _ => self.request(apdu, device, random, out),
        };
        device.answered(self.server);
        placed
    }

    /// Takes keys that were replaced since the last request; an association whose keys are gone is over.
    #[cfg_attr(feature = "small", inline(never))]
    pub(super) fn renew_keys<D: Device>(&mut self, device: &mut D) {
        let (State::Pending(Pending { session, .. }) | State::Associated(session)) = &mut self.state else { return };
        let Some(secured) = &mut session.security else { return };
        let generation = device.key_generation(self.server, secured.setup);
        if generation == secured.generation {
            return;
        }
        let config = device.association(self.client, self.server).and_then(|config| config.security);
        let renewed = config.filter(|config| config.setup == secured.setup).map(|config| {
            let keys = config.keys()?;
            secured.context.replace_keys(&keys)
        });
        secured.generation = generation;
        if !matches!(renewed, Some(Ok(()))) {
            self.end(device);
        }
    }

    /// A protected APDU was refused: ends the association of a peer that has had its chances, and answers.
    pub(super) fn refuse_security<D: Device>(
        &mut self,
        error: SecurityError,
        request: &[u8],
        referencing: Referencing,
        device: &mut D,
        out: &mut [u8],
    ) -> Option<Range<usize>> {
        let (client, server) = (self.client, self.server);
        self.guard.refused(error);
        self.guard.report(device, self.now, AuditEvent::SecurityFailed { client, server, error });
        if self.guard.is_exhausted() {
            self.end(device);
        }
        refuse(request, referencing, security_exception(error), out)
    }

    /// Everything that needs an association, in one APDU. It ends an exchange of blocks.
    #[cfg_attr(feature = "small", inline(never))]
    fn request<D: Device>(
        &mut self,
        apdu: &mut [u8],
        device: &mut D,
        random: &mut dyn Random,
        out: &mut [u8],
    ) -> Option<Range<usize>> {
        self.exchange = None;
        let room = Room::whole(self.transfers.long.as_ref().len());
        let placed = self.answer(room, apdu, device, random, out);
        self.place(placed, false, device, out)
    }

    /// Answers a request. Where general block transfer was negotiated, the answer may have as many octets as `room` says.
    #[cfg_attr(feature = "small", inline(never))]
    pub(super) fn answer<D: Device>(
        &mut self,
        room: Room,
        apdu: &mut [u8],
        device: &mut D,
        random: &mut dyn Random,
        out: &mut [u8],
    ) -> Option<Range<usize>> {
        let (client, server) = (self.client, self.server);
        let pending = matches!(self.state, State::Pending(_));
        let session = match &mut self.state {
            State::Idle => {
                let config = device.association(client, server);
                let referencing = config.map_or(Referencing::LogicalName, |config| config.referencing);
                return refuse(apdu, referencing, SERVICE_NOT_ALLOWED, out);
            }
            State::Pending(pending) => &mut pending.session,
            State::Associated(session) => session,
        };
        let floor_before = session.security.as_ref().map_or(0, |s| device.floor(server, s.setup, s.peer));
        // A policy that was strengthened meanwhile holds for what is open already.
        let policy = device.association(client, server).and_then(|config| config.security).map(|found| found.policy);
        let (plain, wrapping) = match session.unwrap(server, policy, apdu, device) {
            Ok(unwrapped) => unwrapped,
            Err(error) => {
                let referencing = session.access.referencing;
                return self.refuse_security(error, apdu, referencing, device, out);
            }
        };
        let plain = apdu.get(plain)?;
        let broadcast = wrapping.is_some_and(|wrapping| wrapping.broadcast);
        if broadcast && (pending || !(expects_no_answer(plain) || is_unconfirmed_access(plain))) {
            // A whole group holds this key: it opens nothing, and nobody is to be answered under it.
            let (error, referencing) = (SecurityError::NoKey(KeyId::Broadcast), session.access.referencing);
            let _ = self.refuse_security(error, &[], referencing, device, out);
            return None;
        }
        if plain.first() == Some(&tag::DATA_NOTIFICATION_CONFIRM) && !pending {
            let protection = wrapping.map_or(Protection::NONE, |wrapping| wrapping.layers.protection);
            self.confirmation = DataNotificationConfirm::decode(plain).ok().map(|confirm| (confirm.invoke, protection));
            return None;
        }
        if !tolerates_request(client, server, apdu, plain, device) {
            return if broadcast { None } else { refuse(plain, session.access.referencing, OTHER_REASON, out) };
        }
        let mut access = session.access;
        access.request = wrapping.map_or(Protection::NONE, |wrapping| wrapping.layers.protection);
        access.broadcast = broadcast;
        if access.broadcast {
            // A transfer is between two: what the group sends neither starts nor continues one.
            access.conformance = access.conformance.without(TRANSFERS);
        }
        // Headers and tags at their longest: a few octets less data in a block, never one too many.
        let response = policy.map_or(Protection::NONE, |policy| policy.response);
        let overhead = session.overhead(wrapping, response);
        let mut answer = Answer::new(out, client_limit(access.client_max_pdu), overhead);
        if access.has::<D>(Conformance::GENERAL_BLOCK_TRANSFER)
            && (room.is_kept() || !has_own_blocks(plain, access.conformance))
        {
            answer.widen(room.of(client_limit(access.client_max_pdu)));
        }
        if matches!(self.state, State::Pending(_)) {
            return self.authenticate(plain, floor_before, wrapping, device, random, answer);
        }
        let under_way = (self.transfers.transfer, self.transfers.response);
        self.transfers.dispatch(plain, &access, device, &mut answer);
        if access.broadcast {
            // Nor does it end one.
            (self.transfers.transfer, self.transfers.response) = under_way;
        }
        let demanded = response.union(self.transfers.response);
        self.wrap(answer, wrapping, demanded, device, random)
    }

    /// Protects the answer as the request was protected, and as is demanded beyond that.
    #[cfg_attr(feature = "small", inline(never))]
    pub(super) fn wrap<D: Device>(
        &mut self,
        mut answer: Answer<'_>,
        wrapping: Option<Wrapping>,
        demanded: Protection,
        device: &mut D,
        random: &mut dyn Random,
    ) -> Option<Range<usize>> {
        let plain = send(answer.plain())?;
        if answer.is_clear() {
            return Some(plain);
        }
        let (State::Pending(Pending { session, .. }) | State::Associated(session)) = &mut self.state else {
            return None;
        };
        let Some(wrapping) = session.response_wrapping(wrapping, demanded) else { return Some(plain) };
        let parties = (self.client, self.server);
        let protected = session
            .security
            .as_mut()
            .and_then(|secured| secured.protect(wrapping, demanded, parties, device, random, answer.buffer(), plain));
        if protected.is_none() {
            // What is demanded cannot be had here, and less is not sent.
            answer.exception(OTHER_REASON);
            return send(answer.plain());
        }
        protected
    }
}

impl<C: Crypto> Session<C> {
    /// Deciphers a request in place and checks that it is protected well enough.
    fn unwrap<D: Device>(
        &mut self,
        server: ServerSap,
        policy: Option<SecurityPolicy>,
        apdu: &mut [u8],
        device: &mut D,
    ) -> Result<(Range<usize>, Option<Wrapping>), SecurityError> {
        match (&mut self.security, policy.map(|policy| policy.request)) {
            (Some(secured), policy) if self.access.ciphered_context => {
                let required = policy.unwrap_or(secured.context.required());
                secured.context.set_required(required);
                let general = matches!(apdu.first(), Some(0xDD | 0xDF));
                if general && !self.access.has::<D>(Conformance::GENERAL_PROTECTION) {
                    return Err(SecurityError::NotExpected);
                }
                secured.unwrap(self.access.client, server, apdu, device)
            }
            _ if general::is_protected(apdu) => Err(SecurityError::NotExpected),
            (_, Some(required)) if !required.is_none() => {
                Err(SecurityError::PolicyNotMet { required, found: Protection::NONE })
            }
            _ => Ok((0..apdu.len(), None)),
        }
    }

    /// How a response is wrapped: as its request was, and better where that is demanded. `None`: in clear.
    pub(super) fn response_wrapping(&self, request: Option<Wrapping>, demanded: Protection) -> Option<Wrapping> {
        let demanded = if self.access.ciphered_context { demanded } else { Protection::NONE };
        match request {
            Some(wrapping) => Some(Wrapping { layers: wrapping.layers.strengthened(demanded), ..wrapping }),
            None if demanded.is_none() => None,
            None => {
                let layers = Layers::default().strengthened(demanded);
                Some(Wrapping { layers, transaction: TransactionId::default(), broadcast: false })
            }
        }
    }

    /// Octets that the wrapping of a response needs at most.
    fn overhead(&self, request: Option<Wrapping>, demanded: Protection) -> usize {
        let least =
            if request.is_some() || self.access.ciphered_context { HEADROOM.saturating_add(TAG_LENGTH) } else { 0 };
        let wrapping = self.response_wrapping(request, demanded);
        match (wrapping, &self.security) {
            (Some(wrapping), Some(secured)) if wrapping.layers.needs_transaction() => {
                let (front, back) =
                    wrapping.layers.room(secured.context.suite(), wrapping.transaction.as_bytes().len());
                front.saturating_add(back).max(least)
            }
            _ => least,
        }
    }
}

impl<C: Crypto> Secured<C> {
    /// Verifies and deciphers in place; the floor moves only after that. An APDU in clear passes where the
    /// policy demands nothing.
    pub(super) fn unwrap<D: Device>(
        &mut self,
        client: ClientSap,
        server: ServerSap,
        apdu: &mut [u8],
        device: &mut D,
    ) -> Result<(Range<usize>, Option<Wrapping>), SecurityError> {
        if !general::is_protected(apdu) {
            let required = self.context.required();
            return if required.is_none() {
                Ok((0..apdu.len(), None))
            } else {
                Err(SecurityError::PolicyNotMet { required, found: Protection::NONE })
            };
        }
        let (setup, peer) = (self.setup, self.peer);
        let dedicated = self.dedicated_floor;
        let keys = device.general_keys(client, server, Some(peer));
        let floor = |key| match key {
            KeyId::Dedicated => dedicated,
            KeyId::Unicast => ReceiveFloor::new(device.floor(server, setup, peer)),
            KeyId::Broadcast => ReceiveFloor::new(device.broadcast_floor(server, setup, peer)),
            // A key that serves one message has no past.
            KeyId::Message => ReceiveFloor::new(0),
        };
        let opened = if D::OFFER.has(Conformance::GENERAL_PROTECTION) {
            general::unprotect(&self.context, &mut self.messages, &keys, apdu, floor)?
        } else {
            general::unprotect_envelope(&self.context, apdu, floor)?
        };
        if let Some(transaction) = opened.transaction {
            if !device.accept_transaction(server, setup, peer, transaction) {
                return Err(SecurityError::TransactionId);
            }
            self.messages.accept(transaction);
        }
        if let Some(verified) = opened.counter {
            match verified.key() {
                KeyId::Dedicated => self.dedicated_floor.accept(verified),
                KeyId::Unicast => device.accept_counter(server, setup, peer, verified.counter()),
                KeyId::Broadcast => device.accept_broadcast_counter(server, setup, peer, verified.counter()),
                KeyId::Message => {}
            }
            // A device whose memory has failed raises the floor to the end: what it cannot remember is not executed.
            let floor = match verified.key() {
                KeyId::Unicast => device.floor(server, setup, peer),
                KeyId::Broadcast => device.broadcast_floor(server, setup, peer),
                KeyId::Dedicated | KeyId::Message => 0,
            };
            // The floor stands there behind the last usable counter as well.
            if floor == u32::MAX && verified.counter() < u32::MAX - 1 {
                return Err(SecurityError::Counter { lowest: floor });
            }
        }
        let broadcast = opened.used_broadcast;
        let wrapping = Wrapping { layers: opened.layers, transaction: opened.transaction_id, broadcast };
        Ok((opened.plain, Some(wrapping)))
    }

    /// The same for what is in the fields of ACSE, which nobody signs.
    pub(super) fn unwrap_initiate<D: Device>(
        &mut self,
        client: ClientSap,
        server: ServerSap,
        apdu: &mut [u8],
        device: &mut D,
    ) -> Result<(Range<usize>, Option<Wrapping>), SecurityError> {
        let required = self.context.required();
        self.context.set_required(required.without_signature());
        let unwrapped = self.unwrap(client, server, apdu, device);
        self.context.set_required(required);
        unwrapped
    }

    /// Wraps a response in place; `None` when that cannot be done as demanded.
    #[allow(clippy::too_many_arguments, reason = "how, for whom, with whose keys, and the octets")]
    fn protect<D: Device>(
        &mut self,
        wrapping: Wrapping,
        demanded: Protection,
        (client, server): (ClientSap, ServerSap),
        device: &mut D,
        random: &mut dyn Random,
        buffer: &mut [u8],
        plain: Range<usize>,
    ) -> Option<Range<usize>> {
        let Wrapping { mut layers, transaction, .. } = wrapping;
        // A signature that only the request had is not owed.
        let peer = Some(self.peer);
        if layers.protection.signed && !demanded.signed && device.general_keys(client, server, peer).signing.is_none() {
            layers.protection.signed = false;
        }
        let counter = match layers.cipher {
            Some(Cipher::Envelope(envelope)) => self.take_counter(envelope, server, device),
            Some(Cipher::General(KeyChoice::Unicast)) => device.take_counter(server, self.setup),
            _ => None,
        };
        let (front, back) = layers.room(self.context.suite(), transaction.as_bytes().len());
        let front = if layers.needs_transaction() { front } else { plain.start };
        let place = front..front.checked_add(plain.len())?;
        if place.end.checked_add(back)? > buffer.len() {
            return None;
        }
        buffer.copy_within(plain, front);
        let keys = device.general_keys(client, server, peer);
        let (context, messages) = (&self.context, &mut self.messages);
        let counter = || counter.ok_or(CounterExhausted);
        if !D::OFFER.has(Conformance::GENERAL_PROTECTION) {
            let Some(Cipher::Envelope(envelope)) = layers.cipher.filter(|_| !layers.protection.signed) else {
                return None;
            };
            return context.protect(envelope, context.control(layers.protection), counter().ok()?, buffer, place).ok();
        }
        general::protect(context, messages, &keys, &layers, &transaction, counter, random, buffer, place).ok()
    }

    /// The next transmit counter of the key that `envelope` uses.
    pub(super) fn take_counter<D: Device>(
        &mut self,
        envelope: Envelope,
        server: ServerSap,
        device: &mut D,
    ) -> Option<u32> {
        if envelope.is_dedicated() {
            let counter = self.dedicated_counter;
            self.dedicated_counter = counter.checked_add(1)?;
            Some(counter)
        } else {
            device.take_counter(server, self.setup)
        }
    }
}

/// The client's limit in octets; 0 means none.
pub(super) const fn client_limit(client_max_pdu: u16) -> usize {
    if client_max_pdu == 0 { u16::MAX as usize } else { client_max_pdu as usize }
}

/// What the client learns of a security failure: that it failed, or which counter is acceptable.
pub(super) fn security_exception(error: SecurityError) -> ExceptionResponse {
    match error.class() {
        ErrorClass::Counter { lowest } => invocation_counter_error(lowest),
        _ => DECIPHERING_ERROR,
    }
}

/// Answers for the APDU as a whole, in clear.
pub(super) fn refuse(
    request: &[u8],
    referencing: Referencing,
    exception: ExceptionResponse,
    out: &mut [u8],
) -> Option<Range<usize>> {
    if expects_no_answer(request) {
        return None;
    }
    let mut answer = Answer::new(out, usize::MAX, 0);
    answer.refuse(referencing, request.first().copied(), exception);
    send(answer.plain())
}

/// `None` for nothing to send.
pub(super) fn send(plain: Range<usize>) -> Option<Range<usize>> {
    (!plain.is_empty()).then_some(plain)
}
