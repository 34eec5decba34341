//! Opening and releasing on the client's side: AARQ, HLS, RLRQ.

use super::config::PreEstablished;
use super::error::{ConnectionError, ProtocolError, RequestError, UsageError};
use super::event::Negotiated;
use super::protection::verify_signed_challenge;
use super::session::Session;
use super::{Connection, End, Ready, State, quirk};
use crate::Instant;
use crate::acse::{
    Aare, Aarq, AssociationResult, AuthenticationValue, Diagnostic, Mechanism, ReleaseReason, Rlrq,
    ServiceUserDiagnostic,
};
use crate::apdu::DLMS_VERSION;
use crate::apdu::{ConfirmedServiceError, InitiateRequest, InitiateResponse, InvokeIdAndPriority};
use crate::association::Secret;
use crate::association::hls_pass::{self, Pass4};
use crate::axdr::Writer;
use crate::id::SystemTitle;
use crate::link::{Link, Storage};
use crate::security::hls::{self, Challenge, Exchange, Response};
use crate::security::{Crypto, Envelope, HEADROOM, Protection, Random, SecurityError, TAG_LENGTH};
use zeroize::Zeroizing;

/// Room for an Initiate APDU with its ciphering.
const INITIATE_MAX: usize = 160;

impl<L: Link, C: Crypto, R: Random, B: Storage> Connection<L, C, R, B> {
    /// Opens the link and the association; [`Event::Associated`](super::Event::Associated) or
    /// [`Event::Closed`](super::Event::Closed) follows.
    ///
    /// # Errors
    /// `AlreadyOpen`, `Security` when mechanism, secret, titles and keys do not fit each other or the mechanism is not
    /// supported, `CounterExhausted` when there are fewer invocation counters than opening needs.
    pub fn associate(&mut self, now: Instant) -> Result<(), UsageError> {
        if !matches!(self.state, State::Idle) {
            return Err(UsageError::AlreadyOpen);
        }
        self.config.check::<C>()?;
        self.check_general()?;
        // Initiate, the GMAC of the reply, and the reply itself.
        if self.config.security.is_some() && self.counter.remaining() < 3 {
            return Err(UsageError::CounterExhausted);
        }
        self.now = now;
        self.ready = Ready::Nothing;
        self.ended = None;
        self.state = State::LinkOpening;
        self.deadline = Some(now.after_ms(self.config.response_timeout_ms));
        self.link.open(now);
        Ok(())
    }

    /// Releases the association and closes the link; [`Event::Released`](super::Event::Released) follows, also
    /// when the server does not answer.
    ///
    /// # Errors
    /// `NotAssociated`, `RequestPending`, `CounterExhausted`.
    pub fn release(&mut self, now: Instant) -> Result<(), UsageError> {
        if !matches!(self.state, State::Associated(_)) {
            return Err(UsageError::NotAssociated);
        }
        if self.pending.is_some() {
            return Err(UsageError::RequestPending);
        }
        self.now = now;
        if self.config.pre_established.is_some() || !self.config.quirks.release {
            self.finish(End::Released);
            return Ok(());
        }
        let State::Associated(mut session) = core::mem::replace(&mut self.state, State::LinkClosing) else {
            return Err(UsageError::NotAssociated);
        };
        let sent = self.send_rlrq(&mut session);
        if let Err(error) = sent {
            // Nothing was sent: the association is as it was.
            self.state = State::Associated(session);
            return Err(error);
        }
        self.state = State::Releasing(session);
        self.deadline = Some(now.after_ms(self.config.response_timeout_ms));
        Ok(())
    }

    fn send_rlrq(&mut self, session: &mut Session<C>) -> Result<(), UsageError> {
        let mut room = [0; INITIATE_MAX];
        // In a ciphered association the release is protected as the opening was, so that nobody else can forge it.
        let information = match session.ciphered {
            true => Some(self.initiate_request(session, &mut room)?),
            false => None,
        };
        let rlrq = Rlrq { reason: Some(ReleaseReason::Normal), user_information: information };
        let mut out = Writer::new(self.out.as_mut());
        rlrq.encode(&mut out).map_err(|_| UsageError::RequestTooLong)?;
        let length = out.len();
        self.link.send(self.out.as_ref().get(..length).unwrap_or_default(), self.now)?;
        Ok(())
    }

    /// Closes the link without releasing the association first, whatever is under way;
    /// [`Event::Released`](super::Event::Released) follows.
    pub fn close(&mut self, now: Instant) {
        self.now = now;
        self.finish(End::Released);
    }

    /// The transport below was closed by the peer: the association is lost.
    pub fn handle_close(&mut self, now: Instant) {
        self.now = now;
        if !matches!(self.state, State::Idle) {
            let end = if matches!(self.state, State::LinkClosing) { self.end } else { None };
            self.end_now(end.unwrap_or(End::Lost(ConnectionError::ClosedByPeer)));
        }
    }

    /// Keeps the receive floor of the session that is about to end.
    fn keep_floor(&mut self) {
        if let State::Associated(session) | State::AwaitHls { session, .. } | State::Releasing(session) = &self.state {
            self.config.keep_floor(session);
        }
    }

    /// Takes the link down and reports `end` once it is.
    pub(super) fn finish(&mut self, end: End) {
        if matches!(self.state, State::Idle) {
            return;
        }
        self.keep_floor();
        self.state = State::LinkClosing;
        self.pending = None;
        self.deadline = None;
        self.end = Some(end);
        self.link.close(self.now);
    }

    /// Ends at once: there is no link any more.
    pub(super) fn end_now(&mut self, end: End) {
        self.keep_floor();
        self.state = State::Idle;
        self.pending = None;
        self.deadline = None;
        self.end = None;
        self.ended = Some(end);
    }

    /// The link is up: proposes the association, unless it is there already.
    pub(super) fn propose(&mut self) {
        let begun = match self.config.pre_established {
            Some(agreed) => self.take_pre_established(agreed),
            None => self.send_aarq(),
        };
        if let Err(error) = begun {
            self.finish(End::Lost(ConnectionError::Request(RequestError::Usage(error))));
        }
    }

    fn take_pre_established(&mut self, agreed: PreEstablished) -> Result<(), UsageError> {
        let mut session = Session::new(&self.config)?;
        session.negotiated.server_max_pdu = agreed.server_max_pdu;
        session.negotiated.server_title = self.config.expected_title();
        self.associated(session);
        Ok(())
    }

    /// A dedicated key begins with counter 0 and therefore serves one association: the configured one the first, one
    /// that is drawn here each later one.
    fn renew_dedicated_key(&mut self) -> Result<(), UsageError> {
        let Some(security) = &mut self.config.security else { return Ok(()) };
        if security.dedicated_key.is_some() && self.dedicated_spent {
            let mut octets = Zeroizing::new([0; 32]);
            let key = octets.get_mut(..security.suite.key_length()).unwrap_or_default();
            self.random.fill(key);
            security.dedicated_key = Some(Secret::new(key).ok_or(SecurityError::KeyLength { found: key.len() })?);
        }
        self.dedicated_spent = true;
        Ok(())
    }

    fn send_aarq(&mut self) -> Result<(), UsageError> {
        self.renew_dedicated_key()?;
        let mut session = Session::new(&self.config)?;
        let mut room = [0; INITIATE_MAX];
        let information = self.initiate_request(&mut session, &mut room)?;
        let mechanism = self.config.mechanism;
        let challenge = match mechanism.is_hls() {
            true => Some(Challenge::draw(&mut self.random, self.config.challenge_length)?),
            false => None,
        };
        let context = self.config.referencing.context(session.ciphered);
        let mut aarq = Aarq::new(context, information);
        let title = self.config.own_title();
        aarq.calling_ap_title = title.as_ref().map(|title| title.as_bytes().as_slice());
        if mechanism != Mechanism::Lowest {
            let value = match &challenge {
                Some(challenge) => challenge.as_bytes(),
                None => self.config.secret.as_bytes(),
            };
            aarq = aarq.with_authentication(mechanism, value);
        }
        let mut out = Writer::new(self.out.as_mut());
        aarq.encode(&mut out).map_err(|_| UsageError::RequestTooLong)?;
        let length = out.len();
        self.link.send(self.out.as_ref().get(..length).unwrap_or_default(), self.now)?;
        self.deadline = Some(self.now.after_ms(self.config.response_timeout_ms));
        self.state = State::AwaitAare { session, challenge };
        Ok(())
    }

    /// Encodes the InitiateRequest into `room`, globally ciphered if protection is configured.
    fn initiate_request<'r>(
        &mut self,
        session: &mut Session<C>,
        room: &'r mut [u8; INITIATE_MAX],
    ) -> Result<&'r [u8], UsageError> {
        let end = room.len().saturating_sub(TAG_LENGTH);
        let dedicated = self.config.security.as_ref().and_then(|security| security.dedicated_key.as_ref());
        let request = InitiateRequest {
            dedicated_key: dedicated.map(|key| key.as_bytes()),
            response_allowed: true,
            quality_of_service: None,
            version: DLMS_VERSION,
            conformance: self.config.conformance,
            max_receive_pdu: self.config.max_pdu,
        };
        let mut out = Writer::new(room.get_mut(HEADROOM..end).unwrap_or_default());
        request.encode(&mut out).map_err(|_| UsageError::RequestTooLong)?;
        let plain = HEADROOM..HEADROOM.saturating_add(out.len());
        let placed = match &mut session.security {
            // A dedicated key in clear is none.
            Some(secured) if dedicated.is_some() && !secured.protection.encrypted => {
                let error = SecurityError::PolicyNotMet { required: Protection::ENCRYPTED, found: secured.protection };
                return Err(error.into());
            }
            Some(secured) if !secured.protection.is_none() => {
                secured.protect(Envelope::Global, &mut self.counter, room, plain)?
            }
            _ => plain,
        };
        Ok(room.get(placed).unwrap_or_default())
    }

    /// The server's answer to the proposal.
    pub(super) fn handle_aare(&mut self, mut session: Session<C>, challenge: Option<Challenge>) {
        match self.accept_aare(&mut session, challenge.as_ref()) {
            Err(error) => {
                self.config.keep_floor(&session);
                self.finish(End::Lost(error));
            }
            Ok(None) => self.associated(session),
            Ok(Some((reply, server_challenge))) => {
                let Some(challenge) = challenge else { return };
                self.state = State::AwaitHls { session, challenge, server_challenge };
                self.invoke_id = self.invoke_id.wrapping_add(1) & 0x0F;
                let invoke = InvokeIdAndPriority::new(self.invoke_id, true, true);
                let referencing = self.config.referencing;
                let object = self.config.quirks.hls_object;
                let sent =
                    self.send_apdu(|out| hls_pass::write_request(referencing, invoke, object, reply.as_bytes(), out));
                if let Err(error) = sent {
                    self.finish(End::Lost(ConnectionError::Request(RequestError::Usage(error))));
                }
            }
        }
    }

    /// Checks the AARE against the proposal; returns the answer to the server's challenge and that challenge, if there is
    /// one.
    fn accept_aare(
        &mut self,
        session: &mut Session<C>,
        challenge: Option<&Challenge>,
    ) -> Result<Option<(Response, Challenge)>, ConnectionError> {
        let protocol = |error| ConnectionError::Request(RequestError::Protocol(error));
        let decoded = Aare::decode_with_deviations(self.link.apdu());
        let (aare, mut met) = decoded.map_err(|e| ConnectionError::Request(RequestError::Decode(e)))?;
        let mut room = [0; INITIATE_MAX];
        let information = match aare.user_information {
            Some(information) => {
                let copy = room.get_mut(..information.len()).ok_or(protocol(ProtocolError::NoInitiateResponse))?;
                copy.copy_from_slice(information);
                Some(copy)
            }
            None => None,
        };
        if aare.result != AssociationResult::Accepted {
            self.deviations.count(met);
            let initiate = information.and_then(|information| ConfirmedServiceError::decode(information).ok());
            return Err(ConnectionError::Rejected { result: aare.result, diagnostic: aare.diagnostic, initiate });
        }
        met = met.union(quirk::of_aare(&aare, &self.config, challenge.is_some()));
        if aare.context != self.config.referencing.context(session.ciphered) {
            return Err(protocol(ProtocolError::ContextChanged));
        }
        // Some servers send a challenge, but not the diagnostic that announces it. Passes 3 and 4 follow all the same.
        let announced = aare.diagnostic == Diagnostic::ServiceUser(ServiceUserDiagnostic::AuthenticationRequired);
        let hls_pending = announced || (challenge.is_some() && aare.authentication_value.is_some());
        // Meters leave the name away where there is no challenge to answer.
        let same = aare.mechanism.is_none_or(|mechanism| mechanism == self.config.mechanism);
        if !same || hls_pending != challenge.is_some() {
            return Err(protocol(ProtocolError::MechanismChanged));
        }
        let server_title = aare.responding_ap_title.and_then(SystemTitle::from_slice);
        if session.security.is_some() || hls::needs_titles(self.config.mechanism) {
            let title = match (server_title, self.config.expected_title()) {
                (Some(found), Some(expected)) if found != expected => {
                    return Err(protocol(ProtocolError::SystemTitle));
                }
                // Two parties with one title under one key would use the same nonces, and could be played off by reflection.
                (Some(found), _) if Some(found) == self.config.own_title() => {
                    return Err(protocol(ProtocolError::SystemTitle));
                }
                // Some meters leave it away: then it has to be configured.
                (found, expected) => found.or(expected).ok_or(protocol(ProtocolError::SystemTitle))?,
            };
            if let Some(secured) = &mut session.security {
                secured.context.set_peer_title(title);
            }
        }

        let information = information.ok_or(protocol(ProtocolError::NoInitiateResponse))?;
        let plain = match &mut session.security {
            Some(secured) => {
                let unwrapped = secured.unwrap_initiate(information);
                unwrapped.map_err(|error| ConnectionError::Request(RequestError::Security(error)))?
            }
            None => 0..information.len(),
        };
        let plain = information.get(plain).unwrap_or_default();
        let decoded = InitiateResponse::decode_with_deviations(plain);
        let (initiate, inner) = decoded.map_err(|e| ConnectionError::Request(RequestError::Decode(e)))?;
        met = met.union(inner).union(quirk::of_initiate(&initiate, &self.config));
        self.deviations.count(met);
        self.config.quirks.check(met).map_err(|met| ConnectionError::Request(RequestError::Deviates(met)))?;
        session.negotiated = Negotiated {
            conformance: initiate.conformance.intersection(self.config.conformance),
            server_max_pdu: if initiate.max_receive_pdu == 0 { u16::MAX } else { initiate.max_receive_pdu },
            server_title: server_title.or(self.config.expected_title()),
        };
        let Some(own) = challenge else { return Ok(None) };
        let value = aare.authentication_value.as_ref().map(AuthenticationValue::as_bytes).unwrap_or_default();
        let server = Challenge::from_peer(value).map_err(|_| protocol(ProtocolError::Challenge))?;
        // A server that sends our challenge back would have us compute its own proof.
        server.check_differs(own).map_err(|_| protocol(ProtocolError::Challenge))?;
        let reply = self.reply_to(session, own, &server);
        let reply = reply.map_err(|error| ConnectionError::Request(RequestError::Usage(error)))?;
        Ok(Some((reply, server)))
    }

    fn reply_to(
        &mut self,
        session: &Session<C>,
        own: &Challenge,
        challenge: &Challenge,
    ) -> Result<Response, UsageError> {
        if let (Mechanism::Gmac, Some(secured)) = (self.config.mechanism, &session.security) {
            let counter = self.counter.take().map_err(|_| UsageError::CounterExhausted)?;
            let response = hls::gmac_response(&secured.context, counter, challenge)?;
            return Ok(Response::new(&response).ok_or(SecurityError::BufferTooSmall)?);
        }
        if self.config.mechanism == Mechanism::Ecdsa {
            return Ok(self.sign_challenge(session, own, challenge)?);
        }
        Ok(hls::respond::<C>(self.config.mechanism, &self.exchange(session, own, challenge))?)
    }

    /// What enters the client's answer to the server's challenge.
    fn exchange<'a>(&'a self, session: &Session<C>, own: &'a Challenge, challenge: &'a Challenge) -> Exchange<'a> {
        Exchange {
            secret: self.config.secret.as_bytes(),
            signer: self.config.own_title(),
            verifier: session.negotiated.server_title,
            challenge,
            own,
        }
    }

    /// The server's answer to the client's challenge.
    pub(super) fn handle_hls_reply(&mut self, mut session: Session<C>, challenge: &Challenge, server: &Challenge) {
        let error = match self.verify_hls_reply(&mut session, challenge, server) {
            Ok(()) => {
                self.associated(session);
                return;
            }
            Err(error) => error,
        };
        self.config.keep_floor(&session);
        self.finish(End::Lost(error));
    }

    fn verify_hls_reply(
        &mut self,
        session: &mut Session<C>,
        challenge: &Challenge,
        server: &Challenge,
    ) -> Result<(), ConnectionError> {
        let request = ConnectionError::Request;
        let theirs = Exchange {
            secret: self.config.secret.as_bytes(),
            signer: session.negotiated.server_title,
            verifier: self.config.own_title(),
            challenge,
            own: server,
        };
        let apdu = self.link.apdu();
        // The reply's own counter is below the one of the APDU around it.
        let floor = session.security.as_ref().map(|secured| secured.floor());
        let plain = match &mut session.security {
            Some(secured) => {
                secured.unwrap(self.general.as_ref(), apdu).map_err(|e| request(RequestError::Security(e)))?.0
            }
            None => 0..apdu.len(),
        };
        let plain = apdu.get(plain).unwrap_or_default();
        let (pass, met) =
            hls_pass::read_response(self.config.referencing, plain).map_err(|e| request(RequestError::Decode(e)))?;
        self.deviations.count(met);
        self.config.quirks.check(met).map_err(|deviation| request(RequestError::Deviates(deviation)))?;
        let reply = match pass {
            Pass4::Reply(reply) => reply,
            Pass4::NoReply => return Err(ConnectionError::ServerNotAuthentic),
            Pass4::Refused => return Err(ConnectionError::HlsRefused),
            Pass4::Unexpected => {
                return Err(request(RequestError::Protocol(ProtocolError::UnexpectedApdu {
                    found: "answer to reply_to_HLS_authentication",
                })));
            }
        };
        let verified = match (self.config.mechanism, &mut session.security, floor) {
            (Mechanism::Gmac, Some(secured), Some(floor)) => {
                hls::verify_gmac(&secured.context, floor, challenge, reply).map(|verified| secured.accept(verified))
            }
            (Mechanism::Ecdsa, _, _) => {
                let titles = (theirs.verifier, theirs.signer);
                verify_signed_challenge::<C>(self.general.as_ref(), titles, challenge, server, reply)
            }
            (mechanism, _, _) => hls::verify::<C>(mechanism, &theirs, reply),
        };
        verified.map_err(|_| ConnectionError::ServerNotAuthentic)
    }

    fn associated(&mut self, session: Session<C>) {
        self.ready = Ready::Associated(session.negotiated);
        self.deadline = None;
        self.state = State::Associated(session);
    }
}
