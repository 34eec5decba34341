//! Reading a [`Data`] as what the caller expects, whatever of the usual types the meter chose for it.

use super::{BitString, Data, Sequence};
use crate::obis::ObisCode;
use crate::time::{Date, DateTime, Time};

impl<'a> Data<'a> {
    /// Whether this is `null-data`.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The number in any of the integer types, `enum` and `bcd` (as its octet) included, but not the delta types.
    #[must_use]
    pub fn as_i128(&self) -> Option<i128> {
        Some(match *self {
            Self::Integer(value) => value.into(),
            Self::Long(value) => value.into(),
            Self::DoubleLong(value) => value.into(),
            Self::Long64(value) => value.into(),
            Self::Unsigned(value) | Self::Enum(value) | Self::Bcd(value) => value.into(),
            Self::LongUnsigned(value) => value.into(),
            Self::DoubleLongUnsigned(value) => value.into(),
            Self::Long64Unsigned(value) => value.into(),
            _ => return None,
        })
    }

    /// The number in any of the integer types when it fits: not for a negative one.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.as_i128()?.try_into().ok()
    }

    /// The number in any of the integer types when it fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_i128()?.try_into().ok()
    }

    /// The number when it fits 32 bits.
    #[must_use]
    pub fn as_u32(&self) -> Option<u32> {
        self.as_i128()?.try_into().ok()
    }

    /// The number when it fits 16 bits.
    #[must_use]
    pub fn as_u16(&self) -> Option<u16> {
        self.as_i128()?.try_into().ok()
    }

    /// The number when it fits 8 bits.
    #[must_use]
    pub fn as_u8(&self) -> Option<u8> {
        self.as_i128()?.try_into().ok()
    }

    /// The number when it fits 16 bits with sign.
    #[must_use]
    pub fn as_i16(&self) -> Option<i16> {
        self.as_i128()?.try_into().ok()
    }

    /// The number when it fits 8 bits with sign.
    #[must_use]
    pub fn as_i8(&self) -> Option<i8> {
        self.as_i128()?.try_into().ok()
    }

    /// The number in any integer or floating-point type; 64-bit integers are rounded.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::Float32(value) => Some(value.into()),
            Self::Float64(value) => Some(value),
            _ => self.as_i128().map(|value| {
                #[allow(clippy::cast_precision_loss)]
                let value = value as f64;
                value
            }),
        }
    }

    /// The truth value; integers 0 and 1 count, as meters send them for booleans.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Boolean(value) => Some(value),
            _ => match self.as_i128()? {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            },
        }
    }

    /// The octets of an octet-string, visible-string or utf8-string.
    #[must_use]
    pub const fn as_bytes(&self) -> Option<&'a [u8]> {
        match *self {
            Self::OctetString(octets) | Self::VisibleString(octets) | Self::Utf8String(octets) => Some(octets),
            _ => None,
        }
    }

    /// The text of an octet-string, visible-string or utf8-string, when it is valid UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        core::str::from_utf8(self.as_bytes()?).ok()
    }

    /// The bits of a bit-string.
    #[must_use]
    pub const fn as_bits(&self) -> Option<BitString<'a>> {
        match *self {
            Self::BitString(bits) => Some(bits),
            _ => None,
        }
    }

    /// The elements of an array, a structure or a compact array.
    #[must_use]
    pub fn as_sequence(&self) -> Option<Sequence<'a>> {
        match *self {
            Self::Array(elements) | Self::Structure(elements) => Some(elements),
            Self::CompactArray(array) => Some(array.elements()),
            _ => None,
        }
    }

    /// The elements of an array or a compact array.
    #[must_use]
    pub fn as_array(&self) -> Option<Sequence<'a>> {
        match *self {
            Self::Structure(_) => None,
            _ => self.as_sequence(),
        }
    }

    /// The elements of a structure.
    #[must_use]
    pub const fn as_structure(&self) -> Option<Sequence<'a>> {
        match *self {
            Self::Structure(elements) => Some(elements),
            _ => None,
        }
    }

    /// The elements of a structure that has exactly `N`.
    #[must_use]
    pub fn as_members<const N: usize>(&self) -> Option<[Self; N]> {
        self.as_structure()?.to_array()
    }

    /// The OBIS code in an octet-string of six octets.
    #[must_use]
    pub fn as_obis(&self) -> Option<ObisCode> {
        match *self {
            Self::OctetString(octets) => ObisCode::from_slice(octets),
            _ => None,
        }
    }

    /// The date-time, with its own tag or in an octet-string of twelve octets. An empty octet-string is a date-time
    /// that is not specified.
    #[must_use]
    pub fn as_date_time(&self) -> Option<DateTime> {
        match *self {
            Self::DateTime(value) => Some(value),
            Self::OctetString(octets) => DateTime::decode(octets).ok(),
            _ => None,
        }
    }

    /// The date, with its own tag or in an octet-string of five octets.
    #[must_use]
    pub fn as_date(&self) -> Option<Date> {
        match *self {
            Self::Date(value) => Some(value),
            Self::OctetString(octets) => Date::from_slice(octets),
            _ => None,
        }
    }

    /// The time, with its own tag or in an octet-string of four octets.
    #[must_use]
    pub fn as_time(&self) -> Option<Time> {
        match *self {
            Self::Time(value) => Some(value),
            Self::OctetString(octets) => Time::from_slice(octets),
            _ => None,
        }
    }
}
