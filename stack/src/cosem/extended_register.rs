//! Class 4, Extended register: a value with the time and the status of its capture.

use super::Any;
use crate::{time::DateTime, unit};

interface_class! {
    "Extended register" = 4, versions 0..=0;
    attributes {
        /// The value before scaling.
        2 Value "value": Any<'a>;
        /// Scaler and unit of the value.
        3 ScalerUnit "scaler_unit": unit::ScalerUnit;
        /// Status of the value, in the manufacturer's terms.
        4 Status "status": Any<'a>;
        /// When the value was captured.
        5 CaptureTime "capture_time": DateTime;
    }
    methods {
        /// Sets the value to its default.
        1 Reset "reset": i8 => ();
    }
}
