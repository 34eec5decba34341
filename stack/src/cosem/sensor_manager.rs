//! Class 67, Sensor manager: a sensor, its raw value and the value that is made of it.

use super::action::{ActionSet, MonitoredValue};
use super::{Any, Array, Enumerated, Tagged, Zero};
use crate::unit;

interface_class! {
    "Sensor manager" = 67, versions 0..=0, methods at 0x80;
    attributes {
        /// Serial number of the sensor.
        2 SerialNumber serial_number/set_serial_number, static: &'a [u8];
        /// Identification of the sensor in legal metrology.
        3 MetrologicalIdentification metrological_identification/set_metrological_identification, static: &'a [u8];
        /// Physical output: 1 to 5 as the Blue Book lists them.
        4 OutputType output_type/set_output_type, static: Enumerated;
        /// How the sensor is adjusted.
        5 AdjustmentMethod adjustment_method/set_adjustment_method, static: &'a [u8];
        /// How the sensor is sealed.
        6 SealingMethod sealing_method/set_sealing_method, static: Enumerated;
        /// What the sensor says.
        7 RawValue raw_value, dynamic: Any<'a>;
        /// Scaler and unit of the raw value.
        8 ScalerUnit scaler_unit, static: unit::ScalerUnit;
        /// Status of the raw value, in the manufacturer's terms.
        9 Status status, dynamic: Any<'a>;
        /// When the raw value was taken.
        10 CaptureTime capture_time, dynamic: Tagged;
        /// Thresholds of the raw value.
        11 RawValueThresholds raw_value_thresholds/set_raw_value_thresholds, static: Array<'a, Any<'a>>;
        /// What is done at each threshold of the raw value.
        12 RawValueActions raw_value_actions/set_raw_value_actions, static: Array<'a, ActionSet>;
        /// The value that is made of the raw one.
        13 ProcessedValue processed_value/set_processed_value, static: MonitoredValue;
        /// Thresholds of the processed value.
        14 ProcessedValueThresholds processed_value_thresholds/set_processed_value_thresholds, static:
            Array<'a, Any<'a>>;
        /// What is done at each threshold of the processed value.
        15 ProcessedValueActions processed_value_actions/set_processed_value_actions, static: Array<'a, ActionSet>;
    }
    methods {
        /// Resets the raw value.
        1 Reset reset: Zero;
    }
}
