//! Class 22, Single action schedule: one script at given dates.

use super::Array;
use super::action::ActionItem;
use crate::time::{Date, Time};

interface_class! {
    "Single action schedule" = 22, versions 0..=0;
    attributes {
        /// The script.
        2 ExecutedScript executed_script/set_executed_script, static: ActionItem;
        /// What the execution times may look like.
        3 Type kind/set_kind "type", static: ScheduleType;
        /// When the script runs; none disables it.
        4 ExecutionTime execution_time/set_execution_time, static: Array<'a, ExecutionTimeDate>;
    }
    methods {}
}

enumeration! {
    /// What execution times may look like.
    ScheduleType "type of schedule" {
        /// One, whose date may have wildcards.
        OneWithWildcards = 1,
        /// Several of the same time of day, without wildcards in the dates.
        SameTime = 2,
        /// Several of the same time of day, with wildcards in the dates.
        SameTimeWithWildcards = 3,
        /// Several, without wildcards in the dates.
        AnyTime = 4,
        /// Several, with wildcards in the dates.
        AnyTimeWithWildcards = 5,
    }
}

structure! {
    /// When the script runs.
    #[derive(Eq)]
    ExecutionTimeDate "structure of time and date" {
        /// Time of day.
        time: Time,
        /// Date.
        date: Date,
    }
}
