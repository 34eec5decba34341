//! Class 28, Auto answer: which calls a modem takes.

use super::common::Window;
use super::{Any, Array, Enumerated};

interface_class! {
    "Auto answer" = 28, versions 0..=2;
    attributes {
        /// 0 dedicated line, 1 limited number of calls, 2 limited number of successful connections, 3 no modem, from
        /// 200 the manufacturer's own.
        2 Mode mode/set_mode, static: Enumerated;
        /// When calls are taken.
        3 ListeningWindow listening_window/set_listening_window, static: Array<'a, Window>;
        /// Whether calls are taken at this moment.
        4 Status status, dynamic: AnswerStatus;
        /// Calls, or connections, after which no more are taken.
        5 NumberOfCalls number_of_calls/set_number_of_calls, static: u8;
        /// Rings after which a call is taken.
        6 NumberOfRings number_of_rings/set_number_of_rings, static: Rings;
        /// Callers that are let in. Version 1 was never published; its types differ between meters.
        7 ListOfAllowedCallersV1 list_of_allowed_callers_v1/set_list_of_allowed_callers_v1 "list_of_allowed_callers",
            static since 1 until 1: Any<'a>;
        /// Callers that are let in.
        7 ListOfAllowedCallers list_of_allowed_callers/set_list_of_allowed_callers, static since 2:
            Array<'a, AllowedCaller<'a>>;
        /// Callers and what they set off. Version 1 was never published; its types differ between meters.
        8 ListOfCallersAndActions list_of_callers_and_actions/set_list_of_callers_and_actions, static since 1 until 1:
            Any<'a>;
    }
    methods {}
}

enumeration! {
    /// Whether calls are taken.
    AnswerStatus "status of auto answer" {
        /// They are not.
        Inactive = 0,
        /// They are.
        Active = 1,
        /// They are not until the next listening window: the number of calls was reached.
        Locked = 2,
    }
}

structure! {
    /// Rings after which a call is taken.
    #[derive(Eq, Hash)]
    Rings "structure of numbers of rings" {
        /// Within the listening window.
        in_window: u8,
        /// Outside of it; 0 for never.
        outside_window: u8,
    }
}

structure! {
    /// A caller that is let in.
    #[derive(Eq, Hash)]
    AllowedCaller<'a> "structure of caller and call type" {
        /// Number of the caller; `?` stands for one digit, `*` for any number of them.
        caller_id: &'a [u8],
        /// 0 data call, 1 wake-up.
        call_type: Enumerated,
    }
}
