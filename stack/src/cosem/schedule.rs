//! Class 10, Schedule: scripts at times of chosen days.

use super::Array;
use crate::axdr::BitString;
use crate::obis::ObisCode;
use crate::time::{Date, Time};

interface_class! {
    "Schedule" = 10, versions 0..=0, methods at 0x20;
    attributes {
        /// What is to be run, and when.
        2 Entries entries/set_entries, static: Array<'a, ScheduleEntry<'a>>;
    }
    methods {
        /// Disables one range of entries and enables another.
        1 EnableDisable enable_disable: EnableDisableRanges;
        /// Adds an entry, or replaces the one of the same index.
        2 Insert insert: ScheduleEntry<'a>;
        /// Removes a range of entries.
        3 Delete delete: EntryRange;
    }
}

structure! {
    /// One entry of a schedule.
    ScheduleEntry<'a> "structure of schedule entry" {
        /// Index, from 1 to 9999.
        index: u16,
        /// Whether it is in use.
        enable: bool,
        /// Logical name of the script table.
        script_table: ObisCode,
        /// Identifier of the script.
        script_selector: u16,
        /// Time of day at which it runs.
        switch_time: Time,
        /// Minutes within which it is made up for after a power failure: 0 never, 0xFFFF always.
        validity_window: u16,
        /// Days of the week on which it runs, Monday first.
        exec_weekdays: BitString<'a>,
        /// Special days on which it runs: bit n for day identifier n of the special days table.
        exec_specdays: BitString<'a>,
        /// First day.
        begin_date: Date,
        /// Last day.
        end_date: Date,
    }
}

structure! {
    /// Entries to be disabled, and entries to be enabled after that. A first index of 0 or beyond the last selects none.
    #[derive(Eq, Hash)]
    EnableDisableRanges "structure of two index ranges" {
        /// First entry to be disabled.
        first_disabled: u16,
        /// Last entry to be disabled.
        last_disabled: u16,
        /// First entry to be enabled.
        first_enabled: u16,
        /// Last entry to be enabled.
        last_enabled: u16,
    }
}

structure! {
    /// Entries from one index to another, both included.
    #[derive(Eq, Hash)]
    EntryRange "structure of first and last index" {
        /// First entry.
        first: u16,
        /// Last entry.
        last: u16,
    }
}
