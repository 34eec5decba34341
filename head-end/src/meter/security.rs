//! Authentication and ciphering of one association.

use dlms::{id::SystemTitle, security::PublicKey};
use serde::{Deserialize, Serialize};

use super::{CounterId, Secret};

/// How the client proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// Lowest level: nothing is proved.
    None,
    /// Low level security: a password in the AARQ.
    Lls {
        /// The password.
        password: Secret,
    },
    /// High level security with a secret and a digest: mechanism 3, 4 or 6.
    HlsDigest {
        /// Which digest.
        digest: HlsDigest,
        /// The secret.
        secret: Secret,
        /// Our own system title, which goes into the proofs of mechanism 6.
        client_title: SystemTitle,
    },
    /// High level security with GMAC (mechanism 5); uses the keys of [`Ciphering`].
    HlsGmac,
    /// High level security with signatures (mechanism 7).
    HlsEcdsa {
        /// Our private key of digital signature, on the curve of the meter's.
        own: Secret,
        /// The meter's public key, from a certificate that was led to a trust anchor.
        meter: PublicKey,
        /// Our own system title, which the certificate that the meter has of us is for.
        client_title: SystemTitle,
    },
}

/// Digest of an HLS mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HlsDigest {
    /// Mechanism 3.
    Md5,
    /// Mechanism 4.
    Sha1,
    /// Mechanism 6.
    Sha256,
}

/// Ciphering of one association.
#[derive(Clone, Debug)]
pub struct Ciphering {
    /// Security suite: 0 and 1 are AES-GCM-128, 2 is AES-GCM-256.
    pub suite: u8,
    /// Protection of requests, and the least that a response must carry.
    pub policy: PolicyBits,
    /// How protected APDUs are wrapped.
    pub envelope: Envelope,
    /// Whether to propose a dedicated key for the association.
    pub dedicated_key: bool,
    /// Our own system title.
    pub client_title: SystemTitle,
    /// The keys.
    pub keys: MeterKeys,
    /// Where the transmit invocation counter of these keys is reserved.
    pub counter: CounterId,
}

/// Which protection every APDU carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyBits {
    /// An authentication tag.
    pub authenticated: bool,
    /// Encryption.
    pub encrypted: bool,
}

/// How protected APDUs are wrapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// `glo-`/`ded-` APDUs, one tag for each service.
    #[default]
    ServiceSpecific,
    /// `general-glo-ciphering` and `general-ded-ciphering`, which carry the system title.
    General,
}

/// Keys of one meter.
#[derive(Clone, Debug)]
pub struct MeterKeys {
    /// Global unicast encryption key.
    pub encryption: Secret,
    /// Authentication key.
    pub authentication: Secret,
}
