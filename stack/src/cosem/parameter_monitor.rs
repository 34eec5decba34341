//! Class 65, Parameter monitor: the last change of one of several parameters.

use super::{Any, Array, Enumerated};
use crate::id::{AttributeId, ClassId};
use crate::obis::ObisCode;
use crate::time::DateTime;

interface_class! {
    "Parameter monitor" = 65, versions 0..=1, methods at 0x20, 0x40 since 1;
    attributes {
        /// The parameter that was changed last, with its new value.
        2 Changed changed_parameter, dynamic: ChangedParameter<'a>;
        /// When it was changed.
        3 CaptureTime capture_time, dynamic: DateTime;
        /// The parameters that are watched.
        4 ParameterList parameter_list/set_parameter_list, static: Array<'a, Parameter>;
        /// Name of the list.
        5 ListName parameter_list_name/set_parameter_list_name, static since 1: &'a [u8];
        /// Algorithm of the digest.
        6 HashAlgorithm hash_algorithm_id/set_hash_algorithm_id, static since 1: Enumerated;
        /// Digest of the values of all parameters.
        7 Digest parameter_value_digest, dynamic since 1: &'a [u8];
        /// The values of all parameters.
        8 Values parameter_values, dynamic since 1: Any<'a>;
    }
    methods {
        /// Watches one parameter more.
        1 AddParameter add_parameter: Parameter;
        /// Watches one parameter less.
        2 DeleteParameter delete_parameter: Parameter;
    }
}

structure! {
    /// A parameter.
    Parameter "structure of parameter" {
        /// Interface class of the object.
        class_id: ClassId,
        /// Logical name of the object.
        logical_name: ObisCode,
        /// The attribute.
        attribute_index: AttributeId,
    }
}

structure! {
    /// A parameter and its value.
    ChangedParameter<'a> "structure of parameter and value" {
        /// Interface class of the object.
        class_id: ClassId,
        /// Logical name of the object.
        logical_name: ObisCode,
        /// The attribute.
        attribute_index: AttributeId,
        /// The value.
        attribute_value: Any<'a>,
    }
}
