//! Parts of a long array that arrives in blocks.

pub(crate) use super::check::Scan;
use super::data::simple_values;
use super::{Data, DecodeError, DecodeErrorKind, Reader, compact, tag};

/// What comes before the elements of an array.
pub(crate) enum Head<'a> {
    /// An array: this many elements follow.
    Array {
        /// How many; nothing has confirmed it yet.
        count: usize,
    },
    /// A compact array: this many octets of contents follow.
    Compact {
        /// Type description of the elements.
        description: &'a [u8],
        /// Octets of contents.
        octets: usize,
        /// Values in an element.
        values: usize,
        /// Values that all elements together may have.
        budget: usize,
    },
    /// No array.
    Other {
        /// The type that was found.
        found: &'static str,
    },
}

/// Octets that a type description may have; real ones have tens.
const DESCRIPTION_OCTETS_MAX: usize = 4096;

impl<'a> Head<'a> {
    /// Takes the head; `Truncated` when more octets are needed.
    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut start = *reader;
        match reader.u8()? {
            tag::ARRAY => Ok(Self::Array { count: reader.length("array")? }),
            tag::COMPACT_ARRAY => {
                start = *reader;
                let limit = start.offset().saturating_add(DESCRIPTION_OCTETS_MAX);
                let shape = compact::describe(reader, 1, limit)?;
                let description = { start }.bytes(start.remaining().saturating_sub(reader.remaining()))?;
                let octets = reader.length("compact-array")?;
                if octets > 0 && shape.octets == 0 {
                    return Err(reader.error(DecodeErrorKind::InvalidLength { what: "compact-array" }));
                }
                let budget = compact::budget(description.len(), octets);
                Ok(Self::Compact { description, octets, values: shape.values, budget })
            }
            found => match tag::body(found) {
                tag::Body::Unknown => Err(start.error(DecodeErrorKind::UnexpectedTag { what: "data", found })),
                _ => Ok(Self::Other { found: tag::name(found) }),
            },
        }
    }
}

/// Takes the contents of one element of a compact array whose description was checked; `Truncated` when more octets
/// are needed.
pub(crate) fn skip_row(types: &mut Reader<'_>, contents: &mut Reader<'_>) -> Result<(), DecodeError> {
    compact::skip_content(types, contents)
}

/// Takes the head of a structure: how many members follow, or else the type that was found.
#[inline]
pub(crate) fn structure_head(reader: &mut Reader<'_>) -> Result<Result<usize, &'static str>, DecodeError> {
    let start = *reader;
    match reader.u8()? {
        tag::STRUCTURE => super::check::container_count(reader, tag::STRUCTURE, reader.end()).map(Ok),
        found => match tag::body(found) {
            tag::Body::Unknown => Err(start.error(DecodeErrorKind::UnexpectedTag { what: "data", found })),
            _ => Ok(Err(tag::name(found))),
        },
    }
}

/// A value inside a row.
pub(crate) enum Member<'a, T> {
    /// What was made of a value that holds no others.
    Simple(T),
    /// An array, a structure or a compact array, with its tag and checked.
    Container(&'a [u8]),
}

/// Takes a member of a row, a value inside an array and a structure. A simple one is given to `then`, which is compiled
/// together with reading each type.
#[inline(always)]
pub(crate) fn member<'a, T>(
    reader: &mut Reader<'a>,
    then: impl FnOnce(Data<'a>) -> T,
) -> Result<Member<'a, T>, DecodeError> {
    let mut start = *reader;
    simple_values!(reader.u8()?, reader, value => Ok(Member::Simple(then(value))), else {
        *reader = start;
        Scan::within(2).run(reader, start.end())?;
        start.bytes(start.remaining().saturating_sub(reader.remaining())).map(Member::Container)
    })
}
