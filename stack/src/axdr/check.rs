//! Finding the end of a value, and thereby checking all of it: one pass, no recursion into tagged data.

use super::tag::{self, Body};
use super::{DecodeError, DecodeErrorKind, MAX_DEPTH, Reader, compact};

/// Takes one whole value and checks it to its last octet.
pub(super) fn value(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    values(reader, 1)
}

/// Takes `count` whole values, one after the other.
fn values(reader: &mut Reader<'_>, count: usize) -> Result<(), DecodeError> {
    // Values still to come in the container being read, and in those around it.
    let mut missing = count;
    let mut outer = [0_usize; MAX_DEPTH];
    let mut depth: usize = 0;
    loop {
        while missing == 0 {
            let Some(above) = depth.checked_sub(1) else { return Ok(()) };
            depth = above;
            missing = outer.get(depth).copied().unwrap_or(0);
        }
        missing = missing.saturating_sub(1);

        let start = *reader;
        let found = reader.u8()?;
        match tag::body(found) {
            Body::Container => {
                let place = outer.get_mut(depth).ok_or(start.error(DecodeErrorKind::TooDeep))?;
                let inner = container_count(reader, found)?;
                *place = missing;
                missing = inner;
                depth = depth.saturating_add(1);
            }
            Body::Compact => compact::check(reader, depth)?,
            Body::Unknown => return Err(start.error(DecodeErrorKind::UnexpectedTag { what: "data", found })),
            _ => tag::skip_simple(found, reader)?,
        }
    }
}

/// Takes the count of an array or structure. Each value takes at least its tag, so a count above the octets that are
/// left is a lie, and is refused before anything is done with it.
#[inline]
pub(super) fn container_count(reader: &mut Reader<'_>, found: u8) -> Result<usize, DecodeError> {
    let start = *reader;
    let count = reader.length(tag::name(found))?;
    if count > reader.remaining() {
        return Err(start.error(DecodeErrorKind::InvalidLength { what: tag::name(found) }));
    }
    Ok(count)
}

/// Takes one value that was checked before; only its end is of interest.
///
/// No stack is needed: what matters is how many values are missing in all open containers together.
#[inline]
pub(super) fn skip_checked(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let mut missing: usize = 1;
    while let Some(rest) = missing.checked_sub(1) {
        missing = rest;
        let found = reader.u8()?;
        match tag::body(found) {
            Body::Container => missing = missing.saturating_add(reader.length("container")?),
            Body::Compact => compact::skip_checked(reader)?,
            _ => tag::skip_simple(found, reader)?,
        }
    }
    Ok(())
}
