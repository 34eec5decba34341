//! Class 71, Limiter: runs a script when a value is over its threshold for too long.

use super::action::{ActionItem, MonitoredValue};
use super::{Any, Array};
use crate::time::DateTime;

interface_class! {
    "Limiter" = 71, versions 0..=0;
    attributes {
        /// The value that is watched; class 0 switches the limiter off.
        2 Monitored monitored_value/set_monitored_value, static: MonitoredValue;
        /// The threshold that counts now, in the monitored value's own numbers.
        3 ThresholdActive threshold_active, dynamic: Any<'a>;
        /// The threshold as a rule.
        4 ThresholdNormal threshold_normal/set_threshold_normal, static: Any<'a>;
        /// The threshold while the emergency profile is active.
        5 ThresholdEmergency threshold_emergency/set_threshold_emergency, static: Any<'a>;
        /// Seconds over the threshold before the script runs.
        6 MinOverThreshold min_over_threshold_duration/set_min_over_threshold_duration, static: u32;
        /// Seconds under the threshold before the script runs.
        7 MinUnderThreshold min_under_threshold_duration/set_min_under_threshold_duration, static: u32;
        /// An emergency: counts if its identifier is in the list of attribute 9.
        8 Emergency emergency_profile/set_emergency_profile, static: EmergencyProfile;
        /// Identifiers of the emergencies that the meter belongs to.
        9 EmergencyGroups emergency_profile_group_id_list/set_emergency_profile_group_id_list, static: Array<'a, u16>;
        /// Whether an emergency is on.
        10 EmergencyActive emergency_profile_active, dynamic: bool;
        /// What is done.
        11 Actions actions/set_actions, static: LimiterActions;
    }
    methods {}
}

structure! {
    /// An emergency.
    EmergencyProfile "structure of emergency profile" {
        /// Identifier of the emergency.
        id: u16,
        /// When it begins.
        activation_time: DateTime,
        /// Seconds that it lasts.
        duration: u32,
    }
}

structure! {
    /// What a limiter does.
    LimiterActions "structure of limiter actions" {
        /// When the value is over the threshold for too long.
        over_threshold: ActionItem,
        /// When it is under the threshold again for long enough.
        under_threshold: ActionItem,
    }
}
