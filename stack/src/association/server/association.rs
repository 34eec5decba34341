//! One application association on the server's side: an APDU in, at most one APDU out.

use core::ops::Range;

use super::answer::{
    Answer, DECIPHERING_ERROR, OTHER_REASON, PDU_TOO_LONG, SERVICE_NOT_ALLOWED, SERVICE_NOT_SUPPORTED,
    invocation_counter_error,
};
use super::device::{Access, AuditEvent, Device};
use super::transfer::{Transfer, Transfers};
use crate::apdu::{
    AccessRequest, ActionRequest, Conformance, DataNotificationConfirm, ExceptionResponse, GetRequest,
    InvokeIdAndPriority, LongInvokeIdAndPriority, SetRequest, tag,
};
use crate::association::Referencing;
use crate::id::{ClientSap, ServerSap, SystemTitle};
use crate::link::Storage;
use crate::security::hls::Challenge;
use crate::security::{
    self, Crypto, Envelope, ErrorClass, HEADROOM, Protection, Random, ReceiveFloor, SecurityError, TAG_LENGTH,
};

/// One application association between a client and a logical device, on the server's side.
///
/// Hand every APDU to [`handle`](Self::handle) and send what it returns; call [`reset`](Self::reset)
/// when the link is lost.
///
/// ```text
///            AARQ accepted             reply_to_HLS_authentication verified
///   Idle ──────────────────▶ Pending ─────────────────────────────────────▶ Associated
///     │   AARQ accepted, no HLS                                               ▲   │
///     └───────────────────────────────────────────────────────────────────────┘   │
///     ◀──────────────────────── RLRQ, reset, refusal ─────────────────────────────┘
/// ```
///
/// `B` holds requests that arrive in blocks, the request of a GET that is answered in blocks, and results of
/// methods that leave in blocks; what is longer than it is refused. 128 octets are enough for reading.
#[derive(Debug)]
pub struct Association<C: Crypto, B> {
    pub(super) client: ClientSap,
    pub(super) server: ServerSap,
    pub(super) state: State<C>,
    pub(super) transfers: Transfers<B>,
    /// A notification that the client confirmed.
    pub(super) confirmation: Option<(LongInvokeIdAndPriority, Protection)>,
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
}

/// What was negotiated.
#[derive(Debug)]
pub(super) struct Session<C: Crypto> {
    pub(super) access: Access,
    pub(super) security: Option<Secured<C>>,
}

/// Keys and counters of a ciphered association.
#[derive(Debug)]
pub(super) struct Secured<C: Crypto> {
    pub(super) context: security::Context<C>,
    pub(super) setup: u8,
    pub(super) peer: SystemTitle,
    /// Of the dedicated key, which lives as long as the association.
    pub(super) dedicated_floor: ReceiveFloor,
    /// Transmit counter of the dedicated key.
    pub(super) dedicated_counter: u32,
}

/// How a response has to be wrapped: as its request was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrapping {
    pub(super) envelope: Envelope,
    pub(super) protection: Protection,
}

impl<C: Crypto, B: Storage> Association<C, B> {
    /// An association that is not open yet.
    pub const fn new(client: ClientSap, server: ServerSap, storage: B) -> Self {
        let transfers = Transfers { transfer: Transfer::None, long: storage };
        Self { client, server, state: State::Idle, transfers, confirmation: None }
    }

    /// Gives a closed association to another pair.
    pub(super) const fn assign(&mut self, client: ClientSap, server: ServerSap) {
        self.client = client;
        self.server = server;
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
        if let State::Associated(_) = self.state {
            device.audit(AuditEvent::Released { client: self.client, server: self.server });
        }
        self.state = State::Idle;
        self.transfers.transfer = Transfer::None;
    }

    /// Takes one APDU of the client and writes the response into `out`; returns its place there, or
    /// `None` when nothing is to be sent. `apdu` is deciphered in place.
    ///
    /// `out` must hold the longest response plus [`HEADROOM`] and [`TAG_LENGTH`]; it bounds the response together
    /// with the client's own limit, and longer values go out in blocks.
    pub fn handle<D: Device, R: Random>(
        &mut self,
        apdu: &mut [u8],
        device: &mut D,
        random: &mut R,
        out: &mut [u8],
    ) -> Option<Range<usize>> {
        match apdu.first()? {
            0x60 => self.open(apdu, device, random, out),
            0x62 => self.release(apdu, device, out),
            _ => self.request(apdu, device, out),
        }
    }

    /// Everything that needs an association.
    fn request<D: Device>(&mut self, apdu: &mut [u8], device: &mut D, out: &mut [u8]) -> Option<Range<usize>> {
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
                device.audit(AuditEvent::SecurityFailed { client, server, error });
                return refuse(apdu, session.access.referencing, security_exception(error), out);
            }
        };
        let plain = apdu.get(plain)?;
        if plain.first() == Some(&tag::DATA_NOTIFICATION_CONFIRM) && !pending {
            let protection = wrapping.map_or(Protection::NONE, |wrapping| wrapping.protection);
            self.confirmation = DataNotificationConfirm::decode(plain).ok().map(|confirm| (confirm.invoke, protection));
            return None;
        }
        let mut access = session.access;
        access.request = wrapping.map_or(Protection::NONE, |wrapping| wrapping.protection);
        // Header and tag at their longest: a few octets less data in a block, never one too many.
        let overhead = if wrapping.is_some() { HEADROOM.saturating_add(TAG_LENGTH) } else { 0 };
        let mut answer = Answer::new(out, client_limit(access.client_max_pdu), overhead);

        let proved = match &mut self.state {
            State::Pending(pending) => Some(pending.reply(plain, floor_before, device, &mut answer)),
            _ => {
                self.transfers.dispatch(plain, &access, device, &mut answer);
                None
            }
        };
        let placed = self.wrap(answer, wrapping, device);
        match proved {
            None => {}
            Some(true) => {
                if let State::Pending(pending) = core::mem::replace(&mut self.state, State::Idle) {
                    self.state = State::Associated(pending.session);
                }
                device.audit(AuditEvent::Associated { client, server });
            }
            Some(false) => {
                self.state = State::Idle;
                device.audit(AuditEvent::AuthenticationFailed { client, server });
            }
        }
        placed
    }

    /// Protects the answer as the request was protected.
    fn wrap<D: Device>(
        &mut self,
        mut answer: Answer<'_>,
        wrapping: Option<Wrapping>,
        device: &mut D,
    ) -> Option<Range<usize>> {
        let plain = send(answer.plain())?;
        let (Some(wrapping), false) = (wrapping, answer.is_clear()) else { return Some(plain) };
        let (State::Pending(Pending { session, .. }) | State::Associated(session)) = &mut self.state else {
            return None;
        };
        let secured = session.security.as_mut()?;
        let counter = secured.take_counter(wrapping.envelope, self.server, device)?;
        let control = secured.context.control(wrapping.protection);
        secured.context.protect(wrapping.envelope, control, counter, answer.buffer(), plain).ok()
    }
}

impl<B: Storage> Transfers<B> {
    /// Answers a request in clear.
    fn dispatch<D: Device>(&mut self, plain: &[u8], access: &Access, device: &mut D, answer: &mut Answer<'_>) {
        if access.referencing == Referencing::ShortName {
            return self.dispatch_named(plain, access, device, answer);
        }
        let services = access.conformance;
        let confirmed = match plain.first() {
            Some(0xC0) if services.contains(Conformance::GET) => GetRequest::decode(plain).map(|request| {
                self.get(&request, plain, access, device, answer);
                request.invoke().is_confirmed()
            }),
            Some(0xC1) if services.contains(Conformance::SET) => SetRequest::decode(plain).map(|request| {
                self.set(&request, plain, access, device, answer);
                request.invoke().is_confirmed()
            }),
            Some(0xC3) if services.contains(Conformance::ACTION) => ActionRequest::decode(plain).map(|request| {
                self.action(&request, plain, access, device, answer);
                request.invoke().is_confirmed()
            }),
            Some(&tag::ACCESS_REQUEST) if services.contains(Conformance::ACCESS) => {
                AccessRequest::decode(plain).map(|request| {
                    self.transfer = Transfer::None;
                    if !super::access::access(&request, access, device, answer) {
                        answer.exception(PDU_TOO_LONG);
                    }
                    request.invoke.is_confirmed()
                })
            }
            _ => {
                answer.exception(SERVICE_NOT_SUPPORTED);
                Ok(true)
            }
        };
        match confirmed {
            Ok(true) => {}
            Ok(false) => answer.clear(),
            Err(_) => answer.exception(OTHER_REASON),
        }
        // Nor is an unconfirmed request that was refused.
        if expects_no_answer(plain) {
            answer.clear();
        }
    }
}

impl<C: Crypto> Session<C> {
    /// Deciphers a request in place and checks that it is protected well enough.
    fn unwrap<D: Device>(
        &mut self,
        server: ServerSap,
        policy: Option<Protection>,
        apdu: &mut [u8],
        device: &mut D,
    ) -> Result<(Range<usize>, Option<Wrapping>), SecurityError> {
        match (&mut self.security, policy) {
            (Some(secured), policy) if self.access.ciphered_context => {
                let required = policy.unwrap_or(secured.context.required());
                secured.context.set_required(required);
                secured.unwrap(server, apdu, device)
            }
            _ if security::is_protected(apdu) => Err(SecurityError::NotExpected),
            (_, Some(required)) if !required.is_none() => {
                Err(SecurityError::PolicyNotMet { required, found: Protection::NONE })
            }
            _ => Ok((0..apdu.len(), None)),
        }
    }
}

impl<C: Crypto> Secured<C> {
    /// Verifies and deciphers in place; the floor moves only after that. An APDU in clear passes where the
    /// policy demands nothing.
    pub(super) fn unwrap<D: Device>(
        &mut self,
        server: ServerSap,
        apdu: &mut [u8],
        device: &mut D,
    ) -> Result<(Range<usize>, Option<Wrapping>), SecurityError> {
        if !security::is_protected(apdu) {
            let required = self.context.required();
            return if required.is_none() {
                Ok((0..apdu.len(), None))
            } else {
                Err(SecurityError::PolicyNotMet { required, found: Protection::NONE })
            };
        }
        let floor = ReceiveFloor::new(device.floor(server, self.setup, self.peer));
        let dedicated = self.dedicated_floor;
        let opened =
            self.context.unprotect(apdu, |key| if key == security::KeyId::Dedicated { dedicated } else { floor })?;
        if let Some(verified) = opened.verified {
            if opened.envelope.is_dedicated() {
                self.dedicated_floor.accept(verified);
            } else {
                device.accept_counter(server, self.setup, self.peer, verified.counter());
            }
        }
        Ok((opened.plain, Some(Wrapping { envelope: opened.envelope, protection: opened.protection })))
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

/// Whether a request in clear is of an unconfirmed service: it is executed or not, and never answered.
fn expects_no_answer(plain: &[u8]) -> bool {
    match plain {
        [0x16 | 0x36 | 0x56, ..] => true,
        [0xC0 | 0xC1 | 0xC3, _, invoke, ..] => !InvokeIdAndPriority(*invoke).is_confirmed(),
        [0xD9, flags, ..] => u32::from(*flags) << 24 & LongInvokeIdAndPriority::CONFIRMED == 0,
        _ => false,
    }
}

/// The client's limit in octets; 0 means none.
const fn client_limit(client_max_pdu: u16) -> usize {
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
fn refuse(
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
