//! Class 4, Extended register: a value with the time and the status of its capture.

use super::{Any, Zero};
use crate::{time::DateTime, unit};

interface_class! {
    "Extended register" = 4, versions 0..=0, methods at 0x38;
    attributes {
        /// The value before scaling.
        2 Value value/set_value, dynamic: Any<'a>;
        /// Scaler and unit of the value.
        3 ScalerUnit scaler_unit/set_scaler_unit, static: unit::ScalerUnit;
        /// Status of the value, in the manufacturer's terms.
        4 Status status, dynamic: Any<'a>;
        /// When the value was captured.
        5 CaptureTime capture_time, dynamic: DateTime;
    }
    methods {
        /// Sets the value to its default.
        1 Reset reset: Zero;
    }
}
