//! Challenges, passwords and high-level-security responses (Green Book, clause 9.2.7.4; `reply_to_HLS_authentication`).
//!
//! In pass 3 the client answers the server's challenge (StoC), in pass 4 the server answers the client's (CtoS).
//! A challenge serves one attempt: [`Challenge`] cannot be cloned, and is dropped after it was answered.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::{
    Context, Crypto, Digest, Random, ReceiveFloor, SecurityControl, SecurityError, TAG_LENGTH, VerifiedCounter,
};
use crate::acse::Mechanism;
use crate::id::SystemTitle;

/// Fewest octets of a challenge.
pub const CHALLENGE_MIN: usize = 8;
/// Most octets of a challenge.
pub const CHALLENGE_MAX: usize = 64;
/// Most octets of an answer to a challenge: a signature of suite 2.
pub const RESPONSE_MAX: usize = 96;
/// Octets of a mechanism 5 response: control octet, counter, tag.
pub const GMAC_RESPONSE_LENGTH: usize = 1 + 4 + TAG_LENGTH;

/// A challenge of 8 to 64 octets.
pub struct Challenge {
    octets: [u8; CHALLENGE_MAX],
    length: usize,
}

impl Challenge {
    /// Draws a challenge of `length` octets; 16 suit every known peer.
    ///
    /// # Errors
    /// [`SecurityError::ChallengeLength`].
    pub fn draw(random: &mut impl Random, length: usize) -> Result<Self, SecurityError> {
        check_length(length)?;
        let mut challenge = Self { octets: [0; CHALLENGE_MAX], length };
        random.fill(challenge.octets.get_mut(..length).unwrap_or_default());
        Ok(challenge)
    }

    /// Keeps the peer's challenge.
    ///
    /// # Errors
    /// [`SecurityError::ChallengeLength`].
    pub fn from_peer(octets: &[u8]) -> Result<Self, SecurityError> {
        check_length(octets.len())?;
        let mut challenge = Self { octets: [0; CHALLENGE_MAX], length: octets.len() };
        challenge.octets.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
        Ok(challenge)
    }

    /// Refuses a peer that sends our own challenge back: it would have us compute the answer for it.
    ///
    /// # Errors
    /// [`SecurityError::ChallengeReflected`].
    pub fn check_differs(&self, other: &Self) -> Result<(), SecurityError> {
        if self.as_bytes() == other.as_bytes() { Err(SecurityError::ChallengeReflected) } else { Ok(()) }
    }

    /// The octets, for the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Challenge({} octets)", self.length)
    }
}

impl Drop for Challenge {
    fn drop(&mut self) {
        self.octets.zeroize();
    }
}

const fn check_length(length: usize) -> Result<(), SecurityError> {
    if length < CHALLENGE_MIN || length > CHALLENGE_MAX {
        return Err(SecurityError::ChallengeLength { length });
    }
    Ok(())
}

/// Compares a low-level-security password without telling by its time where it differs. An empty secret matches nothing.
///
/// # Errors
/// [`SecurityError::Authentication`].
pub fn verify_password(secret: &[u8], given: &[u8]) -> Result<(), SecurityError> {
    if secret.is_empty() { Err(SecurityError::Authentication) } else { equal(secret, given) }
}

/// Mechanism 5: the answer to the peer's challenge, `SC || IC || GMAC`, with the unicast key, never the dedicated one.
///
/// `counter` is a transmit counter of the unicast key, and another one than that of the APDU which carries the answer.
///
/// # Errors
/// [`SecurityError::NoAuthenticationKey`], [`SecurityError::CounterExhausted`], [`SecurityError::Engine`].
pub fn gmac_response<C: Crypto>(
    context: &Context<C>,
    counter: u32,
    challenge: &Challenge,
) -> Result<[u8; GMAC_RESPONSE_LENGTH], SecurityError> {
    if counter == u32::MAX {
        return Err(super::CounterExhausted.into());
    }
    let tag = context.gmac(context.own_title(), counter, challenge.as_bytes())?;
    let control = context.control(super::Protection::AUTHENTICATED);
    let mut response = [0; GMAC_RESPONSE_LENGTH];
    let fields = [control.0].into_iter().chain(counter.to_be_bytes()).chain(tag);
    response.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    Ok(response)
}

/// Mechanism 5: verifies the peer's answer to our challenge.
///
/// `floor` is the unicast key's floor **as it was before the APDU that carries the answer moved it**: the answer is
/// computed first, with the lower counter. Both counters are then accepted; the higher one counts.
///
/// # Errors
/// [`SecurityError::Authentication`] for another length or control octet than `SC = authenticated` of this suite,
/// [`SecurityError::Counter`], [`SecurityError::Tag`], [`SecurityError::NoPeerTitle`],
/// [`SecurityError::NoAuthenticationKey`].
pub fn verify_gmac<C: Crypto>(
    context: &Context<C>,
    floor: ReceiveFloor,
    challenge: &Challenge,
    response: &[u8],
) -> Result<VerifiedCounter, SecurityError> {
    let response: &[u8; GMAC_RESPONSE_LENGTH] = response.try_into().map_err(|_| SecurityError::Authentication)?;
    let [control, i, j, k, l, tag @ ..] = response;
    if SecurityControl(*control) != context.control(super::Protection::AUTHENTICATED) {
        return Err(SecurityError::Authentication);
    }
    let counter = u32::from_be_bytes([*i, *j, *k, *l]);
    floor.check(counter)?;
    let signer = context.peer_title().ok_or(SecurityError::NoPeerTitle)?;
    context.verify_gmac(signer, counter, challenge.as_bytes(), tag)
}

/// What enters the answer to a challenge, in the mechanisms without a counter.
///
/// Both passes are the same function with the roles exchanged: in pass 3 the client is the signer and the server's
/// challenge is answered, in pass 4 the server and the client's.
#[derive(Clone, Copy)]
pub struct Exchange<'a> {
    /// The secret that both sides share.
    pub secret: &'a [u8],
    /// System title of the side that answers.
    pub signer: Option<SystemTitle>,
    /// System title of the side whose challenge is answered.
    pub verifier: Option<SystemTitle>,
    /// The challenge that is answered.
    pub challenge: &'a Challenge,
    /// The answering side's own challenge.
    pub own: &'a Challenge,
}

impl Exchange<'_> {
    /// The other pass: signer and verifier exchanged, and with them the challenges.
    #[must_use]
    pub const fn reversed(&self) -> Self {
        Self { signer: self.verifier, verifier: self.signer, challenge: self.own, own: self.challenge, ..*self }
    }
}

impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("signer", &self.signer)
            .field("verifier", &self.verifier)
            .finish_non_exhaustive()
    }
}

/// The answer to a challenge.
#[derive(Clone)]
pub struct Response {
    octets: [u8; RESPONSE_MAX],
    length: usize,
}

impl Response {
    /// Keeps an answer; `None` when it has more than [`RESPONSE_MAX`] octets.
    #[must_use]
    pub fn new(octets: &[u8]) -> Option<Self> {
        let mut response = Self::empty(octets.len())?;
        response.as_bytes_mut().copy_from_slice(octets);
        Some(response)
    }

    const fn empty(length: usize) -> Option<Self> {
        if length > RESPONSE_MAX { None } else { Some(Self { octets: [0; RESPONSE_MAX], length }) }
    }

    /// The octets, for the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    fn as_bytes_mut(&mut self) -> &mut [u8] {
        self.octets.get_mut(..self.length).unwrap_or_default()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({} octets)", self.length)
    }
}

/// Whether a side with this secret and own title can take part in `mechanism` at all: what would fail in pass 3 is
/// known before the first octet leaves. Of mechanism 5 it is the keys that decide.
///
/// # Errors
/// [`SecurityError::Unsupported`], [`SecurityError::SecretLength`], [`SecurityError::NoOwnTitle`].
pub fn check_configuration<C: Crypto>(
    mechanism: Mechanism,
    secret: &[u8],
    own_title: Option<SystemTitle>,
) -> Result<(), SecurityError> {
    match mechanism {
        Mechanism::Lowest | Mechanism::Lls | Mechanism::Gmac => return Ok(()),
        Mechanism::Hls2 => return block_key(secret).map(|_| ()),
        _ => {}
    }
    let digest = digest_of(mechanism).ok_or(SecurityError::Unsupported)?;
    if secret.is_empty() {
        return Err(SecurityError::SecretLength { length: 0 });
    }
    if needs_titles(mechanism) && own_title.is_none() {
        return Err(SecurityError::NoOwnTitle);
    }
    let mut out = [0; RESPONSE_MAX];
    Ok(C::hash(digest, &[], out.get_mut(..digest.length()).unwrap_or_default())?)
}

/// Whether the system titles of both sides enter the answers: they are then exchanged without ciphering, too.
#[must_use]
pub const fn needs_titles(mechanism: Mechanism) -> bool {
    matches!(mechanism, Mechanism::Gmac | Mechanism::Sha256 | Mechanism::Ecdsa)
}

/// Answers a challenge by mechanism 2, 3, 4 or 6.
///
/// # Errors
/// [`SecurityError::Unsupported`] for any other mechanism, and for one that the engine lacks;
/// [`SecurityError::SecretLength`] for no secret, or one that mechanism 2 cannot use as a key;
/// [`SecurityError::NoOwnTitle`], [`SecurityError::NoPeerTitle`], [`SecurityError::Engine`].
pub fn respond<C: Crypto>(mechanism: Mechanism, exchange: &Exchange<'_>) -> Result<Response, SecurityError> {
    let Exchange { secret, signer, verifier, challenge, own } = *exchange;
    if mechanism == Mechanism::Hls2 {
        return blocks::<C>(secret, challenge);
    }
    let digest = digest_of(mechanism).ok_or(SecurityError::Unsupported)?;
    if secret.is_empty() {
        return Err(SecurityError::SecretLength { length: 0 });
    }
    let mut response = Response::empty(digest.length()).ok_or(SecurityError::Unsupported)?;
    let (challenge, own) = (challenge.as_bytes(), own.as_bytes());
    if mechanism == Mechanism::Sha256 {
        let signer = signer.ok_or(SecurityError::NoOwnTitle)?;
        let verifier = verifier.ok_or(SecurityError::NoPeerTitle)?;
        let pieces = [secret, signer.as_bytes(), verifier.as_bytes(), challenge, own];
        C::hash(digest, &pieces, response.as_bytes_mut())?;
    } else {
        C::hash(digest, &[challenge, secret], response.as_bytes_mut())?;
    }
    Ok(response)
}

/// Verifies the peer's answer to our challenge by mechanism 2, 3, 4 or 6; the peer is the signer.
///
/// # Errors
/// [`SecurityError::Authentication`], and those of [`respond`].
pub fn verify<C: Crypto>(mechanism: Mechanism, exchange: &Exchange<'_>, response: &[u8]) -> Result<(), SecurityError> {
    equal(respond::<C>(mechanism, exchange)?.as_bytes(), response)
}

const fn digest_of(mechanism: Mechanism) -> Option<Digest> {
    match mechanism {
        Mechanism::Md5 => Some(Digest::Md5),
        Mechanism::Sha1 => Some(Digest::Sha1),
        Mechanism::Sha256 => Some(Digest::Sha256),
        _ => None,
    }
}

/// Mechanism 2's key: the secret, padded with zeros.
fn block_key(secret: &[u8]) -> Result<Zeroizing<[u8; 16]>, SecurityError> {
    if secret.is_empty() || secret.len() > 16 {
        return Err(SecurityError::SecretLength { length: secret.len() });
    }
    let mut key = Zeroizing::new([0; 16]);
    key.iter_mut().zip(secret).for_each(|(to, from)| *to = *from);
    Ok(key)
}

/// Mechanism 2: AES-128 in single blocks over the challenge, both key and challenge padded with zeros.
///
/// The standard leaves mechanism 2 to the manufacturer; this is the convention seen in the field.
fn blocks<C: Crypto>(secret: &[u8], challenge: &Challenge) -> Result<Response, SecurityError> {
    let key = block_key(secret)?;
    let mut blocks = [[0; 16]; CHALLENGE_MAX / 16];
    let count = challenge.length.div_ceil(16);
    blocks.as_flattened_mut().iter_mut().zip(challenge.as_bytes()).for_each(|(to, from)| *to = *from);
    let used = blocks.get_mut(..count).unwrap_or_default();
    C::encrypt_blocks(key.as_slice(), used)?;
    Response::new(used.as_flattened()).ok_or(SecurityError::BufferTooSmall)
}

/// Constant-time but for the length, which is no secret.
fn equal(expected: &[u8], given: &[u8]) -> Result<(), SecurityError> {
    if bool::from(expected.ct_eq(given)) { Ok(()) } else { Err(SecurityError::Authentication) }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    struct Counting(u8);

    impl Random for Counting {
        fn fill(&mut self, octets: &mut [u8]) {
            for octet in octets {
                *octet = self.0;
                self.0 = self.0.wrapping_add(1);
            }
        }
    }

    #[test]
    fn lesson_03_challenges_come_from_the_generator_that_was_handed_in() {
        let mut random = Counting(1);
        let first = Challenge::draw(&mut random, 16).unwrap();
        let second = Challenge::draw(&mut random, 16).unwrap();
        assert_eq!(first.as_bytes(), core::array::from_fn::<u8, 16, _>(|i| i as u8 + 1));
        assert_eq!(second.as_bytes()[0], 17);
        assert_eq!(first.check_differs(&second), Ok(()));
        let reflected = Challenge::from_peer(first.as_bytes()).unwrap();
        assert_eq!(first.check_differs(&reflected), Err(SecurityError::ChallengeReflected));
    }

    #[test]
    fn challenges_have_8_to_64_octets() {
        for length in 0..=70 {
            let allowed = (8..=64).contains(&length);
            assert_eq!(Challenge::from_peer(&[3; 70][..length]).is_ok(), allowed, "{length}");
            assert_eq!(Challenge::draw(&mut Counting(0), length).is_ok(), allowed, "{length}");
        }
    }

    #[test]
    fn passwords_match_only_whole() {
        assert_eq!(verify_password(b"12345678", b"12345678"), Ok(()));
        for wrong in [&b"12345679"[..], b"1234567", b"123456789", b""] {
            assert_eq!(verify_password(b"12345678", wrong), Err(SecurityError::Authentication));
        }
        assert_eq!(verify_password(b"", b""), Err(SecurityError::Authentication));
    }

    #[test]
    fn debug_output_holds_no_challenge() {
        let challenge = Challenge::from_peer(&[0x93; 16]).unwrap();
        assert_eq!(format!("{challenge:?}"), "Challenge(16 octets)");
    }
}
