//! Class 122, Function control: functions of the meter that can be switched off.

use super::Array;
use crate::id::ClassId;
use crate::obis::ObisCode;

interface_class! {
    "Function control" = 122, versions 0..=0, methods at 0x20;
    attributes {
        /// Which functions are on.
        2 ActivationStatus activation_status, dynamic: Array<'a, FunctionStatus<'a>>;
        /// What belongs to each function.
        3 FunctionList function_list, static: Array<'a, Function<'a>>;
    }
    methods {
        /// Switches functions on and off.
        1 SetFunctionStatus set_function_status: Array<'a, FunctionStatus<'a>>;
        /// Adds a function.
        2 AddFunction add_function: Function<'a>;
        /// Removes a function.
        3 RemoveFunction remove_function: Function<'a>;
    }
}

structure! {
    /// Whether a function is on.
    FunctionStatus<'a> "structure of function and status" {
        /// Name of the function.
        function_name: &'a [u8],
        /// Whether it is on.
        status: bool,
    }
}

structure! {
    /// What belongs to a function.
    Function<'a> "structure of function and objects" {
        /// Name of the function.
        function_name: &'a [u8],
        /// Its objects.
        objects: Array<'a, FunctionObject>,
    }
}

structure! {
    /// An object of a function.
    FunctionObject "structure of class and logical name" {
        /// Interface class.
        class_id: ClassId,
        /// Logical name.
        logical_name: ObisCode,
    }
}
