//! The part of BER (ITU-T X.690) that ACSE needs: definite lengths, low tag numbers.

use crate::axdr::{BufferFull, DecodeErrorKind, Writer};
use crate::deviation::Deviation;
use crate::wire::{Cursor, Refused, measure};

/// OCTET STRING.
const OCTET_STRING: u8 = 0x04;
/// INTEGER.
const INTEGER: u8 = 0x02;
/// OBJECT IDENTIFIER.
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
/// The xDLMS APDU at the end of every ACSE APDU.
pub(super) const USER_INFORMATION: u8 = 0xBE;

/// Takes `tag` and the fields inside it one by one; `field` takes the contents of the field with the tag it
/// is given, or says `false` when it does not know that tag.
///
/// A field that comes twice is refused: two readers could then disagree about, say, the mechanism.
pub(super) fn read_fields<'a>(
    cursor: &mut Cursor<'a>,
    what: &'static str,
    tag: u8,
    field: &mut dyn FnMut(&mut Cursor<'a>, u8) -> Result<bool, Refused>,
) -> Result<(), Refused> {
    cursor.require(what, tag)?;
    let declared = cursor.length(what)?;
    let length = if declared < cursor.remaining() {
        cursor.note(Deviation::ShortOuterLength);
        cursor.remaining()
    } else {
        declared
    };
    let mut seen = [0_u32; 8];
    cursor.bounded(length, |cursor| {
        while !cursor.is_empty() {
            let at = cursor.offset();
            let tag = cursor.u8()?;
            let declared_field = cursor.length(what)?;
            let length =
                if tag == USER_INFORMATION { user_information_length(cursor, declared_field) } else { declared_field };
            cursor.bounded(length, |cursor| {
                if !field(cursor, tag)? {
                    cursor.note(Deviation::UnknownField);
                    let rest = cursor.remaining();
                    cursor.bytes(rest)?;
                }
                Ok(())
            })?;
            let mask = 1_u32.wrapping_shl(u32::from(tag & 0x1F));
            if let Some(word) = seen.get_mut(usize::from(tag >> 5)) {
                if *word & mask != 0 {
                    return Err(cursor.unexpected(at, "repeated ACSE field", tag));
                }
                *word |= mask;
            }
        }
        Ok(())
    })
}

/// Octets of a user-information field that says it has `declared`. It is the last field, so where the lengths
/// around it cannot be right it has all that is left.
fn user_information_length(cursor: &mut Cursor<'_>, declared: usize) -> usize {
    if declared > cursor.remaining() {
        cursor.note(Deviation::UserInformationForm);
    } else if !cursor.deviations().contains(Deviation::ShortOuterLength) {
        return declared;
    }
    cursor.remaining()
}

/// The error for an APDU without one of its mandatory fields.
pub(super) const fn missing(cursor: &mut Cursor<'_>, offset: usize, what: &'static str) -> Refused {
    cursor.refuse(offset, DecodeErrorKind::Missing { what })
}

/// Takes an OCTET STRING (or GraphicString, which some titles are) that fills the field.
pub(super) fn octet_string<'a>(cursor: &mut Cursor<'a>, what: &'static str) -> Result<&'a [u8], Refused> {
    cursor.require(what, OCTET_STRING)?;
    cursor.octet_string(what)
}

/// Takes an INTEGER of at most four octets.
pub(super) fn integer(cursor: &mut Cursor<'_>, what: &'static str) -> Result<i32, Refused> {
    cursor.require(what, INTEGER)?;
    let at = cursor.offset();
    let octets = cursor.octet_string(what)?;
    let (Some(first), true) = (octets.first(), octets.len() <= 4) else {
        return Err(cursor.refuse(at, DecodeErrorKind::InvalidLength { what }));
    };
    let sign = if *first < 0x80 { 0 } else { -1 };
    Ok(octets.iter().fold(sign, |value: i32, octet| (value << 8) | i32::from(*octet)))
}

/// Takes an INTEGER that is one octet, as results and diagnostics are.
pub(super) fn small_integer(cursor: &mut Cursor<'_>, what: &'static str) -> Result<u8, Refused> {
    let at = cursor.offset();
    let value = integer(cursor, what)?;
    u8::try_from(value).map_err(|_| {
        cursor.refuse(at, DecodeErrorKind::InvalidValue { what, found: u32::from_be_bytes(value.to_be_bytes()) })
    })
}

/// Takes the contents of a BIT STRING and returns its first octet and the count of unused bits.
pub(super) fn bit_string(cursor: &mut Cursor<'_>, what: &'static str) -> Result<(u8, u8), Refused> {
    let at = cursor.offset();
    let unused = cursor.u8()?;
    if unused > 7 {
        return Err(cursor.refuse(at, DecodeErrorKind::InvalidValue { what, found: u32::from(unused) }));
    }
    let length = cursor.remaining();
    let bits = cursor.bytes(length)?;
    Ok((bits.first().copied().unwrap_or_default(), unused))
}

/// Takes the user-information: one OCTET STRING. What is not quite one yields its octets all the same, because
/// the result of an association must not hang on it.
pub(super) fn user_information<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Refused> {
    let mut attempt = *cursor;
    if let Ok(octets) = octet_string(&mut attempt, "user-information")
        && attempt.is_empty()
    {
        *cursor = attempt;
        return Ok(octets);
    }
    cursor.note(Deviation::UserInformationForm);
    if cursor.peek() == Some(OCTET_STRING) {
        // The length is wrong in one direction or the other: everything behind it.
        cursor.u8()?;
        let mut after = *cursor;
        if after.length("user-information").is_ok() {
            *cursor = after;
        }
    }
    let rest = cursor.remaining();
    cursor.bytes(rest)
}

/// Writes `tag`, the length of what `contents` writes, and that.
pub(super) fn field(
    writer: &mut Writer<'_>,
    tag: u8,
    contents: &dyn Fn(&mut Writer<'_>) -> Result<(), BufferFull>,
) -> Result<(), BufferFull> {
    writer.u8(tag)?;
    writer.length(measure(contents)?)?;
    contents(writer)
}

/// Writes the field `tag` with one OCTET STRING in it, when there is one.
pub(super) fn octet_string_field(writer: &mut Writer<'_>, tag: u8, octets: Option<&[u8]>) -> Result<(), BufferFull> {
    let Some(octets) = octets else { return Ok(()) };
    field(writer, tag, &|writer| {
        writer.u8(OCTET_STRING)?;
        writer.octet_string(octets)
    })
}

/// Writes the field `tag` with one INTEGER in its shortest form, when there is one.
pub(super) fn integer_field(writer: &mut Writer<'_>, tag: u8, value: Option<i32>) -> Result<(), BufferFull> {
    let Some(value) = value else { return Ok(()) };
    let octets = value.to_be_bytes();
    let sign = if value < 0 { 0xFF } else { 0x00 };
    let mut shortest = octets.as_slice();
    while let [first, rest @ ..] = shortest {
        // The next octet's top bit must still say the sign.
        let Some(next) = rest.first() else { break };
        if *first != sign || (next ^ sign) & 0x80 != 0 {
            break;
        }
        shortest = rest;
    }
    field(writer, tag, &|writer| {
        writer.u8(INTEGER)?;
        writer.octet_string(shortest)
    })
}

/// Writes the field `tag` with the bits of `octet` but the last `unused`.
pub(super) fn bit_string_field(writer: &mut Writer<'_>, tag: u8, octet: u8, unused: u8) -> Result<(), BufferFull> {
    writer.bytes(&[tag, 0x02, unused, octet])
}
