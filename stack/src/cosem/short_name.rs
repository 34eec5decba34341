//! Short names: where the attributes and methods of an object are (Blue Book, short name referencing).
//!
//! An object has a base name; its attribute *n* is at base + 8 × (*n* − 1). Where its methods begin is a matter of the
//! class, method *m* being 8 × (*m* − 1) further on. The Association SN's object list says which base names there are.
//!
//! ```
//! use dlms::apdu::MemberDescriptor;
//! use dlms::cosem::short_name::NamedObject;
//! use dlms::cosem::{Attribute, Method, register};
//! use dlms::id::ShortName;
//! use dlms::obis::ObisCode;
//!
//! let energy = NamedObject::new(ShortName(0x2C00), register::CLASS_ID, 0, ObisCode::ACTIVE_IMPORT);
//! assert_eq!(energy.attribute(register::Value::ID), Some(ShortName(0x2C08)));
//! assert_eq!(energy.method(register::Reset::ID), Some(ShortName(0x2C28)));
//! let found = energy.member(ShortName(0x2C08), 3, 1);
//! assert_eq!(found, Some(MemberDescriptor::Attribute(register::Value::of(ObisCode::ACTIVE_IMPORT))));
//! ```

use super::{FromData, ToData, TypeError};
use crate::apdu::{AttributeDescriptor, MemberDescriptor, MethodDescriptor};
use crate::axdr::{BufferFull, Data, Writer};
use crate::id::{AttributeId, ClassId, MethodId, ShortName};
use crate::obis::ObisCode;

/// Distance between the names of two attributes, or two methods, that follow each other.
pub const STRIDE: u16 = 8;

/// Base name of the Association SN object in every logical device.
pub const ASSOCIATION: ShortName = ShortName(0xFA00);
/// Base name of the script table for broadcasts.
pub const BROADCAST_SCRIPT_TABLE: ShortName = ShortName(0xFB00);
/// Base name of the SAP assignment object.
pub const SAP_ASSIGNMENT: ShortName = ShortName(0xFC00);
/// Base name of the logical device name's object.
pub const LOGICAL_DEVICE_NAME: ShortName = ShortName(0xFD00);
/// `object_list` of the Association SN: what a client reads first.
pub const OBJECT_LIST: ShortName = ShortName(0xFA08);

/// Offset of method 1 from the base name; `None` for a class or version whose methods, if it has any, no source places.
#[must_use]
pub fn method_offset(class: ClassId, version: u8) -> Option<u16> {
    super::class_version(class, version)?.short_name_of_methods()
}

/// An object with its base name: an element of the Association SN's `object_list`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NamedObject {
    /// Name of attribute 1.
    pub base: ShortName,
    /// Interface class.
    pub class: ClassId,
    /// Version of the class.
    pub version: u8,
    /// Logical name.
    pub instance: ObisCode,
}

impl NamedObject {
    /// The object at `base`.
    #[must_use]
    pub const fn new(base: ShortName, class: ClassId, version: u8, instance: ObisCode) -> Self {
        Self { base, class, version, instance }
    }

    /// Name of an attribute; `None` for attribute 0, proprietary ones, and names past the end of the address space.
    #[must_use]
    pub const fn attribute(&self, attribute: AttributeId) -> Option<ShortName> {
        at(self.base, 0, attribute.0)
    }

    /// Name of a method; `None` where [`method_offset`] knows no place for the class's methods.
    #[must_use]
    pub fn method(&self, method: MethodId) -> Option<ShortName> {
        at(self.base, method_offset(self.class, self.version)?, method.0)
    }

    /// What `name` stands for in this object, which has so many attributes and methods; `None` for anything else.
    #[must_use]
    pub fn member(&self, name: ShortName, attributes: i8, methods: i8) -> Option<MemberDescriptor> {
        let offset = name.0.checked_sub(self.base.0)?;
        if let Some(attribute) = index(offset, attributes) {
            let attribute = AttributeDescriptor::new(self.class, self.instance, AttributeId(attribute));
            return Some(MemberDescriptor::Attribute(attribute));
        }
        let method = index(offset.checked_sub(method_offset(self.class, self.version)?)?, methods)?;
        Some(MemberDescriptor::Method(MethodDescriptor::new(self.class, self.instance, MethodId(method))))
    }

    /// How far from the base name its last attribute or method is; the next object may begin [`STRIDE`] behind.
    #[must_use]
    pub fn extent(&self, attributes: i8, methods: i8) -> u16 {
        let last = |count: i8| u16::try_from(count).ok()?.checked_sub(1)?.checked_mul(STRIDE);
        let methods = || method_offset(self.class, self.version)?.checked_add(last(methods)?);
        last(attributes).unwrap_or(0).max(methods().unwrap_or(0))
    }
}

/// The name `offset` and `index` - 1 steps behind `base`.
const fn at(base: ShortName, offset: u16, index: i8) -> Option<ShortName> {
    if index < 1 {
        return None;
    }
    let steps = (index.cast_unsigned() as u16).saturating_sub(1).saturating_mul(STRIDE);
    match base.0.checked_add(offset.saturating_add(steps)) {
        Some(name) => Some(ShortName(name)),
        None => None,
    }
}

/// The index, from 1, whose name is `offset` behind the first one.
fn index(offset: u16, count: i8) -> Option<i8> {
    if !offset.is_multiple_of(STRIDE) {
        return None;
    }
    let steps = i8::try_from(offset.checked_div(STRIDE)?).ok()?;
    steps.checked_add(1).filter(|index| *index <= count)
}

impl FromData<'_> for NamedObject {
    const EXPECTED: &'static str = "element of the object list of an association with short names";

    fn from_data(data: Data<'_>) -> Result<Self, TypeError> {
        let refused = TypeError::new(Self::EXPECTED, &data);
        let [base, class, version, instance] = data.as_members().ok_or(refused)?;
        Ok(Self {
            base: FromData::from_data(base)?,
            class: FromData::from_data(class)?,
            version: FromData::from_data(version)?,
            instance: FromData::from_data(instance)?,
        })
    }
}

impl ToData for NamedObject {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.structure(4)?;
        writer.long(self.base.into())?;
        writer.long_unsigned(self.class.0)?;
        writer.unsigned(self.version)?;
        writer.obis(self.instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_to_hls_authentication_is_where_every_implementation_looks_for_it() {
        let association = NamedObject::new(ASSOCIATION, ClassId(12), 1, ObisCode::CURRENT_ASSOCIATION);
        assert_eq!(association.method(MethodId(8)), Some(ShortName(0xFA58)));
        // read_by_logicalname, method 3, is at 30 from version 1 on (Blue Book).
        assert_eq!(association.method(MethodId(3)), Some(ShortName(0xFA30)));
        assert_eq!(association.attribute(AttributeId(2)), Some(OBJECT_LIST));
        assert_eq!(i16::from(association.method(MethodId(8)).unwrap()), crate::association::REPLY_TO_HLS_SHORT_NAME);
    }

    #[test]
    fn names_lead_to_members_and_back() {
        for (class, version, attributes, methods) in
            [(1, 0, 2, 0), (3, 0, 3, 1), (7, 1, 8, 2), (8, 0, 9, 6), (70, 0, 4, 2)]
        {
            let object = NamedObject::new(ShortName(0x1000), ClassId(class), version, ObisCode([1, 2, 3, 4, 5, 6]));
            let mut names = std::vec::Vec::new();
            for attribute in (1..=attributes).map(AttributeId) {
                let name = object.attribute(attribute).unwrap();
                let descriptor = AttributeDescriptor::new(object.class, object.instance, attribute);
                assert_eq!(object.member(name, attributes, methods), Some(MemberDescriptor::Attribute(descriptor)));
                names.push(name);
            }
            for method in (1..=methods).map(MethodId) {
                let name = object.method(method).unwrap();
                let descriptor = MethodDescriptor::new(object.class, object.instance, method);
                assert_eq!(object.member(name, attributes, methods), Some(MemberDescriptor::Method(descriptor)));
                names.push(name);
            }
            let found =
                (0..=u16::MAX).map(ShortName).filter(|name| object.member(*name, attributes, methods).is_some());
            assert_eq!(found.collect::<std::vec::Vec<_>>(), names, "class {class}");
            assert_eq!(object.extent(attributes, methods), names.last().unwrap().0 - 0x1000);
        }
    }

    #[test]
    fn no_attribute_has_the_name_of_a_method() {
        for class in crate::cosem::CLASSES {
            for described in (0..=class.version).filter_map(|version| class.in_version(version)) {
                let object = NamedObject::new(ShortName(0), class.id, described.version(), ObisCode([0; 6]));
                let attributes = described.attributes().filter_map(|info| object.attribute(info.id));
                let methods: std::vec::Vec<_> = described.methods().filter_map(|info| object.method(info.id)).collect();
                let shared = attributes.filter(|name| methods.contains(name)).count();
                assert_eq!(shared, 0, "class {} version {}", class.id, described.version());
            }
        }
        // Published for version 0 only; later versions have attributes there.
        let offset = |class, version| method_offset(ClassId(class), version);
        assert_eq!((offset(40, 0), offset(40, 1)), (Some(0x38), None));
        assert_eq!((offset(72, 0), offset(72, 1)), (Some(0x60), None));
        assert_eq!((offset(65, 0), offset(65, 1)), (Some(0x20), Some(0x40)));
        assert_eq!(offset(12, 4), Some(0x20));
    }

    #[test]
    fn what_has_no_place_has_no_name() {
        let data = NamedObject::new(ShortName(0xFFF8), ClassId(1), 0, ObisCode([0; 6]));
        assert_eq!(data.attribute(AttributeId(2)), None);
        assert_eq!(data.attribute(AttributeId(0)), None);
        assert_eq!(data.method(MethodId(1)), None);
        assert_eq!(data.member(ShortName(0), 2, 0), None);
    }
}
