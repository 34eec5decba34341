//! Class 44, PPP setup.

use super::{Any, Array};
use crate::obis::ObisCode;

interface_class! {
    "PPP setup" = 44, versions 0..=0;
    attributes {
        /// The physical layer below.
        2 PhysicalReference phy_reference/set_phy_reference "PHY_reference", static: ObisCode;
        /// Options of the link control protocol: 1 MRU, 2 ACCM, 3 authentication (0xC023 PAP, 0xC223 CHAP, 0xC227 EAP), 5
        /// magic number, 7 and 8 field compression, 9 FCS, 13 callback.
        3 LcpOptions lcp_options/set_lcp_options "LCP_options", static: Array<'a, PppOption<'a>>;
        /// Options of the IP control protocol: 2 compression, 3 preferred address, 20 to 22 of DLMS.
        4 IpcpOptions ipcp_options/set_ipcp_options "IPCP_options", static: Array<'a, PppOption<'a>>;
        /// Parameters of the authentication: null-data, or a structure as PAP, CHAP or EAP want it.
        5 Authentication ppp_authentication/set_ppp_authentication "PPP_authentication", static: Any<'a>;
    }
    methods {}
}

structure! {
    /// An option of a control protocol.
    PppOption<'a> "structure of PPP option" {
        /// Type.
        option_type: u8,
        /// Length in octets.
        length: u8,
        /// Content, in the type that belongs to the option.
        data: Any<'a>,
    }
}
