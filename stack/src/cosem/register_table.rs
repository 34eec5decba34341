//! Class 61, Register table: values of one attribute of many objects that differ in value group E only.

use super::{Any, Array, Zero};
use crate::id::{AttributeId, ClassId};
use crate::obis::ObisCode;
use crate::unit;

interface_class! {
    "Register table" = 61, versions 0..=0, methods at 0x28;
    attributes {
        /// The values, as an array or a compact array, in the order of the definition.
        2 CellValues table_cell_values, dynamic: Any<'a>;
        /// Which objects the values are of.
        3 CellDefinition table_cell_definition/set_table_cell_definition, static: TableCellDefinition<'a>;
        /// Scaler and unit of all values.
        4 ScalerUnit scaler_unit, static: unit::ScalerUnit;
    }
    methods {
        /// Sets all values to their defaults.
        1 Reset reset: Zero;
        /// Takes the values of the objects now.
        2 Capture capture: Zero;
    }
}

structure! {
    /// Which objects a table's values are of.
    TableCellDefinition<'a> "structure of table cell definition" {
        /// Interface class of the objects.
        class_id: ClassId,
        /// Logical name of the objects; its value group E is replaced.
        logical_name: ObisCode,
        /// Value group E of each object.
        group_e_values: Array<'a, u8>,
        /// The attribute.
        attribute_index: AttributeId,
    }
}

impl TableCellDefinition<'_> {
    /// Logical name of the object in cell `index`, counted from 0; `None` beyond the last one or for a group E that is
    /// no number.
    #[must_use]
    pub fn cell(&self, index: usize) -> Option<ObisCode> {
        let [a, b, c, d, _, f] = self.logical_name.0;
        let e = self.group_e_values.iter().nth(index)?.ok()?;
        Some(ObisCode::new(a, b, c, d, e, f))
    }
}
