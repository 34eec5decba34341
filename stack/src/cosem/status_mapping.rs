//! Class 63, Status mapping: what the bits of a status word mean.

use super::Any;

interface_class! {
    "Status mapping" = 63, versions 0..=0;
    attributes {
        /// The status: a bit string, a number or a string.
        2 StatusWord status_word, dynamic: Any<'a>;
        /// Where the meaning of each bit is listed.
        3 Mapping mapping_table/set_mapping_table, static: MappingTable<'a>;
    }
    methods {}
}

structure! {
    /// Where the meaning of each bit of a status word is listed.
    MappingTable<'a> "structure of mapping table" {
        /// The reference table.
        ref_table_id: u8,
        /// The entry of the first bit, those of the others following it; or an array with the entry of each bit.
        ref_table_mapping: Any<'a>,
    }
}

impl MappingTable<'_> {
    /// Entry of the reference table that explains bit `index`, counted from 0; `None` when there is none.
    #[must_use]
    pub fn entry(&self, index: u16) -> Option<u16> {
        match self.ref_table_mapping.as_array() {
            Some(entries) => entries.get(usize::from(index))?.as_u16(),
            None => self.ref_table_mapping.as_u16()?.checked_add(index),
        }
    }
}
