//! Finding the end of a value, and thereby checking all of it: one pass, no recursion into tagged data.

use super::tag::{self, Body};
use super::{DecodeError, DecodeErrorKind, MAX_DEPTH, Reader, compact};

/// Takes one whole value and checks it to its last octet.
pub(super) fn value(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let end = reader.end();
    Scan { missing: 1, outer: [0; MAX_DEPTH], depth: 0 }.run(reader, end)
}

/// Where the checking of a value stands. It can be left when the octets end, and taken up when more are there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    /// Values still to come in the container being read.
    missing: usize,
    /// The same for the containers around it.
    outer: [usize; MAX_DEPTH],
    depth: usize,
}

impl Scan {
    /// At the start of an element of an array that was entered already.
    #[cfg(feature = "alloc")]
    pub(crate) const fn element() -> Self {
        Self::within(1)
    }

    /// At the start of a value inside `depth` containers that were entered already.
    #[cfg(feature = "alloc")]
    pub(super) const fn within(depth: usize) -> Self {
        Self { missing: 1, outer: [0; MAX_DEPTH], depth }
    }

    /// Takes what is left of the value, which must not reach beyond the offset `limit`: the end of `reader` when no
    /// octets will follow. What is refused for it depends on that offset alone, not on how many octets are there.
    ///
    /// # Errors
    /// After `Truncated`, `reader` stands at the innermost value that is incomplete, where to go on with more octets.
    pub(crate) fn run(&mut self, reader: &mut Reader<'_>, limit: usize) -> Result<(), DecodeError> {
        // Local copies can stay in registers.
        let (mut scan, mut at) = (*self, *reader);
        let result = scan.run_locally(&mut at, limit);
        (*self, *reader) = (scan, at);
        result
    }

    #[inline(always)]
    fn run_locally(&mut self, reader: &mut Reader<'_>, limit: usize) -> Result<(), DecodeError> {
        loop {
            while self.missing == 0 {
                let Some(above) = self.depth.checked_sub(1) else { return Ok(()) };
                self.depth = above;
                self.missing = self.outer.get(above).copied().unwrap_or(0);
            }
            let mut ahead = *reader;
            let found = ahead.u8()?;
            match tag::body(found) {
                Body::Container => {
                    let place = self.outer.get_mut(self.depth).ok_or(reader.error(DecodeErrorKind::TooDeep))?;
                    let inner = container_count(&mut ahead, found, limit)?;
                    *place = self.missing.saturating_sub(1);
                    self.missing = inner;
                    self.depth = self.depth.saturating_add(1);
                }
                Body::Compact => {
                    compact::check(&mut ahead, self.depth, limit)?;
                    self.missing = self.missing.saturating_sub(1);
                }
                Body::Unknown => return Err(reader.error(DecodeErrorKind::UnexpectedTag { what: "data", found })),
                Body::Fixed(size) => {
                    ahead.bytes(usize::from(size))?;
                    self.missing = self.missing.saturating_sub(1);
                }
                Body::Octets | Body::Bits => {
                    tag::skip_simple(found, &mut ahead)?;
                    self.missing = self.missing.saturating_sub(1);
                }
            }
            *reader = ahead;
        }
    }
}

/// Takes the count of an array or structure. Each value takes at least its tag, so a count above the octets up to the
/// offset `limit` is a lie, and is refused before anything is done with it.
#[inline]
pub(super) fn container_count(reader: &mut Reader<'_>, found: u8, limit: usize) -> Result<usize, DecodeError> {
    let start = *reader;
    let count = reader.length(tag::name(found))?;
    if count > limit.saturating_sub(reader.offset()) {
        return Err(start.error(DecodeErrorKind::InvalidLength { what: tag::name(found) }));
    }
    Ok(count)
}

/// Takes `missing` values that were checked before; only their end is of interest.
///
/// No stack is needed: what matters is how many values are missing in all open containers together.
#[inline]
pub(super) fn skip_checked(reader: &mut Reader<'_>, mut missing: usize) -> Result<(), DecodeError> {
    let mut at = *reader;
    while let Some(rest) = missing.checked_sub(1) {
        missing = rest;
        let found = at.u8()?;
        match tag::body(found) {
            Body::Container => missing = missing.saturating_add(at.length("container")?),
            Body::Compact => compact::skip_checked(&mut at)?,
            Body::Fixed(size) => {
                at.bytes(usize::from(size))?;
            }
            _ => tag::skip_simple(found, &mut at)?,
        }
    }
    *reader = at;
    Ok(())
}
