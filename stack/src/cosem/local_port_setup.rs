//! Class 19, IEC local port setup: the optical port and its passwords (IEC 62056-21).

use super::Enumerated;
use super::common::BaudRate;

interface_class! {
    "IEC local port setup" = 19, versions 0..=1;
    attributes {
        /// The protocol that the port begins with.
        2 DefaultMode default_mode/set_default_mode, static: PortMode;
        /// Speed at the opening.
        3 DefaultBaud default_baud/set_default_baud, static: BaudRate;
        /// Highest speed that the meter proposes.
        4 ProposedBaud prop_baud/set_prop_baud, static: BaudRate;
        /// Least time between a request and its answer: 0 for 20 ms, 1 for 200 ms.
        5 ResponseTime response_time/set_response_time, static: Enumerated;
        /// Device address of the opening.
        6 DeviceAddress device_addr/set_device_addr, static: &'a [u8];
        /// Password 1.
        7 Password1 pass_p1/set_pass_p1, secret: &'a [u8];
        /// Password 2.
        8 Password2 pass_p2/set_pass_p2, secret: &'a [u8];
        /// Password W5, for national applications.
        9 PasswordW5 pass_w5/set_pass_w5, secret: &'a [u8];
    }
    methods {}
}

enumeration! {
    /// The protocol that a local port begins with.
    PortMode "default mode" {
        /// IEC 62056-21, modes A to E.
        Iec62056Part21 = 0,
        /// HDLC from the first octet.
        Hdlc = 1,
        /// Not specified; from version 1 on.
        NotSpecified = 2,
    }
}
