//! The elements of an object list: in each version of the association, and without knowing the version yet.

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

/// The elements of an object list in one version of the association.
macro_rules! object_list {
    ($(#[$doc:meta])* $module:ident = $version:literal) => {
        $(#[$doc])*
        pub mod $module {
            use crate::cosem::Array;
            use crate::id::{AttributeId, ClassId, MethodId};
            use crate::obis::ObisCode;

            /// What may be done with an attribute.
            pub type AttributeMode = crate::cosem::association_ln::AttributeModeOf<$version>;
            /// What may be done with a method.
            pub type MethodMode = crate::cosem::association_ln::MethodModeOf<$version>;

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
                    /// What may be done.
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
                    /// What may be done.
                    mode: MethodMode,
                }
            }
        }
    };
}

object_list! {
    /// Version 0: modes of attributes are 0 to 3, those of methods booleans.
    v0 = 0
}
object_list! {
    /// Versions 1 and 2: modes of attributes are 0 to 6, those of methods 0 to 2.
    v1 = 1
}
object_list! {
    /// Version 3: modes are bit sets.
    v3 = 3
}
