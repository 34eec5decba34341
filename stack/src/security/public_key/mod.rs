//! Public-key cryptography of suites 1 and 2: signatures, key agreement, what they are made of.
//!
//! [`Curves`] is the seam to the engine, as [`Crypto`](super::Crypto) is for AES; an engine names its curves in
//! [`Crypto::Curves`](super::Crypto::Curves). Everything works in buffers of fixed size and allocates nothing.
//!
//! On the wire a public key is `x || y` without a prefix, a signature `R || S`; each half is as wide as the curve's
//! field and padded with zeros on the left. DER occurs only in certificates and certification requests.

pub mod agreement;
pub mod hls7;
mod key;
#[cfg(feature = "ring")]
mod ring;
#[cfg(feature = "public-key")]
mod rustcrypto;

#[cfg(feature = "ring")]
pub use self::ring::Ring;
pub use key::{COORDINATE_MAX, Curve, Digest, PrivateKey, PublicKey, SharedSecret, Signature};

use super::{CryptoError, Random};

/// ECDSA and elliptic-curve Diffie-Hellman on P-256 with SHA-256 and P-384 with SHA-384.
///
/// A message comes in pieces, as what is signed is seldom contiguous.
pub trait Curves {
    /// Draws a private key, uniformly below the curve's order.
    ///
    /// # Errors
    /// [`CryptoError::Engine`] when the generator does not yield one; [`CryptoError::Unsupported`].
    fn generate(curve: Curve, random: &mut dyn Random) -> Result<PrivateKey, CryptoError>;

    /// The public key that belongs to `key`.
    ///
    /// # Errors
    /// [`CryptoError::PrivateKey`] for 0 and for the order and above; [`CryptoError::Unsupported`].
    fn public_key(key: &PrivateKey) -> Result<PublicKey, CryptoError>;

    /// Whether `key` is a point of its curve and not the point at infinity (SP 800-56A, 5.6.2.3.3).
    ///
    /// # Errors
    /// [`CryptoError::PublicKey`]; [`CryptoError::Unsupported`].
    fn check(key: &PublicKey) -> Result<(), CryptoError>;

    /// Signs a message, with the hash function that belongs to the curve.
    ///
    /// The nonce comes from RFC 6979 or from a cryptographic generator of the engine, never from anything weaker.
    ///
    /// # Errors
    /// [`CryptoError::PrivateKey`], [`CryptoError::Engine`], [`CryptoError::Unsupported`].
    fn sign(key: &PrivateKey, message: &[&[u8]]) -> Result<Signature, CryptoError>;

    /// Verifies a signature over a message. R or S of 0 or not below the order is refused.
    ///
    /// # Errors
    /// [`CryptoError::Signature`], also for a signature or a public key of another curve;
    /// [`CryptoError::PublicKey`] for no point of the curve; [`CryptoError::Unsupported`].
    fn verify(key: &PublicKey, message: &[&[u8]], signature: &Signature) -> Result<(), CryptoError>;

    /// The x coordinate of the shared point (ECC CDH, cofactor 1), after the peer's point was validated.
    ///
    /// # Errors
    /// [`CryptoError::PublicKey`], also for a key of another curve; [`CryptoError::PrivateKey`],
    /// [`CryptoError::Unsupported`].
    fn agree(own: &PrivateKey, peer: &PublicKey) -> Result<SharedSecret, CryptoError>;

    /// The same with a key pair that is drawn for this one agreement; its public half goes to the peer.
    ///
    /// # Errors
    /// Those of [`generate`](Self::generate) and [`agree`](Self::agree).
    fn agree_once(peer: &PublicKey, random: &mut dyn Random) -> Result<(PublicKey, SharedSecret), CryptoError> {
        let own = Self::generate(peer.curve(), random)?;
        Ok((Self::public_key(&own)?, Self::agree(&own, peer)?))
    }

    /// The hash of the curve: SHA-256 with P-256, SHA-384 with P-384.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`].
    fn digest(curve: Curve, message: &[&[u8]]) -> Result<Digest, CryptoError>;
}

/// The curves of an engine that has none: suite 0 only.
#[derive(Clone, Copy, Debug)]
pub struct NoCurves;

impl Curves for NoCurves {
    fn generate(_: Curve, _: &mut dyn Random) -> Result<PrivateKey, CryptoError> {
        Err(CryptoError::Unsupported)
    }

    fn public_key(_: &PrivateKey) -> Result<PublicKey, CryptoError> {
        Err(CryptoError::Unsupported)
    }

    fn check(_: &PublicKey) -> Result<(), CryptoError> {
        Err(CryptoError::Unsupported)
    }

    fn sign(_: &PrivateKey, _: &[&[u8]]) -> Result<Signature, CryptoError> {
        Err(CryptoError::Unsupported)
    }

    fn verify(_: &PublicKey, _: &[&[u8]], _: &Signature) -> Result<(), CryptoError> {
        Err(CryptoError::Unsupported)
    }

    fn agree(_: &PrivateKey, _: &PublicKey) -> Result<SharedSecret, CryptoError> {
        Err(CryptoError::Unsupported)
    }

    fn digest(_: Curve, _: &[&[u8]]) -> Result<Digest, CryptoError> {
        Err(CryptoError::Unsupported)
    }
}
