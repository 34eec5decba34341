//! What can go wrong, one variant for each rule.

use thiserror::Error;

use super::{CounterExhausted, CryptoError, KeyId, Protection};
use crate::axdr::DecodeError;

/// Why an APDU or a challenge was refused, or could not be protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SecurityError {
    /// The protected APDU's own structure is broken.
    #[error("malformed protected APDU: {0}")]
    Malformed(#[from] DecodeError),
    /// The title in a general-glo or general-ded header has neither 8 nor 0 octets.
    #[error("system title of {length} octets")]
    TitleLength {
        /// Octets that it has.
        length: usize,
    },
    /// Authenticated, but there are fewer octets than a tag has.
    #[error("no room for the authentication tag")]
    NoRoomForTag,
    /// The first octet is not that of a ciphered APDU.
    #[error("APDU {tag:02X} is not ciphered")]
    NotCiphered {
        /// The APDU's tag.
        tag: u8,
    },
    /// A ciphered APDU in an association that was opened without ciphering.
    #[error("ciphered APDU in an association without ciphering")]
    NotExpected,
    /// This service has no ciphered tag of its own in the `glo-` or `ded-` family.
    #[error("APDU {tag:02X} has no ciphered counterpart")]
    NoCounterpart {
        /// The plain APDU's tag.
        tag: u8,
    },
    /// The deciphered APDU is not the plain counterpart of the outer one.
    #[error("ciphered APDU {outer:02X} does not hold its plain counterpart")]
    InnerTag {
        /// The outer APDU's tag.
        outer: u8,
    },
    /// A reserved suite id.
    #[error("unknown security suite {id}")]
    UnknownSuite {
        /// The id.
        id: u8,
    },
    /// The security control octet names another suite than the Security setup in use.
    #[error("security suite {found} is not the one in use")]
    SuiteMismatch {
        /// Id of the suite that was named.
        found: u8,
    },
    /// Compression is not supported.
    #[error("compressed APDUs are not supported")]
    Compressed,
    /// The broadcast key set cannot go with a dedicated key.
    #[error("the broadcast key set has no dedicated key")]
    BroadcastDedicated,
    /// Less protection than required.
    #[error("protection is {found}, required is {required}")]
    PolicyNotMet {
        /// What the receiver demands.
        required: Protection,
        /// What the security control octet claims.
        found: Protection,
    },
    /// The key that would be needed is not there.
    #[error("no {0}")]
    NoKey(KeyId),
    /// An authenticated APDU needs the authentication key.
    #[error("no authentication key")]
    NoAuthenticationKey,
    /// A key that does not have the length of its suite.
    #[error("key of {found} octets")]
    KeyLength {
        /// Octets that it has.
        found: usize,
    },
    /// The peer's system title is not known, so that no initialization vector can be formed.
    #[error("the peer's system title is not known")]
    NoPeerTitle,
    /// The header names another system title than the peer's.
    #[error("the system title is not the peer's")]
    UnknownPeer,
    /// The counter is below the floor, or FFFFFFFF.
    #[error("invocation counter is not acceptable, lowest is {lowest}")]
    Counter {
        /// The lowest acceptable value.
        lowest: u32,
    },
    /// No transmit counter is left.
    #[error(transparent)]
    CounterExhausted(#[from] CounterExhausted),
    /// The authentication tag is wrong.
    #[error("the authentication tag is wrong")]
    Tag,
    /// A wrapped key does not pass its integrity check, or has not the length of a key of the suite.
    #[error("the wrapped key is refused")]
    KeyUnwrap,
    /// A signature is wrong, or has another length than the curve's signatures have.
    #[error("the signature is wrong")]
    Signature,
    /// A public key is no point of the suite's curve, or has another length.
    #[error("the public key is not valid")]
    PublicKey,
    /// A private key is 0, or not below the order of its curve.
    #[error("the private key is not valid")]
    PrivateKey,
    /// The suite or the engine has no public-key cryptography.
    #[error("no public-key cryptography in this suite or engine")]
    NoCurve,
    /// The message names a key, or a scheme to agree on one, that is not there or not known.
    #[error("no key for what the key-info names")]
    NoGeneralKey,
    /// The message is for somebody else.
    #[error("the message is for another recipient")]
    NotRecipient,
    /// A transaction-id is missing, too long, or was used before.
    #[error("the transaction-id is missing, too long, or was used before")]
    TransactionId,
    /// A challenge has fewer than 8 or more than 64 octets.
    #[error("challenge of {length} octets")]
    ChallengeLength {
        /// Octets that it has.
        length: usize,
    },
    /// Both sides' challenges are equal: the peer reflects ours.
    #[error("the peer's challenge equals ours")]
    ChallengeReflected,
    /// A password or an HLS response is wrong or has a wrong form.
    #[error("authentication failed")]
    Authentication,
    /// A secret that its mechanism cannot use.
    #[error("secret of {length} octets")]
    SecretLength {
        /// Octets that it has.
        length: usize,
    },
    /// The buffer has too little room in front of or behind the APDU.
    #[error("no room for the security header or the tag")]
    BufferTooSmall,
    /// The cryptographic engine failed.
    #[error("the cryptographic engine failed")]
    Engine,
    /// The cryptographic engine, or this stack, lacks the algorithm or mechanism.
    #[error("the algorithm or mechanism is not supported")]
    Unsupported,
    /// A mechanism whose answers hold the own system title, and none is configured.
    #[error("no own system title")]
    NoOwnTitle,
}

/// What a refusal means to the peer. Details stay inside: one answer for every kind of deciphering failure, so that
/// the answer tells nobody which key, title or tag was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The octets are not a protected APDU: drop, or exception-response other-reason.
    Malformed,
    /// exception-response deciphering-error.
    Deciphering,
    /// exception-response invocation-counter-error with the lowest acceptable value.
    Counter {
        /// The lowest acceptable value.
        lowest: u32,
    },
    /// The peer failed to authenticate.
    Authentication,
    /// Nothing that the peer did: configuration, a buffer or a counter of our own.
    Local,
}

impl SecurityError {
    /// What the refusal means to the peer.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match *self {
            Self::Malformed(_) | Self::TitleLength { .. } | Self::NoRoomForTag | Self::NotCiphered { .. } => {
                ErrorClass::Malformed
            }
            Self::InnerTag { .. }
            | Self::UnknownSuite { .. }
            | Self::SuiteMismatch { .. }
            | Self::Compressed
            | Self::BroadcastDedicated
            | Self::PolicyNotMet { .. }
            | Self::NoKey(_)
            | Self::NotExpected
            | Self::NoAuthenticationKey
            | Self::NoPeerTitle
            | Self::UnknownPeer
            | Self::KeyUnwrap
            | Self::Signature
            | Self::PublicKey
            | Self::TransactionId
            | Self::NoGeneralKey
            | Self::NotRecipient
            | Self::Tag => ErrorClass::Deciphering,
            Self::Counter { lowest } => ErrorClass::Counter { lowest },
            Self::ChallengeLength { .. } | Self::ChallengeReflected | Self::Authentication => {
                ErrorClass::Authentication
            }
            Self::NoCounterpart { .. }
            | Self::KeyLength { .. }
            | Self::CounterExhausted(_)
            | Self::SecretLength { .. }
            | Self::BufferTooSmall
            | Self::PrivateKey
            | Self::NoCurve
            | Self::Engine
            | Self::Unsupported
            | Self::NoOwnTitle => ErrorClass::Local,
        }
    }
}

impl From<CryptoError> for SecurityError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::Tag => Self::Tag,
            CryptoError::KeyLength { found } => Self::KeyLength { found },
            CryptoError::Engine => Self::Engine,
            CryptoError::Signature => Self::Signature,
            CryptoError::PublicKey => Self::PublicKey,
            CryptoError::PrivateKey => Self::PrivateKey,
            CryptoError::Unsupported => Self::Unsupported,
        }
    }
}
