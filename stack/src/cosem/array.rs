//! Arrays of one type.

use core::fmt;
use core::iter::FusedIterator;

use super::{FromData, ToData, TypeError};
use crate::axdr::{BufferFull, Data, Elements, Sequence, Writer};

/// An array of `T`: a slice, to be written, or elements that were received and are read one by one.
#[derive(Clone, Copy)]
pub enum Array<'a, T> {
    /// Values to be written.
    Values(&'a [T]),
    /// Elements that were received. That they are of type `T` shows when they are read.
    Received(Sequence<'a>),
}

impl<'a, T> Array<'a, T> {
    /// No elements.
    pub const EMPTY: Self = Array::Values(&[]);

    /// How many elements there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Values(values) => values.len(),
            Self::Received(elements) => elements.len(),
        }
    }

    /// Whether there are no elements.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements in order, each with the reason when it is not of type `T`.
    #[must_use]
    pub fn iter(&self) -> Items<'a, T> {
        Items(match self {
            Self::Values(values) => Rest::Values(values.iter()),
            Self::Received(elements) => Rest::Received(elements.iter()),
        })
    }
}

impl<'a, T: FromData<'a> + Copy> Array<'a, T> {
    /// The elements in order, `None` for one that does not have the very type that the class says.
    pub fn exact(&self) -> impl Iterator<Item = Option<T>> + use<'a, T> {
        let mut rest = self.iter().0;
        core::iter::from_fn(move || match &mut rest {
            Rest::Values(values) => values.next().copied().map(Some),
            Rest::Received(elements) => elements.next().map(|element| T::from_exact(&element)),
        })
    }
}

/// Iterator over an [`Array`].
#[derive(Debug)]
pub struct Items<'a, T>(Rest<'a, T>);

#[derive(Debug)]
enum Rest<'a, T> {
    Values(core::slice::Iter<'a, T>),
    Received(Elements<'a>),
}

impl<'a, T: FromData<'a> + Copy> Iterator for Items<'a, T> {
    type Item = Result<T, TypeError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Rest::Values(values) => values.next().copied().map(Ok),
            Rest::Received(elements) => elements.next().map(T::from_data),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Rest::Values(values) => values.size_hint(),
            Rest::Received(elements) => elements.size_hint(),
        }
    }
}

impl<'a, T: FromData<'a> + Copy> ExactSizeIterator for Items<'a, T> {}
impl<'a, T: FromData<'a> + Copy> FusedIterator for Items<'a, T> {}

impl<'a, T: FromData<'a> + Copy> IntoIterator for Array<'a, T> {
    type Item = Result<T, TypeError>;
    type IntoIter = Items<'a, T>;

    fn into_iter(self) -> Items<'a, T> {
        self.iter()
    }
}

impl<'a, T> From<&'a [T]> for Array<'a, T> {
    fn from(values: &'a [T]) -> Self {
        Self::Values(values)
    }
}

impl<'a, T, const N: usize> From<&'a [T; N]> for Array<'a, T> {
    fn from(values: &'a [T; N]) -> Self {
        Self::Values(values)
    }
}

impl<'a, T: FromData<'a> + Copy + PartialEq> PartialEq for Array<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<'a, T: FromData<'a> + Copy + fmt::Debug> fmt::Debug for Array<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: FromData<'a>> FromData<'a> for Array<'a, T> {
    const EXPECTED: &'static str = "array";

    fn from_data(data: Data<'a>) -> Result<Self, TypeError> {
        // Some meters send a structure for an array.
        data.as_sequence().map(Self::Received).ok_or(TypeError::new(Self::EXPECTED, &data))
    }

    fn from_exact(data: &Data<'a>) -> Option<Self> {
        let elements = data.as_array()?;
        elements.iter().all(|element| T::from_exact(&element).is_some()).then_some(Self::Received(elements))
    }

    fn check(data: &Data<'a>) -> Result<(), TypeError> {
        let elements = data.as_array().ok_or(TypeError::new(Self::EXPECTED, data))?;
        elements.iter().try_for_each(|element| T::check(&element))
    }
}

impl<T: ToData> ToData for Array<'_, T> {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        match self {
            Self::Values(values) => {
                writer.array(values.len())?;
                values.iter().try_for_each(|value| value.to_data(writer))
            }
            Self::Received(elements) => Data::Array(*elements).encode(writer),
        }
    }
}
