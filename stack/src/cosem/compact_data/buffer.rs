//! Values without tags, put together with the tags that a template has.
//!
//! An array has its count in the buffer, where a compact array has it in the type description; strings keep their
//! length. Both as the Blue Book's examples have it.

use thiserror::Error;

use crate::axdr::tag::{self, Body};
use crate::axdr::{BufferFull, Data, DecodeError, DecodeErrorKind, MAX_DEPTH, Reader, Writer};

/// Why a compact buffer cannot be expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompactDataError {
    /// The template description is broken.
    #[error("template description: {0}")]
    Template(DecodeError),
    /// The buffer does not fit the template: it may belong to another one, see `template_id`.
    #[error("compact buffer: {0}")]
    Buffer(DecodeError),
    /// The values to be compressed are not encoded as they should be.
    #[error("values: {0}")]
    Values(DecodeError),
    /// A value is of another type than the template has there.
    #[error("{found} where the template has {expected}")]
    Unlike {
        /// The type in the template.
        expected: &'static str,
        /// The type of the value.
        found: &'static str,
    },
    /// An array without elements, whose template cannot be told.
    #[error("an array without elements has no template")]
    EmptyArray,
    /// The space for the values is too small.
    #[error(transparent)]
    Full(#[from] BufferFull),
}

/// Writes the values of a compact buffer with their types, as the template describes them, into `space` and gives them
/// back: a structure with one member for each captured object.
///
/// Nothing is allocated; `space` bounds the work, and twice the length of buffer and template together is enough
/// unless arrays are in it.
///
/// # Errors
/// [`CompactDataError`], also when octets of the template or the buffer are left over.
pub fn expand<'s>(template: &[u8], buffer: &[u8], space: &'s mut [u8]) -> Result<Data<'s>, CompactDataError> {
    let mut types = Reader::new(template);
    let mut values = Reader::new(buffer);
    let mut writer = Writer::new(space);
    element(&mut types, &mut values, &mut writer, 0)?;
    types.finish().map_err(CompactDataError::Template)?;
    values.finish().map_err(CompactDataError::Buffer)?;
    Data::from_slice(writer.into_written()).map_err(CompactDataError::Buffer)
}

/// Writes the template description of encoded values, such as a structure with a member for each captured object: for a
/// server that answers with `template_description`. All elements of an array must be of one type.
///
/// # Errors
/// [`CompactDataError::Values`], [`CompactDataError::EmptyArray`] and [`CompactDataError::Full`]; for a compact array,
/// which no template describes, `Unlike`.
pub fn describe(values: &[u8], template: &mut Writer<'_>) -> Result<(), CompactDataError> {
    let mut reader = Reader::new(values);
    Data::decode(&mut reader).and_then(|_| reader.finish()).map_err(CompactDataError::Values)?;
    describe_one(&mut Reader::new(values), template, 0)
}

/// Writes encoded values without their types into `buffer`, for a server that answers with `compact_buffer`. Each value
/// must be of the type that `template` has in its place, as [`describe`] writes it: whatever a client expands with the
/// same template are these values again.
///
/// # Errors
/// [`CompactDataError::Values`], [`CompactDataError::Template`], [`CompactDataError::Unlike`] and
/// [`CompactDataError::Full`].
pub fn compress(template: &[u8], values: &[u8], buffer: &mut Writer<'_>) -> Result<(), CompactDataError> {
    let mut reader = Reader::new(values);
    Data::decode(&mut reader).and_then(|_| reader.finish()).map_err(CompactDataError::Values)?;
    let mut types = Reader::new(template);
    compress_one(&mut types, &mut Reader::new(values), buffer, 0)?;
    types.finish().map_err(CompactDataError::Template)
}

/// Recursion is bounded by the depth of the values, which were checked.
fn describe_one(values: &mut Reader<'_>, template: &mut Writer<'_>, depth: usize) -> Result<(), CompactDataError> {
    let found = values.u8().map_err(CompactDataError::Values)?;
    let inner = depth.saturating_add(1);
    match (tag::body(found), found) {
        (Body::Fixed(_) | Body::Octets | Body::Bits, _) => {
            tag::skip_simple(found, values).map_err(CompactDataError::Values)?;
            Ok(template.u8(found)?)
        }
        (Body::Container, tag::STRUCTURE) if depth < MAX_DEPTH => {
            let members = values.length("structure").map_err(CompactDataError::Values)?;
            template.structure(members)?;
            (0..members).try_for_each(|_| describe_one(values, template, inner))
        }
        (Body::Container, _) if depth < MAX_DEPTH => {
            let count = values.length("array").map_err(CompactDataError::Values)?;
            template.u8(tag::ARRAY)?;
            if count == 0 {
                return Err(CompactDataError::EmptyArray);
            }
            let start = template.len();
            describe_one(values, template, inner)?;
            for _ in 1..count {
                let types = template.written().get(start..).unwrap_or_default();
                compress_one(&mut Reader::new(types), values, &mut Writer::window(&mut [], 0), inner)?;
            }
            Ok(())
        }
        _ => Err(CompactDataError::Unlike { expected: "a type of the template", found: tag::name(found) }),
    }
}

/// Recursion is bounded by the depth of the values, which were checked.
fn compress_one(
    types: &mut Reader<'_>,
    values: &mut Reader<'_>,
    buffer: &mut Writer<'_>,
    depth: usize,
) -> Result<(), CompactDataError> {
    let expected = types.u8().map_err(CompactDataError::Template)?;
    let found = values.u8().map_err(CompactDataError::Values)?;
    let unlike = CompactDataError::Unlike { expected: tag::name(expected), found: tag::name(found) };
    let inner = depth.saturating_add(1);
    if found != expected {
        return Err(unlike);
    }
    match (tag::body(found), found) {
        (Body::Fixed(_) | Body::Octets | Body::Bits, _) => {
            let before = values.rest();
            tag::skip_simple(found, values).map_err(CompactDataError::Values)?;
            let taken = before.len().saturating_sub(values.remaining());
            Ok(buffer.bytes(before.get(..taken).unwrap_or_default())?)
        }
        (Body::Container, tag::STRUCTURE) if depth < MAX_DEPTH => {
            let members = values.length("structure").map_err(CompactDataError::Values)?;
            if types.length("structure").map_err(CompactDataError::Template)? != members {
                return Err(unlike);
            }
            (0..members).try_for_each(|_| compress_one(types, values, buffer, inner))
        }
        (Body::Container, _) if depth < MAX_DEPTH => {
            let count = values.length("array").map_err(CompactDataError::Values)?;
            buffer.length(count)?;
            let description = *types;
            skip(types, inner)?;
            (0..count).try_for_each(|_| compress_one(&mut { description }, values, buffer, inner))
        }
        _ => Err(unlike),
    }
}

/// Recursion is bounded by `MAX_DEPTH`.
fn element(
    types: &mut Reader<'_>,
    values: &mut Reader<'_>,
    writer: &mut Writer<'_>,
    depth: usize,
) -> Result<(), CompactDataError> {
    let start = *types;
    let found = types.u8().map_err(CompactDataError::Template)?;
    match (tag::body(found), found) {
        (Body::Fixed(_) | Body::Octets | Body::Bits, _) => {
            let before = values.rest();
            tag::skip_simple(found, values).map_err(CompactDataError::Buffer)?;
            let taken = before.len().saturating_sub(values.remaining());
            writer.u8(found)?;
            writer.bytes(before.get(..taken).unwrap_or_default())?;
            return Ok(());
        }
        (Body::Container, _) if depth < MAX_DEPTH => {}
        (Body::Container, _) => return Err(CompactDataError::Template(start.error(DecodeErrorKind::TooDeep))),
        _ => {
            let kind = DecodeErrorKind::UnexpectedTag { what: "template description", found };
            return Err(CompactDataError::Template(start.error(kind)));
        }
    }
    let inner = depth.saturating_add(1);
    if found == tag::STRUCTURE {
        let members = types.length("structure").map_err(CompactDataError::Template)?;
        writer.structure(members)?;
        for _ in 0..members {
            element(types, values, writer, inner)?;
        }
        return Ok(());
    }
    let count = values.length("array").map_err(CompactDataError::Buffer)?;
    writer.array(count)?;
    let description = *types;
    skip(types, inner)?;
    for _ in 0..count {
        element(&mut { description }, values, writer, inner)?;
    }
    Ok(())
}

/// Passes over the description of one type. Recursion is bounded by `MAX_DEPTH`.
fn skip(types: &mut Reader<'_>, depth: usize) -> Result<(), CompactDataError> {
    let start = *types;
    if depth > MAX_DEPTH {
        return Err(CompactDataError::Template(start.error(DecodeErrorKind::TooDeep)));
    }
    let members = match types.u8().map_err(CompactDataError::Template)? {
        tag::ARRAY => 1,
        tag::STRUCTURE => types.length("structure").map_err(CompactDataError::Template)?,
        _ => 0,
    };
    for _ in 0..members {
        skip(types, depth.saturating_add(1))?;
    }
    Ok(())
}
