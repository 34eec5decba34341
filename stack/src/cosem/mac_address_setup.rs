//! Class 43, MAC address setup.

interface_class! {
    "MAC address setup" = 43, versions 0..=0;
    attributes {
        /// Address of the physical device, mostly six octets.
        2 Address mac_address/set_mac_address "MAC_address", static: &'a [u8];
    }
    methods {}
}
