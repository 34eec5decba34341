//! Class 48, IPv6 setup. Addresses have 16 octets.

use super::Array;
use crate::obis::ObisCode;

interface_class! {
    "IPv6 setup" = 48, versions 0..=0, methods at 0x60;
    attributes {
        /// The data link setup below.
        2 DataLinkReference dl_reference/set_dl_reference "DL_reference", static: ObisCode;
        /// Where addresses come from.
        3 ConfigMode address_config_mode/set_address_config_mode, static: AddressConfigMode;
        /// Own addresses.
        4 UnicastAddresses unicast_ipv6_addresses/set_unicast_ipv6_addresses "unicast_IPv6_addresses", static:
            Array<'a, &'a [u8]>;
        /// Multicast addresses.
        5 MulticastAddresses multicast_ipv6_addresses/set_multicast_ipv6_addresses "multicast_IPv6_addresses", static:
            Array<'a, &'a [u8]>;
        /// Addresses of gateways.
        6 GatewayAddresses gateway_ipv6_addresses/set_gateway_ipv6_addresses "gateway_IPv6_addresses", static:
            Array<'a, &'a [u8]>;
        /// Address of the first name server.
        7 PrimaryDns primary_dns_address/set_primary_dns_address "primary_DNS_address", static: &'a [u8];
        /// Address of the second name server.
        8 SecondaryDns secondary_dns_address/set_secondary_dns_address "secondary_DNS_address", static: &'a [u8];
        /// Traffic class of the IP header.
        9 TrafficClass traffic_class/set_traffic_class, static: u8;
        /// Router discovery.
        10 NeighbourDiscoverySetup neighbour_discovery_setup/set_neighbour_discovery_setup, static:
            Array<'a, NeighbourDiscovery>;
    }
    methods {
        /// Adds an address.
        1 AddAddress add_ipv6_address "add_IPv6_address": TypedAddress<'a>;
        /// Removes an address.
        2 RemoveAddress remove_ipv6_address "remove_IPv6_address": TypedAddress<'a>;
    }
}

structure! {
    /// How routers are looked for (RFC 4861).
    NeighbourDiscovery "structure of neighbour discovery" {
        /// Router solicitations that are sent at most.
        max_retry: u8,
        /// Milliseconds between two solicitations.
        retry_wait_time: u16,
        /// Milliseconds between two advertisements.
        send_period: u32,
    }
}

structure! {
    /// An address and its kind.
    TypedAddress<'a> "structure of address type and address" {
        /// The kind.
        address_type: AddressType,
        /// The address.
        address: &'a [u8],
    }
}

enumeration! {
    /// Where IPv6 addresses come from.
    AddressConfigMode "address configuration mode" {
        /// From the router's advertisements.
        Auto = 0,
        /// From DHCPv6.
        DhcpV6 = 1,
        /// From this object.
        Manual = 2,
        /// From neighbour discovery.
        NeighbourDiscovery = 3,
    }
}

enumeration! {
    /// Kind of an IPv6 address.
    AddressType "address type" {
        /// Unicast.
        Unicast = 0,
        /// Multicast.
        Multicast = 1,
        /// Of a gateway.
        Gateway = 2,
    }
}
