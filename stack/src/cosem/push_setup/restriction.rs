//! Which rows of a profile are sent.

use crate::cosem::Any;

enumeration! {
    /// How rows are restricted.
    RestrictionType "restriction type" {
        /// Not at all.
        None = 0,
        /// To a time.
        ByDate = 1,
        /// To entries.
        ByEntry = 2,
    }
}

structure! {
    /// Which rows of a profile are sent or captured.
    Restriction<'a> "structure of restriction" {
        /// The kind.
        restriction_type: RestrictionType,
        /// Null-data, or a structure of the first and the last: date-times by date, numbers by entry.
        value: Any<'a>,
    }
}

impl Restriction<'_> {
    /// All rows.
    pub const NONE: Self = Self { restriction_type: RestrictionType::None, value: crate::axdr::Data::Null };
}
