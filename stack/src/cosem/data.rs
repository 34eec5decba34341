//! Class 1, Data: one value of any type.

use super::Any;

interface_class! {
    "Data" = 1, versions 0..=0;
    attributes {
        /// The value: identifiers, event codes, status words, counters.
        2 Value value/set_value, dynamic: Any<'a>;
    }
    methods {}
}
