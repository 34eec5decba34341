//! Tags of the alternatives of `Data` (Green Book, xDLMS module; the delta types from its ninth edition on).

use super::Reader;

pub(crate) const NULL: u8 = 0x00;
pub(crate) const ARRAY: u8 = 0x01;
pub(crate) const STRUCTURE: u8 = 0x02;
pub(crate) const BOOLEAN: u8 = 0x03;
pub(crate) const BIT_STRING: u8 = 0x04;
pub(crate) const DOUBLE_LONG: u8 = 0x05;
pub(crate) const DOUBLE_LONG_UNSIGNED: u8 = 0x06;
pub(crate) const OCTET_STRING: u8 = 0x09;
pub(crate) const VISIBLE_STRING: u8 = 0x0A;
pub(crate) const UTF8_STRING: u8 = 0x0C;
pub(crate) const BCD: u8 = 0x0D;
pub(crate) const INTEGER: u8 = 0x0F;
pub(crate) const LONG: u8 = 0x10;
pub(crate) const UNSIGNED: u8 = 0x11;
pub(crate) const LONG_UNSIGNED: u8 = 0x12;
pub(crate) const COMPACT_ARRAY: u8 = 0x13;
pub(crate) const LONG64: u8 = 0x14;
pub(crate) const LONG64_UNSIGNED: u8 = 0x15;
pub(crate) const ENUM: u8 = 0x16;
pub(crate) const FLOAT32: u8 = 0x17;
pub(crate) const FLOAT64: u8 = 0x18;
pub(crate) const DATE_TIME: u8 = 0x19;
pub(crate) const DATE: u8 = 0x1A;
pub(crate) const TIME: u8 = 0x1B;
pub(crate) const DELTA_INTEGER: u8 = 0x1C;
pub(crate) const DELTA_LONG: u8 = 0x1D;
pub(crate) const DELTA_DOUBLE_LONG: u8 = 0x1E;
pub(crate) const DELTA_UNSIGNED: u8 = 0x1F;
pub(crate) const DELTA_LONG_UNSIGNED: u8 = 0x20;
pub(crate) const DELTA_DOUBLE_LONG_UNSIGNED: u8 = 0x21;
pub(crate) const DONT_CARE: u8 = 0xFF;

/// How long the body behind a tag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// This many octets.
    Fixed(u8),
    /// A length and that many octets.
    Octets,
    /// A number of bits and the octets that hold them.
    Bits,
    /// A count and that many values.
    Container,
    /// A type description and a string of untagged values.
    Compact,
    /// No alternative of `Data` has this tag.
    Unknown,
}

const fn body_of(tag: u8) -> Body {
    match tag {
        NULL | DONT_CARE => Body::Fixed(0),
        ARRAY | STRUCTURE => Body::Container,
        BOOLEAN | BCD | INTEGER | UNSIGNED | ENUM | DELTA_INTEGER | DELTA_UNSIGNED => Body::Fixed(1),
        LONG | LONG_UNSIGNED | DELTA_LONG | DELTA_LONG_UNSIGNED => Body::Fixed(2),
        DOUBLE_LONG | DOUBLE_LONG_UNSIGNED | FLOAT32 | TIME | DELTA_DOUBLE_LONG | DELTA_DOUBLE_LONG_UNSIGNED => {
            Body::Fixed(4)
        }
        DATE => Body::Fixed(5),
        LONG64 | LONG64_UNSIGNED | FLOAT64 => Body::Fixed(8),
        DATE_TIME => Body::Fixed(12),
        BIT_STRING => Body::Bits,
        OCTET_STRING | VISIBLE_STRING | UTF8_STRING => Body::Octets,
        COMPACT_ARRAY => Body::Compact,
        _ => Body::Unknown,
    }
}

/// The body behind `tag`.
#[inline]
pub(crate) const fn body(tag: u8) -> Body {
    body_of(tag)
}

/// Name of an alternative of `Data`, as the standard writes it.
pub(crate) const fn name(tag: u8) -> &'static str {
    match tag {
        NULL => "null",
        ARRAY => "array",
        STRUCTURE => "structure",
        BOOLEAN => "boolean",
        BIT_STRING => "bit-string",
        DOUBLE_LONG => "double-long",
        DOUBLE_LONG_UNSIGNED => "double-long-unsigned",
        OCTET_STRING => "octet-string",
        VISIBLE_STRING => "visible-string",
        UTF8_STRING => "utf8-string",
        BCD => "bcd",
        INTEGER => "integer",
        LONG => "long",
        UNSIGNED => "unsigned",
        LONG_UNSIGNED => "long-unsigned",
        COMPACT_ARRAY => "compact-array",
        LONG64 => "long64",
        LONG64_UNSIGNED => "long64-unsigned",
        ENUM => "enum",
        FLOAT32 => "float32",
        FLOAT64 => "float64",
        DATE_TIME => "date-time",
        DATE => "date",
        TIME => "time",
        DELTA_INTEGER => "delta-integer",
        DELTA_LONG => "delta-long",
        DELTA_DOUBLE_LONG => "delta-double-long",
        DELTA_UNSIGNED => "delta-unsigned",
        DELTA_LONG_UNSIGNED => "delta-long-unsigned",
        DELTA_DOUBLE_LONG_UNSIGNED => "delta-double-long-unsigned",
        DONT_CARE => "dont-care",
        _ => "unknown",
    }
}

/// Octets that hold `bits` bits.
pub(super) const fn octets_of_bits(bits: usize) -> usize {
    bits.div_ceil(8)
}

/// Takes the body of a value that is neither a container nor a compact array.
#[inline]
pub(crate) fn skip_simple(found: u8, reader: &mut Reader<'_>) -> Result<(), super::DecodeError> {
    match body(found) {
        Body::Fixed(size) => reader.bytes(usize::from(size))?,
        Body::Octets => reader.octet_string(name(found))?,
        Body::Bits => {
            let bits = reader.length("bit-string")?;
            reader.bytes(octets_of_bits(bits))?
        }
        Body::Container | Body::Compact | Body::Unknown => &[],
    };
    Ok(())
}
