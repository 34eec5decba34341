//! X.509 certificates of DLMS entities (Green Book, clause 9.2.6.4; RFC 5280): parsing, profile, chain, store, and
//! PKCS#10 requests. Nothing here allocates.
//!
//! A certificate is worth nothing until [`verify_chain`] has led from it to a trust anchor, and [`Certificate::check`]
//! has found it made for the purpose and the entity in question.
//!
//! The rules are those of one widespread stack and of RFC 5280; the standard's own table was not available. Each is
//! therefore on the strict side.

mod chain;
mod fields;
mod manage;
mod parse;
mod request;
mod store;
mod write;

pub use chain::{CHAIN_MAX, chain_validity, verify_chain};
pub use manage::{Identification, export, import_anchor, import_certificate, remove};
pub use parse::{BasicConstraints, Certificate, KeyUsage};
pub use request::{REQUEST_MAX, certification_request};
pub use store::{CertificateStore, FixedStore, Stored, find_by_entity, find_by_serial};

use thiserror::Error;

use super::{CryptoError, SecurityError};

/// What a certificate's key is for: the certificate type of class 64. Each purpose has a key pair of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Digital signature, 0.
    Signature,
    /// Key agreement, 1.
    KeyAgreement,
    /// TLS, 2.
    Tls,
    /// Anything else, 3: those of certification authorities.
    Other,
}

impl Purpose {
    /// The purpose with this value of the enum.
    #[must_use]
    pub const fn from_value(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::Signature),
            1 => Some(Self::KeyAgreement),
            2 => Some(Self::Tls),
            3 => Some(Self::Other),
            _ => None,
        }
    }

    /// The value of the enum.
    #[must_use]
    pub const fn value(self) -> u8 {
        match self {
            Self::Signature => 0,
            Self::KeyAgreement => 1,
            Self::Tls => 2,
            Self::Other => 3,
        }
    }
}

/// Whose certificate it is: the entity of class 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entity {
    /// The server, 0.
    Server,
    /// A client, 1.
    Client,
    /// A certification authority, 2.
    Authority,
    /// A third party, 3.
    Other,
}

impl Entity {
    /// The entity with this value of the enum.
    #[must_use]
    pub const fn from_value(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::Server),
            1 => Some(Self::Client),
            2 => Some(Self::Authority),
            3 => Some(Self::Other),
            _ => None,
        }
    }

    /// The value of the enum.
    #[must_use]
    pub const fn value(self) -> u8 {
        match self {
            Self::Server => 0,
            Self::Client => 1,
            Self::Authority => 2,
            Self::Other => 3,
        }
    }
}

/// Why a certificate is refused. To the peer all of it is one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not DER, or not a certificate's structure.
    #[error("malformed certificate: {what}")]
    Malformed {
        /// Where.
        what: &'static str,
    },
    /// Not version 3.
    #[error("not an X.509 certificate of version 3")]
    Version,
    /// Zero, negative, or more than 20 octets.
    #[error("the serial number is not positive or too long")]
    SerialNumber,
    /// An algorithm or a curve other than those of the suites, or two that do not fit each other.
    #[error("an algorithm or curve that the suites do not have")]
    Algorithm,
    /// A critical extension that is not understood.
    #[error("an unknown critical extension")]
    CriticalExtension,
    /// The same extension twice.
    #[error("an extension occurs twice")]
    DuplicateExtension,
    /// keyUsage is missing, not critical, or not that of the purpose.
    #[error("keyUsage does not fit the purpose")]
    KeyUsage,
    /// extendedKeyUsage is missing for TLS, or there for another purpose.
    #[error("extendedKeyUsage does not fit the purpose")]
    ExtendedKeyUsage,
    /// basicConstraints does not fit: an authority without cA, another entity with it, too long a path.
    #[error("basicConstraints does not fit")]
    BasicConstraints,
    /// A key identifier is missing.
    #[error("a key identifier is missing")]
    KeyIdentifier,
    /// The subject names no system title, two different ones, or somebody else's.
    #[error("the subject's system title is missing or another one")]
    SystemTitle,
    /// Not yet or no longer valid.
    #[error("outside its validity")]
    Validity,
    /// No path of acceptable length leads to a trust anchor.
    #[error("no path to a trust anchor")]
    NoPath,
    /// A signature on the path is wrong.
    #[error("a signature is wrong")]
    Signature,
    /// The public key belongs to no key pair of ours.
    #[error("the public key is not of our key pair")]
    ForeignKey,
    /// The store has no room, or not for a certificate of this length.
    #[error("the certificate store is full")]
    Full,
    /// There is no such certificate.
    #[error("no such certificate")]
    NotFound,
    /// The certificate may be renewed but not removed: the server's own, or the last trust anchor.
    #[error("the certificate cannot be removed")]
    NotRemovable,
    /// The engine or the suite has no such curve, or failed.
    #[error(transparent)]
    Security(#[from] SecurityError),
}

impl From<CryptoError> for CertificateError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::Signature => Self::Signature,
            error => Self::Security(error.into()),
        }
    }
}
