//! Rust types for the simple types of attributes.

use thiserror::Error;

use crate::apdu::Conformance;
use crate::axdr::{BitString, BufferFull, Data, Writer};
use crate::id::{AttributeId, ClassId, MethodId};
use crate::obis::ObisCode;
use crate::time::{ClockStatus, Date, DateTime, Time};
use crate::unit::{ScalerUnit, Unit};

/// The data is legal, but not of the type that the attribute has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected {expected}, found {found}")]
pub struct TypeError {
    /// What the class says.
    pub expected: &'static str,
    /// The type that was found.
    pub found: &'static str,
}

impl TypeError {
    /// The refusal of `data` where `expected` belongs.
    #[must_use]
    pub const fn new(expected: &'static str, data: &Data<'_>) -> Self {
        Self { expected, found: data.type_name() }
    }
}

/// What can be read from a COSEM value.
pub trait FromData<'a>: Sized {
    /// How the type is named in a [`TypeError`].
    const EXPECTED: &'static str;

    /// Reads the value.
    ///
    /// # Errors
    /// [`TypeError`] when the data is of another type.
    fn from_data(data: Data<'a>) -> Result<Self, TypeError>;
}

/// What can be written as a COSEM value, in the type that the Blue Book asks for.
pub trait ToData {
    /// Writes tag and value.
    ///
    /// # Errors
    /// [`BufferFull`].
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull>;
}

macro_rules! simple {
    ($($type:ty, $text:literal, |$data:ident| $read:expr, |$value:ident, $writer:ident| $write:expr;)*) => {$(
        impl<'a> FromData<'a> for $type {
            const EXPECTED: &'static str = $text;

            fn from_data($data: Data<'a>) -> Result<Self, TypeError> {
                $read.ok_or(TypeError::new($text, &$data))
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

simple! {
    bool, "boolean", |data| data.as_bool(), |value, writer| writer.boolean(*value);
    u8, "unsigned", |data| data.as_u8(), |value, writer| writer.unsigned(*value);
    u16, "long-unsigned", |data| data.as_u16(), |value, writer| writer.long_unsigned(*value);
    u32, "double-long-unsigned", |data| data.as_u32(), |value, writer| writer.double_long_unsigned(*value);
    u64, "long64-unsigned", |data| data.as_u64(), |value, writer| writer.long64_unsigned(*value);
    i8, "integer", |data| data.as_i8(), |value, writer| writer.integer(*value);
    i16, "long", |data| data.as_i16(), |value, writer| writer.long(*value);
    Enumerated, "enum", |data| data.as_u8().map(Self), |value, writer| writer.enumerated(value.0);
    ObisCode, "octet-string of 6 octets", |data| data.as_obis(), |value, writer| writer.obis(*value);
    Date, "date", |data| data.as_date(), |value, writer| writer.date(value);
    Time, "time", |data| data.as_time(), |value, writer| writer.time(value);
    ClassId, "class identifier", |data| data.as_u16().map(Self), |value, writer| writer.long_unsigned(value.0);
    AttributeId, "attribute index", |data| data.as_i8().map(Self), |value, writer| writer.integer(value.0);
    MethodId, "method index", |data| data.as_i8().map(Self), |value, writer| writer.integer(value.0);
    ClockStatus, "clock status", |data| data.as_u8().map(Self), |value, writer| writer.unsigned(value.0);
    Unit, "unit", |data| data.as_u8().map(Self), |value, writer| writer.enumerated(value.0);
    Conformance, "conformance", |data| conformance(&data), |value, writer| {
        let octets = value.to_bytes();
        writer.bit_string(&BitString::new(&octets, 24).unwrap_or(BitString::EMPTY))
    };
    // Null and Unix time instead of a date-time are sent before the first capture, and by newer profiles.
    DateTime, "date-time", |data| match data {
        Data::Null => Some(Self::UNSPECIFIED),
        Data::DoubleLongUnsigned(seconds) => {
            Some(Self::from_unix_seconds(seconds.into(), 0, ClockStatus::UNSPECIFIED))
        }
        _ => data.as_date_time(),
    }, |value, writer| writer.date_time(value);
    // Null for a missing scaler and unit is sent by meters for values without one.
    ScalerUnit, "structure of scaler and unit", |data| match data {
        Data::Null => Some(Self::NONE),
        _ => scaler_unit(&data),
    }, |value, writer| {
        writer.structure(2)?;
        writer.integer(value.scaler)?;
        writer.enumerated(value.unit.0)
    };
    // The integer 0 of methods without parameters is as good as none.
    (), "null", |data| matches!(data, Data::Null | Data::Integer(_)).then_some(()), |_value, writer| writer.null();
}

fn scaler_unit(data: &Data<'_>) -> Option<ScalerUnit> {
    let mut members = data.as_structure()?.iter();
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
}

impl ToData for Data<'_> {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        self.encode(writer)
    }
}

impl<'a> FromData<'a> for &'a [u8] {
    const EXPECTED: &'static str = "octet-string";

    fn from_data(data: Data<'a>) -> Result<Self, TypeError> {
        data.as_bytes().ok_or(TypeError::new(Self::EXPECTED, &data))
    }
}

impl ToData for &[u8] {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.octets(self)
    }
}

impl<'a> FromData<'a> for Text<'a> {
    const EXPECTED: &'static str = "visible-string";

    fn from_data(data: Data<'a>) -> Result<Self, TypeError> {
        data.as_bytes().map(Self).ok_or(TypeError::new(Self::EXPECTED, &data))
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
}

impl<T: ToData> ToData for Option<T> {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        match self {
            Some(value) => value.to_data(writer),
            None => writer.null(),
        }
    }
}
