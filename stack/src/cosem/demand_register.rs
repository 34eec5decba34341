//! Class 5, Demand register: averages over a period, block or sliding.

use super::{Any, Zero};
use crate::{time::DateTime, unit};

interface_class! {
    "Demand register" = 5, versions 0..=0, methods at 0x48;
    attributes {
        /// Average of the running period: what was used since its start over the whole period's length, so that it
        /// climbs from 0.
        2 CurrentAverageValue current_average_value, dynamic: Any<'a>;
        /// Average of the last complete period.
        3 LastAverageValue last_average_value, dynamic: Any<'a>;
        /// Scaler and unit of both averages.
        4 ScalerUnit scaler_unit/set_scaler_unit, static: unit::ScalerUnit;
        /// Status of the last average, in the manufacturer's terms.
        5 Status status, dynamic: Any<'a>;
        /// End of the last complete period.
        6 CaptureTime capture_time, dynamic: DateTime;
        /// Start of the running period.
        7 StartTimeCurrent start_time_current, dynamic: DateTime;
        /// Seconds after which a new average is there.
        8 Period period/set_period, static: u32;
        /// Periods that an average covers: 1 for block demand, more for sliding demand.
        9 NumberOfPeriods number_of_periods/set_number_of_periods, static: u16;
    }
    methods {
        /// Clears both averages and starts anew.
        1 Reset reset: Zero;
        /// Ends the running period early.
        2 NextPeriod next_period: Zero;
    }
}
