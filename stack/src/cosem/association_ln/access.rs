//! Access rights. Their encoding changed twice: an enumeration in version 0, a longer one in versions 1 and 2, and a bit
//! set in version 3 of the association.

use crate::axdr::{BufferFull, Data, Writer};
use crate::cosem::{FromData, ToData, TypeError};

/// The access mode of an attribute as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttributeMode(pub u8);

/// The access mode of a method as it travels: a boolean in version 0, an enumeration later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MethodMode {
    /// Version 0.
    Flag(bool),
    /// Versions 1 to 3.
    Mode(u8),
}

/// How a message has to be protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MessageProtection {
    /// With an authentication tag.
    pub authenticated: bool,
    /// Enciphered.
    pub encrypted: bool,
    /// Digitally signed.
    pub signed: bool,
}

impl MessageProtection {
    /// Not at all.
    pub const NONE: Self = Self { authenticated: false, encrypted: false, signed: false };
    /// With an authentication tag.
    pub const AUTHENTICATED: Self = Self { authenticated: true, encrypted: false, signed: false };

    const fn from_bits(bits: u8) -> Self {
        Self { authenticated: bits & 0x01 != 0, encrypted: bits & 0x02 != 0, signed: bits & 0x04 != 0 }
    }

    const fn to_bits(self) -> u8 {
        (self.authenticated as u8) | (self.encrypted as u8) << 1 | (self.signed as u8) << 2
    }
}

/// What may be done with an attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AttributeRights {
    /// GET is allowed.
    pub read: bool,
    /// SET is allowed.
    pub write: bool,
    /// How the request has to be protected.
    pub request: MessageProtection,
    /// How the response is protected.
    pub response: MessageProtection,
}

/// What may be done with a method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MethodRights {
    /// ACTION is allowed.
    pub access: bool,
    /// How the request has to be protected.
    pub request: MessageProtection,
    /// How the response is protected.
    pub response: MessageProtection,
}

const AUTHENTICATED_REQUEST: u8 = 0x04;
const AUTHENTICATED_RESPONSE: u8 = 0x20;

/// A mode of versions 1 to 3 as the bits of version 3. "Authenticated" in versions 1 and 2 does not tell request from
/// response, and is taken for both.
const fn to_bits(version: u8, mode: u8) -> Option<u8> {
    match (version, mode) {
        (3.., bits) => Some(bits),
        (1 | 2, mode @ 0..=3) => Some(mode),
        (1 | 2, mode @ 4..=6) => Some(mode.wrapping_sub(3) | AUTHENTICATED_REQUEST | AUTHENTICATED_RESPONSE),
        (0, mode @ 0..=3) => Some(mode),
        _ => None,
    }
}

impl AttributeMode {
    /// What the mode means in an association of this version; `None` for a value that the version does not have.
    #[must_use]
    pub const fn rights(self, version: u8) -> Option<AttributeRights> {
        let Some(bits) = to_bits(version, self.0) else { return None };
        Some(AttributeRights {
            read: bits & 0x01 != 0,
            write: bits & 0x02 != 0,
            request: MessageProtection::from_bits(bits >> 2),
            response: MessageProtection::from_bits(bits >> 5),
        })
    }
}

impl AttributeRights {
    /// The mode for an association of this version; `None` when the version cannot express the rights.
    #[must_use]
    pub fn mode(self, version: u8) -> Option<AttributeMode> {
        let bits = u8::from(self.read)
            | u8::from(self.write) << 1
            | self.request.to_bits() << 2
            | self.response.to_bits() << 5;
        let mut modes = if version >= 3 { bits..=bits } else { 0..=6 };
        modes.find(|mode| to_bits(version, *mode) == Some(bits)).map(AttributeMode)
    }
}

impl MethodMode {
    /// What the mode means in an association of this version; `None` for a value that the version does not have.
    #[must_use]
    pub fn rights(self, version: u8) -> Option<MethodRights> {
        let bits = match (version, self) {
            (_, Self::Flag(access)) => u8::from(access),
            (3.., Self::Mode(bits)) => bits,
            (_, Self::Mode(mode @ 0..=1)) => mode,
            (1 | 2, Self::Mode(2)) => 0x01 | AUTHENTICATED_REQUEST | AUTHENTICATED_RESPONSE,
            _ => return None,
        };
        Some(MethodRights {
            access: bits & 0x01 != 0,
            request: MessageProtection::from_bits(bits >> 2),
            response: MessageProtection::from_bits(bits >> 5),
        })
    }
}

impl MethodRights {
    /// The mode for an association of this version; `None` when the version cannot express the rights.
    #[must_use]
    pub fn mode(self, version: u8) -> Option<MethodMode> {
        let bits = u8::from(self.access) | self.request.to_bits() << 2 | self.response.to_bits() << 5;
        let mode = match version {
            0 => MethodMode::Flag(self.access),
            1 | 2 if bits <= 1 => MethodMode::Mode(bits),
            1 | 2 => MethodMode::Mode(2),
            _ => MethodMode::Mode(bits),
        };
        (mode.rights(version) == Some(self)).then_some(mode)
    }
}

impl FromData<'_> for AttributeMode {
    const EXPECTED: &'static str = "attribute access mode";

    fn from_data(data: Data<'_>) -> Result<Self, TypeError> {
        data.as_u8().map(Self).ok_or(TypeError::new(Self::EXPECTED, &data))
    }

    fn from_exact(data: &Data<'_>) -> Option<Self> {
        if let Data::Enum(mode) = *data { Some(Self(mode)) } else { None }
    }
}

impl ToData for AttributeMode {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.enumerated(self.0)
    }
}

impl FromData<'_> for MethodMode {
    const EXPECTED: &'static str = "method access mode";

    fn from_data(data: Data<'_>) -> Result<Self, TypeError> {
        match data {
            Data::Boolean(access) => Ok(Self::Flag(access)),
            _ => data.as_u8().map(Self::Mode).ok_or(TypeError::new(Self::EXPECTED, &data)),
        }
    }
}

impl ToData for MethodMode {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        match *self {
            Self::Flag(access) => writer.boolean(access),
            Self::Mode(mode) => writer.enumerated(mode),
        }
    }
}

/// An attribute's access mode in version `V` of the association, so that a mode of one version cannot be taken for one of
/// another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttributeModeOf<const V: u8>(AttributeMode);

/// A method's access mode in version `V` of the association.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MethodModeOf<const V: u8>(MethodMode);

impl<const V: u8> AttributeModeOf<V> {
    /// The mode with these rights; `None` when the version cannot express them.
    #[must_use]
    pub fn new(rights: AttributeRights) -> Option<Self> {
        rights.mode(V).map(Self)
    }

    /// What may be done with the attribute; `None` for a value that the version does not have.
    #[must_use]
    pub const fn rights(self) -> Option<AttributeRights> {
        self.0.rights(V)
    }
}

impl<const V: u8> MethodModeOf<V> {
    /// The mode with these rights; `None` when the version cannot express them.
    #[must_use]
    pub fn new(rights: MethodRights) -> Option<Self> {
        rights.mode(V).map(Self)
    }

    /// What may be done with the method; `None` for a value that the version does not have.
    #[must_use]
    pub fn rights(self) -> Option<MethodRights> {
        self.0.rights(V)
    }
}

impl<const V: u8> FromData<'_> for AttributeModeOf<V> {
    const EXPECTED: &'static str = AttributeMode::EXPECTED;

    fn from_data(data: Data<'_>) -> Result<Self, TypeError> {
        AttributeMode::from_data(data).map(Self)
    }

    fn from_exact(data: &Data<'_>) -> Option<Self> {
        AttributeMode::from_exact(data).map(Self)
    }
}

impl<const V: u8> ToData for AttributeModeOf<V> {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        self.0.to_data(writer)
    }
}

impl<const V: u8> FromData<'_> for MethodModeOf<V> {
    const EXPECTED: &'static str = MethodMode::EXPECTED;

    fn from_data(data: Data<'_>) -> Result<Self, TypeError> {
        MethodMode::from_data(data).map(Self)
    }

    fn from_exact(data: &Data<'_>) -> Option<Self> {
        match (V, data) {
            (0, Data::Boolean(_)) | (1.., Data::Enum(_)) => Self::from_data(*data).ok(),
            _ => None,
        }
    }
}

impl<const V: u8> ToData for MethodModeOf<V> {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        self.0.to_data(writer)
    }
}
