//! Rust types for the simple types of attributes.

use core::fmt;

use crate::apdu::Conformance;
use crate::axdr::{BitString, BufferFull, Data, Elements, Sequence, Writer};
use crate::id::{AttributeId, ClassId, MethodId, ShortName};
use crate::obis::ObisCode;
use crate::time::{ClockStatus, Date, DateTime, Time};
use crate::unit::{ScalerUnit, Unit};

/// The data is legal, but not of the type that the attribute has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeError {
    /// The attribute or method, when the value was read as one of a class.
    pub member: Option<&'static str>,
    /// What the class says.
    pub expected: &'static str,
    /// The type that was found.
    pub found: &'static str,
}

impl TypeError {
    /// The refusal of `data` where `expected` belongs.
    #[cold]
    #[inline(never)]
    #[must_use]
    pub const fn new(expected: &'static str, data: &Data<'_>) -> Self {
        let found = if cfg!(feature = "small") { "another type" } else { data.type_name() };
        Self { member: None, expected, found }
    }

    /// The same, said of an attribute or method.
    #[must_use]
    pub const fn of(self, member: &'static str) -> Self {
        Self { member: Some(member), ..self }
    }
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(member) = self.member {
            write!(f, "{member}: ")?;
        }
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

impl core::error::Error for TypeError {}

/// What can be read from a COSEM value.
pub trait FromData<'a>: Sized {
    /// How the type is named in a [`TypeError`].
    const EXPECTED: &'static str;

    /// Reads the value.
    ///
    /// # Errors
    /// [`TypeError`] when the data is of another type.
    fn from_data(data: Data<'a>) -> Result<Self, TypeError>;

    /// Reads the value if it has the very type that the class says, to its last element: what a server takes. `None` for
    /// data of another type, even one that holds the value: a server answers that the type is wrong, and no more.
    fn from_exact(data: &Data<'a>) -> Option<Self> {
        Self::from_data(*data).ok()
    }

    /// Says why [`from_exact`](Self::from_exact) takes no value, to the innermost.
    ///
    /// # Errors
    /// [`TypeError`] when the data is of another type, even one that holds the value.
    fn check(data: &Data<'a>) -> Result<(), TypeError> {
        Self::from_exact(data).map(drop).ok_or_else(|| TypeError::new(Self::EXPECTED, data))
    }
}

/// Checks the next member of a structure.
pub(super) fn check_next<'a, T: FromData<'a>>(
    members: &mut Elements<'a>,
    expected: &'static str,
    whole: &Data<'a>,
) -> Result<(), TypeError> {
    T::check(&members.next().ok_or_else(|| TypeError::new(expected, whole))?)
}

/// What can be written as a COSEM value, in the type that the Blue Book asks for.
pub trait ToData {
    /// Writes tag and value.
    ///
    /// # Errors
    /// [`BufferFull`].
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull>;
}

/// The next member of a structure; a function of its own, so that structures do not repeat it.
#[inline(never)]
pub(super) fn next_member<'a, T: FromData<'a>>(
    members: &mut Elements<'a>,
    expected: &'static str,
    whole: &Data<'a>,
) -> Result<T, TypeError> {
    T::from_data(members.next().ok_or_else(|| TypeError::new(expected, whole))?)
}

/// The same for the very type that the class says.
#[inline(never)]
pub(super) fn next_exact<'a, T: FromData<'a>>(members: &mut Elements<'a>) -> Option<T> {
    T::from_exact(&members.next()?)
}

/// The members of what must be a structure.
#[inline(never)]
pub(super) fn exact_members<'a>(data: &Data<'a>) -> Option<Elements<'a>> {
    match data {
        Data::Structure(members) => Some(members.iter()),
        _ => None,
    }
}

macro_rules! simple {
    ($($type:ty, $text:literal, $exact:pat, |$data:ident| $read:expr, |$value:ident, $writer:ident| $write:expr;)*) => {$(
        impl<'a> FromData<'a> for $type {
            const EXPECTED: &'static str = $text;

            fn from_data($data: Data<'a>) -> Result<Self, TypeError> {
                $read.ok_or_else(|| TypeError::new($text, &$data))
            }

            fn from_exact(data: &Data<'a>) -> Option<Self> {
                let $data = *data;
                if matches!($data, $exact) { $read } else { None }
            }
        }

        impl ToData for $type {
            fn to_data(&self, $writer: &mut Writer<'_>) -> Result<(), BufferFull> {
                let $value = self;
                $write
            }
        }
    )*};
}

/// A value of any type: a CHOICE in the Blue Book.
pub type Any<'a> = Data<'a>;

/// An `enum` whose values are explained elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Enumerated(pub u8);

/// A `visible-string`, kept as octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Text<'a>(pub &'a [u8]);

/// A `utf8-string`, kept as octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Utf8<'a>(pub &'a [u8]);

/// The parameter of a method that needs none: written as the integer 0, and read whatever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Zero;

impl FromData<'_> for Zero {
    const EXPECTED: &'static str = "integer";

    fn from_data(_: Data<'_>) -> Result<Self, TypeError> {
        Ok(Self)
    }

    fn from_exact(_: &Data<'_>) -> Option<Self> {
        Some(Self)
    }
}

impl ToData for Zero {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.integer(0)
    }
}

simple! {
    bool, "boolean", Data::Boolean(_), |data| data.as_bool(), |value, writer| writer.boolean(*value);
    u8, "unsigned", Data::Unsigned(_), |data| data.as_u8(), |value, writer| writer.unsigned(*value);
    u16, "long-unsigned", Data::LongUnsigned(_), |data| data.as_u16(), |value, writer| writer.long_unsigned(*value);
    u32, "double-long-unsigned", Data::DoubleLongUnsigned(_), |data| data.as_u32(), |value, writer| writer.double_long_unsigned(*value);
    u64, "long64-unsigned", Data::Long64Unsigned(_), |data| data.as_u64(), |value, writer| writer.long64_unsigned(*value);
    i8, "integer", Data::Integer(_), |data| data.as_i8(), |value, writer| writer.integer(*value);
    i16, "long", Data::Long(_), |data| data.as_i16(), |value, writer| writer.long(*value);
    i32, "double-long", Data::DoubleLong(_), |data| data.as_i64().and_then(|value| value.try_into().ok()),
        |value, writer| writer.double_long(*value);
    i64, "long64", Data::Long64(_), |data| data.as_i64(), |value, writer| writer.long64(*value);
    Enumerated, "enum", Data::Enum(_), |data| data.as_u8().map(Self), |value, writer| writer.enumerated(value.0);
    ObisCode, "octet-string of 6 octets", Data::OctetString(_), |data| data.as_obis(), |value, writer| writer.obis(*value);
    Date, "date", Data::OctetString(_) | Data::Date(_), |data| data.as_date(), |value, writer| writer.date(value);
    Time, "time", Data::OctetString(_) | Data::Time(_), |data| data.as_time(), |value, writer| writer.time(value);
    ClassId, "class identifier", Data::LongUnsigned(_), |data| data.as_u16().map(Self), |value, writer| writer.long_unsigned(value.0);
    AttributeId, "attribute index", Data::Integer(_), |data| data.as_i8().map(Self), |value, writer| writer.integer(value.0);
    MethodId, "method index", Data::Integer(_), |data| data.as_i8().map(Self), |value, writer| writer.integer(value.0);
    // A number with a sign: names from 8000 on are negative. Some meters send them without.
    ShortName, "base name", Data::Long(_), |data| match data {
        Data::Long(name) => Some(Self::from(name)),
        _ => data.as_u16().map(Self),
    }, |value, writer| writer.long((*value).into());
    ClockStatus, "clock status", Data::Unsigned(_), |data| data.as_u8().map(Self), |value, writer| writer.unsigned(value.0);
    Unit, "unit", Data::Enum(_), |data| data.as_u8().map(Self), |value, writer| writer.enumerated(value.0);
    Conformance, "conformance", Data::BitString(_), |data| conformance(&data), |value, writer| {
        let octets = value.to_bytes();
        writer.bit_string(&BitString::new(&octets, 24).unwrap_or(BitString::EMPTY))
    };
    // Null and Unix time instead of a date-time are sent before the first capture, and by newer profiles.
    DateTime, "date-time", Data::OctetString(_) | Data::DateTime(_), |data| match data {
        Data::Null => Some(Self::UNSPECIFIED),
        Data::DoubleLongUnsigned(seconds) => {
            Some(Self::from_unix_seconds(seconds.into(), 0, ClockStatus::UNSPECIFIED))
        }
        _ => data.as_date_time(),
    }, |value, writer| writer.date_time(value);
    // Null for a missing scaler and unit is sent by meters for values without one.
    ScalerUnit, "structure of scaler and unit", Data::Structure(_), |data| match data {
        Data::Null => Some(Self::NONE),
        _ => scaler_unit(&data),
    }, |value, writer| {
        writer.structure(2)?;
        writer.integer(value.scaler)?;
        writer.enumerated(value.unit.0)
    };
    // What a method without reply gives back; some meters return the parameter.
    (), "null", Data::Null, |data| matches!(data, Data::Null | Data::Integer(_)).then_some(()),
        |_value, writer| writer.null();
}

/// The members of a structure. Some meters send an array for it.
pub(in crate::cosem) const fn members<'a>(data: &Data<'a>) -> Option<Sequence<'a>> {
    match *data {
        Data::Structure(members) | Data::Array(members) => Some(members),
        _ => None,
    }
}

fn scaler_unit(data: &Data<'_>) -> Option<ScalerUnit> {
    let mut members = members(data)?.iter();
    Some(ScalerUnit { scaler: members.next()?.as_i8()?, unit: Unit(members.next()?.as_u8()?) })
}

fn conformance(data: &Data<'_>) -> Option<Conformance> {
    data.as_bits()?.as_bytes().try_into().ok().map(Conformance::from_bytes)
}

impl<'a> FromData<'a> for Data<'a> {
    const EXPECTED: &'static str = "data";

    fn from_data(data: Self) -> Result<Self, TypeError> {
        Ok(data)
    }

    fn from_exact(data: &Self) -> Option<Self> {
        Some(*data)
    }
}

impl ToData for Data<'_> {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        self.encode(writer)
    }
}

macro_rules! borrowed {
    ($($type:ty, $text:literal, $exact:ident, |$data:ident| $read:expr;)*) => {$(
        impl<'a> FromData<'a> for $type {
            const EXPECTED: &'static str = $text;

            fn from_data($data: Data<'a>) -> Result<Self, TypeError> {
                $read.ok_or_else(|| TypeError::new($text, &$data))
            }

            fn from_exact(data: &Data<'a>) -> Option<Self> {
                let $data = *data;
                if matches!($data, Data::$exact(_)) { $read } else { None }
            }
        }
    )*};
}

borrowed! {
    &'a [u8], "octet-string", OctetString, |data| data.as_bytes();
    Text<'a>, "visible-string", VisibleString, |data| data.as_bytes().map(Self);
    Utf8<'a>, "utf8-string", Utf8String, |data| data.as_bytes().map(Self);
    BitString<'a>, "bit-string", BitString, |data| data.as_bits();
}

impl ToData for Utf8<'_> {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        Data::Utf8String(self.0).encode(writer)
    }
}

impl ToData for BitString<'_> {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.bit_string(self)
    }
}

impl ToData for &[u8] {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.octets(self)
    }
}

impl ToData for Text<'_> {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        Data::VisibleString(self.0).encode(writer)
    }
}

/// Null-data stands for `None`.
impl<'a, T: FromData<'a>> FromData<'a> for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_data(data: Data<'a>) -> Result<Self, TypeError> {
        if data.is_null() { Ok(None) } else { T::from_data(data).map(Some) }
    }

    fn from_exact(data: &Data<'a>) -> Option<Self> {
        if data.is_null() { Some(None) } else { T::from_exact(data).map(Some) }
    }

    fn check(data: &Data<'a>) -> Result<(), TypeError> {
        if data.is_null() { Ok(()) } else { T::check(data) }
    }
}

impl<T: ToData> ToData for Option<T> {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        match self {
            Some(value) => value.to_data(writer),
            None => writer.null(),
        }
    }
}
