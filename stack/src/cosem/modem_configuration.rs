//! Class 27, Modem configuration.

use super::Array;
use super::common::BaudRate;

interface_class! {
    "Modem configuration" = 27, versions 0..=1;
    attributes {
        /// Speed between meter and modem.
        2 CommSpeed comm_speed/set_comm_speed, static: BaudRate;
        /// What is sent to the modem at its start, and what it has to answer.
        3 InitializationStringV0 initialization_string_v0/set_initialization_string_v0 "initialization_string",
            static until 0: Array<'a, InitializationV0<'a>>;
        /// What is sent to the modem at its start, what it has to answer, and the pause after that.
        3 InitializationString initialization_string/set_initialization_string, static since 1:
            Array<'a, Initialization<'a>>;
        /// The modem's texts for "OK", "CONNECT", "RING" and so on.
        4 ModemProfile modem_profile/set_modem_profile, static: Array<'a, &'a [u8]>;
    }
    methods {}
}

structure! {
    /// A step of a modem's start, in version 0.
    #[derive(Eq, Hash)]
    InitializationV0<'a> "structure of request and response" {
        /// What is sent.
        request: &'a [u8],
        /// What has to be answered.
        response: &'a [u8],
    }
}

structure! {
    /// A step of a modem's start.
    #[derive(Eq, Hash)]
    Initialization<'a> "structure of request, response and delay" {
        /// What is sent.
        request: &'a [u8],
        /// What has to be answered.
        response: &'a [u8],
        /// Milliseconds until the next step.
        delay_after_response: u16,
    }
}
