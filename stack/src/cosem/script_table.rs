//! Class 9, Script table: series of writes and method calls that run together.

use super::{Any, Array};
use crate::id::ClassId;
use crate::obis::ObisCode;

interface_class! {
    "Script table" = 9, versions 0..=0, methods at 0x20;
    attributes {
        /// The scripts.
        2 Scripts scripts/set_scripts, static: Array<'a, Script<'a>>;
    }
    methods {
        /// Runs the script with this identifier; 0 does nothing.
        1 Execute execute: u16;
    }
}

structure! {
    /// A script.
    Script<'a> "structure of script identifier and actions" {
        /// Identifier, from 1.
        script_identifier: u16,
        /// What it does, in order.
        actions: Array<'a, ActionSpecification<'a>>,
    }
}

structure! {
    /// One step of a script.
    ActionSpecification<'a> "structure of action specification" {
        /// Write or invoke.
        service: ScriptService,
        /// Interface class.
        class_id: ClassId,
        /// Logical name.
        logical_name: ObisCode,
        /// The attribute or method.
        index: i8,
        /// What is written, or the method's parameter.
        parameter: Any<'a>,
    }
}

enumeration! {
    /// What a step of a script does.
    ScriptService "service identifier" {
        /// Writes an attribute.
        WriteAttribute = 1,
        /// Invokes a method.
        InvokeMethod = 2,
    }
}
