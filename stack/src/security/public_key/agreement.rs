//! Key agreement (Green Book, clause 9.2.3.4.6; NIST SP 800-56A): the three schemes and the key derivation.
//!
//! | scheme | where | keys |
//! |---|---|---|
//! | ephemeral unified, C(2e, 0s) | class 64, method key_agreement | ephemeral on both sides, signed |
//! | one-pass Diffie-Hellman, C(1e, 1s) | general-ciphering, agreed key 01 | ephemeral of U, signed; static of V |
//! | static unified, C(0e, 2s) | general-ciphering, agreed key 02 | static on both sides |
//!
//! U and V are roles: U is the client in key_agreement and the originator of a message in general-ciphering.

use super::{Curve, Curves, PrivateKey, PublicKey, SharedSecret, Signature};
use crate::id::SystemTitle;
use crate::security::{AgreedKey, Random, SecurityError, Suite};

/// Octets of an ephemeral public key with its signature, on the wider curve.
pub const KEY_DATA_MAX: usize = 192;

/// What an agreed key will be used for; goes into the derivation as AlgorithmID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyUse {
    /// AES-GCM: an encryption or an authentication key.
    Cipher,
    /// AES key wrap: a key encrypting key. That key_id 3 is derived with this one is an assumption; no published
    /// example agrees on such a key.
    Wrap,
}

impl KeyUse {
    /// What the key with this key_id of class 64 is used for: 0 unicast, 1 broadcast, 2 authentication, 3 key
    /// encrypting key. `None` for any other.
    #[must_use]
    pub const fn of_key_id(key_id: u8) -> Option<Self> {
        match key_id {
            0..=2 => Some(Self::Cipher),
            3 => Some(Self::Wrap),
            _ => None,
        }
    }

    /// Content octets of the object identifier 2.16.756.5.8.3.x. An early edition of the Green Book's eighth printed
    /// 60857406080300 in its example; later ones and their examples have 05.
    const fn algorithm_id(self, curve: Curve) -> [u8; 7] {
        let id = match (self, curve) {
            (Self::Cipher, Curve::P256) => 0,
            (Self::Cipher, Curve::P384) => 1,
            (Self::Wrap, Curve::P256) => 2,
            (Self::Wrap, Curve::P384) => 3,
        };
        [0x60, 0x85, 0x74, 0x05, 0x08, 0x03, id]
    }
}

/// An ephemeral public key and the signature over it, for the wire.
#[derive(Clone, Copy)]
pub struct KeyData {
    octets: [u8; KEY_DATA_MAX],
    length: usize,
}

impl KeyData {
    fn new(public: &PublicKey, signature: &Signature) -> Self {
        let length = public.as_bytes().len().saturating_add(signature.as_bytes().len());
        let mut data = Self { octets: [0; KEY_DATA_MAX], length };
        let octets = public.as_bytes().iter().chain(signature.as_bytes());
        data.octets.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
        data
    }

    /// The octets, public key before signature.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    /// Takes the peer's apart and verifies the signature over `prefix` and the public key.
    fn verified<E: Curves>(
        curve: Curve,
        octets: &[u8],
        prefix: &[u8],
        signer: &PublicKey,
    ) -> Result<PublicKey, SecurityError> {
        let (public, signature) = octets.split_at_checked(curve.double_width()).ok_or(SecurityError::PublicKey)?;
        let public = PublicKey::from_slice(curve, public)?;
        let signature = Signature::from_slice(curve, signature)?;
        E::verify(signer, &[prefix, public.as_bytes()], &signature)?;
        Ok(public)
    }
}

impl core::fmt::Debug for KeyData {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "KeyData({} octets)", self.length)
    }
}

/// Derives a key: the leftmost octets of `Hash(00000001 || Z || AlgorithmID || PartyUInfo || PartyVInfo)`. One round
/// of the hash is always long enough; the fields have no lengths of their own.
///
/// # Errors
/// [`SecurityError::NoCurve`] for suite 0, [`SecurityError::Engine`].
pub fn derive_key<E: Curves>(
    suite: Suite,
    secret: &SharedSecret,
    key_use: KeyUse,
    party_u: &[&[u8]],
    party_v: &[u8],
) -> Result<AgreedKey, SecurityError> {
    let curve = suite.curve().ok_or(SecurityError::NoCurve)?;
    let algorithm = key_use.algorithm_id(curve);
    let [one, two, three] = match party_u {
        [one] => [*one, &[], &[]],
        [one, two] => [*one, *two, &[]],
        [one, two, three] => [*one, *two, *three],
        _ => return Err(SecurityError::Engine),
    };
    let digest = E::digest(curve, &[&[0, 0, 0, 1], secret.as_bytes(), &algorithm, one, two, three, party_v])?;
    AgreedKey::from_slice(suite, digest.as_bytes().get(..suite.key_length()).unwrap_or_default())
}

/// The client's half of key_agreement, kept until the server's half arrives.
#[derive(Debug)]
pub struct EphemeralOffer {
    suite: Suite,
    key_id: u8,
    own: PrivateKey,
    data: KeyData,
}

impl EphemeralOffer {
    /// Draws the client's ephemeral key for the key with `key_id` and signs it.
    ///
    /// # Errors
    /// [`SecurityError::NoCurve`] for suite 0; what the engine refuses.
    pub fn new<E: Curves>(
        suite: Suite,
        key_id: u8,
        signing: &PrivateKey,
        random: &mut dyn Random,
    ) -> Result<Self, SecurityError> {
        let own = E::generate(suite.curve().ok_or(SecurityError::NoCurve)?, random)?;
        let public = E::public_key(&own)?;
        let signature = E::sign(signing, &[&[key_id], public.as_bytes()])?;
        Ok(Self { suite, key_id, own, data: KeyData::new(&public, &signature) })
    }

    /// key_id of the key that is agreed on.
    #[must_use]
    pub const fn key_id(&self) -> u8 {
        self.key_id
    }

    /// key_data for the method's parameter.
    #[must_use]
    pub const fn key_data(&self) -> &KeyData {
        &self.data
    }

    /// Verifies the server's key_data and derives the key. The ephemeral key is spent.
    ///
    /// # Errors
    /// [`SecurityError::Signature`], [`SecurityError::PublicKey`]; [`SecurityError::NoCurve`].
    pub fn complete<E: Curves>(
        self,
        client: SystemTitle,
        server: SystemTitle,
        server_signature: &PublicKey,
        key_data: &[u8],
    ) -> Result<AgreedKey, SecurityError> {
        let key_use = KeyUse::of_key_id(self.key_id).ok_or(SecurityError::KeyUnwrap)?;
        let peer = KeyData::verified::<E>(self.own.curve(), key_data, &[self.key_id], server_signature)?;
        let secret = E::agree(&self.own, &peer)?;
        derive_key::<E>(self.suite, &secret, key_use, &[client.as_bytes()], server.as_bytes())
    }
}

/// The server's half of key_agreement: verifies the client's signature before anything is computed with its key, then
/// draws the server's ephemeral key. Returns the server's key_data and the new key, which is put to use
/// after the response has left.
///
/// # Errors
/// [`SecurityError::KeyUnwrap`] for an unknown key_id, [`SecurityError::Signature`], [`SecurityError::PublicKey`];
/// [`SecurityError::NoCurve`].
#[allow(clippy::too_many_arguments, reason = "two parties, their keys, one message")]
pub fn answer_offer<E: Curves>(
    suite: Suite,
    key_id: u8,
    client: SystemTitle,
    server: SystemTitle,
    client_signature: &PublicKey,
    signing: &PrivateKey,
    key_data: &[u8],
    random: &mut dyn Random,
) -> Result<(KeyData, AgreedKey), SecurityError> {
    let curve = suite.curve().ok_or(SecurityError::NoCurve)?;
    let key_use = KeyUse::of_key_id(key_id).ok_or(SecurityError::KeyUnwrap)?;
    let peer = KeyData::verified::<E>(curve, key_data, &[key_id], client_signature)?;
    let (public, secret) = E::agree_once(&peer, random)?;
    let signature = E::sign(signing, &[&[key_id], public.as_bytes()])?;
    let key = derive_key::<E>(suite, &secret, key_use, &[client.as_bytes()], server.as_bytes())?;
    Ok((KeyData::new(&public, &signature), key))
}

/// Who sends a message of general-ciphering to whom.
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    /// Sender, party U.
    pub originator: &'a [u8],
    /// Receiver, party V.
    pub recipient: &'a [u8],
}

/// One-pass Diffie-Hellman, sender: draws an ephemeral key, signs it, derives the message's key with the recipient's
/// static key. The signature covers the public key alone (as in the published example; one implementation puts the
/// scheme's octet in front, which does not verify here).
///
/// # Errors
/// [`SecurityError::NoCurve`] for suite 0, [`SecurityError::PublicKey`]; what the engine refuses.
pub fn one_pass_send<E: Curves>(
    suite: Suite,
    parties: Parties<'_>,
    signing: &PrivateKey,
    recipient_agreement: &PublicKey,
    random: &mut dyn Random,
) -> Result<(KeyData, AgreedKey), SecurityError> {
    if suite.curve() != Some(recipient_agreement.curve()) {
        return Err(SecurityError::PublicKey);
    }
    let (public, secret) = E::agree_once(recipient_agreement, random)?;
    let signature = E::sign(signing, &[public.as_bytes()])?;
    let key = derive_key::<E>(suite, &secret, KeyUse::Cipher, &[parties.originator], parties.recipient)?;
    Ok((KeyData::new(&public, &signature), key))
}

/// One-pass Diffie-Hellman, receiver: verifies the originator's signature, then derives the key.
///
/// # Errors
/// [`SecurityError::NoCurve`] for suite 0, [`SecurityError::Signature`], [`SecurityError::PublicKey`].
pub fn one_pass_receive<E: Curves>(
    suite: Suite,
    parties: Parties<'_>,
    own_agreement: &PrivateKey,
    originator_signature: &PublicKey,
    key_data: &[u8],
) -> Result<AgreedKey, SecurityError> {
    let curve = suite.curve().ok_or(SecurityError::NoCurve)?;
    let peer = KeyData::verified::<E>(curve, key_data, &[], originator_signature)?;
    let secret = E::agree(own_agreement, &peer)?;
    derive_key::<E>(suite, &secret, KeyUse::Cipher, &[parties.originator], parties.recipient)
}

/// Static unified model, both sides: the transaction-id makes the key fresh, so it must never repeat between two
/// parties: with it the key, and the counters from 0 on, would repeat.
///
/// # Errors
/// [`SecurityError::NoCurve`] for suite 0, [`SecurityError::PublicKey`]; [`SecurityError::TransactionId`] for one
/// that is empty or longer than 127 octets.
pub fn static_unified<E: Curves>(
    suite: Suite,
    parties: Parties<'_>,
    own: &PrivateKey,
    peer: &PublicKey,
    transaction_id: &[u8],
) -> Result<AgreedKey, SecurityError> {
    let length = match u8::try_from(transaction_id.len()) {
        Ok(length @ 1..=0x7F) => [length],
        _ => return Err(SecurityError::TransactionId),
    };
    if suite.curve() != Some(peer.curve()) {
        return Err(SecurityError::PublicKey);
    }
    let secret = E::agree(own, peer)?;
    let party_u = [parties.originator, &length, transaction_id];
    derive_key::<E>(suite, &secret, KeyUse::Cipher, &party_u, parties.recipient)
}
