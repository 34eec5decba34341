//! The seam to the cryptographic engine.

use core::borrow::Borrow;
use core::convert::Infallible;
use core::marker::PhantomData;

use thiserror::Error;

use super::Curves;

/// Octets of an authentication tag: the leftmost 96 bits of the GCM tag, never another number.
pub const TAG_LENGTH: usize = 12;

/// An authentication tag.
pub type Tag = [u8; TAG_LENGTH];

/// Why an engine refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CryptoError {
    /// The authentication tag is wrong.
    #[error("the authentication tag is wrong")]
    Tag,
    /// Not a length of an AES key.
    #[error("key of {found} octets")]
    KeyLength {
        /// Octets that it has.
        found: usize,
    },
    /// The engine failed.
    #[error("the cryptographic engine failed")]
    Engine,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// The public key is no point of its curve, or of another curve than asked for.
    #[error("the public key is not valid")]
    PublicKey,
    /// The private key is 0, or not below the order of its curve.
    #[error("the private key is not valid")]
    PrivateKey,
    /// The engine does not have this algorithm.
    #[error("the cryptographic engine does not have this algorithm")]
    Unsupported,
}

/// Hash functions of HLS mechanisms 3, 4 and 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Digest {
    /// MD5, mechanism 3: broken, for meters that know nothing better.
    Md5,
    /// SHA-1, mechanism 4: broken, for meters that know nothing better.
    Sha1,
    /// SHA-256, mechanism 6.
    Sha256,
}

impl Digest {
    /// Octets of the result.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// No key ever comes with a message: takes no room, and keys of general-ciphering are refused.
#[derive(Clone, Copy, Debug)]
pub struct NoMessageKey<K> {
    never: Infallible,
    key: PhantomData<fn() -> K>,
}

impl<K> Borrow<K> for NoMessageKey<K> {
    fn borrow(&self) -> &K {
        match self.never {}
    }
}

/// AES-GCM with 96-bit initialization vectors and tags, as the suites use it.
///
/// A meter brings its AES peripheral, a server a faster library; [`RustCrypto`](super::RustCrypto) is the default.
/// Everything works in place and allocates nothing. Additional authenticated data comes in pieces, so that an
/// authenticated-only APDU is not copied to stand beside the authentication key.
pub trait Crypto {
    /// An expanded key, kept for the life of an association. It wipes itself on drop.
    type Key;

    /// An expanded key that came with a message of general-ciphering. Every ciphered association has room for three of
    /// them: [`NoMessageKey`] for an engine of a meter that offers no general protection.
    type MessageKey: Borrow<Self::Key>;

    /// Signatures and key agreement of suites 1 and 2; [`NoCurves`](super::NoCurves) for an engine of suite 0.
    type Curves: Curves;

    /// Expands a key of 16 or 32 octets.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`], [`CryptoError::Engine`].
    fn expand(key: &[u8]) -> Result<Self::Key, CryptoError>;

    /// Expands a key that came with a message.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`] for an engine that keeps none, and as [`expand`](Self::expand).
    fn expand_message(key: &[u8]) -> Result<Self::MessageKey, CryptoError>;

    /// Enciphers `text` and returns the tag over `aad`, piece after piece, and the ciphertext.
    ///
    /// # Errors
    /// [`CryptoError::Engine`].
    fn seal(key: &Self::Key, iv: &[u8; 12], aad: &[&[u8]], text: &mut [u8]) -> Result<Tag, CryptoError>;

    /// Verifies the tag in constant time and, only if it is right, deciphers `text`.
    ///
    /// # Errors
    /// [`CryptoError::Tag`], with `text` unchanged; [`CryptoError::Engine`].
    fn open(key: &Self::Key, iv: &[u8; 12], aad: &[&[u8]], text: &mut [u8], tag: &Tag) -> Result<(), CryptoError>;

    /// Enciphers or deciphers `text` without any tag (the counter mode of GCM, from `iv` and block 2).
    ///
    /// # Errors
    /// [`CryptoError::Engine`].
    fn cipher(key: &Self::Key, iv: &[u8; 12], text: &mut [u8]) -> Result<(), CryptoError>;

    /// Enciphers single blocks with a key of 16 or 32 octets (for HLS mechanism 2, which keeps no expanded key).
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`], [`CryptoError::Engine`].
    fn encrypt_blocks(key: &[u8], blocks: &mut [[u8; 16]]) -> Result<(), CryptoError>;

    /// Wraps `key` (RFC 3394, default initial value) into `wrapped`, which is 8 octets longer.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`], [`CryptoError::Engine`], also when the lengths do not fit.
    fn wrap(kek: &[u8], key: &[u8], wrapped: &mut [u8]) -> Result<(), CryptoError>;

    /// Unwraps `wrapped` into `key`, which is 8 octets shorter.
    ///
    /// # Errors
    /// [`CryptoError::Tag`] when the integrity check fails; `key` then holds nothing of use.
    /// [`CryptoError::KeyLength`], [`CryptoError::Engine`], also when the lengths do not fit.
    fn unwrap(kek: &[u8], wrapped: &[u8], key: &mut [u8]) -> Result<(), CryptoError>;

    /// Hashes `pieces`, one after the other, into `out`, which has [`Digest::length`] octets.
    ///
    /// An engine without hash functions leaves this out: it then lacks HLS mechanisms 3, 4 and 6.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`]; [`CryptoError::Engine`], also when `out` has another length.
    fn hash(digest: Digest, pieces: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        let _ = (digest, pieces, out);
        Err(CryptoError::Unsupported)
    }
}

/// A cryptographic random generator, handed in: the crate has none of its own.
///
/// Challenges and keys depend on it. It must be seeded by the operating system or a hardware source, never
/// with a constant, and be no statistical generator.
pub trait Random {
    /// Fills `octets` with unpredictable values.
    fn fill(&mut self, octets: &mut [u8]);
}

impl<R: Random + ?Sized> Random for &mut R {
    fn fill(&mut self, octets: &mut [u8]) {
        (**self).fill(octets);
    }
}
