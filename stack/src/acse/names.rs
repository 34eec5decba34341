//! Object identifiers under 2.16.756.5.8 (joint-iso-ccitt, country, Switzerland, DLMS UA).

use core::fmt;

use crate::axdr::{BufferFull, DecodeErrorKind, Writer};
use crate::deviation::Deviation;
use crate::wire::{Cursor, Refused};

use super::ber;

/// 2.16.756.5.8.1: application contexts.
const CONTEXT: [u8; 6] = [0x60, 0x85, 0x74, 0x05, 0x08, 0x01];
/// 2.16.756.5.8.2: authentication mechanisms.
const MECHANISM: [u8; 6] = [0x60, 0x85, 0x74, 0x05, 0x08, 0x02];

/// Octets of the longest object identifier that is kept; those of DLMS have seven.
const LONGEST: usize = 16;

/// An object identifier as its BER contents octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectIdentifier {
    octets: [u8; LONGEST],
    length: u8,
}

impl ObjectIdentifier {
    /// The identifier with these contents octets; `None` for none or more than 16.
    #[must_use]
    pub fn from_slice(contents: &[u8]) -> Option<Self> {
        let length = u8::try_from(contents.len()).ok().filter(|length| *length > 0)?;
        let mut octets = [0; LONGEST];
        octets.get_mut(..contents.len())?.copy_from_slice(contents);
        Some(Self { octets, length })
    }

    const fn numbered([a, b, c, d, e, f]: [u8; 6], last: u8) -> Self {
        Self { octets: [a, b, c, d, e, f, last, 0, 0, 0, 0, 0, 0, 0, 0, 0], length: 7 }
    }

    /// The contents octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The last octet, when the others are `prefix`.
    fn under(&self, prefix: &[u8; 6]) -> Option<u8> {
        match self.as_bytes().strip_prefix(prefix)? {
            [last] => Some(*last),
            _ => None,
        }
    }

    /// Takes what is left as the contents of an identifier.
    pub(super) fn read_contents(cursor: &mut Cursor<'_>, what: &'static str) -> Result<Self, Refused> {
        let at = cursor.offset();
        let length = cursor.remaining();
        let contents = cursor.bytes(length)?;
        Self::from_slice(contents).ok_or_else(|| cursor.refuse(at, DecodeErrorKind::InvalidLength { what }))
    }
}

/// The arcs in dotted form.
impl fmt::Display for ObjectIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut arc = 0_u64;
        let mut first = true;
        for octet in self.as_bytes() {
            arc = (arc << 7) | u64::from(octet & 0x7F);
            if octet & 0x80 != 0 {
                continue;
            }
            if first {
                let root = (arc / 40).min(2);
                write!(f, "{root}.{}", arc.saturating_sub(root.saturating_mul(40)))?;
                first = false;
            } else {
                write!(f, ".{arc}")?;
            }
            arc = 0;
        }
        Ok(())
    }
}

impl fmt::Debug for ObjectIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectIdentifier({self})")
    }
}

/// How objects are named and whether APDUs may be ciphered (Green Book, application context names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApplicationContext {
    /// 1: logical names, ciphered APDUs forbidden.
    LogicalName,
    /// 2: short names, ciphered APDUs forbidden.
    ShortName,
    /// 3: logical names, APDUs may be ciphered.
    LogicalNameCiphered,
    /// 4: short names, APDUs may be ciphered.
    ShortNameCiphered,
    /// Anything else.
    Other(ObjectIdentifier),
}

impl ApplicationContext {
    /// The object identifier.
    #[must_use]
    pub const fn identifier(self) -> ObjectIdentifier {
        let last = match self {
            Self::LogicalName => 1,
            Self::ShortName => 2,
            Self::LogicalNameCiphered => 3,
            Self::ShortNameCiphered => 4,
            Self::Other(identifier) => return identifier,
        };
        ObjectIdentifier::numbered(CONTEXT, last)
    }

    /// Whether APDUs of this context may be ciphered.
    #[must_use]
    pub const fn is_ciphered(self) -> bool {
        matches!(self, Self::LogicalNameCiphered | Self::ShortNameCiphered)
    }

    /// Whether objects are referred to by short names.
    #[must_use]
    pub const fn is_short_name(self) -> bool {
        matches!(self, Self::ShortName | Self::ShortNameCiphered)
    }

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refused> {
        const WHAT: &str = "application context name";
        cursor.require(WHAT, ber::OBJECT_IDENTIFIER)?;
        let length = cursor.length(WHAT)?;
        cursor.bounded(length, |cursor| ObjectIdentifier::read_contents(cursor, WHAT)).map(Self::from)
    }

    pub(super) fn write(self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(ber::OBJECT_IDENTIFIER)?;
        writer.octet_string(self.identifier().as_bytes())
    }
}

impl From<ObjectIdentifier> for ApplicationContext {
    fn from(identifier: ObjectIdentifier) -> Self {
        match identifier.under(&CONTEXT) {
            Some(1) => Self::LogicalName,
            Some(2) => Self::ShortName,
            Some(3) => Self::LogicalNameCiphered,
            Some(4) => Self::ShortNameCiphered,
            _ => Self::Other(identifier),
        }
    }
}

/// How the sides prove who they are (Green Book, authentication mechanism names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// 0: no authentication. Normally the whole field is left out.
    Lowest,
    /// 1: low level security, a password.
    Lls,
    /// 2: high level security, the manufacturer's own.
    Hls2,
    /// 3: high level security with MD5.
    Md5,
    /// 4: high level security with SHA-1.
    Sha1,
    /// 5: high level security with GMAC.
    Gmac,
    /// 6: high level security with SHA-256.
    Sha256,
    /// 7: high level security with ECDSA.
    Ecdsa,
    /// Anything else.
    Other(ObjectIdentifier),
}

impl Mechanism {
    /// The mechanism with this number, as `authentication_mechanism_name` of an association object ends.
    #[must_use]
    pub const fn from_id(id: u8) -> Self {
        match id {
            0 => Self::Lowest,
            1 => Self::Lls,
            2 => Self::Hls2,
            3 => Self::Md5,
            4 => Self::Sha1,
            5 => Self::Gmac,
            6 => Self::Sha256,
            7 => Self::Ecdsa,
            _ => Self::Other(ObjectIdentifier::numbered(MECHANISM, id)),
        }
    }

    /// The number under 2.16.756.5.8.2; `None` for an identifier from elsewhere.
    #[must_use]
    pub fn id(self) -> Option<u8> {
        Some(match self {
            Self::Lowest => 0,
            Self::Lls => 1,
            Self::Hls2 => 2,
            Self::Md5 => 3,
            Self::Sha1 => 4,
            Self::Gmac => 5,
            Self::Sha256 => 6,
            Self::Ecdsa => 7,
            Self::Other(identifier) => return identifier.under(&MECHANISM),
        })
    }

    /// The object identifier.
    #[must_use]
    pub fn identifier(self) -> ObjectIdentifier {
        match self {
            Self::Other(identifier) => identifier,
            // Every other variant has a number.
            named => ObjectIdentifier::numbered(MECHANISM, named.id().unwrap_or_default()),
        }
    }

    /// Whether this is high level security: four passes, with a challenge from each side.
    #[must_use]
    pub const fn is_hls(self) -> bool {
        matches!(self, Self::Hls2 | Self::Md5 | Self::Sha1 | Self::Gmac | Self::Sha256 | Self::Ecdsa)
    }

    /// Reads the field's contents: an identifier without its tag and length.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refused> {
        let identifier = ObjectIdentifier::read_contents(cursor, "mechanism name")?;
        if let Some(last @ 0x80..) = identifier.under(&MECHANISM) {
            // A continuation bit in the last octet is no legal identifier; the number is in the other bits.
            cursor.note(Deviation::MechanismTopBit);
            return Ok(Self::from_id(last & 0x7F));
        }
        Ok(Self::from(identifier))
    }
}

impl From<ObjectIdentifier> for Mechanism {
    fn from(identifier: ObjectIdentifier) -> Self {
        match identifier.under(&MECHANISM) {
            Some(id) => Self::from_id(id),
            None => Self::Other(identifier),
        }
    }
}
