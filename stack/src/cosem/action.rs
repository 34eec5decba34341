//! Structures that several classes share: references to values, and scripts to run.

use crate::id::{AttributeId, ClassId};
use crate::obis::ObisCode;

structure! {
    /// An attribute that is watched. Class 0 means none.
    #[derive(Eq, Hash)]
    MonitoredValue "structure of monitored value" {
        /// Interface class of the object.
        class_id: ClassId,
        /// Logical name of the object.
        logical_name: ObisCode,
        /// The attribute.
        attribute_index: AttributeId,
    }
}

structure! {
    /// A script to run.
    #[derive(Eq, Hash)]
    ActionItem "structure of script" {
        /// The script table.
        script_logical_name: ObisCode,
        /// The script in it; 0 does nothing.
        script_selector: u16,
    }
}

structure! {
    /// Scripts to run when a value passes a threshold.
    #[derive(Eq, Hash)]
    ActionSet "structure of two scripts" {
        /// On the way up.
        action_up: ActionItem,
        /// On the way down.
        action_down: ActionItem,
    }
}
