//! Class 153, CoAP diagnostic. Known from one source only.

use super::mbus_diagnostic::AttributeChange;
use super::{Any, Zero};

interface_class! {
    "CoAP diagnostic" = 153, versions 0..=0, methods at 0x30;
    attributes {
        /// Messages: a structure of ten counters.
        2 MessagesCounter messages_counter, dynamic: Any<'a>;
        /// Requests and responses: a structure of eight counters.
        3 RequestResponseCounter request_response_counter, dynamic: Any<'a>;
        /// Block transfers: a structure of three counters.
        4 BlockTransferCounter block_transfer_counter, dynamic: Any<'a>;
        /// The attribute that changed last, and when.
        5 CaptureTime capture_time, dynamic: AttributeChange;
    }
    methods {
        /// Clears all counters.
        1 Reset reset: Zero;
    }
}
