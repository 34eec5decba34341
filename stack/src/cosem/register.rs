//! Class 3, Register: one value with its scaler and unit.

use super::{Any, Zero};
use crate::unit;

interface_class! {
    "Register" = 3, versions 0..=0, methods at 0x28;
    attributes {
        /// The value before scaling.
        2 Value value/set_value, dynamic: Any<'a>;
        /// Scaler and unit of the value.
        3 ScalerUnit scaler_unit/set_scaler_unit, static: unit::ScalerUnit;
    }
    methods {
        /// Sets the value to its default.
        1 Reset reset: Zero;
    }
}
