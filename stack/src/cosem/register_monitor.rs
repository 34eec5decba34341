//! Class 21, Register monitor: scripts for when a value crosses a threshold.

use super::action::{ActionSet, MonitoredValue};
use super::{Any, Array};

interface_class! {
    "Register monitor" = 21, versions 0..=0;
    attributes {
        /// The thresholds, of the type of the monitored value.
        2 Thresholds thresholds/set_thresholds, static: Array<'a, Any<'a>>;
        /// What is compared with them.
        3 Monitored monitored_value/set_monitored_value, static: MonitoredValue;
        /// What runs when a threshold is crossed, one for each.
        4 Actions actions/set_actions, static: Array<'a, ActionSet>;
    }
    methods {}
}
