//! Class 7, Profile generic: rows of captured values, such as load profiles and event logs.

#[cfg(feature = "alloc")]
mod blocks;
#[cfg(feature = "alloc")]
mod cells;
mod column;
mod restore;
mod rows;
mod selection;
#[cfg(feature = "alloc")]
mod stream;
#[cfg(feature = "alloc")]
mod table;

pub use column::{Column, Reading};
pub use restore::Nulls;
pub use rows::{RowError, RowErrorKind, Rows};
pub use selection::{EntryDescriptor, RangeDescriptor};
#[cfg(feature = "alloc")]
pub use stream::{ROW_OCTETS_MAX, RowReader};
#[cfg(feature = "alloc")]
pub use table::{Table, TableReader, TableRow};

use super::{Any, Array, Zero};
use crate::id::{AttributeId, ClassId};
use crate::obis::ObisCode;

interface_class! {
    "Profile generic" = 7, versions 0..=1, methods at 0x58;
    attributes {
        /// The rows: an array of structures, or a compact array. See [`Rows`] and, with `alloc`, `RowReader`.
        2 Buffer buffer, dynamic select [1, 2]: Any<'a>;
        /// What each column holds.
        3 CaptureObjects capture_objects/set_capture_objects, static: Array<'a, CaptureObject>;
        /// Seconds between rows; 0 when they are captured by events only.
        4 CapturePeriod capture_period/set_capture_period, static: u32;
        /// Order of the rows.
        5 Sort sort_method/set_sort_method, static: SortMethod;
        /// The column that a sorted buffer is sorted by; all zero when unsorted.
        6 SortObject sort_object/set_sort_object, static: CaptureObject;
        /// Rows in the buffer.
        7 EntriesInUse entries_in_use, dynamic: u32;
        /// Rows that the buffer holds at most.
        8 ProfileEntries profile_entries/set_profile_entries, static: u32;
    }
    methods {
        /// Empties the buffer.
        1 Reset reset: Zero;
        /// Captures a row now.
        2 Capture capture: Zero;
    }
}

enumeration! {
    /// Order of the rows.
    SortMethod "sort method" {
        /// First in, first out: the oldest row comes first.
        Fifo = 1,
        /// Last in, first out: the newest row comes first.
        Lifo = 2,
        /// The largest value of the sort object first.
        Largest = 3,
        /// The smallest first.
        Smallest = 4,
        /// The nearest to zero first.
        NearestToZero = 5,
        /// The farthest from zero first.
        FarthestFromZero = 6,
    }
}

structure! {
    /// What a column holds.
    #[derive(Eq, Hash)]
    CaptureObject "structure of capture object" {
        /// Interface class of the captured object.
        class_id: ClassId,
        /// Logical name of the captured object.
        instance: ObisCode,
        /// The captured attribute. 0, which some vendors use, means all of them.
        attribute: AttributeId,
        /// 0 for the whole attribute, else the element of it, counted from 1.
        data_index: u16,
    }
}

impl CaptureObject {
    /// None: the sort object of an unsorted profile.
    pub const NONE: Self = Self::whole(ClassId(0), ObisCode([0; 6]), AttributeId(0));
    /// The time of the clock, the usual first column.
    pub const CLOCK: Self = Self::whole(super::clock::CLASS_ID, ObisCode::CLOCK, AttributeId(2));

    /// A whole attribute.
    #[must_use]
    pub const fn whole(class_id: ClassId, instance: ObisCode, attribute: AttributeId) -> Self {
        Self { class_id, instance, attribute, data_index: 0 }
    }

    /// Whether the column holds the time of a clock: null-data there means one capture period after the row before.
    #[must_use]
    pub const fn is_clock_time(&self) -> bool {
        self.class_id.0 == super::clock::CLASS_ID.0 && self.attribute.0 == 2
    }
}
