//! Class 123, Array manager: single entries of attributes that are arrays. Entries count from 1.

use super::{Any, Array};
use crate::cosem::action::MonitoredValue;

interface_class! {
    "Array manager" = 123, versions 0..=0, methods at 0x20;
    attributes {
        /// The arrays.
        2 ArrayObjectList array_object_list/set_array_object_list, static: Array<'a, ArrayObject>;
    }
    methods {
        /// Asks how many entries the array with this identifier has.
        1 NumberOfEntries get_number_of_entries: u8 => u16;
        /// Reads entries.
        2 RetrieveEntries retrieve_entries: EntryRange => Any<'a>;
        /// Puts an entry in; beyond the end it is put last.
        3 InsertEntry insert_entry: Entry<'a>;
        /// Replaces an entry.
        4 UpdateEntry update_entry: Entry<'a>;
        /// Removes entries.
        5 RemoveEntries remove_entries: EntriesToRemove;
    }
}

structure! {
    /// An array that is managed.
    ArrayObject "structure of identifier and array" {
        /// Identifier.
        array_object_id: u8,
        /// The attribute that is an array.
        array_object: MonitoredValue,
    }
}

structure! {
    /// Entries of an array.
    EntryRange "structure of identifier and range" {
        /// Identifier of the array.
        array_object_id: u8,
        /// Which entries.
        range: Range,
    }
}

structure! {
    /// First and last entry.
    Range "structure of first and last entry" {
        /// The first one.
        from: u16,
        /// The last one.
        to: u16,
    }
}

structure! {
    /// Entries of an array that are to be removed.
    EntriesToRemove "structure of identifier and entries" {
        /// Identifier of the array.
        array_object_id: u8,
        /// The first one.
        from: u16,
        /// The last one.
        to: u16,
    }
}

structure! {
    /// An entry of an array.
    Entry<'a> "structure of identifier, place and entry" {
        /// Identifier of the array.
        array_object_id: u8,
        /// Place of the entry.
        entry_number: u16,
        /// The entry.
        entry: Any<'a>,
    }
}
