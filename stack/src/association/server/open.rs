//! Opening and releasing on the server's side: AARQ, the HLS reply, RLRQ.

use core::ops::Range;

use super::answer::{Answer, SERVICE_NOT_ALLOWED};
use super::association::{Association, Pending, Secured, Session, State, Wrapping, send};
use super::device::{Access, AssociationConfig, AuditEvent, Device, SecurityConfig};
use super::lockout::FailedAttempts;
use super::quirk::tolerates;
use super::transfer::Transfer;
use crate::acse::{
    Aare, Aarq, ApplicationContext, AssociationResult, AuthenticationValue, Diagnostic, Mechanism, ReleaseReason, Rlre,
    Rlrq, ServiceProviderDiagnostic, ServiceUserDiagnostic,
};
use crate::apdu::DLMS_VERSION;
use crate::apdu::{Conformance, InitiateRequest, InitiateResponse};
use crate::association::{Referencing, hls_pass};
use crate::axdr::Writer;
use crate::deviation::Deviations;
use crate::id::{ClientSap, ServerSap, SystemTitle};
use crate::link::Storage;
use crate::security::general::{Cipher, GeneralSession};
use crate::security::hls::{self, Challenge, Exchange, Response};
use crate::security::public_key::hls7;
use crate::security::{
    self, CounterExhausted, Crypto, ErrorClass, HEADROOM, KeyId, Protection, Random, ReceiveFloor, SecurityError,
    SecurityPolicy, TAG_LENGTH,
};

/// Smallest PDU size that a client may ask for, as the widespread server implementations have it.
const CLIENT_MAX_PDU_MIN: u16 = 64;
/// Room for an Initiate APDU with its ciphering.
const INITIATE_MAX: usize = 128;
/// Octets of the challenges made here: as many as every known peer accepts.
const CHALLENGE_LENGTH: usize = 16;

/// Why an AARQ is not accepted.
enum Refusal {
    /// With an AARE: result, diagnostic, and the initiate error in its user-information.
    Rejected(AssociationResult, Diagnostic, u8),
    /// With an AARE, and because the client did not prove who it is.
    Unproved,
    /// With an exception instead of an AARE.
    Security(SecurityError),
}

impl Refusal {
    const fn because(diagnostic: ServiceUserDiagnostic) -> Self {
        Self::Rejected(AssociationResult::RejectedPermanent, Diagnostic::ServiceUser(diagnostic), 0)
    }

    const fn initiate(error: u8) -> Self {
        let diagnostic = Diagnostic::ServiceUser(ServiceUserDiagnostic::NoReasonGiven);
        Self::Rejected(AssociationResult::RejectedPermanent, diagnostic, error)
    }

    /// Not now: the client has failed too often.
    const fn locked_out() -> Self {
        let diagnostic = Diagnostic::ServiceUser(ServiceUserDiagnostic::AuthenticationFailure);
        Self::Rejected(AssociationResult::RejectedTransient, diagnostic, 0)
    }
}

/// An accepted AARQ.
struct Accepted<C: Crypto> {
    session: Session<C>,
    context: ApplicationContext,
    /// Client's and server's challenge when the mechanism is HLS.
    challenges: Option<(Challenge, Challenge)>,
    own_title: Option<SystemTitle>,
    /// Whether the AARE names the server's title.
    names_title: bool,
    wrapping: Option<Wrapping>,
    /// Protection that the policy demands of responses.
    demanded: Protection,
    response_allowed: bool,
}

impl<C: Crypto, B: Storage> Association<C, B> {
    /// Opens a pre-established association, which nobody proposes.
    pub(super) fn establish<D: Device>(&mut self, device: &D) {
        if !matches!(self.state, State::Idle) || self.guard.is_exhausted() {
            return;
        }
        let Some(config) = device.association(self.client, self.server) else { return };
        let Some(agreed) = config.pre_established.filter(|_| D::OFFER.allows(&config)) else { return };
        let security = match (&config.security, agreed.client_title) {
            (None, _) => None,
            (Some(security), Some(title)) if title != security.system_title => {
                let generation = device.key_generation(self.server, security.setup);
                let Ok(secured) = Secured::new(security, generation, title) else { return };
                Some(secured)
            }
            // Keys without a title would serve anybody.
            _ => return,
        };
        // Nobody has passed an authentication, unless each request is one.
        let proves = config.security.as_ref().is_some_and(|security| security.policy.request.authenticated);
        let mechanism = if proves { config.mechanism } else { Mechanism::Lowest };
        let access = Access {
            referencing: config.referencing,
            client: self.client,
            server: self.server,
            mechanism,
            ciphered_context: security.is_some(),
            request: Protection::NONE,
            broadcast: false,
            conformance: config.conformance.intersection(D::OFFER.services),
            client_max_pdu: agreed.client_max_pdu,
            server_max_pdu: config.max_pdu,
            client_title: agreed.client_title,
        };
        self.transfers.transfer = Transfer::None;
        self.state = State::Associated(Session { access, security, pre_established: true });
    }

    /// Answers an AARQ. An association that was open is gone, whatever the answer.
    #[cfg_attr(feature = "small", inline(never))]
    pub(super) fn open<D: Device, R: Random>(
        &mut self,
        apdu: &[u8],
        device: &mut D,
        random: &mut R,
        out: &mut [u8],
    ) -> Option<Range<usize>> {
        // Octets that are no AARQ get no AARE: nothing in them can be trusted to be a proposal.
        let (aarq, met) = Aarq::decode_with_deviations(apdu).ok()?;
        self.end(device);
        let (client, server) = (self.client, self.server);
        let refused = match self.accept(&aarq, met, device, random) {
            Ok(accepted) => return self.answer_accepted(accepted, device, Answer::new(out, usize::MAX, 0)),
            Err(refused) => refused,
        };
        let failure = Diagnostic::ServiceUser(ServiceUserDiagnostic::AuthenticationFailure);
        let (result, diagnostic, error) = match refused {
            Refusal::Security(error) => {
                return self.refuse_security(error, apdu, Referencing::LogicalName, device, out);
            }
            Refusal::Unproved => {
                self.note_failure(Mechanism::Lls, device);
                (AssociationResult::RejectedPermanent, failure, 0)
            }
            Refusal::Rejected(result, diagnostic, error) => {
                let event = AuditEvent::AuthenticationFailed { client, server };
                self.guard.report(device, self.now, event);
                (result, diagnostic, error)
            }
        };
        let initiate_error = [0x0E, 1, 6, error];
        let mut aare = Aare::new(aarq.context, result, diagnostic);
        aare.user_information = Some(&initiate_error);
        let mut answer = Answer::new(out, usize::MAX, 0);
        answer.encode(|out| aare.encode(out));
        send(answer.plain())
    }

    /// The client did not prove who it is.
    #[cfg_attr(feature = "small", inline(never))]
    fn note_failure<D: Device>(&mut self, mechanism: Mechanism, device: &mut D) {
        let (client, server) = (self.client, self.server);
        self.guard.report(device, self.now, AuditEvent::AuthenticationFailed { client, server });
        if !FailedAttempts::count_with(mechanism) {
            return;
        }
        let attempts = device.failed_attempts(client, server, self.source).another(self.now);
        device.set_failed_attempts(client, server, self.source, attempts);
        if attempts.is_locked_out(self.now) {
            let event = AuditEvent::LockedOut { client, server, failures: attempts.count };
            self.guard.report(device, self.now, event);
        }
    }

    /// The client has proved who it is.
    fn note_success<D: Device>(&mut self, mechanism: Mechanism, device: &mut D) {
        let (client, server) = (self.client, self.server);
        self.guard.restart();
        if FailedAttempts::count_with(mechanism) {
            device.set_failed_attempts(client, server, self.source, FailedAttempts::NONE);
        }
        device.audit(AuditEvent::Associated { client, server });
    }

    #[cfg_attr(feature = "small", inline(never))]
    fn accept<D: Device, R: Random>(
        &mut self,
        aarq: &Aarq<'_>,
        met: Deviations,
        device: &mut D,
        random: &mut R,
    ) -> Result<Accepted<C>, Refusal> {
        use ServiceUserDiagnostic as User;
        if !aarq.accepts_version_1() {
            let diagnostic = Diagnostic::ServiceProvider(ServiceProviderDiagnostic::NoCommonAcseVersion);
            return Err(Refusal::Rejected(AssociationResult::RejectedPermanent, diagnostic, 0));
        }
        if !tolerates(self.client, self.server, met, device) {
            return Err(Refusal::because(User::NoReasonGiven));
        }
        let config = device.association(self.client, self.server).ok_or(Refusal::because(User::NoReasonGiven))?;
        if config.pre_established.is_some() || !D::OFFER.allows(&config) {
            return Err(Refusal::because(User::NoReasonGiven));
        }
        let mechanism = config.mechanism;
        let ciphered = context_is_ciphered(aarq.context, config.referencing, config.security.as_ref())?;
        check_mechanism(aarq, mechanism)?;
        let own_title = config.own_title();
        check_names(aarq, &config, own_title)?;
        let locked_out = FailedAttempts::count_with(mechanism)
            && device.failed_attempts(self.client, self.server, self.source).is_locked_out(self.now);
        if locked_out {
            return Err(Refusal::locked_out());
        }
        let needs_title = ciphered || hls::needs_titles(mechanism);
        let not_recognized = || Refusal::because(User::CallingApTitleNotRecognized);
        let client_title = aarq.calling_ap_title.and_then(SystemTitle::from_slice);
        let mut secured = None;
        if needs_title {
            let title = client_title.ok_or_else(not_recognized)?;
            // Two parties with one title under one key would use the same nonces, and could be played off by reflection.
            if own_title == Some(title) {
                return Err(not_recognized());
            }
            secured = match &config.security {
                Some(security) => {
                    let generation = device.key_generation(self.server, security.setup);
                    Some(Secured::new(security, generation, title)?)
                }
                // Its keys are the proof.
                None if mechanism == Mechanism::Gmac => return Err(Refusal::because(User::AuthenticationFailure)),
                None => None,
            };
        }
        // Copied out, because the device is asked to move its counters while the AARQ is checked further.
        let AssociationConfig { referencing, conformance: offered, max_pdu, .. } = config;
        let offered = offered.intersection(D::OFFER.services);
        let demanded = config.security.as_ref().map_or(Protection::NONE, |security| security.policy.response);

        let mut room = [0; INITIATE_MAX];
        let information = aarq.user_information.ok_or(Refusal::initiate(0))?;
        let copy = room.get_mut(..information.len()).ok_or(Refusal::initiate(0))?;
        copy.copy_from_slice(information);
        let (plain, wrapping) = match &mut secured {
            Some(secured) if ciphered => {
                secured.unwrap_initiate(self.client, self.server, copy, device).map_err(Refusal::Security)?
            }
            _ => (0..copy.len(), None),
        };
        if wrapping.is_some_and(|wrapping| wrapping.broadcast) {
            return Err(Refusal::Security(SecurityError::NoKey(KeyId::Broadcast)));
        }
        // Only now, so that whoever lacks the keys cannot try passwords, nor have the client locked out.
        let client_challenge = self.check_password(aarq, device)?;
        let initiate = InitiateRequest::decode_with_deviations(copy.get(plain).unwrap_or_default());
        let (initiate, met) = initiate.map_err(|_| Refusal::initiate(0))?;
        if !tolerates(self.client, self.server, met, device) {
            return Err(Refusal::initiate(0));
        }
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
            (Some(key), Some(secured)) if wrapping.is_some_and(|wrapping| wrapping.layers.protection.encrypted) => {
                secured.context.set_dedicated_key(key).map_err(Refusal::Security)?;
            }
            (Some(_), _) => return Err(Refusal::initiate(0)),
        }
        let challenges = match client_challenge {
            Some(client) => {
                let length = if mechanism == Mechanism::Ecdsa { hls7::CHALLENGE_MIN } else { CHALLENGE_LENGTH };
                let server = Challenge::draw(random, length)
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
            broadcast: false,
            conformance,
            client_max_pdu: initiate.max_receive_pdu,
            server_max_pdu: max_pdu,
            client_title,
        };
        Ok(Accepted {
            session: Session { access, security: secured, pre_established: false },
            context: aarq.context,
            challenges,
            own_title,
            names_title: needs_title,
            wrapping,
            demanded,
            response_allowed: initiate.response_allowed,
        })
    }

    /// Checks a password; with HLS returns the client's challenge, to be answered later.
    #[cfg_attr(feature = "small", inline(never))]
    fn check_password<D: Device>(&self, aarq: &Aarq<'_>, device: &D) -> Result<Option<Challenge>, Refusal> {
        let config = device.association(self.client, self.server);
        let config = config.ok_or(Refusal::because(ServiceUserDiagnostic::NoReasonGiven))?;
        let value = aarq.authentication_value.as_ref().map(AuthenticationValue::as_bytes).unwrap_or_default();
        match config.mechanism {
            Mechanism::Lowest => Ok(None),
            Mechanism::Lls if D::OFFER.passwords => {
                hls::verify_password(config.secret, value).map(|()| None).map_err(|_| Refusal::Unproved)
            }
            // A challenge of a wrong length is not an attempt to guess anything.
            mechanism => {
                let failure = |_| Refusal::because(ServiceUserDiagnostic::AuthenticationFailure);
                if D::OFFER.signatures && mechanism == Mechanism::Ecdsa {
                    let stated = aarq.calling_ap_title.and_then(SystemTitle::from_slice);
                    let keys = device.general_keys(self.client, self.server, stated);
                    if keys.signing.is_none() || keys.peer_signature.is_none() || value.len() < hls7::CHALLENGE_MIN {
                        return Err(Refusal::because(ServiceUserDiagnostic::AuthenticationFailure));
                    }
                } else if D::OFFER.secrets && mechanism != Mechanism::Gmac {
                    hls::check_configuration::<C>(mechanism, config.secret, config.own_title()).map_err(failure)?;
                }
                Challenge::from_peer(value).map(Some).map_err(failure)
            }
        }
    }

    #[cfg_attr(feature = "small", inline(never))]
    fn answer_accepted<D: Device>(
        &mut self,
        mut accepted: Accepted<C>,
        device: &mut D,
        mut answer: Answer<'_>,
    ) -> Option<Range<usize>> {
        let mut room = [0; INITIATE_MAX];
        let wrapping = accepted.session.response_wrapping(accepted.wrapping, accepted.demanded);
        let information = initiate_response(&mut accepted.session, wrapping, device, &mut room)?;
        let user = if accepted.challenges.is_some() {
            ServiceUserDiagnostic::AuthenticationRequired
        } else {
            ServiceUserDiagnostic::Null
        };
        let mechanism = accepted.session.access.mechanism;
        let mut aare = Aare::new(accepted.context, AssociationResult::Accepted, Diagnostic::ServiceUser(user));
        let named = accepted.own_title.filter(|_| accepted.names_title);
        aare.responding_ap_title = named.as_ref().map(|title| title.as_bytes().as_slice());
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
            Some((client_challenge, server_challenge)) => State::Pending(Pending {
                session: accepted.session,
                client_challenge,
                server_challenge,
                own_title: accepted.own_title,
                since: self.now,
                warned: false,
            }),
            None => {
                self.note_success(mechanism, device);
                State::Associated(accepted.session)
            }
        };
        if accepted.response_allowed { send(answer.plain()) } else { None }
    }

    /// Answers a request while passes 3 and 4 are outstanding: nothing but pass 3 is allowed, and asking for something
    /// else a second time ends the association.
    ///
    /// `floor_before` is the receive floor as it was before the APDU that carries the reply: its own counter
    /// lies above the reply's, and has moved the floor already.
    #[cfg_attr(feature = "small", inline(never))]
    pub(super) fn authenticate<D: Device>(
        &mut self,
        plain: &[u8],
        floor_before: u32,
        wrapping: Option<Wrapping>,
        device: &mut D,
        random: &mut dyn Random,
        mut answer: Answer<'_>,
    ) -> Option<Range<usize>> {
        let (client, server, source, now) = (self.client, self.server, self.source, self.now);
        let State::Pending(pending) = &mut self.state else { return None };
        let referencing = pending.session.access.referencing;
        // Without short names the compiler sees that there is only one carrier.
        let carried = if D::OFFER.has_short_names() { referencing } else { Referencing::LogicalName };
        let read = hls_pass::read_request(carried, plain).filter(|(_, _, met)| tolerates(client, server, *met, device));
        let Some((carrier, reply, _)) = read else {
            answer.refuse(referencing, plain.first().copied(), SERVICE_NOT_ALLOWED);
            if core::mem::replace(&mut pending.warned, true) {
                self.end(device);
            }
            return send(answer.plain());
        };
        let mechanism = pending.session.access.mechanism;
        // Associations that were opened before the lockout began give no further attempts.
        let locked_out =
            FailedAttempts::count_with(mechanism) && device.failed_attempts(client, server, source).is_locked_out(now);
        let proved = if locked_out {
            Err(SecurityError::Authentication)
        } else if D::OFFER.gmac && mechanism == Mechanism::Gmac {
            pending.exchange_gmac(server, reply, floor_before, device)
        } else if D::OFFER.signatures && mechanism == Mechanism::Ecdsa {
            pending.exchange_signatures(client, server, reply, device)
        } else if D::OFFER.secrets {
            pending.exchange_secret(client, server, reply, device)
        } else {
            Err(SecurityError::Unsupported)
        };
        let demanded = device.association(client, server).and_then(|config| config.security);
        let demanded = demanded.map_or(Protection::NONE, |security| security.policy.response);
        match proved {
            Ok(own) => {
                answer.encode(|out| carrier.write_success(own.as_bytes(), out));
                let placed = self.wrap(answer, wrapping, demanded, device, random);
                if let State::Pending(pending) = core::mem::replace(&mut self.state, State::Idle) {
                    self.state = State::Associated(pending.session);
                }
                self.note_success(mechanism, device);
                placed
            }
            Err(error) => {
                answer.encode(|out| carrier.write_refusal(out));
                let placed = self.wrap(answer, wrapping, demanded, device, random);
                self.state = State::Idle;
                self.guard.report(device, now, AuditEvent::SecurityFailed { client, server, error });
                // A counter that is too low is no guess: it locks nobody out.
                match error.class() {
                    _ if locked_out => {}
                    ErrorClass::Counter { .. } | ErrorClass::Local => {
                        self.guard.report(device, now, AuditEvent::AuthenticationFailed { client, server });
                    }
                    _ => self.note_failure(mechanism, device),
                }
                placed
            }
        }
    }
}

impl<C: Crypto> Pending<C> {
    /// Mechanism 5: verifies the client's answer, makes the server's.
    #[cfg_attr(feature = "small", inline(never))]
    fn exchange_gmac<D: Device>(
        &mut self,
        server: ServerSap,
        reply: &[u8],
        floor_before: u32,
        device: &mut D,
    ) -> Result<Response, SecurityError> {
        let secured = self.session.security.as_ref().ok_or(SecurityError::Authentication)?;
        let floor = ReceiveFloor::new(floor_before);
        let verified = hls::verify_gmac(&secured.context, floor, &self.server_challenge, reply)?;
        device.accept_counter(server, secured.setup, secured.peer, verified.counter());
        let counter = device.take_counter(server, secured.setup).ok_or(CounterExhausted)?;
        let response = hls::gmac_response(&secured.context, counter, &self.client_challenge)?;
        Response::new(&response).ok_or(SecurityError::BufferTooSmall)
    }

    /// Mechanism 7: the same with the key pairs of both sides.
    fn exchange_signatures<D: Device>(
        &mut self,
        client: ClientSap,
        server: ServerSap,
        reply: &[u8],
        device: &D,
    ) -> Result<Response, SecurityError> {
        let keys = device.general_keys(client, server, self.session.access.client_title);
        let (Some(signing), Some(peer)) = (keys.signing, keys.peer_signature) else {
            return Err(SecurityError::NoGeneralKey);
        };
        let exchange = hls7::Exchange {
            own_title: self.own_title.ok_or(SecurityError::NoOwnTitle)?,
            peer_title: self.session.access.client_title.ok_or(SecurityError::NoPeerTitle)?,
            own_challenge: &self.server_challenge,
            peer_challenge: &self.client_challenge,
        };
        hls7::verify::<C::Curves>(peer, &exchange, reply)?;
        let signature = hls7::response::<C::Curves>(signing, &exchange)?;
        Response::new(signature.as_bytes()).ok_or(SecurityError::BufferTooSmall)
    }

    /// Mechanisms 2, 3, 4 and 6: the same with the secret of the association.
    fn exchange_secret<D: Device>(
        &mut self,
        client: ClientSap,
        server: ServerSap,
        reply: &[u8],
        device: &D,
    ) -> Result<Response, SecurityError> {
        let config = device.association(client, server).ok_or(SecurityError::Authentication)?;
        let mechanism = self.session.access.mechanism;
        let theirs = Exchange {
            secret: config.secret,
            signer: self.session.access.client_title,
            verifier: self.own_title,
            challenge: &self.server_challenge,
            own: &self.client_challenge,
        };
        hls::verify::<C>(mechanism, &theirs, reply)?;
        hls::respond::<C>(mechanism, &theirs.reversed())
    }
}

impl<C: Crypto> Secured<C> {
    #[cfg_attr(feature = "small", inline(never))]
    fn new(security: &SecurityConfig<'_>, generation: u32, peer: SystemTitle) -> Result<Self, Refusal> {
        let prepare = || {
            let mut context = security::Context::new(security.system_title, &security.keys()?)?;
            context.set_required(security.policy.request);
            context.set_broadcast_accepted(security.broadcast_key.is_some());
            context.set_peer_title(peer);
            Ok(context)
        };
        let context = prepare().map_err(Refusal::Security)?;
        let (setup, dedicated_floor) = (security.setup, ReceiveFloor::new(0));
        Ok(Self {
            context,
            setup,
            generation,
            peer,
            dedicated_floor,
            dedicated_counter: 0,
            messages: GeneralSession::new(),
        })
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
        Some(security) if context == referencing.context(false) && security.policy == SecurityPolicy::NONE => Ok(false),
        Some(_) if context == referencing.context(true) => Ok(true),
        _ => Err(Refusal::because(ServiceUserDiagnostic::ApplicationContextNameNotSupported)),
    }
}

/// Checks the mechanism against the one that is configured, and that all three fields of authentication are there.
fn check_mechanism(aarq: &Aarq<'_>, configured: Mechanism) -> Result<(), Refusal> {
    use ServiceUserDiagnostic as User;
    if aarq.mechanism.unwrap_or(Mechanism::Lowest) != configured {
        return Err(Refusal::because(match aarq.mechanism {
            None => User::MechanismNameRequired,
            Some(Mechanism::Other(_)) => User::MechanismNameNotRecognised,
            Some(_) => User::AuthenticationFailure,
        }));
    }
    let complete = aarq.authentication == Some(true) && aarq.authentication_value.is_some();
    if configured == Mechanism::Lowest || complete {
        Ok(())
    } else {
        Err(Refusal::because(User::AuthenticationFailure))
    }
}

/// Checks whom the client takes this server for, and which of its users it says it is.
fn check_names(aarq: &Aarq<'_>, config: &AssociationConfig<'_>, own_title: Option<SystemTitle>) -> Result<(), Refusal> {
    use ServiceUserDiagnostic as User;
    let called = aarq.called_ap_title.zip(own_title);
    if called.is_some_and(|(called, own)| called != own.as_bytes().as_slice()) {
        return Err(Refusal::because(User::CalledApTitleNotRecognized));
    }
    let known = match (config.users, aarq.calling_ae_invocation_id) {
        (None, _) => true,
        (Some(users), Some(id)) => u8::try_from(id).is_ok_and(|id| users.contains(&id)),
        (Some(_), None) => false,
    };
    if known { Ok(()) } else { Err(Refusal::because(User::CallingAeInvocationIdNotRecognized)) }
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
        // Nobody signs what is in the fields of ACSE.
        (Some(wrapping), Some(secured)) if wrapping.layers.cipher.is_some() => {
            let Some(Cipher::Envelope(envelope)) = wrapping.layers.cipher else { return None };
            let counter = secured.take_counter(envelope, session.access.server, device)?;
            let control = secured.context.control(wrapping.layers.protection);
            secured.context.protect(envelope, control, counter, room, plain).ok()?
        }
        _ => plain,
    };
    room.get(placed)
}

impl<C: Crypto, B: Storage> Association<C, B> {
    /// Answers an RLRQ. A ciphered InitiateRequest in it is verified when present: a forged one releases nothing.
    #[cfg_attr(feature = "small", inline(never))]
    pub(super) fn release<D: Device>(&mut self, apdu: &[u8], device: &mut D, out: &mut [u8]) -> Option<Range<usize>> {
        let (client, server) = (self.client, self.server);
        let rlrq = Rlrq::decode(apdu).ok()?;
        let session = match &mut self.state {
            State::Associated(session) if !session.pre_established => session,
            State::Pending(pending) => &mut pending.session,
            _ => {
                let mut answer = Answer::new(out, usize::MAX, 0);
                answer.exception(SERVICE_NOT_ALLOWED);
                return send(answer.plain());
            }
        };
        // A release without user-information is accepted in a ciphered association too: that is how the clients of
        // three other implementations release. Who can forge it can as well close the line.
        let mut room = [0; INITIATE_MAX];
        let mut information = None;
        if let (Some(received), Some(secured)) = (rlrq.user_information, &mut session.security) {
            let copy = room.get_mut(..received.len())?;
            copy.copy_from_slice(received);
            match secured.unwrap_initiate(client, server, copy, device) {
                Ok((_, wrapping)) => {
                    let demanded = device.association(client, server).and_then(|config| config.security);
                    let demanded = demanded.map_or(Protection::NONE, |security| security.policy.response);
                    let wrapping = session.response_wrapping(wrapping, demanded);
                    information = initiate_response(session, wrapping, device, &mut room);
                }
                Err(error) => return self.refuse_security(error, apdu, Referencing::LogicalName, device, out),
            }
        }
        let mut answer = Answer::new(out, usize::MAX, 0);
        let rlre = Rlre { reason: Some(ReleaseReason::Normal), user_information: information };
        answer.encode(|out| rlre.encode(out));
        self.end(device);
        send(answer.plain())
    }
}
