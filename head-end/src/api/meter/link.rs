//! Links of meters.

use dlms_proto::v1::{self, link::Kind};

use crate::{
    api::parse::Violations,
    meter::{AddressWidth, HdlcConfig, HostPort, LinkConfig, ModeE},
};

pub(super) fn to_proto(link: &LinkConfig) -> v1::Link {
    let ip = |address: &HostPort| v1::IpLink { address: address.to_string() };
    let kind = match link {
        LinkConfig::TcpWrapper { address } => Kind::TcpWrapper(ip(address)),
        LinkConfig::DialIn => Kind::DialIn(v1::DialInLink {}),
        LinkConfig::UdpWrapper { address } => Kind::UdpWrapper(ip(address)),
        LinkConfig::HdlcTcp { address, hdlc } => {
            Kind::HdlcTcp(v1::HdlcTcpLink { address: address.to_string(), hdlc: Some(to_hdlc(hdlc)) })
        }
        LinkConfig::HdlcSerial { device, baud, hdlc, mode_e } => Kind::HdlcSerial(v1::HdlcSerialLink {
            device: device.display().to_string(),
            baud: *baud,
            hdlc: Some(to_hdlc(hdlc)),
            mode_e: mode_e.as_ref().map(|mode_e| v1::ModeE { device_address: mode_e.device_address.clone() }),
        }),
    };
    v1::Link { kind: Some(kind) }
}

fn to_hdlc(hdlc: &HdlcConfig) -> v1::Hdlc {
    v1::Hdlc {
        lower_address: hdlc.lower.map(Into::into),
        address_octets: hdlc.width.octets().into(),
        window: hdlc.window.into(),
        information_field_octets: hdlc.information_field.into(),
    }
}

/// The link of a request; `upper` is the server access point, which HDLC addresses hold too.
pub(super) fn from_proto(link: Option<&v1::Link>, upper: u32, violations: &mut Violations) -> Option<LinkConfig> {
    let Some(kind) = link.and_then(|link| link.kind.as_ref()) else {
        violations.add("link", "is required");
        return None;
    };
    let mut address = |field: &str, text: &str| violations.check(field, text.parse::<HostPort>());
    match kind {
        Kind::TcpWrapper(link) => {
            Some(LinkConfig::TcpWrapper { address: address("link.tcp_wrapper.address", &link.address)? })
        }
        Kind::DialIn(v1::DialInLink {}) => Some(LinkConfig::DialIn),
        Kind::UdpWrapper(link) => {
            Some(LinkConfig::UdpWrapper { address: address("link.udp_wrapper.address", &link.address)? })
        }
        Kind::HdlcTcp(link) => {
            let address = address("link.hdlc_tcp.address", &link.address);
            let hdlc = from_hdlc(link.hdlc.as_ref(), upper, "link.hdlc_tcp.hdlc", violations);
            Some(LinkConfig::HdlcTcp { address: address?, hdlc: hdlc? })
        }
        Kind::HdlcSerial(link) => {
            let hdlc = from_hdlc(link.hdlc.as_ref(), upper, "link.hdlc_serial.hdlc", violations);
            let baud = if link.baud == 0 { 9600 } else { link.baud };
            let mode_e = link.mode_e.as_ref().map(|mode_e| ModeE { device_address: mode_e.device_address.clone() });
            Some(LinkConfig::HdlcSerial { device: link.device.clone().into(), baud, hdlc: hdlc?, mode_e })
        }
    }
}

fn from_hdlc(hdlc: Option<&v1::Hdlc>, upper: u32, field: &str, violations: &mut Violations) -> Option<HdlcConfig> {
    let given = hdlc.copied().unwrap_or_default();
    let defaults = HdlcConfig::default();
    let lower = given.lower_address.map(|lower| u16::try_from(lower).map_err(|_| "at most 16383")).transpose();
    let lower = violations.check(format!("{field}.lower_address"), lower);
    let width = match (given.address_octets, given.lower_address) {
        (0, None) => Some(AddressWidth::One),
        (0, Some(lower)) if lower.max(upper) <= AddressWidth::Two.largest().into() => Some(AddressWidth::Two),
        (0, Some(_)) => Some(AddressWidth::Four),
        (octets, _) => violations
            .check(format!("{field}.address_octets"), AddressWidth::from_octets(octets).ok_or("1, 2 or 4 octets")),
    };
    let window = match given.window {
        0 => Some(defaults.window),
        window => violations.check(format!("{field}.window"), u8::try_from(window).map_err(|_| "from 1 to 7 frames")),
    };
    let information_field = match given.information_field_octets {
        0 => Some(defaults.information_field),
        octets => violations
            .check(format!("{field}.information_field_octets"), u16::try_from(octets).map_err(|_| "from 32 to 2030")),
    };
    Some(HdlcConfig { lower: lower?, width: width?, window: window?, information_field: information_field? })
}
