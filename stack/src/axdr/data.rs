//! The COSEM `Data` type, borrowed from the octets that were received.

use super::tag;
use super::{BitString, BufferFull, CompactArray, DecodeError, DecodeErrorKind, Reader, Sequence, Writer};
use super::{check, compact};
use crate::time::{Date, DateTime, Time};

/// Takes the body of a value that holds no others, behind the tag `$found`, and does `$then` with it, or `$other` when
/// there is no such tag.
///
/// `$then` stands once for every type: what it does with the value is compiled together with reading that type, which
/// is what makes a walk fast.
macro_rules! simple_values {
    (@number $reader:expr, $int:ty) => {
        <$int>::from_be_bytes($reader.array()?)
    };
    ($found:expr, $reader:expr, $value:ident => $then:expr, else $other:expr) => {
        simple_values!(@arms $found, $reader, $value => $then, else $other;
            NULL => Data::Null,
            BOOLEAN => Data::Boolean($reader.u8()? != 0),
            BIT_STRING => Data::BitString($reader.bit_string()?),
            DOUBLE_LONG => Data::DoubleLong(simple_values!(@number $reader, i32)),
            DOUBLE_LONG_UNSIGNED => Data::DoubleLongUnsigned(simple_values!(@number $reader, u32)),
            OCTET_STRING => Data::OctetString($reader.octet_string("octet-string")?),
            VISIBLE_STRING => Data::VisibleString($reader.octet_string("visible-string")?),
            UTF8_STRING => Data::Utf8String($reader.octet_string("utf8-string")?),
            BCD => Data::Bcd($reader.u8()?),
            INTEGER => Data::Integer($reader.i8()?),
            LONG => Data::Long(simple_values!(@number $reader, i16)),
            UNSIGNED => Data::Unsigned($reader.u8()?),
            LONG_UNSIGNED => Data::LongUnsigned(simple_values!(@number $reader, u16)),
            LONG64 => Data::Long64(simple_values!(@number $reader, i64)),
            LONG64_UNSIGNED => Data::Long64Unsigned(simple_values!(@number $reader, u64)),
            ENUM => Data::Enum($reader.u8()?),
            FLOAT32 => Data::Float32(simple_values!(@number $reader, f32)),
            FLOAT64 => Data::Float64(simple_values!(@number $reader, f64)),
            DATE_TIME => Data::DateTime(crate::time::DateTime::from_bytes(&$reader.array()?)),
            DATE => Data::Date(crate::time::Date::from_bytes(&$reader.array()?)),
            TIME => Data::Time(crate::time::Time::from_bytes(&$reader.array()?)),
            DELTA_INTEGER => Data::DeltaInteger($reader.i8()?),
            DELTA_LONG => Data::DeltaLong(simple_values!(@number $reader, i16)),
            DELTA_DOUBLE_LONG => Data::DeltaDoubleLong(simple_values!(@number $reader, i32)),
            DELTA_UNSIGNED => Data::DeltaUnsigned($reader.u8()?),
            DELTA_LONG_UNSIGNED => Data::DeltaLongUnsigned(simple_values!(@number $reader, u16)),
            DELTA_DOUBLE_LONG_UNSIGNED => Data::DeltaDoubleLongUnsigned(simple_values!(@number $reader, u32)),
            DONT_CARE => Data::DontCare,
        )
    };
    (
        @arms $found:expr, $reader:expr, $value:ident => $then:expr, else $other:expr;
        $($tag:ident => $read:expr,)*
    ) => {
        match $found {
            $(tag::$tag => {
                let $value = $read;
                $then
            })*
            _ => $other,
        }
    };
}
pub(super) use simple_values;

/// A reader of octets that were checked before. Its errors carry nothing, because there are none: a value then goes
/// straight to where it is wanted.
struct Checked<'r, 'a>(&'r mut Reader<'a>);

macro_rules! checked {
    ($($name:ident($($argument:ident)?) -> $type:ty;)*) => {$(
        #[inline]
        fn $name(&mut self $(, $argument: &'static str)?) -> Option<$type> {
            self.0.$name($($argument)?).ok()
        }
    )*};
}

impl<'a> Checked<'_, 'a> {
    checked! {
        u8() -> u8;
        i8() -> i8;
        bit_string() -> BitString<'a>;
        octet_string(what) -> &'a [u8];
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.0.array().ok()
    }
}

/// A COSEM value (Green Book, xDLMS `Data`).
///
/// Decoding checks the whole value once; after that, reading it cannot fail. Strings and the elements of arrays stay
/// where they were received.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Data<'a> {
    /// `null-data`: nothing, or "as before" in a profile's buffer.
    Null,
    /// `array`: elements of one type.
    Array(Sequence<'a>),
    /// `structure`: elements of any types.
    Structure(Sequence<'a>),
    /// `boolean`; any octet but 0 is true, 01 is sent.
    Boolean(bool),
    /// `bit-string`.
    BitString(BitString<'a>),
    /// `double-long`.
    DoubleLong(i32),
    /// `double-long-unsigned`.
    DoubleLongUnsigned(u32),
    /// `octet-string`; also carries OBIS codes and, most often, dates and times.
    OctetString(&'a [u8]),
    /// `visible-string`: ASCII by the book, kept as octets because meters do not always agree.
    VisibleString(&'a [u8]),
    /// `utf8-string`, kept as octets.
    Utf8String(&'a [u8]),
    /// `bcd`: one octet.
    Bcd(u8),
    /// `integer`.
    Integer(i8),
    /// `long`.
    Long(i16),
    /// `unsigned`.
    Unsigned(u8),
    /// `long-unsigned`.
    LongUnsigned(u16),
    /// `compact-array`.
    CompactArray(CompactArray<'a>),
    /// `long64`.
    Long64(i64),
    /// `long64-unsigned`.
    Long64Unsigned(u64),
    /// `enum`.
    Enum(u8),
    /// `float32`.
    Float32(f32),
    /// `float64`.
    Float64(f64),
    /// `date-time` with a tag of its own.
    DateTime(DateTime),
    /// `date` with a tag of its own.
    Date(Date),
    /// `time` with a tag of its own.
    Time(Time),
    /// `delta-integer`: difference to the value before, in a profile's buffer.
    DeltaInteger(i8),
    /// `delta-long`.
    DeltaLong(i16),
    /// `delta-double-long`.
    DeltaDoubleLong(i32),
    /// `delta-unsigned`.
    DeltaUnsigned(u8),
    /// `delta-long-unsigned`.
    DeltaLongUnsigned(u16),
    /// `delta-double-long-unsigned`.
    DeltaDoubleLongUnsigned(u32),
    /// `dont-care`.
    DontCare,
}

impl<'a> Data<'a> {
    /// Takes one value and checks it to its last octet.
    ///
    /// # Errors
    /// Any [`DecodeErrorKind`] but `TrailingOctets`.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = *reader;
        check::value(reader)?;
        let length = start.remaining().saturating_sub(reader.remaining());
        let octets = { start }.bytes(length)?;
        let mut inner = Reader::with_offset(octets, start.offset());
        match inner.u8()? {
            found @ (tag::ARRAY | tag::STRUCTURE) => {
                let count = inner.length("container")?;
                let elements = Sequence::tagged(inner.rest(), count);
                Ok(if found == tag::ARRAY { Self::Array(elements) } else { Self::Structure(elements) })
            }
            tag::COMPACT_ARRAY => CompactArray::decode_checked(&mut inner).map(Self::CompactArray),
            found => Self::simple_checked(found, &mut inner)
                .ok_or(start.error(DecodeErrorKind::UnexpectedTag { what: "data", found })),
        }
    }

    /// The value in `octets`, all of them.
    ///
    /// # Errors
    /// Any [`DecodeErrorKind`].
    pub fn from_slice(octets: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    /// Takes one value that was checked before; `None` is not possible then.
    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn from_checked(reader: &mut Reader<'a>) -> Option<Self> {
        match reader.u8().ok()? {
            found @ (tag::ARRAY | tag::STRUCTURE) => {
                let count = reader.length("container").ok()?;
                let mut start = *reader;
                check::skip_checked(reader, count).ok()?;
                let octets = start.bytes(start.remaining().saturating_sub(reader.remaining())).ok()?;
                let elements = Sequence::tagged(octets, count);
                if found == tag::ARRAY { Some(Self::Array(elements)) } else { Some(Self::Structure(elements)) }
            }
            tag::COMPACT_ARRAY => CompactArray::decode_checked(reader).map(Self::CompactArray).ok(),
            found => Self::simple_checked(found, reader),
        }
    }

    /// Takes one element of a compact array that was checked before, and its type description.
    pub(crate) fn from_described(types: &mut Reader<'a>, contents: &mut Reader<'a>) -> Option<Self> {
        let mut start = *contents;
        let mut taken = |end: &Reader<'a>| start.bytes(start.remaining().saturating_sub(end.remaining())).ok();
        match types.u8().ok()? {
            tag::ARRAY => {
                let count = usize::from(types.u16().ok()?);
                let element = compact::description_octets(types).ok()?;
                for _ in 0..count {
                    compact::skip_content(&mut Reader::new(element), contents).ok()?;
                }
                Some(Self::Array(Sequence::repeated(taken(contents)?, count, element)))
            }
            tag::STRUCTURE => {
                let count = types.length("structure").ok()?;
                let mut members = *types;
                for _ in 0..count {
                    compact::skip_content(types, contents).ok()?;
                }
                let members = members.bytes(members.remaining().saturating_sub(types.remaining())).ok()?;
                Some(Self::Structure(Sequence::members(taken(contents)?, count, members)))
            }
            found => Self::simple_checked(found, contents),
        }
    }

    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    fn simple_checked(found: u8, reader: &mut Reader<'a>) -> Option<Self> {
        let mut reader = Checked(reader);
        simple_values!(found, reader, value => Some(value), else None)
    }

    /// Takes the body of a value that holds no others.
    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    pub(super) fn simple(found: u8, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        simple_values!(found, reader, value => Ok(value), else {
            Err(reader.error(DecodeErrorKind::UnexpectedTag { what: "data", found }))
        })
    }

    /// Writes tag and value. Elements of a compact array get the tags that they lack.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn encode(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        match *self {
            Self::Null => writer.null(),
            Self::Array(elements) => writer.array(elements.len()).and_then(|()| elements.encode(writer)),
            Self::Structure(elements) => writer.structure(elements.len()).and_then(|()| elements.encode(writer)),
            Self::Boolean(value) => writer.boolean(value),
            Self::BitString(bits) => writer.bit_string(&bits),
            Self::DoubleLong(value) => writer.double_long(value),
            Self::DoubleLongUnsigned(value) => writer.double_long_unsigned(value),
            Self::OctetString(octets) => writer.octets(octets),
            Self::VisibleString(octets) => writer.string(tag::VISIBLE_STRING, octets),
            Self::Utf8String(octets) => writer.string(tag::UTF8_STRING, octets),
            Self::Bcd(value) => writer.bcd(value),
            Self::Integer(value) => writer.integer(value),
            Self::Long(value) => writer.long(value),
            Self::Unsigned(value) => writer.unsigned(value),
            Self::LongUnsigned(value) => writer.long_unsigned(value),
            Self::CompactArray(array) => writer.compact_array(&array),
            Self::Long64(value) => writer.long64(value),
            Self::Long64Unsigned(value) => writer.long64_unsigned(value),
            Self::Enum(value) => writer.enumerated(value),
            Self::Float32(value) => writer.float32(value),
            Self::Float64(value) => writer.float64(value),
            Self::DateTime(value) => writer.typed_date_time(&value),
            Self::Date(value) => writer.typed_date(&value),
            Self::Time(value) => writer.typed_time(&value),
            Self::DeltaInteger(value) => writer.tagged(tag::DELTA_INTEGER, value.to_be_bytes()),
            Self::DeltaLong(value) => writer.tagged(tag::DELTA_LONG, value.to_be_bytes()),
            Self::DeltaDoubleLong(value) => writer.tagged(tag::DELTA_DOUBLE_LONG, value.to_be_bytes()),
            Self::DeltaUnsigned(value) => writer.tagged(tag::DELTA_UNSIGNED, value.to_be_bytes()),
            Self::DeltaLongUnsigned(value) => writer.tagged(tag::DELTA_LONG_UNSIGNED, value.to_be_bytes()),
            Self::DeltaDoubleLongUnsigned(value) => writer.tagged(tag::DELTA_DOUBLE_LONG_UNSIGNED, value.to_be_bytes()),
            Self::DontCare => writer.dont_care(),
        }
    }

    /// The tag.
    #[must_use]
    pub const fn tag(&self) -> u8 {
        match self {
            Self::Null => tag::NULL,
            Self::Array(_) => tag::ARRAY,
            Self::Structure(_) => tag::STRUCTURE,
            Self::Boolean(_) => tag::BOOLEAN,
            Self::BitString(_) => tag::BIT_STRING,
            Self::DoubleLong(_) => tag::DOUBLE_LONG,
            Self::DoubleLongUnsigned(_) => tag::DOUBLE_LONG_UNSIGNED,
            Self::OctetString(_) => tag::OCTET_STRING,
            Self::VisibleString(_) => tag::VISIBLE_STRING,
            Self::Utf8String(_) => tag::UTF8_STRING,
            Self::Bcd(_) => tag::BCD,
            Self::Integer(_) => tag::INTEGER,
            Self::Long(_) => tag::LONG,
            Self::Unsigned(_) => tag::UNSIGNED,
            Self::LongUnsigned(_) => tag::LONG_UNSIGNED,
            Self::CompactArray(_) => tag::COMPACT_ARRAY,
            Self::Long64(_) => tag::LONG64,
            Self::Long64Unsigned(_) => tag::LONG64_UNSIGNED,
            Self::Enum(_) => tag::ENUM,
            Self::Float32(_) => tag::FLOAT32,
            Self::Float64(_) => tag::FLOAT64,
            Self::DateTime(_) => tag::DATE_TIME,
            Self::Date(_) => tag::DATE,
            Self::Time(_) => tag::TIME,
            Self::DeltaInteger(_) => tag::DELTA_INTEGER,
            Self::DeltaLong(_) => tag::DELTA_LONG,
            Self::DeltaDoubleLong(_) => tag::DELTA_DOUBLE_LONG,
            Self::DeltaUnsigned(_) => tag::DELTA_UNSIGNED,
            Self::DeltaLongUnsigned(_) => tag::DELTA_LONG_UNSIGNED,
            Self::DeltaDoubleLongUnsigned(_) => tag::DELTA_DOUBLE_LONG_UNSIGNED,
            Self::DontCare => tag::DONT_CARE,
        }
    }

    /// Name of the type as the standard writes it: `double-long-unsigned`, `octet-string`; `null` for null-data.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        tag::name(self.tag())
    }
}
