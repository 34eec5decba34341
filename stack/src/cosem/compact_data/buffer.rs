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
