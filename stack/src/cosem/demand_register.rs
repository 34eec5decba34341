//! Class 5, Demand register: averages over a period, block or sliding.

use super::Any;
use crate::{time::DateTime, unit};

interface_class! {
    "Demand register" = 5, versions 0..=0;
    attributes {
        /// Average of the running period: what was used since its start over the whole period's length, so that it
        /// climbs from 0.
        2 CurrentAverageValue "current_average_value": Any<'a>;
        /// Average of the last complete period.
        3 LastAverageValue "last_average_value": Any<'a>;
        /// Scaler and unit of both averages.
        4 ScalerUnit "scaler_unit": unit::ScalerUnit;
        /// Status of the last average, in the manufacturer's terms.
        5 Status "status": Any<'a>;
        /// End of the last complete period.
        6 CaptureTime "capture_time": DateTime;
        /// Start of the running period.
        7 StartTimeCurrent "start_time_current": DateTime;
        /// Seconds after which a new average is there.
        8 Period "period": u32;
        /// Periods that an average covers: 1 for block demand, more for sliding demand.
        9 NumberOfPeriods "number_of_periods": u16;
    }
    methods {
        /// Clears both averages and starts anew.
        1 Reset "reset": i8 => ();
        /// Ends the running period early.
        2 NextPeriod "next_period": i8 => ();
    }
}
