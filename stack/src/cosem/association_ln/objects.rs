//! The elements of an object list.

use super::{AttributeMode, MethodMode};
use crate::cosem::Array;
use crate::id::{AttributeId, ClassId, MethodId};
use crate::obis::ObisCode;

structure! {
    /// A visible object.
    ObjectListElement<'a> "structure of object list element" {
        /// Interface class.
        class_id: ClassId,
        /// Version of the class.
        version: u8,
        /// Logical name.
        logical_name: ObisCode,
        /// What may be done with it.
        access_rights: AccessRights<'a>,
    }
}

structure! {
    /// What may be done with an object.
    AccessRights<'a> "structure of access rights" {
        /// Rights to each attribute.
        attributes: Array<'a, AttributeAccess<'a>>,
        /// Rights to each method.
        methods: Array<'a, MethodAccess>,
    }
}

structure! {
    /// What may be done with an attribute.
    AttributeAccess<'a> "structure of attribute access" {
        /// The attribute.
        attribute: AttributeId,
        /// What may be done; its meaning depends on the association's version.
        mode: AttributeMode,
        /// Selectors of selective access.
        selectors: Option<Array<'a, i8>>,
    }
}

structure! {
    /// What may be done with a method.
    MethodAccess "structure of method access" {
        /// The method.
        method: MethodId,
        /// What may be done; its meaning depends on the association's version.
        mode: MethodMode,
    }
}

structure! {
    /// An object by class and name.
    ObjectId "structure of class and logical name" {
        /// Interface class.
        class_id: ClassId,
        /// Logical name.
        logical_name: ObisCode,
    }
}
