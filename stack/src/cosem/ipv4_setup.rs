//! Class 42, IPv4 setup. Addresses are numbers: 0xC0A80001 is 192.168.0.1.

use super::{Array, Zero};
use crate::obis::ObisCode;

interface_class! {
    "IPv4 setup" = 42, versions 0..=0, methods at 0x60;
    attributes {
        /// The data link setup below.
        2 DataLinkReference dl_reference/set_dl_reference "DL_reference", static: ObisCode;
        /// Own address; written only without DHCP.
        3 Address ip_address/set_ip_address "IP_address", static: u32;
        /// Multicast addresses.
        4 MulticastAddress multicast_ip_address/set_multicast_ip_address "multicast_IP_address", static: Array<'a, u32>;
        /// Options of the IP header.
        5 Options ip_options/set_ip_options "IP_options", static: Array<'a, IpOption<'a>>;
        /// Subnet mask.
        6 SubnetMask subnet_mask/set_subnet_mask, static: u32;
        /// Address of the gateway.
        7 GatewayAddress gateway_ip_address/set_gateway_ip_address "gateway_IP_address", static: u32;
        /// Whether addresses come from DHCP.
        8 UseDhcp use_dhcp_flag/set_use_dhcp_flag "use_DHCP_flag", static: bool;
        /// Address of the first name server.
        9 PrimaryDns primary_dns_address/set_primary_dns_address "primary_DNS_address", static: u32;
        /// Address of the second name server.
        10 SecondaryDns secondary_dns_address/set_secondary_dns_address "secondary_DNS_address", static: u32;
    }
    methods {
        /// Adds a multicast address.
        1 AddMulticastAddress add_mc_ip_address "add_mc_IP_address": u32;
        /// Removes a multicast address.
        2 DeleteMulticastAddress delete_mc_ip_address "delete_mc_IP_address": u32;
        /// Asks for the number of multicast addresses.
        3 MulticastAddressCount get_nbof_mc_ip_addresses "get_nbof_mc_IP_addresses": Zero => u16;
    }
}

structure! {
    /// An option of the IP header.
    IpOption<'a> "structure of IP option" {
        /// Type: 0x82 security, 0x83 loose and 0x89 strict source route, 0x07 record route, 0x44 time stamp.
        option_type: u8,
        /// Length in octets.
        length: u8,
        /// Content.
        data: &'a [u8],
    }
}
