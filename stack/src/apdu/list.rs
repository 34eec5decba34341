//! SEQUENCE OF, for sending and as received.

use core::fmt;

use crate::axdr::{BufferFull, DecodeErrorKind, Writer};
use crate::wire::{Cursor, Refused, Wire};

/// A list of `T`: a slice of values to be sent, or octets received and already checked.
///
/// Received octets are checked once, when the APDU is decoded; going through them again cannot fail and takes
/// no memory, however long the list is.
#[derive(Clone, Copy)]
pub struct List<'a, T> {
    items: Items<'a, T>,
}

#[derive(Clone, Copy)]
enum Items<'a, T> {
    Values(&'a [T]),
    /// `count` items, all of them known to decode.
    Encoded {
        count: usize,
        octets: &'a [u8],
    },
}

impl<T> List<'_, T> {
    /// How many items there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.items {
            Items::Values(values) => values.len(),
            Items::Encoded { count, .. } => count,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a, T: Wire<'a> + Copy> List<'a, T> {
    /// The items in order.
    #[must_use]
    pub const fn iter(&self) -> Iter<'a, T> {
        Iter {
            items: match self.items {
                Items::Values(values) => Remaining::Values(values),
                Items::Encoded { count, octets } => Remaining::Encoded { count, cursor: Cursor::new(octets) },
            },
        }
    }

    /// The item at `index`; received items in front of it are walked over.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<T> {
        self.iter().nth(index)
    }
}

impl<'a, T> From<&'a [T]> for List<'a, T> {
    fn from(values: &'a [T]) -> Self {
        Self { items: Items::Values(values) }
    }
}

impl<'a, T, const N: usize> From<&'a [T; N]> for List<'a, T> {
    fn from(values: &'a [T; N]) -> Self {
        Self::from(values.as_slice())
    }
}

impl<'a, T: Wire<'a> + Copy + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<'a, T: Wire<'a> + Copy + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Wire<'a> + Copy> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Wire<'a> + Copy> Wire<'a> for List<'a, T> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        const WHAT: &str = "list";
        let at = cursor.offset();
        let count = cursor.length(WHAT)?;
        // Refuses an impossible count before any work is spent on it.
        if count > cursor.remaining().checked_div(T::SMALLEST).unwrap_or_default() {
            return Err(cursor.refuse(at, DecodeErrorKind::InvalidLength { what: WHAT }));
        }
        let before = cursor.rest();
        for _ in 0..count {
            T::read(cursor)?;
        }
        let taken = before.len().saturating_sub(cursor.remaining());
        let octets = before.get(..taken).unwrap_or_default();
        Ok(Self { items: Items::Encoded { count, octets } })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.length(self.len())?;
        self.iter().try_for_each(|item| item.write(writer))
    }
}

/// The items of a [`List`].
#[derive(Clone, Copy, Debug)]
pub struct Iter<'a, T> {
    items: Remaining<'a, T>,
}

#[derive(Clone, Copy, Debug)]
enum Remaining<'a, T> {
    Values(&'a [T]),
    Encoded { count: usize, cursor: Cursor<'a> },
}

impl<'a, T: Wire<'a> + Copy> Iterator for Iter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.items {
            Remaining::Values(values) => {
                let (first, rest) = values.split_first()?;
                *values = rest;
                Some(*first)
            }
            Remaining::Encoded { count, cursor } => {
                *count = count.checked_sub(1)?;
                T::read(cursor).ok()
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = match &self.items {
            Remaining::Values(values) => values.len(),
            Remaining::Encoded { count, .. } => *count,
        };
        (count, Some(count))
    }
}

impl<'a, T: Wire<'a> + Copy> ExactSizeIterator for Iter<'a, T> {}
