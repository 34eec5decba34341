//! Keys, counters and limits of one open association.

use core::ops::Range;

use super::access::envelope_for;
use super::config::{Config, Security};
use super::error::UsageError;
use super::event::Negotiated;
use crate::security::{
    self, Context, Crypto, Envelope, HEADROOM, InvocationCounter, KeyId, Protection, ReceiveFloor, SecurityError,
    TAG_LENGTH, Unprotected, VerifiedCounter,
};

/// What is agreed on, and the keys to it.
pub(super) struct Session<C: Crypto> {
    pub(super) security: Option<Secured<C>>,
    pub(super) negotiated: Negotiated,
    /// Whether APDUs may be ciphered; keys may serve authentication alone.
    pub(super) ciphered: bool,
}

/// Keys and counters of a ciphered association.
pub(super) struct Secured<C: Crypto> {
    pub(super) context: Context<C>,
    pub(super) protection: Protection,
    general: bool,
    floor: ReceiveFloor,
    dedicated_floor: ReceiveFloor,
    dedicated_counter: InvocationCounter,
}

impl<C: Crypto> Session<C> {
    /// A session before anything is negotiated.
    pub(super) fn new(config: &Config) -> Result<Self, SecurityError> {
        let security = match &config.security {
            Some(security) => Some(Secured::new(security, config)?),
            None => None,
        };
        let ciphered = security.is_some() && config.ciphered_context;
        let negotiated = Negotiated { conformance: config.conformance, server_max_pdu: u16::MAX, server_title: None };
        Ok(Self { security, negotiated, ciphered })
    }

    /// Longest plain request, in octets.
    pub(super) fn request_limit(&self) -> usize {
        let limit = usize::from(self.negotiated.server_max_pdu);
        if self.security.as_ref().is_some_and(|secured| !secured.protection.is_none()) {
            limit.saturating_sub(HEADROOM.saturating_add(TAG_LENGTH))
        } else {
            limit
        }
    }
}

impl<C: Crypto> Session<C> {
    /// Protects a request in place; without ciphering it stays as it is.
    pub(super) fn protect(
        &mut self,
        global: &mut InvocationCounter,
        buffer: &mut [u8],
        plain: Range<usize>,
    ) -> Result<Range<usize>, UsageError> {
        let Some(secured) = self.security.as_mut().filter(|secured| !secured.protection.is_none()) else {
            return Ok(plain);
        };
        let tag = buffer.get(plain.start).copied().unwrap_or_default();
        secured.protect(envelope_for(tag, secured.envelope()), global, buffer, plain)
    }

    /// Whether an answer in clear is as good as any other.
    pub(super) fn takes_clear(&self) -> bool {
        self.security.as_ref().is_none_or(|secured| secured.context.required().is_none())
    }
}

impl<C: Crypto> Secured<C> {
    fn new(security: &Security, config: &Config) -> Result<Self, SecurityError> {
        let mut context = Context::new(security.system_title, &security.keys)?;
        let protection = if config.ciphered_context { security.protection } else { Protection::NONE };
        context.set_required(config.required_response.filter(|_| config.ciphered_context).unwrap_or(protection));
        if let Some(title) = security.peer_title {
            context.set_peer_title(title);
        }
        if let Some(key) = &security.dedicated_key {
            context.set_dedicated_key(key.as_bytes())?;
        }
        Ok(Self {
            context,
            protection,
            general: security.general,
            floor: ReceiveFloor::new(security.receive_floor),
            dedicated_floor: ReceiveFloor::new(0),
            dedicated_counter: InvocationCounter::new(0, u32::MAX),
        })
    }

    /// How requests are wrapped once the association is open; the opening itself is always global.
    pub(super) const fn envelope(&self) -> Envelope {
        match (self.context.has_dedicated_key(), self.general) {
            (false, false) => Envelope::Global,
            (false, true) => Envelope::GeneralGlobal,
            (true, false) => Envelope::Dedicated,
            (true, true) => Envelope::GeneralDedicated,
        }
    }

    /// Protects in place.
    pub(super) fn protect(
        &mut self,
        envelope: Envelope,
        global: &mut InvocationCounter,
        buffer: &mut [u8],
        plain: Range<usize>,
    ) -> Result<Range<usize>, UsageError> {
        let counter = if envelope.is_dedicated() { &mut self.dedicated_counter } else { global };
        let counter = counter.take().map_err(|_| UsageError::CounterExhausted)?;
        let control = self.context.control(self.protection);
        Ok(self.context.protect(envelope, control, counter, buffer, plain)?)
    }

    /// Verifies and deciphers in place; the floor moves only after that.
    pub(super) fn unprotect(&mut self, apdu: &mut [u8]) -> Result<Unprotected, SecurityError> {
        let (global, dedicated) = (self.floor, self.dedicated_floor);
        let opened = self.context.unprotect(apdu, |key| if key == KeyId::Dedicated { dedicated } else { global })?;
        if let Some(verified) = opened.verified {
            self.accept(verified);
        }
        Ok(opened)
    }

    /// As [`unprotect`](Self::unprotect), for an APDU that may be in clear where nothing is demanded.
    pub(super) fn unwrap(&mut self, apdu: &mut [u8]) -> Result<(Range<usize>, Protection), SecurityError> {
        if security::is_protected(apdu) {
            let opened = self.unprotect(apdu)?;
            return Ok((opened.plain, opened.protection));
        }
        let required = self.context.required();
        if required.is_none() {
            Ok((0..apdu.len(), Protection::NONE))
        } else {
            Err(SecurityError::PolicyNotMet { required, found: Protection::NONE })
        }
    }

    /// Moves a floor above a verified counter.
    pub(super) fn accept(&mut self, verified: VerifiedCounter) {
        match verified.key() {
            KeyId::Dedicated => self.dedicated_floor.accept(verified),
            _ => self.floor.accept(verified),
        }
    }

    /// The global key is another one, whose counters begin anew.
    pub(super) const fn restart_floor(&mut self) {
        self.floor = ReceiveFloor::new(0);
    }

    /// The receive floor of the global key.
    pub(super) const fn floor(&self) -> ReceiveFloor {
        self.floor
    }
}
