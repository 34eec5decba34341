//! Class 25, M-Bus slave port setup.

use super::common::BaudRate;

interface_class! {
    "M-Bus slave port setup" = 25, versions 0..=0;
    attributes {
        /// Speed at the opening.
        2 DefaultBaud default_baud/set_default_baud, static: BaudRate;
        /// Speed that can be chosen.
        3 AvailableBaud avail_baud/set_avail_baud, static: BaudRate;
        /// Whether the port has an address.
        4 State addr_state, dynamic: AddressState;
        /// The address.
        5 BusAddress bus_address/set_bus_address, static: u8;
    }
    methods {}
}

enumeration! {
    /// Whether a port has an address.
    AddressState "address state" {
        /// It has none.
        NotAssigned = 0,
        /// It has one.
        Assigned = 1,
    }
}
