//! Class 29, Auto connect: when and to whom a modem connects. Version 0 is called PSTN auto dial.

use super::common::Window;
use super::{Array, Enumerated, Zero};

interface_class! {
    "Auto connect" = 29, versions 0..=2, methods at 0x38;
    attributes {
        /// 0 off, 1 any time, 2 in the calling window, 3 regularly in the window and at any time for alarms, 4 to 6 by
        /// SMS or mail, 101 permanently connected, 102 permanently in the window, 103 that and by the method, 104 by the
        /// method only, from 200 the manufacturer's own.
        2 Mode mode/set_mode, static: Enumerated;
        /// Attempts after a failed one.
        3 Repetitions repetitions/set_repetitions, static: u8;
        /// Seconds between attempts.
        4 RepetitionDelay repetition_delay/set_repetition_delay, static: u16;
        /// When connections may be made.
        5 CallingWindow calling_window/set_calling_window, static: Array<'a, Window>;
        /// Numbers to be called.
        6 PhoneList phone_list/set_phone_list, static until 0: Array<'a, &'a [u8]>;
        /// Where to connect to.
        6 DestinationList destination_list/set_destination_list, static since 1: Array<'a, &'a [u8]>;
    }
    methods {
        /// Connects.
        1 Connect connect since 1: Zero;
    }
}
