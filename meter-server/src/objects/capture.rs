//! References to attributes, as profiles and their clients use them.

use dlms::axdr::{BufferFull, Data, Writer};
use dlms::id::{AttributeId, ClassId};
use dlms::obis::ObisCode;

/// An attribute that a profile captures (class 7, `capture_object_definition`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CaptureObject {
    /// Class of the object.
    pub class: ClassId,
    /// Logical name of the object.
    pub instance: ObisCode,
    /// The attribute.
    pub attribute: AttributeId,
    /// 0 for the whole attribute, n for its n-th element.
    pub data_index: u16,
}

impl CaptureObject {
    /// "No object": all fields zero, as an unsorted profile's `sort_object` has it.
    pub const NONE: Self =
        Self { class: ClassId(0), instance: ObisCode([0; 6]), attribute: AttributeId(0), data_index: 0 };

    /// A whole attribute.
    #[must_use]
    pub const fn whole(class: u16, instance: ObisCode, attribute: i8) -> Self {
        Self { class: ClassId(class), instance, attribute: AttributeId(attribute), data_index: 0 }
    }

    /// The reference in a structure of class, logical name, attribute and data index, whatever integer types it uses.
    #[must_use]
    pub fn from_data(data: Data<'_>) -> Option<Self> {
        let [class, instance, attribute, data_index] = data.as_members()?;
        Some(Self {
            class: ClassId(class.as_u16()?),
            instance: instance.as_obis()?,
            attribute: AttributeId(attribute.as_i8()?),
            data_index: data_index.as_u16()?,
        })
    }

    /// Writes the structure.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn encode(&self, out: &mut Writer<'_>) -> Result<(), BufferFull> {
        out.structure(4)?;
        out.long_unsigned(self.class.0)?;
        out.obis(self.instance)?;
        out.integer(self.attribute.0)?;
        out.long_unsigned(self.data_index)
    }
}
