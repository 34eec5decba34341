//! Class 26, Utility tables: tables of ANSI C12.19.

interface_class! {
    "Utility tables" = 26, versions 0..=0;
    attributes {
        /// Number of the table.
        2 TableId table_id "table_ID", static: u16;
        /// Octets of the table.
        3 Length length, dynamic: u32;
        /// The table.
        4 Buffer buffer/set_buffer, dynamic: &'a [u8];
    }
    methods {}
}
