//! Class 24, IEC twisted pair setup: the bus of IEC 62056-31.

use super::{Array, Enumerated};

interface_class! {
    "IEC twisted pair setup" = 24, versions 0..=1;
    attributes {
        /// Secondary address, six octets.
        2 SecondaryAddress secondary_address/set_secondary_address, static until 0: &'a [u8];
        /// Whether the port is in use: 0 inactive, 1 active.
        2 Mode mode/set_mode, static since 1: Enumerated;
        /// Primary addresses.
        3 PrimaryAddressListV0 primary_address_list_v0/set_primary_address_list_v0 "primary_address_list",
            static until 0: Array<'a, u8>;
        /// Speed.
        3 Speed speed/set_speed, static since 1: Enumerated;
        /// Addresses by which a station announces that it was forgotten.
        4 TabiListV0 tabi_list_v0/set_tabi_list_v0 "tabi_list", static until 0: Array<'a, i8>;
        /// Primary addresses.
        4 PrimaryAddressList primary_address_list/set_primary_address_list, static since 1: Array<'a, u8>;
        /// The last fatal error.
        5 FatalError fatal_error, dynamic until 0: Enumerated;
        /// Addresses by which a station announces that it was forgotten.
        5 TabiList tabi_list/set_tabi_list, static since 1: Array<'a, i8>;
    }
    methods {}
}
