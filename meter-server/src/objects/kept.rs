//! Attributes that stay as they are until somebody writes them.

use dlms::apdu::DataAccessResult;
use dlms::axdr::{BufferFull, Data, Writer};
use dlms::cosem::FromData;
use dlms::id::AttributeId;

use crate::object::Context;

/// Where the attributes of an object are kept, each as A-XDR `Data`: in flash, or in a simulator's map.
pub trait Kept<S: ?Sized> {
    /// The attribute as it is. Empty for one that the object has not.
    fn kept<'a>(&'a self, state: &'a S, attribute: AttributeId) -> &'a [u8];

    /// Keeps what `write` writes as the attribute from now on.
    ///
    /// # Errors
    /// What the client gets, as when there is no room; the attribute is unchanged then.
    fn keep(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        attribute: AttributeId,
        write: &dyn Fn(&mut Writer<'_>) -> Result<(), BufferFull>,
    ) -> Result<(), DataAccessResult>;
}

/// The attribute as the type that it has; `None` when it is not of that type.
pub fn kept_value<'a, T: FromData<'a>>(octets: &'a [u8]) -> Option<T> {
    T::from_data(Data::from_slice(octets).ok()?).ok()
}
