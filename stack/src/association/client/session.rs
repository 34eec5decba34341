//! Keys, counters and limits of one open association.

use core::ops::Range;

use super::access::envelope_for;
use super::config::{Config, Security};
use super::error::UsageError;
use super::event::Negotiated;
use super::notification::is_unsolicited;
use super::protection::General;
use crate::apdu::Conformance;
use crate::security::general::{self, GeneralSession, Opened, TransactionId};
use crate::security::{
    Context, Crypto, Envelope, HEADROOM, InvocationCounter, KeyId, Protection, Random, ReceiveFloor, SecurityError,
    TAG_LENGTH, VerifiedCounter,
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
    pub(super) dedicated_counter: InvocationCounter,
    /// Keys that came with messages.
    pub(super) messages: GeneralSession<C>,
    /// Transaction-id of the request under way; empty where it had none.
    pub(super) transaction: TransactionId,
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

    /// Octets that protection adds to a request at most.
    pub(super) fn overhead(&self, general: Option<&General>) -> usize {
        match (&self.security, general) {
            (Some(secured), Some(general)) if general.wraps(secured.protection) => {
                let (front, back) = secured.room(general);
                front.saturating_add(back)
            }
            (Some(secured), _) if !secured.protection.is_none() => HEADROOM.saturating_add(TAG_LENGTH),
            _ => 0,
        }
    }
}

impl<C: Crypto> Session<C> {
    /// Protects a request in place; without ciphering it stays as it is.
    pub(super) fn protect(
        &mut self,
        general: Option<&mut General>,
        global: &mut InvocationCounter,
        random: &mut dyn Random,
        buffer: &mut [u8],
        plain: Range<usize>,
    ) -> Result<Range<usize>, UsageError> {
        let Some(secured) = self.security.as_mut().filter(|secured| !secured.protection.is_none()) else {
            return Ok(plain);
        };
        let tag = buffer.get(plain.start).copied().unwrap_or_default();
        let envelope = envelope_for(tag, secured.envelope());
        match general.filter(|general| general.wraps(secured.protection)) {
            None => secured.protect(envelope, global, buffer, plain),
            Some(general) if self.negotiated.conformance.contains(Conformance::GENERAL_PROTECTION) => {
                secured.protect_general(general, secured.protection, envelope, global, random, buffer, plain)
            }
            Some(_) => Err(UsageError::NotNegotiated { service: "general-protection" }),
        }
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
            messages: GeneralSession::new(),
            transaction: TransactionId::default(),
        })
    }

    /// Transaction-id of the request under way.
    pub(super) const fn transaction(&self) -> &TransactionId {
        &self.transaction
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
        self.transaction = TransactionId::default();
        let counter = if envelope.is_dedicated() { &mut self.dedicated_counter } else { global };
        let counter = counter.take().map_err(|_| UsageError::CounterExhausted)?;
        let control = self.context.control(self.protection);
        Ok(self.context.protect(envelope, control, counter, buffer, plain)?)
    }

    /// Verifies and deciphers in place; the floor moves only after that.
    ///
    /// What has a transaction-id must have that of the request under way, which no message had before: an answer that
    /// is fresh by that alone is fresh. A notification answers nothing: it must be fresh by a counter.
    fn unprotect(&mut self, general: Option<&General>, apdu: &mut [u8]) -> Result<Opened, SecurityError> {
        let (global, dedicated) = (self.floor, self.dedicated_floor);
        let keys = general.map(General::keys).unwrap_or_default();
        let floor = |key| if key == KeyId::Dedicated { dedicated } else { global };
        let opened = general::unprotect(&self.context, &mut self.messages, &keys, apdu, floor)?;
        let first = apdu.get(opened.plain.start).copied();
        let unasked = opened.counter.is_some() && first.is_some_and(is_unsolicited);
        if opened.layers.needs_transaction() && opened.transaction_id != self.transaction && !unasked {
            return Err(SecurityError::TransactionId);
        }
        if let Some(transaction) = opened.transaction {
            if transaction.id().as_bytes().is_empty() {
                return Err(SecurityError::TransactionId);
            }
            self.messages.accept(transaction);
        }
        if let Some(verified) = opened.counter {
            self.accept(verified);
        }
        Ok(opened)
    }

    /// As [`unwrap`](Self::unwrap), for what is in the fields of ACSE, which nobody signs.
    pub(super) fn unwrap_initiate(&mut self, apdu: &mut [u8]) -> Result<Range<usize>, SecurityError> {
        let required = self.context.required();
        self.context.set_required(required.without_signature());
        let unwrapped = self.unwrap(None, apdu);
        self.context.set_required(required);
        unwrapped.map(|(plain, _)| plain)
    }

    /// Verifies and deciphers an APDU that may be in clear where nothing is demanded.
    pub(super) fn unwrap(
        &mut self,
        general: Option<&General>,
        apdu: &mut [u8],
    ) -> Result<(Range<usize>, Protection), SecurityError> {
        if general::is_protected(apdu) {
            let opened = self.unprotect(general, apdu)?;
            return Ok((opened.plain, opened.layers.protection));
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
