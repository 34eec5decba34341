//! Class 6, Register activation: which registers count, by tariff.

use super::Array;
use super::association_ln::ObjectId;

interface_class! {
    "Register activation" = 6, versions 0..=0, methods at 0x30;
    attributes {
        /// The registers that masks switch. A register that is not listed always counts.
        2 RegisterAssignment register_assignment/set_register_assignment, static: Array<'a, ObjectId>;
        /// Which registers count under which mask.
        3 MaskList mask_list/set_mask_list, static: Array<'a, RegisterMask<'a>>;
        /// Name of the mask in force.
        4 ActiveMask active_mask/set_active_mask, dynamic: &'a [u8];
    }
    methods {
        /// Adds a register at the end of the assignment.
        1 AddRegister add_register: ObjectId;
        /// Adds a mask, or replaces the one of the same name.
        2 AddMask add_mask: RegisterMask<'a>;
        /// Removes a mask by its name.
        3 DeleteMask delete_mask: &'a [u8];
    }
}

structure! {
    /// The registers that count under one mask.
    RegisterMask<'a> "structure of mask name and index list" {
        /// Name.
        mask_name: &'a [u8],
        /// Places of the registers in the assignment, from 1.
        index_list: Array<'a, u8>,
    }
}
