//! Class 41, TCP-UDP setup.

use crate::obis::ObisCode;

interface_class! {
    "TCP-UDP setup" = 41, versions 0..=0;
    attributes {
        /// Port that the meter listens on: 4059 for DLMS.
        2 Port tcp_udp_port/set_tcp_udp_port "TCP-UDP_port", static: u16;
        /// The IP setup below.
        3 IpReference ip_reference/set_ip_reference "IP_reference", static: ObisCode;
        /// Maximum segment size in octets.
        4 Mss mss/set_mss "MSS", static: u16;
        /// Connections that the meter serves at once.
        5 SimultaneousConnections nb_of_sim_conn/set_nb_of_sim_conn, static: u8;
        /// Seconds without traffic after which a connection is closed; 0 for never.
        6 InactivityTimeOut inactivity_time_out/set_inactivity_time_out, static: u16;
    }
    methods {}
}
