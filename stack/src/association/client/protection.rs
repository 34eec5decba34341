//! general-ciphering, general-signing and HLS mechanism 7 on the client's side.

use core::fmt;
use core::ops::Range;

use super::Connection;
use super::error::UsageError;
use super::session::{Secured, Session};
use crate::acse::Mechanism;
use crate::id::SystemTitle;
use crate::link::{Link, Storage};
use crate::security::general::{
    self, AuthenticatedFields, Cipher, GeneralKeys, KeyChoice, Layers, Order, SignedContent, TransactionId,
};
use crate::security::hls::{Challenge, Response};
use crate::security::public_key::hls7::{self, Exchange};
use crate::security::{
    CounterExhausted, Crypto, Envelope, InvocationCounter, KeyEncryptionKey, PrivateKey, Protection, PublicKey, Random,
    SecurityError,
};

/// Keys that a client has besides those of [`Security`](super::Security), and how it uses them: for general-ciphering,
/// general-signing and HLS mechanism 7. Given to a connection with
/// [`Connection::with_general`](super::Connection::with_general).
///
/// Requests are signed when [`Security::protection`](super::Security::protection) says so. Public keys of the meter
/// come from certificates that were led to a trust anchor.
pub struct General {
    /// Key encrypting key, for wrapped keys.
    pub kek: Option<KeyEncryptionKey>,
    /// Own private key of digital signature.
    pub signing: Option<PrivateKey>,
    /// Own private key of key agreement.
    pub agreement: Option<PrivateKey>,
    /// The meter's public key of digital signature.
    pub peer_signature: Option<PublicKey>,
    /// The meter's public key of key agreement.
    pub peer_agreement: Option<PublicKey>,
    /// What the tag of general-ciphering covers.
    pub authenticated_fields: AuthenticatedFields,
    /// What a signature covers.
    pub signed_content: SignedContent,
    /// Cipher with general-ciphering and this key; `None` for the envelopes of the association's keys.
    pub cipher: Option<KeyChoice>,
    /// Which layer is inside, of a request that is ciphered and signed.
    pub order: Order,
    /// The next transaction-id. Like an invocation counter it must never repeat with this system title, across
    /// restarts too: one count for all connections with this title, and for the confirmations of
    /// [`Receiver`](crate::association::push::Receiver).
    pub next_transaction: u64,
}

impl General {
    /// Signs with this key pair and verifies the meter's signatures with its public key; nothing else yet.
    #[must_use]
    pub fn signing(own: PrivateKey, peer: PublicKey, next_transaction: u64) -> Self {
        let mut general = Self::new(next_transaction);
        (general.signing, general.peer_signature) = (Some(own), Some(peer));
        general
    }

    /// No keys yet.
    #[must_use]
    pub const fn new(next_transaction: u64) -> Self {
        Self {
            kek: None,
            signing: None,
            agreement: None,
            peer_signature: None,
            peer_agreement: None,
            authenticated_fields: AuthenticatedFields::Fields,
            signed_content: SignedContent::Value,
            cipher: None,
            order: Order::SignThenCipher,
            next_transaction,
        }
    }

    /// The keys, borrowed.
    #[must_use]
    pub const fn keys(&self) -> GeneralKeys<'_> {
        GeneralKeys {
            kek: self.kek.as_ref(),
            signing: self.signing.as_ref(),
            agreement: self.agreement.as_ref(),
            peer_signature: self.peer_signature.as_ref(),
            peer_agreement: self.peer_agreement.as_ref(),
            authenticated_fields: self.authenticated_fields,
            signed_content: self.signed_content,
        }
    }

    /// Whether requests with this protection need more than the association's own keys.
    pub(super) const fn wraps(&self, protection: Protection) -> bool {
        protection.signed || (self.cipher.is_some() && (protection.authenticated || protection.encrypted))
    }

    /// Whether everything is there that requests with this protection need.
    pub(super) fn check(&self, protection: Protection) -> Result<(), SecurityError> {
        let agrees = match self.cipher.filter(|_| protection.authenticated || protection.encrypted) {
            Some(KeyChoice::Wrapped) => self.kek.is_some(),
            // The meter answers with an agreement of its own.
            Some(KeyChoice::OnePass) => {
                self.signing.is_some()
                    && self.agreement.is_some()
                    && self.peer_signature.is_some()
                    && self.peer_agreement.is_some()
            }
            Some(KeyChoice::StaticUnified) => self.agreement.is_some() && self.peer_agreement.is_some(),
            Some(KeyChoice::Previous) => false,
            Some(KeyChoice::Unicast | KeyChoice::Broadcast) | None => true,
        };
        let signs = !protection.signed || (self.signing.is_some() && self.peer_signature.is_some());
        if agrees && signs { Ok(()) } else { Err(SecurityError::NoGeneralKey) }
    }

    const fn layers(&self, envelope: Envelope, protection: Protection) -> Layers {
        let cipher = match self.cipher {
            _ if !protection.authenticated && !protection.encrypted => None,
            Some(choice) => Some(Cipher::General(choice)),
            None => Some(Cipher::Envelope(envelope)),
        };
        Layers { cipher, protection, order: self.order }
    }

    pub(super) fn take_transaction(&mut self) -> Result<TransactionId, UsageError> {
        let id = TransactionId::new(self.next_transaction);
        self.next_transaction = self.next_transaction.checked_add(1).ok_or(UsageError::CounterExhausted)?;
        Ok(id)
    }
}

impl fmt::Debug for General {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("General")
            .field("cipher", &self.cipher)
            .field("order", &self.order)
            .field("next_transaction", &self.next_transaction)
            .finish_non_exhaustive()
    }
}

impl<L: Link, C: Crypto, R: Random, B: Storage> Connection<L, C, R, B> {
    /// Gives the connection keys for general-ciphering, general-signing and HLS mechanism 7.
    #[must_use]
    pub fn with_general(mut self, general: General) -> Self {
        self.general = Some(general);
        self
    }

    /// The next transaction-id, to be kept for the next connection; `None` without keys that need one.
    #[must_use]
    pub fn next_transaction(&self) -> Option<u64> {
        self.general.as_ref().map(|general| general.next_transaction)
    }

    /// Finds out before the first octet leaves what would fail for want of a key.
    pub(super) fn check_general(&self) -> Result<(), SecurityError> {
        if self.config.mechanism == Mechanism::Ecdsa {
            self.check_ecdsa()?;
        }
        let Some(security) = &self.config.security else { return Ok(()) };
        let demanded = security.protection.union(self.config.required_response.unwrap_or_default());
        match &self.general {
            _ if demanded.signed && !self.config.ciphered_context => Err(SecurityError::NoGeneralKey),
            Some(general) => general.check(demanded),
            None if demanded.signed => Err(SecurityError::NoGeneralKey),
            None => Ok(()),
        }
    }

    /// Mechanism 7 needs a key pair, the meter's public key, the own title, and long challenges.
    fn check_ecdsa(&self) -> Result<(), SecurityError> {
        let keys = self.general.as_ref().map(General::keys).unwrap_or_default();
        if keys.signing.is_none() || keys.peer_signature.is_none() {
            return Err(SecurityError::NoGeneralKey);
        }
        if self.config.own_title().is_none() {
            return Err(SecurityError::NoOwnTitle);
        }
        let length = self.config.challenge_length;
        if length < hls7::CHALLENGE_MIN { Err(SecurityError::ChallengeLength { length }) } else { Ok(()) }
    }

    /// Mechanism 7, pass 3.
    pub(super) fn sign_challenge(
        &self,
        session: &Session<C>,
        own: &Challenge,
        server: &Challenge,
    ) -> Result<Response, SecurityError> {
        let keys = self.general.as_ref().map(General::keys).unwrap_or_default();
        let key = keys.signing.ok_or(SecurityError::NoGeneralKey)?;
        let signature = hls7::response::<C::Curves>(key, &self.signed_exchange(session, own, server)?)?;
        Response::new(signature.as_bytes()).ok_or(SecurityError::BufferTooSmall)
    }

    fn signed_exchange<'a>(
        &self,
        session: &Session<C>,
        own: &'a Challenge,
        server: &'a Challenge,
    ) -> Result<Exchange<'a>, SecurityError> {
        Ok(Exchange {
            own_title: self.config.own_title().ok_or(SecurityError::NoOwnTitle)?,
            peer_title: session.negotiated.server_title.ok_or(SecurityError::NoPeerTitle)?,
            own_challenge: own,
            peer_challenge: server,
        })
    }
}

/// Mechanism 7, pass 4.
pub(super) fn verify_signed_challenge<C: Crypto>(
    general: Option<&General>,
    titles: (Option<SystemTitle>, Option<SystemTitle>),
    own: &Challenge,
    server: &Challenge,
    reply: &[u8],
) -> Result<(), SecurityError> {
    let key = general.and_then(|general| general.peer_signature.as_ref()).ok_or(SecurityError::NoGeneralKey)?;
    let (Some(own_title), Some(peer_title)) = titles else { return Err(SecurityError::NoPeerTitle) };
    let exchange = Exchange { own_title, peer_title, own_challenge: own, peer_challenge: server };
    hls7::verify::<C::Curves>(key, &exchange, reply)
}

impl<C: Crypto> Secured<C> {
    /// Octets that a request needs at most in front and behind.
    pub(super) const fn room(&self, general: &General) -> (usize, usize) {
        general.layers(self.envelope(), self.protection).room(self.context.suite(), 8)
    }

    /// Protects in place with more than the association's own keys; the plain APDU is moved to make room.
    #[allow(clippy::too_many_arguments, reason = "keys, counters, the generator and the octets")]
    pub(super) fn protect_general(
        &mut self,
        general: &mut General,
        protection: Protection,
        envelope: Envelope,
        global: &mut InvocationCounter,
        random: &mut dyn Random,
        buffer: &mut [u8],
        plain: Range<usize>,
    ) -> Result<Range<usize>, UsageError> {
        let layers = general.layers(envelope, protection);
        let id = if layers.needs_transaction() { general.take_transaction()? } else { TransactionId::default() };
        self.transaction = id;
        let (front, back) = layers.room(self.context.suite(), id.as_bytes().len());
        let place = front..front.saturating_add(plain.len());
        if place.end.saturating_add(back) > buffer.len() {
            return Err(UsageError::RequestTooLong);
        }
        buffer.copy_within(plain, place.start);
        let (context, session, dedicated) = (&self.context, &mut self.messages, &mut self.dedicated_counter);
        let counter = || -> Result<u32, CounterExhausted> {
            let dedicated_key = envelope.is_dedicated() && !matches!(layers.cipher, Some(Cipher::General(_)));
            if dedicated_key { dedicated.take() } else { global.take() }
        };
        Ok(general::protect(context, session, &general.keys(), &layers, &id, counter, random, buffer, place)?)
    }
}
