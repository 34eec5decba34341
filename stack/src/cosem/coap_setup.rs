//! Class 152, CoAP setup. Known from one source only.

use super::Any;
use crate::obis::ObisCode;

interface_class! {
    "CoAP setup" = 152, versions 0..=0;
    attributes {
        /// The UDP setup below.
        2 UdpReference udp_reference/set_udp_reference "UDP_reference", static: ObisCode;
        /// Time that is waited for a confirmation (RFC 7252).
        3 AckTimeout ack_timeout/set_ack_timeout, static: u16;
        /// Factor by which that time is varied.
        4 AckRandomFactor ack_random_factor/set_ack_random_factor, static: u16;
        /// Repetitions at most.
        5 MaxRetransmit max_retransmit/set_max_retransmit, static: u16;
        /// Exchanges at once with one endpoint.
        6 Nstart nstart/set_nstart, static: u16;
        /// Time that a confirmation may be put off.
        7 DelayAckTimeout delay_ack_timeout/set_delay_ack_timeout, static: u16;
        /// Growth of the time between repetitions.
        8 ExponentialBackOff exponential_back_off/set_exponential_back_off, static: u16;
        /// Octets in a second to an endpoint that does not answer.
        9 ProbingRate probing_rate/set_probing_rate, static: u16;
        /// Path of the resource.
        10 UriPath coap_uri_path/set_coap_uri_path "CoAP_uri_path", static: &'a [u8];
        /// Which messages are used.
        11 Transport transport_mode/set_transport_mode, static: TransportMode;
        /// Version of the DLMS wrapper.
        12 WrapperVersion wrapper_version/set_wrapper_version, static: Any<'a>;
        /// Octets of a token.
        13 TokenLength token_length/set_token_length, static: u8;
    }
    methods {}
}

enumeration! {
    /// Which messages are used.
    TransportMode "transport mode" {
        /// Confirmable ones.
        Reliable = 1,
        /// Others.
        Unreliable = 2,
        /// Both.
        Both = 3,
    }
}
