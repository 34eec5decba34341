//! Class 30, Data protection: attributes and methods of other objects, protected end to end.

use super::push_setup::{ProtectionParameters, PushObjectV1};
use super::{Array, Enumerated};
use crate::id::{ClassId, MethodId};
use crate::obis::ObisCode;

interface_class! {
    "Data protection" = 30, versions 0..=0, methods at 0x30;
    attributes {
        /// The attributes of the list, as one structure under the layers of attribute 4; written, under those of
        /// attribute 5.
        2 ProtectionBuffer protection_buffer/set_protection_buffer, dynamic: &'a [u8];
        /// The attributes.
        3 ProtectionObjectList protection_object_list/set_protection_object_list, static: Array<'a, PushObjectV1<'a>>;
        /// Layers of protection for reading, the innermost first.
        4 ParametersGet protection_parameters_get/set_protection_parameters_get, static:
            Array<'a, ProtectionParameters<'a>>;
        /// Layers of protection for writing, the innermost first.
        5 ParametersSet protection_parameters_set/set_protection_parameters_set, static:
            Array<'a, ProtectionParameters<'a>>;
        /// The least protection that methods demand, in the bits that access rights have in version 3 of an association.
        6 RequiredProtection required_protection/set_required_protection, static: Enumerated;
    }
    methods {
        /// Reads attributes under the protection that is given.
        1 GetProtectedAttributes get_protected_attributes: ProtectedRead<'a> => ProtectedData<'a>;
        /// Writes attributes.
        2 SetProtectedAttributes set_protected_attributes: ProtectedWrite<'a>;
        /// Invokes a method.
        3 InvokeProtectedMethod invoke_protected_method: ProtectedInvocation<'a> => ProtectedData<'a>;
    }
}

structure! {
    /// What to read, and under which protection.
    ProtectedRead<'a> "structure of objects and protection" {
        /// The attributes.
        objects: Array<'a, PushObjectV1<'a>>,
        /// Layers of protection.
        protection_parameters: Array<'a, ProtectionParameters<'a>>,
    }
}

structure! {
    /// What to write.
    ProtectedWrite<'a> "structure of objects, protection and data" {
        /// The attributes.
        objects: Array<'a, PushObjectV1<'a>>,
        /// Layers of protection.
        protection_parameters: Array<'a, ProtectionParameters<'a>>,
        /// The values under them.
        protected_attributes: &'a [u8],
    }
}

structure! {
    /// What to invoke.
    ProtectedInvocation<'a> "structure of method, protection and parameters" {
        /// The method.
        object_method: ObjectMethod,
        /// Layers of protection.
        protection_parameters: Array<'a, ProtectionParameters<'a>>,
        /// Its parameters under them.
        protected_parameters: &'a [u8],
    }
}

structure! {
    /// A method of an object.
    ObjectMethod "structure of class, logical name and method" {
        /// Interface class.
        class_id: ClassId,
        /// Logical name.
        logical_name: ObisCode,
        /// The method.
        method: MethodId,
    }
}

structure! {
    /// What comes back.
    ProtectedData<'a> "structure of protection and data" {
        /// Layers of protection.
        protection_parameters: Array<'a, ProtectionParameters<'a>>,
        /// The data under them.
        protected_data: &'a [u8],
    }
}
