//! Class 76, DLMS server M-Bus port setup. Known from one source only.

use super::{Array, Enumerated};
use crate::cosem::common::Window;

interface_class! {
    "DLMS server M-Bus port setup" = 76, versions 0..=0;
    attributes {
        /// The M-Bus profile that is used.
        2 ProfileSelection mbus_profile_selection/set_mbus_profile_selection "M-Bus_profile_selection", static: &'a [u8];
        /// State of the port.
        3 PortCommunicationStatus port_communication_status, dynamic: Enumerated;
        /// Kind of the data header.
        4 DataHeaderType data_header_type, dynamic: Enumerated;
        /// Primary address.
        5 PrimaryAddress primary_address/set_primary_address, static: u8;
        /// Number of the device.
        6 IdentificationNumber identification_number, static: u32;
        /// Manufacturer of the device.
        7 ManufacturerId manufacturer_id, static: u16;
        /// Version of the device.
        8 DeviceVersion version "mbus_version", static: u8;
        /// Kind of the device.
        9 DeviceType device_type, static: u8;
        /// Octets of the longest APDU.
        10 MaxPduSize max_pdu_size/set_max_pdu_size, static: u16;
        /// When the port listens.
        11 ListeningWindow listening_window/set_listening_window, static: Array<'a, Window>;
    }
    methods {}
}
