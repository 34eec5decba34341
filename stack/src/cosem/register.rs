//! Class 3, Register: one value with its scaler and unit.

use super::Any;
use crate::unit;

interface_class! {
    "Register" = 3, versions 0..=0;
    attributes {
        /// The value before scaling.
        2 Value "value": Any<'a>;
        /// Scaler and unit of the value.
        3 ScalerUnit "scaler_unit": unit::ScalerUnit;
    }
    methods {
        /// Sets the value to its default.
        1 Reset "reset": i8 => ();
    }
}
