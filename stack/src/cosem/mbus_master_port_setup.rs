//! Class 74, M-Bus master port setup.

use super::common::BaudRate;

interface_class! {
    "M-Bus master port setup" = 74, versions 0..=0;
    attributes {
        /// Baud rate.
        2 CommunicationSpeed comm_speed/set_comm_speed, static: BaudRate;
    }
    methods {}
}
