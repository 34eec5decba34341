//! Identities that are numbers on the wire and must not be mixed up.

use core::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl From<$int> for $name {
            fn from(value: $int) -> Self {
                Self(value)
            }
        }
    };
}

number!(
    /// COSEM interface class identifier (Blue Book, clause 4).
    ClassId, u16
);
number!(
    /// Attribute index within an interface class; 1 is `logical_name`, negative ones are proprietary.
    AttributeId, i8
);
number!(
    /// Method index within an interface class, from 1; negative ones are proprietary.
    MethodId, i8
);
number!(
    /// Client service access point: 16 is the public client, 1 the management client.
    ClientSap, u16
);
number!(
    /// Server service access point, which is the logical device: 1 is the management logical device.
    ServerSap, u16
);

impl ClientSap {
    /// The public client: reads without authentication.
    pub const PUBLIC: Self = Self(16);
    /// The client management process.
    pub const MANAGEMENT: Self = Self(1);
}

impl ServerSap {
    /// The management logical device, which every meter has.
    pub const MANAGEMENT: Self = Self(1);
}

/// System title: eight octets that name one DLMS entity in the world (Green Book, clause 9).
///
/// The first three octets are the manufacturer's FLAG identifier in ASCII.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemTitle(pub [u8; 8]);

impl SystemTitle {
    /// The title in `bytes`, or `None` when there are not exactly eight octets.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The eight octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for SystemTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02X}"))
    }
}

impl fmt::Debug for SystemTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SystemTitle({self})")
    }
}

/// A short name: what stands for an attribute or a method where objects are referred to by short names.
///
/// The low three bits of an attribute's name are zero. On the wire it is a signed number; it is written in hex everywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortName(pub u16);

impl From<i16> for ShortName {
    fn from(name: i16) -> Self {
        Self(name.cast_unsigned())
    }
}

impl From<ShortName> for i16 {
    fn from(name: ShortName) -> Self {
        name.0.cast_signed()
    }
}

impl fmt::Display for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

impl fmt::Debug for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShortName({self})")
    }
}
