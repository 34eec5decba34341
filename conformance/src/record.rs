//! One line of a corpus: octets as they were on the wire, and what they should decode to.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Octets, written as lower-case hex without spaces.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct HexBytes(pub Vec<u8>);

impl fmt::Debug for HexBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl From<Vec<u8>> for HexBytes {
    fn from(octets: Vec<u8>) -> Self {
        Self(octets)
    }
}

impl AsRef<[u8]> for HexBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text).map(Self).map_err(|error| serde::de::Error::custom(format_args!("hex: {error}")))
    }
}

/// What the octets of a record are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// HDLC frames with their flags.
    Hdlc,
    /// Wrapper headers and APDUs.
    Wrapper,
    /// A bare APDU, possibly behind an LLC header.
    Apdu,
    /// M-Bus long frames that carry a DLMS APDU.
    Mbus,
    /// An APDU behind the LLC header of IEC 61334-4-32.
    Plc,
    /// An ASCII P1 telegram.
    P1,
    /// A bare A-XDR `Data` value.
    Data,
    /// One cryptographic computation; has no octets.
    Vector,
}

/// Who sent the octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The client.
    ClientToMeter,
    /// The meter.
    MeterToClient,
    /// Not stated.
    #[default]
    Unknown,
}

/// Keys and titles of a record.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Security {
    /// Global unicast encryption key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_cipher_key: Option<HexBytes>,
    /// Authentication key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_key: Option<HexBytes>,
    /// Dedicated key of the association.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedicated_key: Option<HexBytes>,
    /// Shared secret of the HLS mechanisms 2, 3, 4 and 6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hls_secret: Option<HexBytes>,
    /// Key of the outer MAC of a GBCS message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac_key: Option<HexBytes>,
    /// Agreed or wrapped key of a general-ciphering APDU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub general_ciphering_key: Option<HexBytes>,
    /// Title of the sender of a push.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_title: Option<HexBytes>,
    /// Title of the client of a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_system_title: Option<HexBytes>,
    /// Title of the server of a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_system_title: Option<HexBytes>,
    /// Where the keys come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_origin: Option<String>,
    /// Everything else the source states about security.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The layer at which the octets break a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Where a frame begins and ends.
    LinkFraming,
    /// Checksums of a frame.
    LinkCheck,
    /// Segmentation and block transfer.
    Transfer,
    /// Ciphering and authentication.
    Security,
    /// The APDU's own encoding.
    Apdu,
    /// What the values mean.
    Content,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LinkFraming => "link-framing",
            Self::LinkCheck => "link-check",
            Self::Transfer => "transfer",
            Self::Security => "security",
            Self::Apdu => "apdu",
            Self::Content => "content",
        })
    }
}

/// Why the octets of a record break a rule, which says how a receiver should treat them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Equipment in the field really sends this: refused or read tolerantly.
    Deployed,
    /// Noise, lost octets, cut-off logs: refused.
    Damaged,
    /// Changed before publication or broken on purpose: refused.
    Edited,
}

/// Marks a record whose octets break a rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Malformed {
    /// The layer that should complain.
    pub layer: Layer,
    /// Who broke it.
    pub cause: Cause,
    /// What is wrong, for people.
    pub reason: String,
}

/// A record of a corpus.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Unique, stable name.
    pub id: String,
    /// What the octets are.
    pub kind: Kind,
    /// Records of one exchange share a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Place within the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Who sent the octets.
    #[serde(default)]
    pub dir: Direction,
    /// The octets; empty for vectors.
    #[serde(default)]
    pub hex: HexBytes,
    /// Make, model, country and firmware, as far as stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter: Option<Value>,
    /// Keys and titles; absent for plain traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,
    /// Name of the computation of a vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// Arguments of the computation of a vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Map<String, Value>>,
    /// Where the octets come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Value>,
    /// Kind of place the octets come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// What the octets decode to.
    #[serde(default)]
    pub expect: Map<String, Value>,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_from: Option<String>,
    /// Checks that were made when the record was collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Value>,
    /// Present when the octets break a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub malformed: Option<Malformed>,
    /// Anything else needed to read the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
