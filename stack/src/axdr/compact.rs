//! Compact arrays: one type description, then values without tags (Green Book, xDLMS module).
//!
//! An inner array has a fixed count in its type description and none in the contents. One implementation in the
//! field reads a count there; two do as here.

use super::tag::{self, Body};
use super::{DecodeError, DecodeErrorKind, MAX_DEPTH, Reader, Sequence};

/// Values that a compact array may hold per octet of its encoding. A type description multiplies (arrays of arrays
/// of null take no octets at all), so the work that a few octets can ask for has to be bounded; real data has fewer
/// than two values per octet.
pub const COMPACT_VALUES_PER_OCTET: usize = 8;

/// A compact array: its elements share one type description and travel without tags.
#[derive(Clone, Copy, PartialEq)]
pub struct CompactArray<'a> {
    description: &'a [u8],
    contents: &'a [u8],
}

impl<'a> CompactArray<'a> {
    /// Takes type description and contents, without the tag in front, and checks both.
    ///
    /// # Errors
    /// What is wrong with the description or the contents; `TooManyValues` beyond
    /// [`COMPACT_VALUES_PER_OCTET`].
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut end = *reader;
        let limit = end.end();
        check(&mut end, 0, limit)?;
        let value = Self::decode_checked(reader)?;
        *reader = end;
        Ok(value)
    }

    /// A compact array of parts that were checked before.
    #[cfg(feature = "alloc")]
    pub(super) const fn checked(description: &'a [u8], contents: &'a [u8]) -> Self {
        Self { description, contents }
    }

    pub(super) fn decode_checked(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let description = description_octets(reader)?;
        Ok(Self { description, contents: reader.octet_string("compact-array")? })
    }

    /// The type description.
    #[must_use]
    pub const fn description(&self) -> &'a [u8] {
        self.description
    }

    /// The elements' octets, without tags.
    #[must_use]
    pub const fn contents(&self) -> &'a [u8] {
        self.contents
    }

    /// The elements. Counting them reads the contents once, unless all are of one size.
    #[must_use]
    pub fn elements(&self) -> Sequence<'a> {
        Sequence::repeated(self.contents, self.len(), self.description)
    }

    /// How many elements there are; the encoding does not say, so this reads the contents unless all elements are of
    /// one size.
    #[must_use]
    pub fn len(&self) -> usize {
        let Ok(shape) = describe(&mut Reader::new(self.description), 0, self.description.len()) else { return 0 };
        if shape.fixed {
            return self.contents.len().checked_div(shape.octets).unwrap_or(0);
        }
        let mut contents = Reader::new(self.contents);
        let mut count: usize = 0;
        while !contents.is_empty() && skip_content(&mut Reader::new(self.description), &mut contents).is_ok() {
            count = count.saturating_add(1);
        }
        count
    }

    /// Whether there are no elements.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.contents.is_empty()
    }
}

impl core::fmt::Debug for CompactArray<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("CompactArray")?;
        f.debug_list().entries(self.elements().iter()).finish()
    }
}

/// What a type description says about one element.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Octets that an element takes at least.
    pub(super) octets: usize,
    /// Values in an element, containers counted.
    pub(super) values: usize,
    /// Whether every element takes exactly `octets`.
    fixed: bool,
}

/// Takes a type description that may be wrong, and whose counts must not reach beyond the offset `limit`.
/// Recursion is bounded by `MAX_DEPTH`.
pub(super) fn describe(reader: &mut Reader<'_>, depth: usize, limit: usize) -> Result<Shape, DecodeError> {
    let start = *reader;
    let found = reader.u8()?;
    let simple = |octets, fixed| Ok(Shape { octets, values: 1, fixed });
    match tag::body(found) {
        Body::Fixed(size) => return simple(usize::from(size), true),
        Body::Octets | Body::Bits => return simple(1, false),
        Body::Compact | Body::Unknown => {
            return Err(start.error(DecodeErrorKind::UnexpectedTag { what: "type description", found }));
        }
        Body::Container => {}
    }
    if depth >= MAX_DEPTH {
        return Err(start.error(DecodeErrorKind::TooDeep));
    }
    let inner = depth.saturating_add(1);
    if found == tag::ARRAY {
        let count = usize::from(reader.u16()?);
        let element = describe(reader, inner, limit)?;
        return Ok(Shape {
            octets: element.octets.saturating_mul(count),
            values: element.values.saturating_mul(count).saturating_add(1),
            fixed: element.fixed || count == 0,
        });
    }
    let mut shape = Shape { octets: 0, values: 1, fixed: true };
    let members = reader.length("structure")?;
    if members > limit.saturating_sub(reader.offset()) {
        return Err(start.error(DecodeErrorKind::InvalidLength { what: "structure" }));
    }
    for _ in 0..members {
        let member = describe(reader, inner, limit)?;
        shape.octets = shape.octets.saturating_add(member.octets);
        shape.values = shape.values.saturating_add(member.values);
        shape.fixed &= member.fixed;
    }
    Ok(shape)
}

/// Takes type description and contents and checks them; `depth` containers are open around the compact array, which
/// is one itself.
pub(super) fn check(reader: &mut Reader<'_>, depth: usize, limit: usize) -> Result<(), DecodeError> {
    let start = *reader;
    if depth >= MAX_DEPTH {
        return Err(start.error(DecodeErrorKind::TooDeep));
    }
    let shape = describe(reader, depth.saturating_add(1), limit)?;
    let description = { start }.bytes(start.remaining().saturating_sub(reader.remaining()))?;
    let length = reader.length("compact-array")?;
    let offset = reader.offset();
    let contents_octets = reader.bytes(length)?;
    let mut contents = Reader::with_offset(contents_octets, offset);

    if contents.is_empty() {
        return Ok(());
    }
    let refused = contents.error(DecodeErrorKind::InvalidLength { what: "compact-array" });
    let mut budget = budget(description.len(), contents_octets.len());
    if shape.fixed {
        if contents_octets.len().checked_rem(shape.octets) != Some(0) {
            return Err(refused);
        }
        let count = contents_octets.len().checked_div(shape.octets).unwrap_or(0);
        if count.saturating_mul(shape.values) > budget {
            return Err(contents.error(DecodeErrorKind::TooManyValues));
        }
        return Ok(());
    }
    while !contents.is_empty() {
        budget = budget.checked_sub(shape.values).ok_or(contents.error(DecodeErrorKind::TooManyValues))?;
        skip_content(&mut Reader::new(description), &mut contents).map_err(|error| match error.kind {
            // Nothing that could still arrive would help: the contents are complete.
            DecodeErrorKind::Truncated { .. } => DecodeError { kind: refused.kind, ..error },
            _ => error,
        })?;
    }
    Ok(())
}

/// Values that a compact array with a description and contents of these sizes may hold.
pub(super) const fn budget(description: usize, contents: usize) -> usize {
    description.saturating_add(contents).saturating_mul(COMPACT_VALUES_PER_OCTET)
}

/// Takes type description and contents that were checked before.
pub(super) fn skip_checked(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    description_octets(reader)?;
    reader.octet_string("compact-array").map(|_| ())
}

/// Takes one type description that was checked before.
pub(super) fn description_octets<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let mut start = *reader;
    let mut missing: usize = 1;
    while let Some(rest) = missing.checked_sub(1) {
        missing = match reader.u8()? {
            tag::ARRAY => {
                reader.u16()?;
                missing
            }
            tag::STRUCTURE => rest.saturating_add(reader.length("structure")?),
            _ => rest,
        };
    }
    start.bytes(start.remaining().saturating_sub(reader.remaining()))
}

/// Takes the contents of one element of the type that `types` describes, and the description. Recursion is bounded,
/// as the description was checked before.
pub(super) fn skip_content(types: &mut Reader<'_>, contents: &mut Reader<'_>) -> Result<(), DecodeError> {
    match types.u8()? {
        tag::ARRAY => {
            let count = types.u16()?;
            let element = description_octets(types)?;
            for _ in 0..count {
                skip_content(&mut Reader::new(element), contents)?;
            }
            Ok(())
        }
        tag::STRUCTURE => {
            for _ in 0..types.length("structure")? {
                skip_content(types, contents)?;
            }
            Ok(())
        }
        simple => tag::skip_simple(simple, contents),
    }
}
