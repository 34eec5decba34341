//! Class 17, SAP assignment: the logical devices behind one address.

use super::Array;

interface_class! {
    "SAP assignment" = 17, versions 0..=0, methods at 0x20;
    attributes {
        /// The logical devices.
        2 AssignmentList list/set_list "SAP_assignment_list", static: Array<'a, Assignment<'a>>;
    }
    methods {
        /// Connects a logical device to a SAP; SAP 0 disconnects it.
        1 ConnectLogicalDevice connect_logical_device: Assignment<'a>;
    }
}

structure! {
    /// A logical device and its SAP.
    Assignment<'a> "structure of SAP and logical device name" {
        /// Server SAP.
        sap: u16,
        /// COSEM logical device name, up to 16 octets.
        logical_device_name: &'a [u8],
    }
}
