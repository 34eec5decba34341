//! The link of a meter, made from its configuration.

use dlms::{
    Instant,
    deviation::{Deviation, Deviations},
    gateway::{Behind, DEVICE_ADDRESS_MAX},
    hdlc::{self, Address, Parameters, Width},
    id::{ClientSap, ServerSap},
    link::{Link, LinkError, LinkEvent},
    quirk::Quirks,
    wrapper::{Header, client::Wrapper},
};

use super::room::Room;
use crate::{
    meter::{AddressWidth, HdlcConfig, LinkConfig, MeterConfig},
    operation::{Layer, RequestError, RequestErrorKind},
};

/// Octets that an APDU of the meter may have beyond what was proposed: some meters count without ciphering.
const RECEIVE_SLACK: usize = 256;
/// Longest APDU that is sent, in octets: long values go out in blocks anyway.
pub(super) const REQUEST_OCTETS_MAX: usize = 2_048;
/// Octets of a gateway's prefix: tag, network, length and physical address.
const PREFIX_OCTETS_MAX: usize = 3 + DEVICE_ADDRESS_MAX;
/// How often an HDLC frame is sent again.
const HDLC_RETRIES: u8 = 2;
/// Silence inside an HDLC frame that came over a network, in milliseconds: packets are cut and delayed.
const NETWORK_INTER_OCTET_MS: u32 = 500;

/// The links that meters are reached by.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // the largest is by far the most common
pub(super) enum MeterLink {
    Wrapper(Wrapper<Room>),
    Hdlc(Box<hdlc::client::Session<Vec<u8>>>),
    /// The same to a gateway, and the meter behind it.
    BehindWrapper(Box<Behind<Wrapper<Room>, Vec<u8>>>),
    BehindHdlc(Box<Behind<hdlc::client::Session<Vec<u8>>, Vec<u8>>>),
}

impl MeterLink {
    /// Its storage while nothing of an APDU is in it. Only a wrapper's: slow lines have few meters each.
    pub(super) fn at_rest(&mut self) -> Option<[&mut Room; 2]> {
        match self {
            Self::Wrapper(wrapper) => wrapper.at_rest(),
            Self::Hdlc(_) | Self::BehindWrapper(_) | Self::BehindHdlc(_) => None,
        }
    }

    /// The link between `client` and the configured logical device of a meter.
    pub(super) fn new(config: &MeterConfig, client: ClientSap, quirks: &Quirks) -> Result<Self, RequestError> {
        let receive = receive_octets(config.max_pdu) + config.gateway.map_or(0, |_| PREFIX_OCTETS_MAX);
        let transmit = REQUEST_OCTETS_MAX + config.gateway.map_or(0, |_| PREFIX_OCTETS_MAX);
        let (parameters, serial) = match &config.link {
            LinkConfig::TcpWrapper { .. } | LinkConfig::UdpWrapper { .. } | LinkConfig::DialIn => {
                let room = |octets| Room::new(Header::LENGTH + octets);
                let timeout = millis(config.timeouts.response);
                let wrapper = Wrapper::new(client, config.server, room(receive), room(transmit), timeout);
                let wrapper = wrapper.tolerating(quirks.tolerated);
                return Ok(match config.gateway {
                    Some(route) => Self::BehindWrapper(Box::new(Behind::new(wrapper, route, vec![0; transmit]))),
                    None => Self::Wrapper(wrapper),
                });
            }
            LinkConfig::HdlcTcp { hdlc, .. } => (hdlc, None),
            LinkConfig::HdlcSerial { hdlc, baud, mode_e, .. } => (hdlc, Some(slowest(*baud, mode_e.is_some()))),
        };
        let mut station = station(config, parameters, client, serial)?;
        station.information_push = quirks.tolerated.contains(Deviation::InformationPush);
        let frame = usize::from(station.parameters.information_receive) + hdlc::OVERHEAD_MAX;
        let room = |octets| vec![0; hdlc::LLC_COMMAND.len() + octets];
        let session = hdlc::client::Session::new(station, vec![0; frame], room(receive), room(transmit));
        Ok(match config.gateway {
            Some(route) => Self::BehindHdlc(Box::new(Behind::new(session, route, vec![0; transmit]))),
            None => Self::Hdlc(Box::new(session)),
        })
    }
}

/// Octets that an APDU of a meter may have to which `max_pdu` was proposed.
pub(super) fn receive_octets(max_pdu: u16) -> usize {
    usize::from(max_pdu) + RECEIVE_SLACK
}

/// The rate to reckon with: a meter may select less than the highest at a sign-on, seldom under 2400.
const fn slowest(baud: u32, selected: bool) -> u32 {
    if selected && baud > 2_400 { 2_400 } else { baud }
}

/// Milliseconds that `octets` take on the meter's line; 0 where the line takes no time that matters.
pub(super) fn line_time_ms(link: &LinkConfig, octets: u64) -> u64 {
    match link {
        // One start and one stop bit around eight.
        LinkConfig::HdlcSerial { baud, mode_e, .. } => {
            octets.saturating_mul(10_000) / u64::from(slowest(*baud, mode_e.is_some()).max(1))
        }
        _ => 0,
    }
}

fn millis(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn station(
    config: &MeterConfig,
    parameters: &HdlcConfig,
    client: ClientSap,
    serial: Option<u32>,
) -> Result<hdlc::client::Config, RequestError> {
    let invalid = |what: String| RequestError::new(RequestErrorKind::InvalidRequest, Layer::Link, what);
    let server = server_address(parameters, config.server)
        .ok_or_else(|| invalid(format!("server access point {} does not fit the HDLC address", config.server)))?;
    let client = Address::client(client.0)
        .ok_or_else(|| invalid(format!("client access point {client} does not fit an HDLC address")))?;
    let mut station = hdlc::client::Config::new(client, server);
    station.parameters = Parameters::symmetric(parameters.information_field, parameters.window);
    station.retries = HDLC_RETRIES;
    station.response_timeout_ms = (millis(config.timeouts.response) / (u32::from(HDLC_RETRIES) + 1)).max(1);
    station.answer_timeout_ms = millis(config.timeouts.response);
    station.inter_octet_timeout_ms = millis(config.timeouts.inter_octet);
    match serial {
        Some(baud) => station.octet_time_us = 10_000_000 / baud.max(1),
        None => station.inter_octet_timeout_ms = station.inter_octet_timeout_ms.max(NETWORK_INTER_OCTET_MS),
    }
    Ok(station)
}

fn server_address(parameters: &HdlcConfig, server: ServerSap) -> Option<Address> {
    let width = match parameters.width {
        AddressWidth::One => Width::One,
        AddressWidth::Two => Width::Two,
        AddressWidth::Four => Width::Four,
    };
    Address::new(server.0, parameters.lower.unwrap_or(0), width)
}

macro_rules! each {
    ($self:ident, $link:ident => $call:expr) => {
        match $self {
            Self::Wrapper($link) => $call,
            Self::Hdlc($link) => $call,
            Self::BehindWrapper($link) => $call,
            Self::BehindHdlc($link) => $call,
        }
    };
}

impl Link for MeterLink {
    fn open(&mut self, now: Instant) {
        each!(self, link => link.open(now));
    }

    fn close(&mut self, now: Instant) {
        each!(self, link => link.close(now));
    }

    fn send(&mut self, apdu: &[u8], now: Instant) -> Result<(), LinkError> {
        each!(self, link => link.send(apdu, now))
    }

    fn can_send(&self) -> bool {
        each!(self, link => link.can_send())
    }

    fn expect(&mut self, now: Instant) {
        each!(self, link => link.expect(now));
    }

    fn send_unconfirmed(&mut self, apdu: &[u8], now: Instant) -> Result<(), LinkError> {
        each!(self, link => link.send_unconfirmed(apdu, now))
    }

    fn handle_input(&mut self, bytes: &[u8], now: Instant) -> usize {
        each!(self, link => link.handle_input(bytes, now))
    }

    fn handle_timeout(&mut self, now: Instant) {
        each!(self, link => link.handle_timeout(now));
    }

    fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        each!(self, link => link.poll_transmit(out))
    }

    fn poll_event(&mut self) -> Option<LinkEvent> {
        each!(self, link => link.poll_event())
    }

    fn apdu(&mut self) -> &mut [u8] {
        each!(self, link => link.apdu())
    }

    fn release_apdu(&mut self) {
        each!(self, link => link.release_apdu());
    }

    fn poll_timeout(&self) -> Option<Instant> {
        each!(self, link => link.poll_timeout())
    }

    fn take_deviations(&mut self) -> Deviations {
        each!(self, link => link.take_deviations())
    }
}
