//! One pass over a value, without recursion: it checks the octets and shows every value in them.

use super::data::simple_values;
use super::tag;
use super::{CompactArray, Data, DecodeError, DecodeErrorKind, MAX_DEPTH, Reader, check, compact};

/// What holds the values that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// An array.
    Array,
    /// A structure.
    Structure,
    /// A compact array; arrays and structures inside it are shown as such.
    CompactArray,
}

/// Sees the parts of a value in the order of their octets.
pub trait Visitor<'a> {
    /// A value that holds no others.
    fn value(&mut self, value: Data<'a>);

    /// The head of a container of `count` values. The count is no more than the octets that are left, but may still
    /// prove wrong: nothing should be reserved for it.
    fn enter(&mut self, container: Container, count: usize) {
        let _ = (container, count);
    }

    /// The end of the container that was entered last.
    fn leave(&mut self) {}
}

impl<'a, V: Visitor<'a> + ?Sized> Visitor<'a> for &mut V {
    fn value(&mut self, value: Data<'a>) {
        (**self).value(value);
    }

    fn enter(&mut self, container: Container, count: usize) {
        (**self).enter(container, count);
    }

    fn leave(&mut self) {
        (**self).leave();
    }
}

/// A container being read: how many values it still misses, and where their types are written.
#[derive(Clone, Copy)]
struct Open<'a> {
    missing: usize,
    types: Types<'a>,
}

#[derive(Clone, Copy)]
enum Types<'a> {
    Tags,
    Members(Reader<'a>),
    Repeated(&'a [u8]),
}

/// Shows one whole value to `visitor`, each octet being read once (a compact array's twice: its elements have to be
/// counted first).
///
/// What comes before an error was shown: a value cut short is not lost as a whole.
///
/// # Errors
/// As [`Data::decode`].
#[inline]
pub fn walk<'a, V: Visitor<'a>>(reader: &mut Reader<'a>, visitor: &mut V) -> Result<(), DecodeError> {
    walk_values(reader, 1, visitor)
}

/// Shows `count` whole values to `visitor`, one after the other.
///
/// # Errors
/// As [`walk`].
pub fn walk_values<'a, V: Visitor<'a>>(
    reader: &mut Reader<'a>,
    count: usize,
    visitor: &mut V,
) -> Result<(), DecodeError> {
    let mut open = Open { missing: count, types: Types::Tags };
    let mut outer = [open; MAX_DEPTH];
    let mut depth: usize = 0;
    loop {
        while open.missing == 0 {
            let Some(above) = depth.checked_sub(1) else { return Ok(()) };
            visitor.leave();
            depth = above;
            open = outer.get(depth).copied().unwrap_or(Open { missing: 0, types: Types::Tags });
        }
        open.missing = open.missing.wrapping_sub(1);

        let start = *reader;
        let inner = match &mut open.types {
            Types::Tags => match reader.u8()? {
                found @ (tag::ARRAY | tag::STRUCTURE) => {
                    let count = check::container_count(reader, found, reader.end())?;
                    // Before it is shown: a visitor may rely on the limit.
                    if depth >= MAX_DEPTH {
                        return Err(start.error(DecodeErrorKind::TooDeep));
                    }
                    visitor.enter(container(found), count);
                    Open { missing: count, types: Types::Tags }
                }
                tag::COMPACT_ARRAY => {
                    compact::check(&mut { *reader }, depth, reader.end())?;
                    let array = CompactArray::decode_checked(&mut { *reader })?;
                    compact::description_octets(reader)?;
                    reader.length("compact-array")?;
                    let count = array.len();
                    visitor.enter(Container::CompactArray, count);
                    Open { missing: count, types: Types::Repeated(array.description()) }
                }
                found => {
                    simple_values!(found, reader, value => visitor.value(value), else {
                        return Err(start.error(DecodeErrorKind::UnexpectedTag { what: "data", found }))
                    });
                    continue;
                }
            },
            Types::Members(types) => match described(types, reader, visitor)? {
                Some(inner) => inner,
                None => continue,
            },
            Types::Repeated(types) => match described(&mut Reader::new(types), reader, visitor)? {
                Some(inner) => inner,
                None => continue,
            },
        };
        *outer.get_mut(depth).ok_or(start.error(DecodeErrorKind::TooDeep))? = open;
        depth = depth.wrapping_add(1);
        open = inner;
    }
}

/// Shows a value inside a compact array; of a container, only the head.
fn described<'a, V: Visitor<'a>>(
    types: &mut Reader<'a>,
    contents: &mut Reader<'a>,
    visitor: &mut V,
) -> Result<Option<Open<'a>>, DecodeError> {
    match types.u8()? {
        tag::ARRAY => {
            let count = usize::from(types.u16()?);
            visitor.enter(Container::Array, count);
            Ok(Some(Open { missing: count, types: Types::Repeated(compact::description_octets(types)?) }))
        }
        tag::STRUCTURE => {
            let count = types.length("structure")?;
            let members = *types;
            for _ in 0..count {
                compact::description_octets(types)?;
            }
            visitor.enter(Container::Structure, count);
            Ok(Some(Open { missing: count, types: Types::Members(members) }))
        }
        found => {
            visitor.value(Data::simple(found, contents)?);
            Ok(None)
        }
    }
}

const fn container(found: u8) -> Container {
    if found == tag::ARRAY { Container::Array } else { Container::Structure }
}
