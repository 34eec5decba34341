//! What a server's objects answer with.

use core::marker::PhantomData;

use super::{Array, Attribute, FromData, Method, ToData};
use crate::apdu::{ActionResult, DataAccessResult, Selection};
use crate::association::server::{Cursor, Progress};
use crate::axdr::{Data, Writer};
use crate::id::{AttributeId, MethodId};

/// One part of an attribute that a client asked for: which, and the place for it. For what a part is, see
/// [`Device::read`](crate::association::server::Device::read).
#[derive(Debug)]
pub struct Part<'r, 'w> {
    /// What of the attribute the client wants.
    pub selection: Option<Selection<'r>>,
    /// Which part.
    pub cursor: &'r mut Cursor,
    /// Where it is written to.
    pub out: &'r mut Writer<'w>,
}

/// The place for one part of the attribute `A`.
#[derive(Debug)]
pub struct Answer<'r, 'w, A> {
    part: Part<'r, 'w>,
    attribute: PhantomData<fn(A)>,
}

/// An array type: its elements can be answered one by one.
pub trait Elements {
    /// What it is an array of.
    type Element: ToData;
}

impl<T: ToData> Elements for Array<'_, T> {
    type Element = T;
}

impl<'r, 'w, A> From<Part<'r, 'w>> for Answer<'r, 'w, A> {
    fn from(part: Part<'r, 'w>) -> Self {
        Self { part, attribute: PhantomData }
    }
}

impl<'r, 'w, A: Attribute> Answer<'r, 'w, A> {
    /// Answers with the whole value.
    ///
    /// # Errors
    /// `OtherReason` when the value does not fit. The server's own writer never refuses octets.
    pub fn value(self, value: &A::Value<'_>) -> Result<Progress, DataAccessResult> {
        self.written(|out| A::encode(value, out))
    }

    /// Answers with element after element of an array of `count`, each asked for when there is room for it, so that the
    /// array never has to be in memory. An array that may change meanwhile notes in the [`Cursor`] what it began with.
    ///
    /// # Errors
    /// As [`value`](Self::value), and what `element` gives, which is asked for the element with an index from 0.
    pub fn elements<'v>(
        self,
        count: usize,
        element: impl FnOnce(usize) -> Result<<A::Value<'v> as Elements>::Element, DataAccessResult>,
    ) -> Result<Progress, DataAccessResult>
    where
        A::Value<'v>: Elements,
    {
        let Part { cursor, out, .. } = self.part;
        let part = usize::try_from(cursor.part).map_err(|_| DataAccessResult::OtherReason)?;
        match part.checked_sub(1) {
            None => out.array(count),
            Some(index) => element(index)?.to_data(out),
        }?;
        Ok(if part < count { Progress::More } else { Progress::Done })
    }

    /// Answers with whatever `write` writes, which must be the whole value.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn written<E>(self, write: impl FnOnce(&mut Writer<'w>) -> Result<(), E>) -> Result<Progress, DataAccessResult>
    where
        DataAccessResult: From<E>,
    {
        write(self.part.out)?;
        Ok(Progress::Done)
    }

    /// The part without the attribute's type, for values that come from elsewhere.
    #[must_use]
    pub fn into_part(self) -> Part<'r, 'w> {
        self.part
    }
}

/// The place for what the method `M` gives back.
#[derive(Debug)]
pub struct Reply<'r, 'w, M> {
    out: &'r mut Writer<'w>,
    method: PhantomData<fn(M)>,
}

impl<'r, 'w, M> From<&'r mut Writer<'w>> for Reply<'r, 'w, M> {
    fn from(out: &'r mut Writer<'w>) -> Self {
        Self { out, method: PhantomData }
    }
}

impl<M: Method> Reply<'_, '_, M> {
    /// Gives back `value`.
    ///
    /// # Errors
    /// `OtherReason` when the value does not fit. The server's own writer never refuses octets.
    pub fn value(self, value: &M::Reply<'_>) -> Result<(), ActionResult> {
        Ok(value.to_data(self.out)?)
    }
}

/// The value of the very type, for the dispatchers of the classes.
pub(super) fn exactly<'a, T: FromData<'a>>(data: &Data<'a>) -> Option<T> {
    T::from_exact(data)
}

/// Whether `id` is `A` in this version of the class.
pub(super) fn has_attribute<A: Attribute>(version: u8, id: AttributeId) -> bool {
    A::ID == id && A::VERSIONS.contains(&version)
}

/// Whether `id` is `M` in this version of the class.
pub(super) fn has_method<M: Method>(version: u8, id: MethodId) -> bool {
    M::ID == id && M::VERSIONS.contains(&version)
}
