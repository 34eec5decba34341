//! COSEM values that own what they hold.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::tag;
use super::{BitString, BufferFull, CompactArray, Data, DecodeError, Reader, Sequence, Writer};
use crate::time::{Date, DateTime, Time};

/// A COSEM value that owns its strings and elements: the mirror of [`Data`], variant by variant.
///
/// Decoding allocates at most `size_of::<Value>()` octets, plus the allocator's own, per octet of input: an element
/// takes at least one octet on the wire. Compact arrays stay encoded, so that their types cannot multiply.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // as in `Data`
pub enum Value {
    Null,
    Array(Vec<Self>),
    Structure(Vec<Self>),
    Boolean(bool),
    BitString(BitBuf),
    DoubleLong(i32),
    DoubleLongUnsigned(u32),
    OctetString(Vec<u8>),
    VisibleString(Vec<u8>),
    Utf8String(Vec<u8>),
    Bcd(u8),
    Integer(i8),
    Long(i16),
    Unsigned(u8),
    LongUnsigned(u16),
    CompactArray(Box<CompactBuf>),
    Long64(i64),
    Long64Unsigned(u64),
    Enum(u8),
    Float32(f32),
    Float64(f64),
    DateTime(DateTime),
    Date(Date),
    Time(Time),
    DeltaInteger(i8),
    DeltaLong(i16),
    DeltaDoubleLong(i32),
    DeltaUnsigned(u8),
    DeltaLongUnsigned(u16),
    DeltaDoubleLongUnsigned(u32),
    DontCare,
}

/// An owned bit string.
#[derive(Clone, PartialEq, Eq)]
pub struct BitBuf {
    octets: Box<[u8]>,
    bits: u32,
}

impl BitBuf {
    /// The bits, borrowed.
    #[must_use]
    pub fn as_bits(&self) -> BitString<'_> {
        BitString::new(&self.octets, self.bits as usize).unwrap_or(BitString::EMPTY)
    }
}

impl From<BitString<'_>> for BitBuf {
    fn from(bits: BitString<'_>) -> Self {
        let mut octets: Box<[u8]> = bits.as_bytes().into();
        // Bits past the end are noise; without them equal strings are equal octets.
        let used = bits.len() & 7;
        if let (Some(last), true) = (octets.last_mut(), used != 0) {
            *last &= !(0xFF_u8 >> used);
        }
        // A length is at most 32 bits wide on the wire.
        Self { octets, bits: u32::try_from(bits.len()).unwrap_or(u32::MAX) }
    }
}

impl FromIterator<bool> for BitBuf {
    fn from_iter<I: IntoIterator<Item = bool>>(bits: I) -> Self {
        let mut octets = Vec::new();
        let mut count: u32 = 0;
        for bit in bits.into_iter().take(u32::MAX as usize) {
            if count & 7 == 0 {
                octets.push(0);
            }
            if let (Some(last), true) = (octets.last_mut(), bit) {
                *last |= 0x80_u8 >> (count & 7);
            }
            count = count.saturating_add(1);
        }
        Self { octets: octets.into(), bits: count }
    }
}

impl core::fmt::Debug for BitBuf {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(&self.as_bits(), f)
    }
}

/// An owned compact array, as it was encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct CompactBuf {
    description: Box<[u8]>,
    contents: Box<[u8]>,
}

impl CompactBuf {
    /// The compact array, borrowed.
    #[must_use]
    pub fn as_compact(&self) -> CompactArray<'_> {
        CompactArray::checked(&self.description, &self.contents)
    }
}

impl From<CompactArray<'_>> for CompactBuf {
    fn from(array: CompactArray<'_>) -> Self {
        Self { description: array.description().into(), contents: array.contents().into() }
    }
}

impl core::fmt::Debug for CompactBuf {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(&self.as_compact(), f)
    }
}

macro_rules! convert {
    ($data:expr; $from:ident to $to:ident; $($copied:ident)*; $($custom:pat => $result:expr),*) => {
        match $data {
            $($custom => $result,)*
            $from::Null => $to::Null,
            $from::DontCare => $to::DontCare,
            $($from::$copied(value) => $to::$copied(value),)*
        }
    };
}

impl From<Data<'_>> for Value {
    // Recursion is bounded: decoding refused what is nested more deeply than `MAX_DEPTH`.
    fn from(data: Data<'_>) -> Self {
        convert!(data; Data to Value;
            Boolean DoubleLong DoubleLongUnsigned Bcd Integer Long Unsigned LongUnsigned Long64 Long64Unsigned Enum
            Float32 Float64 DateTime Date Time DeltaInteger DeltaLong DeltaDoubleLong DeltaUnsigned
            DeltaLongUnsigned DeltaDoubleLongUnsigned;
            Data::Array(elements) => Self::Array(owned(elements)),
            Data::Structure(elements) => Self::Structure(owned(elements)),
            Data::BitString(bits) => Self::BitString(bits.into()),
            Data::OctetString(octets) => Self::OctetString(octets.into()),
            Data::VisibleString(octets) => Self::VisibleString(octets.into()),
            Data::Utf8String(octets) => Self::Utf8String(octets.into()),
            Data::CompactArray(array) => Self::CompactArray(Box::new(array.into())))
    }
}

/// The elements in a vector of just their number: one that grows has room for four at first, which is out of
/// proportion to the octets of short structures.
fn owned(elements: Sequence<'_>) -> Vec<Value> {
    let mut values = Vec::with_capacity(elements.len());
    values.extend(elements.iter().map(Value::from));
    values
}

impl Value {
    /// Takes one value.
    ///
    /// # Errors
    /// As [`Data::decode`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Data::decode(reader).map(Self::from)
    }

    /// The value in `octets`, all of them.
    ///
    /// # Errors
    /// As [`Data::from_slice`].
    pub fn from_slice(octets: &[u8]) -> Result<Self, DecodeError> {
        Data::from_slice(octets).map(Self::from)
    }

    /// The value, borrowed, unless it is an array or a structure, whose elements are not encoded.
    ///
    /// All that [`Data`] can be read as (`as_u64`, `as_date_time`, ...) is reached through this.
    #[must_use]
    pub fn as_data(&self) -> Option<Data<'_>> {
        Some(convert!(*self; Value to Data;
            Boolean DoubleLong DoubleLongUnsigned Bcd Integer Long Unsigned LongUnsigned Long64 Long64Unsigned Enum
            Float32 Float64 DateTime Date Time DeltaInteger DeltaLong DeltaDoubleLong DeltaUnsigned
            DeltaLongUnsigned DeltaDoubleLongUnsigned;
            Self::Array(_) | Self::Structure(_) => return None,
            Self::BitString(ref bits) => Data::BitString(bits.as_bits()),
            Self::OctetString(ref octets) => Data::OctetString(octets),
            Self::VisibleString(ref octets) => Data::VisibleString(octets),
            Self::Utf8String(ref octets) => Data::Utf8String(octets),
            Self::CompactArray(ref array) => Data::CompactArray(array.as_compact())))
    }

    /// The elements of an array or structure.
    #[must_use]
    pub fn elements(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) | Self::Structure(elements) => Some(elements),
            _ => None,
        }
    }

    /// Name of the type as the standard writes it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Array(_) => tag::name(tag::ARRAY),
            Self::Structure(_) => tag::name(tag::STRUCTURE),
            simple => simple.as_data().map_or("", |data| data.type_name()),
        }
    }

    /// Writes tag and value.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn encode(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        let elements = match self {
            Self::Array(elements) => {
                writer.array(elements.len())?;
                elements
            }
            Self::Structure(elements) => {
                writer.structure(elements.len())?;
                elements
            }
            simple => return simple.as_data().map_or(Ok(()), |data| data.encode(writer)),
        };
        elements.iter().try_for_each(|element| element.encode(writer))
    }

    /// The encoded value.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        // A windowed writer without a buffer counts what there would be.
        let mut counter = Writer::window(&mut [], 0);
        if self.encode(&mut counter).is_ok() {
            octets.resize(counter.overflow(), 0);
        }
        let mut writer = Writer::new(&mut octets);
        let written = self.encode(&mut writer).map_or(0, |()| writer.len());
        octets.truncate(written);
        octets
    }
}
