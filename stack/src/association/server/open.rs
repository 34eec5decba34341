//! Opening and releasing on the server's side: AARQ, the HLS reply, RLRQ.

use core::ops::Range;

use super::answer::{Answer, SERVICE_NOT_ALLOWED};
use super::association::{Association, Pending, Secured, Session, State, Wrapping, security_exception, send};
use super::device::{Access, AssociationConfig, AuditEvent, Device, SecurityConfig};
use super::transfer::Transfer;
use crate::acse::{
    Aare, Aarq, ApplicationContext, AssociationResult, AuthenticationValue, Diagnostic, Mechanism, ReleaseReason, Rlre,
    Rlrq, ServiceProviderDiagnostic, ServiceUserDiagnostic,
};
use crate::apdu::DLMS_VERSION;
use crate::apdu::{Conformance, InitiateRequest, InitiateResponse};
use crate::association::{Referencing, hls_pass};
use crate::axdr::Writer;
use crate::id::{ClientSap, ServerSap, SystemTitle};
use crate::link::Storage;
use crate::security::hls::{self, Challenge};
use crate::security::{
    self, CounterExhausted, Crypto, HEADROOM, KeySet, Protection, Random, ReceiveFloor, SecurityError, TAG_LENGTH,
};

/// Smallest PDU size that a client may ask for, as the widespread server implementations have it.
const CLIENT_MAX_PDU_MIN: u16 = 64;
/// Room for an Initiate APDU with its ciphering.
const INITIATE_MAX: usize = 128;
/// Octets of the challenges made here: as many as every known peer accepts.
const CHALLENGE_LENGTH: usize = 16;

/// Why an AARQ is not accepted.
enum Refusal {
    /// With an AARE: diagnostic, and the initiate error in its user-information.
    Rejected(Diagnostic, u8),
    /// With an exception instead of an AARE.
    Security(SecurityError),
}

impl Refusal {
    const fn because(diagnostic: ServiceUserDiagnostic) -> Self {
        Self::Rejected(Diagnostic::ServiceUser(diagnostic), 0)
    }

    const fn initiate(error: u8) -> Self {
        Self::Rejected(Diagnostic::ServiceUser(ServiceUserDiagnostic::NoReasonGiven), error)
    }
}

/// An accepted AARQ.
struct Accepted<C: Crypto> {
    session: Session<C>,
    context: ApplicationContext,
    /// Client's and server's challenge when the mechanism is HLS.
    challenges: Option<(Challenge, Challenge)>,
    system_title: Option<SystemTitle>,
    wrapping: Option<Wrapping>,
    response_allowed: bool,
}

impl<C: Crypto, B: Storage> Association<C, B> {
    /// Answers an AARQ. An association that was open is gone, whatever the answer.
    pub(super) fn open<D: Device, R: Random>(
        &mut self,
        apdu: &[u8],
        device: &mut D,
        random: &mut R,
        out: &mut [u8],
    ) -> Option<Range<usize>> {
        self.reset(device);
        let (client, server) = (self.client, self.server);
        // Octets that are no AARQ get no AARE: nothing in them can be trusted to be a proposal.
        let aarq = Aarq::decode(apdu).ok()?;
        let mut answer = Answer::new(out, usize::MAX, 0);
        match self.accept(&aarq, device, random) {
            Ok(accepted) => self.answer_accepted(accepted, device, answer),
            Err(Refusal::Security(error)) => {
                device.audit(AuditEvent::SecurityFailed { client, server, error });
                answer.exception(security_exception(error));
                send(answer.plain())
            }
            Err(Refusal::Rejected(diagnostic, error)) => {
                device.audit(AuditEvent::AuthenticationFailed { client, server });
                let initiate_error = [0x0E, 1, 6, error];
                let mut aare = Aare::new(aarq.context, AssociationResult::RejectedPermanent, diagnostic);
                aare.user_information = Some(&initiate_error);
                answer.encode(|out| aare.encode(out));
                send(answer.plain())
            }
        }
    }

    fn accept<D: Device, R: Random>(
        &mut self,
        aarq: &Aarq<'_>,
        device: &mut D,
        random: &mut R,
    ) -> Result<Accepted<C>, Refusal> {
        use ServiceUserDiagnostic as User;
        if !aarq.accepts_version_1() {
            let diagnostic = Diagnostic::ServiceProvider(ServiceProviderDiagnostic::NoCommonAcseVersion);
            return Err(Refusal::Rejected(diagnostic, 0));
        }
        let config = device.association(self.client, self.server).ok_or(Refusal::because(User::NoReasonGiven))?;
        let ciphered = context_is_ciphered(aarq.context, config.referencing, config.security.as_ref())?;
        let client_challenge = authenticate(aarq, &config)?;
        let needs_title = ciphered || config.mechanism == Mechanism::Gmac;
        let not_recognized = || Refusal::because(User::CallingApTitleNotRecognized);
        let client_title = match aarq.calling_ap_title {
            Some(title) => SystemTitle::from_slice(title),
            None => None,
        };
        let mut secured = None;
        if needs_title {
            let title = client_title.ok_or_else(not_recognized)?;
            let security = config.security.as_ref().ok_or(Refusal::because(User::AuthenticationFailure))?;
            // Two parties with one title under one key would use the same nonces, and could be played off by reflection.
            if title == security.system_title {
                return Err(not_recognized());
            }
            secured = Some(Secured::new(security, title)?);
        }
        // Copied out, because the device is asked to move its counters while the AARQ is checked further.
        let AssociationConfig { referencing, mechanism, conformance: offered, max_pdu, .. } = config;
        let own_title = config.security.filter(|_| needs_title).map(|security| security.system_title);

        let mut room = [0; INITIATE_MAX];
        let information = aarq.user_information.ok_or(Refusal::initiate(0))?;
        let copy = room.get_mut(..information.len()).ok_or(Refusal::initiate(0))?;
        copy.copy_from_slice(information);
        let (plain, wrapping) = match &mut secured {
            Some(secured) if ciphered => secured.unwrap(self.server, copy, device).map_err(Refusal::Security)?,
            _ => (0..copy.len(), None),
        };
        let initiate =
            InitiateRequest::decode(copy.get(plain).unwrap_or_default()).map_err(|_| Refusal::initiate(0))?;
        let conformance = initiate.conformance.intersection(offered);
        if initiate.version < DLMS_VERSION {
            return Err(Refusal::initiate(1));
        }
        if initiate.max_receive_pdu != 0 && initiate.max_receive_pdu < CLIENT_MAX_PDU_MIN {
            return Err(Refusal::initiate(3));
        }
        if conformance == Conformance::NONE {
            return Err(Refusal::initiate(2));
        }
        match (initiate.dedicated_key, &mut secured) {
            (None, _) => {}
            // A key that travelled in clear is no secret.
            (Some(key), Some(secured)) if wrapping.is_some_and(|wrapping| wrapping.protection.encrypted) => {
                secured.context.set_dedicated_key(key).map_err(Refusal::Security)?;
            }
            (Some(_), _) => return Err(Refusal::initiate(0)),
        }
        let challenges = match client_challenge {
            Some(client) => {
                let server = Challenge::draw(random, CHALLENGE_LENGTH)
                    .and_then(|server| server.check_differs(&client).map(|()| server))
                    .map_err(|_| Refusal::because(User::AuthenticationFailure))?;
                Some((client, server))
            }
            None => None,
        };
        let access = Access {
            referencing,
            client: self.client,
            server: self.server,
            mechanism,
            ciphered_context: ciphered,
            request: Protection::NONE,
            conformance,
            client_max_pdu: initiate.max_receive_pdu,
            server_max_pdu: max_pdu,
            client_title,
        };
        Ok(Accepted {
            session: Session { access, security: secured },
            context: aarq.context,
            challenges,
            system_title: own_title,
            wrapping,
            response_allowed: initiate.response_allowed,
        })
    }

    fn answer_accepted<D: Device>(
        &mut self,
        mut accepted: Accepted<C>,
        device: &mut D,
        mut answer: Answer<'_>,
    ) -> Option<Range<usize>> {
        let mut room = [0; INITIATE_MAX];
        let information = initiate_response(&mut accepted.session, accepted.wrapping, device, &mut room)?;
        let user = if accepted.challenges.is_some() {
            ServiceUserDiagnostic::AuthenticationRequired
        } else {
            ServiceUserDiagnostic::Null
        };
        let mechanism = accepted.session.access.mechanism;
        let mut aare = Aare::new(accepted.context, AssociationResult::Accepted, Diagnostic::ServiceUser(user));
        aare.responding_ap_title = accepted.system_title.as_ref().map(|title| title.as_bytes().as_slice());
        if mechanism != Mechanism::Lowest {
            aare.authentication = Some(true);
            aare.mechanism = Some(mechanism);
        }
        aare.authentication_value =
            accepted.challenges.as_ref().map(|(_, server)| AuthenticationValue::Charstring(server.as_bytes()));
        aare.user_information = Some(information);
        answer.encode(|out| aare.encode(out));

        self.transfers.transfer = Transfer::None;
        self.state = match accepted.challenges {
            Some((client_challenge, server_challenge)) => {
                State::Pending(Pending { session: accepted.session, client_challenge, server_challenge })
            }
            None => {
                device.audit(AuditEvent::Associated { client: self.client, server: self.server });
                State::Associated(accepted.session)
            }
        };
        if accepted.response_allowed { send(answer.plain()) } else { None }
    }
}

impl<C: Crypto> Pending<C> {
    /// Answers the only request that is allowed while HLS is pending; whether the client proved itself.
    ///
    /// `floor_before` is the receive floor as it was before the APDU that carries the reply: its own counter
    /// lies above the reply's, and has moved the floor already.
    pub(super) fn reply<D: Device>(
        &mut self,
        plain: &[u8],
        floor_before: u32,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) -> bool {
        let Access { referencing, client, server, mechanism, .. } = self.session.access;
        let Some((carrier, reply)) = hls_pass::read_request(referencing, plain) else {
            answer.refuse(referencing, plain.first().copied(), SERVICE_NOT_ALLOWED);
            return false;
        };
        let mut own = [0; hls::CHALLENGE_MAX];
        let proved = match mechanism {
            Mechanism::Gmac => self.exchange_gmac(server, reply, floor_before, device, &mut own),
            Mechanism::Hls2 => self.exchange_blocks(client, server, reply, device, &mut own),
            _ => Err(SecurityError::Authentication),
        };
        match proved {
            Ok(length) => answer.encode(|out| carrier.write_success(own.get(..length).unwrap_or_default(), out)),
            Err(error) => {
                device.audit(AuditEvent::SecurityFailed { client, server, error });
                answer.encode(|out| carrier.write_refusal(out));
                false
            }
        }
    }

    /// Mechanism 5: verifies the client's answer, makes the server's; returns its length.
    fn exchange_gmac<D: Device>(
        &mut self,
        server: ServerSap,
        reply: &[u8],
        floor_before: u32,
        device: &mut D,
        own: &mut [u8],
    ) -> Result<usize, SecurityError> {
        let secured = self.session.security.as_ref().ok_or(SecurityError::Authentication)?;
        let floor = ReceiveFloor::new(floor_before);
        let verified = hls::verify_gmac(&secured.context, floor, &self.server_challenge, reply)?;
        device.accept_counter(server, secured.setup, secured.peer, verified.counter());
        let counter = device.take_counter(server, secured.setup).ok_or(CounterExhausted)?;
        let response = hls::gmac_response(&secured.context, counter, &self.client_challenge)?;
        copy_front(own, &response)
    }

    /// Mechanism 2: the same with the secret of the association.
    fn exchange_blocks<D: Device>(
        &mut self,
        client: ClientSap,
        server: ServerSap,
        reply: &[u8],
        device: &D,
        own: &mut [u8],
    ) -> Result<usize, SecurityError> {
        let config = device.association(client, server).ok_or(SecurityError::Authentication)?;
        hls::verify_blocks::<C>(config.secret, &self.server_challenge, reply)?;
        let response = hls::block_response::<C>(config.secret, &self.client_challenge)?;
        copy_front(own, response.as_bytes())
    }
}

impl<C: Crypto> Secured<C> {
    fn new(security: &SecurityConfig<'_>, peer: SystemTitle) -> Result<Self, Refusal> {
        let prepare = || {
            let keys = KeySet::new(security.suite, security.encryption_key, security.authentication_key)?;
            let mut context = security::Context::new(security.system_title, &keys)?;
            context.set_required(security.policy);
            context.set_peer_title(peer);
            Ok(context)
        };
        let context = prepare().map_err(Refusal::Security)?;
        Ok(Self { context, setup: security.setup, peer, dedicated_floor: ReceiveFloor::new(0), dedicated_counter: 0 })
    }
}

/// Whether ciphering was asked for. Without it no request could satisfy a policy; with it there must be keys.
fn context_is_ciphered(
    context: ApplicationContext,
    referencing: Referencing,
    security: Option<&SecurityConfig<'_>>,
) -> Result<bool, Refusal> {
    match security {
        None if context == referencing.context(false) => Ok(false),
        Some(security) if context == referencing.context(false) && security.policy.is_none() => Ok(false),
        Some(_) if context == referencing.context(true) => Ok(true),
        _ => Err(Refusal::because(ServiceUserDiagnostic::ApplicationContextNameNotSupported)),
    }
}

/// Checks mechanism and password; with HLS returns the client's challenge, to be answered later.
fn authenticate(aarq: &Aarq<'_>, config: &AssociationConfig<'_>) -> Result<Option<Challenge>, Refusal> {
    use ServiceUserDiagnostic as User;
    let offered = aarq.mechanism.unwrap_or(Mechanism::Lowest);
    if offered != config.mechanism {
        return Err(Refusal::because(match aarq.mechanism {
            None => User::MechanismNameRequired,
            Some(Mechanism::Other(_)) => User::MechanismNameNotRecognised,
            Some(_) => User::AuthenticationFailure,
        }));
    }
    let failure = |_| Refusal::because(User::AuthenticationFailure);
    let value = aarq.authentication_value.as_ref().map(AuthenticationValue::as_bytes).unwrap_or_default();
    match config.mechanism {
        Mechanism::Lowest => Ok(None),
        Mechanism::Lls => hls::verify_password(config.secret, value).map(|()| None).map_err(failure),
        Mechanism::Gmac | Mechanism::Hls2 => Challenge::from_peer(value).map(Some).map_err(failure),
        _ => Err(Refusal::because(User::MechanismNameNotRecognised)),
    }
}

/// Encodes the InitiateResponse, protected if the request was, and returns it in `room`.
fn initiate_response<'r, C: Crypto, D: Device>(
    session: &mut Session<C>,
    wrapping: Option<Wrapping>,
    device: &mut D,
    room: &'r mut [u8],
) -> Option<&'r [u8]> {
    let end = room.len().checked_sub(TAG_LENGTH)?;
    let mut out = Writer::new(room.get_mut(HEADROOM..end)?);
    let response = InitiateResponse {
        quality_of_service: None,
        version: DLMS_VERSION,
        conformance: session.access.conformance,
        max_receive_pdu: session.access.server_max_pdu,
        vaa_name: session.access.referencing.vaa_name(),
    };
    response.encode(&mut out).ok()?;
    let plain = HEADROOM..HEADROOM.checked_add(out.len())?;
    let placed = match (wrapping, &mut session.security) {
        (Some(wrapping), Some(secured)) => {
            let counter = secured.take_counter(wrapping.envelope, session.access.server, device)?;
            let control = secured.context.control(wrapping.protection);
            secured.context.protect(wrapping.envelope, control, counter, room, plain).ok()?
        }
        _ => plain,
    };
    room.get(placed)
}

fn copy_front(room: &mut [u8], octets: &[u8]) -> Result<usize, SecurityError> {
    room.get_mut(..octets.len()).ok_or(SecurityError::BufferTooSmall)?.copy_from_slice(octets);
    Ok(octets.len())
}

impl<C: Crypto, B: Storage> Association<C, B> {
    /// Answers an RLRQ. A ciphered InitiateRequest in it is verified when present: a forged one releases nothing.
    pub(super) fn release<D: Device>(&mut self, apdu: &[u8], device: &mut D, out: &mut [u8]) -> Option<Range<usize>> {
        let mut answer = Answer::new(out, usize::MAX, 0);
        let (client, server) = (self.client, self.server);
        let rlrq = Rlrq::decode(apdu).ok()?;
        let session = match &mut self.state {
            State::Idle => {
                answer.exception(SERVICE_NOT_ALLOWED);
                return send(answer.plain());
            }
            State::Pending(pending) => &mut pending.session,
            State::Associated(session) => session,
        };
        // A release without user-information is accepted in a ciphered association too: that is how the clients of
        // three other implementations release. Who can forge it can as well close the line.
        let mut room = [0; INITIATE_MAX];
        let mut information = None;
        if let (Some(received), Some(secured)) = (rlrq.user_information, &mut session.security) {
            let copy = room.get_mut(..received.len())?;
            copy.copy_from_slice(received);
            match secured.unwrap(server, copy, device) {
                Ok((_, wrapping)) => information = initiate_response(session, wrapping, device, &mut room),
                Err(error) => {
                    device.audit(AuditEvent::SecurityFailed { client, server, error });
                    answer.exception(security_exception(error));
                    return send(answer.plain());
                }
            }
        }
        let rlre = Rlre { reason: Some(ReleaseReason::Normal), user_information: information };
        answer.encode(|out| rlre.encode(out));
        self.reset(device);
        send(answer.plain())
    }
}
