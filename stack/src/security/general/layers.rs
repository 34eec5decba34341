//! Ciphering and signing of one APDU in either order, and how a response is to be wrapped.

use core::ops::Range;

use super::cipher::{GENERAL_CIPHERING, GeneralSession, protect_general, unprotect_general};
use super::sign::{GENERAL_SIGNING, read_fields, sign, verify};
use super::{GeneralKeys, KeyChoice, TransactionId, VerifiedTransaction};
use crate::apdu::GeneralHeader;
use crate::axdr::Reader;
use crate::security::tags::is_protected as is_service;
use crate::security::{
    Context, CounterExhausted, Crypto, Curve, Envelope, HEADROOM, KeyId, Protection, Random, ReceiveFloor,
    SecurityError, Suite, TAG_LENGTH, VerifiedCounter,
};

/// Octets that all layers may need in front of the plain APDU: two headers with titles and a transaction-id of up to
/// 16 octets, and the key-info of an agreed key.
pub const LAYERS_FRONT: usize = 2 * (1 + 17 + 9 + 9 + 13 + 1 + 5) + 1 + 3 + 2 + 192 + 5;
/// Octets that all layers may need behind it: a signature with its length, and a tag.
pub const LAYERS_BACK: usize = 1 + 96 + TAG_LENGTH;

/// What ciphers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// One of the envelopes of the association's keys.
    Envelope(Envelope),
    /// general-ciphering, with this key.
    General(KeyChoice),
}

/// Which of the two layers is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Order {
    /// Signed, then ciphered: the usual order.
    #[default]
    SignThenCipher,
    /// Ciphered, then signed.
    CipherThenSign,
}

/// How an APDU is wrapped. A response is wrapped as its request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Layers {
    /// The ciphering layer.
    pub cipher: Option<Cipher>,
    /// How strongly it ciphers, and whether there is a signature.
    pub protection: Protection,
    /// Which is inside, where there are both.
    pub order: Order,
}

impl Layers {
    /// Ciphered with a key of the association, unsigned.
    #[must_use]
    pub const fn envelope(envelope: Envelope, protection: Protection) -> Self {
        Self { cipher: Some(Cipher::Envelope(envelope)), protection, order: Order::SignThenCipher }
    }

    /// Whether general-ciphering or general-signing is used, which need a transaction-id.
    #[must_use]
    pub const fn needs_transaction(&self) -> bool {
        self.protection.signed || matches!(self.cipher, Some(Cipher::General(_)))
    }

    /// Whether a counter of the association's keys keeps the APDU from being replayed.
    const fn counts(&self) -> bool {
        let counting = matches!(
            self.cipher,
            Some(Cipher::Envelope(_) | Cipher::General(KeyChoice::Unicast | KeyChoice::Broadcast))
        );
        counting && self.protection.authenticated
    }

    /// The same with what else is demanded.
    #[must_use]
    pub const fn strengthened(self, demanded: Protection) -> Self {
        let protection = self.protection.union(demanded);
        let cipher = match self.cipher {
            None if protection.authenticated || protection.encrypted => Some(Cipher::Envelope(Envelope::Global)),
            cipher => cipher,
        };
        Self { cipher, protection, ..self }
    }

    /// Octets that the layers need at most in front of the plain APDU and behind it, with a transaction-id of this
    /// length.
    #[must_use]
    pub const fn room(&self, suite: Suite, transaction_id: usize) -> (usize, usize) {
        let double_width = match suite.curve() {
            Some(curve) => curve.double_width(),
            None => Curve::P384.double_width(),
        };
        // Lengths have five octets at most.
        let header = (1 + 1 + 9 + 9 + 1 + 1 + 5_usize).saturating_add(transaction_id);
        let (mut front, mut back) = match self.cipher {
            None => (0, 0),
            Some(Cipher::Envelope(_)) => (HEADROOM, TAG_LENGTH),
            Some(Cipher::General(choice)) => {
                let key_info = match choice {
                    KeyChoice::Previous => 0,
                    KeyChoice::Unicast | KeyChoice::Broadcast => 2,
                    KeyChoice::Wrapped => suite.key_length().saturating_add(2 + 1 + 8),
                    KeyChoice::OnePass => double_width.saturating_mul(2).saturating_add(1 + 2 + 2),
                    KeyChoice::StaticUnified => 1 + 2 + 1,
                };
                (header.saturating_add(key_info).saturating_add(1 + 5), TAG_LENGTH)
            }
        };
        if self.protection.signed {
            front = front.saturating_add(header);
            back = back.saturating_add(double_width).saturating_add(1);
        }
        (front, back)
    }
}

/// A received APDU without its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Where the plain APDU now is.
    pub plain: Range<usize>,
    /// How it was wrapped.
    pub layers: Layers,
    /// The counter, proven by a tag under a key that counts; to be given to its floor.
    pub counter: Option<VerifiedCounter>,
    /// The transaction-id, where it is all that keeps the message from being replayed; to be given to a memory before
    /// the message has any effect.
    pub transaction: Option<VerifiedTransaction>,
    /// The transaction-id of the outer layer that has one, to be echoed.
    pub transaction_id: TransactionId,
    /// Whether it was ciphered with the broadcast key, proven or not.
    pub used_broadcast: bool,
}

/// Wraps the plain APDU `plain` of `buffer` in place and returns where the result is. [`LAYERS_FRONT`] octets before
/// and [`LAYERS_BACK`] behind it always suffice.
///
/// `counter` is asked for a transmit counter of the global or dedicated key, if one of those is used.
///
/// # Errors
/// Those of [`Context::protect`], [`protect_general`] and [`sign`]; [`SecurityError::NoPeerTitle`] and
/// [`SecurityError::TransactionId`] where a header needs them.
#[allow(clippy::too_many_arguments, reason = "who, how, with which keys, and the octets")]
pub fn protect<C: Crypto>(
    context: &Context<C>,
    session: &mut GeneralSession<C>,
    keys: &GeneralKeys<'_>,
    layers: &Layers,
    transaction_id: &TransactionId,
    counter: impl FnOnce() -> Result<u32, CounterExhausted>,
    random: &mut dyn Random,
    buffer: &mut [u8],
    plain: Range<usize>,
) -> Result<Range<usize>, SecurityError> {
    let (originator, recipient) = (context.own_title(), context.peer_title());
    let header = match (&recipient, layers.needs_transaction()) {
        (Some(recipient), true) => GeneralHeader {
            transaction_id: transaction_id.as_bytes(),
            originator: originator.as_bytes(),
            recipient: recipient.as_bytes(),
            ..GeneralHeader::default()
        },
        (None, true) => return Err(SecurityError::NoPeerTitle),
        (_, false) => GeneralHeader::default(),
    };
    let signed = |buffer: &mut [u8], content: Range<usize>| {
        if !layers.protection.signed {
            return Ok(content);
        }
        if transaction_id.as_bytes().is_empty() && !layers.counts() {
            return Err(SecurityError::TransactionId);
        }
        let key = keys.signing.ok_or(SecurityError::NoGeneralKey)?;
        if Some(key.curve()) != context.suite().curve() {
            return Err(SecurityError::PrivateKey);
        }
        sign::<C::Curves>(key, keys.signed_content, &header, buffer, content)
    };
    let control = context.control(layers.protection);
    let inner = if layers.order == Order::SignThenCipher { signed(buffer, plain)? } else { plain };
    let ciphered = match layers.cipher {
        None => inner,
        // Nothing that a service-specific tag stands for is inside a signature.
        Some(Cipher::Envelope(envelope)) => {
            let envelope = match (envelope, layers.protection.signed && layers.order == Order::SignThenCipher) {
                (Envelope::Global, true) => Envelope::GeneralGlobal,
                (Envelope::Dedicated, true) => Envelope::GeneralDedicated,
                (envelope, _) => envelope,
            };
            context.protect(envelope, control, counter()?, buffer, inner)?
        }
        Some(Cipher::General(choice)) => {
            protect_general(context, session, keys, choice, &header, control, counter, random, buffer, inner)?
        }
    };
    if layers.order == Order::CipherThenSign { signed(buffer, ciphered) } else { Ok(ciphered) }
}

/// Whether `apdu` has a layer that [`unprotect`] takes off.
#[must_use]
pub fn is_protected(apdu: &[u8]) -> bool {
    matches!(apdu.first(), Some(&(GENERAL_CIPHERING | GENERAL_SIGNING))) || is_service(apdu)
}

/// As [`unprotect`], for one envelope of the association's keys and nothing else: who offers no general protection has
/// only these.
///
/// # Errors
/// As [`unprotect`].
pub(crate) fn unprotect_envelope<C: Crypto>(
    context: &Context<C>,
    apdu: &mut [u8],
    floor: impl FnOnce(KeyId) -> ReceiveFloor,
) -> Result<Opened, SecurityError> {
    let found = context.unprotect(apdu, floor)?;
    Ok(Opened {
        plain: found.plain,
        layers: Layers::envelope(found.envelope, found.protection),
        counter: found.verified,
        transaction: None,
        transaction_id: TransactionId::default(),
        used_broadcast: found.key == KeyId::Broadcast,
    })
}

/// The header of a general-ciphering or general-signing APDU, before anything of it is verified: to find out whose keys
/// open it.
///
/// # Errors
/// [`SecurityError::NotCiphered`] for another APDU, [`SecurityError::Malformed`].
pub fn outer_header(apdu: &[u8]) -> Result<GeneralHeader<'_>, SecurityError> {
    let mut reader = Reader::new(apdu);
    let tag = reader.u8()?;
    if !matches!(tag, GENERAL_CIPHERING | GENERAL_SIGNING) {
        return Err(SecurityError::NotCiphered { tag });
    }
    read_fields(&mut reader).map(|(header, _)| header)
}

/// Takes the layers off a received APDU in place, outermost first, and checks that together they protect at least as
/// well as [`Context::required`] says. At most one layer ciphers and one signs.
///
/// # Errors
/// [`SecurityError`]'s variants for received APDUs; on the wire they all look alike, but for a counter
/// below its floor.
pub fn unprotect<C: Crypto>(
    context: &Context<C>,
    session: &mut GeneralSession<C>,
    keys: &GeneralKeys<'_>,
    apdu: &mut [u8],
    floor: impl FnOnce(KeyId) -> ReceiveFloor,
) -> Result<Opened, SecurityError> {
    let mut opened = Opened {
        plain: 0..apdu.len(),
        layers: Layers::default(),
        counter: None,
        transaction: None,
        transaction_id: TransactionId::default(),
        used_broadcast: false,
    };
    let mut floor = Some(floor);
    let mut named = false;
    // Two layers and the APDU inside.
    for _ in 0..3 {
        let octets = apdu.get_mut(opened.plain.clone()).unwrap_or_default();
        let tag = octets.first().copied().unwrap_or_default();
        let start = opened.plain.start;
        let inside = |range: Range<usize>| range.start.saturating_add(start)..range.end.saturating_add(start);
        let id;
        if tag == GENERAL_SIGNING {
            if opened.layers.protection.signed {
                return Err(SecurityError::InnerTag { outer: tag });
            }
            let key = keys.peer_signature.filter(|key| Some(key.curve()) == context.suite().curve());
            let key = key.ok_or(SecurityError::NoGeneralKey)?;
            let peer = context.peer_title().ok_or(SecurityError::NoPeerTitle)?;
            let signed = verify::<C::Curves>(context.own_title(), peer, key, keys.signed_content, octets)?;
            opened.layers.protection.signed = true;
            opened.layers.order =
                if opened.layers.cipher.is_some() { Order::SignThenCipher } else { Order::CipherThenSign };
            opened.plain = inside(signed.content);
            opened.transaction = opened.transaction.or(Some(signed.verified));
            id = Some(signed.transaction_id);
        } else if tag == GENERAL_CIPHERING || is_service(octets) {
            let Some(floor) = floor.take() else { return Err(SecurityError::InnerTag { outer: tag }) };
            let protection;
            if tag == GENERAL_CIPHERING {
                let found = unprotect_general(context, session, keys, octets, floor)?;
                protection = found.control.protection();
                opened.used_broadcast = found.choice == KeyChoice::Broadcast;
                opened.layers.cipher = Some(Cipher::General(found.choice));
                opened.plain = inside(found.plain);
                opened.counter = found.counter;
                opened.transaction = found.transaction.or(opened.transaction);
                id = Some(found.transaction_id);
            } else {
                // There is no second layer that ciphers: this one alone has to do, before any key is used.
                let required = context.required().without_signature();
                let found = context.unprotect_layer(octets, required, floor)?;
                protection = found.protection;
                opened.used_broadcast = found.key == KeyId::Broadcast;
                opened.layers.cipher = Some(Cipher::Envelope(found.envelope));
                opened.plain = inside(found.plain);
                opened.counter = found.verified;
                id = None;
            }
            opened.layers.protection.authenticated = protection.authenticated;
            opened.layers.protection.encrypted = protection.encrypted;
        } else {
            break;
        }
        match id {
            Some(id) if !named => {
                opened.transaction_id = id;
                named = true;
            }
            // Two headers of one message name one transaction.
            Some(id) if id != opened.transaction_id => return Err(SecurityError::TransactionId),
            _ => {}
        }
    }
    let (required, found) = (context.required(), opened.layers.protection);
    if !found.covers(required) {
        return Err(SecurityError::PolicyNotMet { required, found });
    }
    if opened.layers.cipher.is_none() || !found.signed {
        // One layer or none: there is no order.
        opened.layers.order = Order::SignThenCipher;
    }
    // A counter that a tag has proven keeps the whole message from being replayed, a signature included.
    if opened.counter.is_some() {
        opened.transaction = None;
    }
    Ok(opened)
}
