//! Mechanism 7 of high-level security: each side signs both titles and both challenges.
//!
//! Pass 3, client to server: ECDSA(ST-C, ST-S, StoC, CtoS); pass 4 back: ECDSA(ST-S, ST-C, CtoS, StoC). Seen from the
//! signer both are the same: own title, peer's title, peer's challenge, own challenge. No secret goes in.
//!
//! The curve is that of the key, P-256 or P-384; the answer has 64 or 96 octets.

use super::{Curves, PrivateKey, PublicKey, Signature};
use crate::id::SystemTitle;
use crate::security::SecurityError;
use crate::security::hls::Challenge;

/// Fewest octets of a challenge with this mechanism.
pub const CHALLENGE_MIN: usize = 32;
/// Octets of the longest answer, that on P-384.
pub const RESPONSE_MAX: usize = 96;

/// Titles and challenges of one authentication, from the view of the side that calls.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// Title of this side.
    pub own_title: SystemTitle,
    /// Title of the other side.
    pub peer_title: SystemTitle,
    /// What this side sent as its challenge.
    pub own_challenge: &'a Challenge,
    /// What the other side sent as its challenge.
    pub peer_challenge: &'a Challenge,
}

impl Exchange<'_> {
    /// Both challenges have 32 octets or more and differ.
    fn check(&self) -> Result<(), SecurityError> {
        for challenge in [self.own_challenge, self.peer_challenge] {
            let length = challenge.as_bytes().len();
            if length < CHALLENGE_MIN {
                return Err(SecurityError::ChallengeLength { length });
            }
        }
        self.own_challenge.check_differs(self.peer_challenge)
    }
}

/// The answer to the peer's challenge: pass 3 of a client, pass 4 of a server.
///
/// # Errors
/// [`SecurityError::ChallengeLength`], [`SecurityError::ChallengeReflected`]; [`SecurityError::PrivateKey`],
/// [`SecurityError::NoCurve`], [`SecurityError::Engine`].
pub fn response<E: Curves>(key: &PrivateKey, exchange: &Exchange<'_>) -> Result<Signature, SecurityError> {
    exchange.check()?;
    Ok(E::sign(
        key,
        &[
            exchange.own_title.as_bytes(),
            exchange.peer_title.as_bytes(),
            exchange.peer_challenge.as_bytes(),
            exchange.own_challenge.as_bytes(),
        ],
    )?)
}

/// Verifies the peer's answer to our challenge with the public key of its signature certificate.
///
/// # Errors
/// [`SecurityError::Authentication`] for a wrong signature or one of another length,
/// [`SecurityError::ChallengeLength`], [`SecurityError::ChallengeReflected`]; [`SecurityError::PublicKey`],
/// [`SecurityError::NoCurve`].
pub fn verify<E: Curves>(key: &PublicKey, exchange: &Exchange<'_>, response: &[u8]) -> Result<(), SecurityError> {
    exchange.check()?;
    let signature = Signature::from_slice(key.curve(), response).map_err(|_| SecurityError::Authentication)?;
    let message = [
        exchange.peer_title.as_bytes().as_slice(),
        exchange.own_title.as_bytes(),
        exchange.own_challenge.as_bytes(),
        exchange.peer_challenge.as_bytes(),
    ];
    E::verify(key, &message, &signature).map_err(|error| match error {
        crate::security::CryptoError::Signature => SecurityError::Authentication,
        error => error.into(),
    })
}
