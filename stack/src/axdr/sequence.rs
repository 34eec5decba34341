//! The elements of an array or structure, borrowed from the octets that were received.

use core::iter::FusedIterator;

use super::{BufferFull, Data, Reader, Writer};

/// The elements of an array, a structure or a compact array. They were checked when the value around them was
/// decoded, so reading them cannot fail.
#[derive(Clone, Copy, PartialEq)]
pub struct Sequence<'a> {
    octets: &'a [u8],
    count: usize,
    types: Types<'a>,
}

/// Where the types of the elements are written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Types<'a> {
    /// In a tag before each element.
    Tags,
    /// In a compact array's type description, one after the other.
    Members(&'a [u8]),
    /// In a compact array's type description, once for all.
    Repeated(&'a [u8]),
}

impl<'a> Sequence<'a> {
    /// No elements.
    pub const EMPTY: Self = Sequence { octets: &[], count: 0, types: Types::Tags };

    pub(super) const fn tagged(octets: &'a [u8], count: usize) -> Self {
        Self { octets, count, types: Types::Tags }
    }

    pub(super) const fn members(octets: &'a [u8], count: usize, types: &'a [u8]) -> Self {
        Self { octets, count, types: Types::Members(types) }
    }

    pub(super) const fn repeated(octets: &'a [u8], count: usize, types: &'a [u8]) -> Self {
        Self { octets, count, types: Types::Repeated(types) }
    }

    /// How many elements there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no elements.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The elements as they were encoded, one after the other: with their tags, except inside a compact array, whose
    /// elements have none (see [`is_tagged`](Self::is_tagged)).
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.octets
    }

    /// Whether each element in [`bytes`](Self::bytes) has its tag: so everywhere but inside a compact array.
    #[must_use]
    pub const fn is_tagged(&self) -> bool {
        matches!(self.types, Types::Tags)
    }

    /// The elements in order. Nested arrays are stepped over, not entered.
    #[must_use]
    pub const fn iter(&self) -> Elements<'a> {
        Elements { octets: Reader::new(self.octets), missing: self.count, types: self.types }
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        if self.is_tagged() {
            return writer.bytes(self.octets);
        }
        self.iter().try_for_each(|element| element.encode(writer))
    }

    /// The `index`-th element, counted from 0; reads over those before it.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Data<'a>> {
        self.iter().nth(index)
    }

    /// The elements as an array, or `None` when there are not exactly `N`.
    #[must_use]
    pub fn to_array<const N: usize>(&self) -> Option<[Data<'a>; N]> {
        if self.count != N {
            return None;
        }
        let mut elements = [Data::Null; N];
        for (place, element) in elements.iter_mut().zip(self) {
            *place = element;
        }
        Some(elements)
    }
}

impl core::fmt::Debug for Sequence<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for Sequence<'a> {
    type Item = Data<'a>;
    type IntoIter = Elements<'a>;

    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Sequence<'a> {
    type Item = Data<'a>;
    type IntoIter = Elements<'a>;

    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}

/// Iterator over the elements of a [`Sequence`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    octets: Reader<'a>,
    missing: usize,
    types: Types<'a>,
}

impl core::fmt::Debug for Types<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Tags => "Tags",
            Self::Members(_) => "Members",
            Self::Repeated(_) => "Repeated",
        })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Data<'a>;

    // Checked octets cannot fail; were it otherwise, ending would be all that is left to do.
    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    fn next(&mut self) -> Option<Data<'a>> {
        self.missing = self.missing.checked_sub(1)?;
        match &mut self.types {
            Types::Tags => Data::from_checked(&mut self.octets),
            Types::Members(types) => {
                let mut reader = Reader::new(types);
                let element = Data::from_described(&mut reader, &mut self.octets);
                *types = reader.rest();
                element
            }
            Types::Repeated(types) => Data::from_described(&mut Reader::new(types), &mut self.octets),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.missing, Some(self.missing))
    }
}

impl ExactSizeIterator for Elements<'_> {}
impl FusedIterator for Elements<'_> {}
