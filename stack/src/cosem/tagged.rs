//! Date-times with a tag of their own.

use super::{FromData, ToData, TypeError};
use crate::axdr::{BufferFull, Data, Writer};
use crate::time::DateTime;

/// A date-time of an attribute whose type is `date-time` and not an octet-string: written with tag 25. Read in either
/// form, as meters mix them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tagged(pub DateTime);

impl FromData<'_> for Tagged {
    const EXPECTED: &'static str = DateTime::EXPECTED;

    fn from_data(data: Data<'_>) -> Result<Self, TypeError> {
        DateTime::from_data(data).map(Self)
    }

    fn from_exact(data: &Data<'_>) -> Option<Self> {
        if let Data::DateTime(value) = *data { Some(Self(value)) } else { None }
    }
}

impl ToData for Tagged {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        Data::DateTime(self.0).encode(writer)
    }
}
