//! Class 11, Special days table: days that follow another day profile than the week says.

use super::Array;
use crate::time::Date;

interface_class! {
    "Special days table" = 11, versions 0..=0, methods at 0x10;
    attributes {
        /// The special days.
        2 Entries entries/set_entries, static: Array<'a, SpecialDay>;
    }
    methods {
        /// Adds a day, or replaces the one of the same index.
        1 Insert insert: SpecialDay;
        /// Removes the day with this index.
        2 Delete delete: u16;
    }
}

structure! {
    /// A special day.
    #[derive(Eq)]
    SpecialDay "structure of special day" {
        /// Index.
        index: u16,
        /// The date; it comes back every year when the year is a wildcard.
        date: Date,
        /// The day profile that it follows.
        day_id: u8,
    }
}
