//! Devices behind a gateway: the prefix with network and physical device address in front of every APDU.
//!
//! [`Behind`] is a link over a link: a client that uses it speaks to the device as if there were no gateway. A server
//! is a gateway when its [`Device::route`](crate::association::server::Device::route) takes what is for others.

use core::ops::Range;

use crate::Instant;
use crate::apdu::{Gateway, tag};
use crate::axdr::Writer;
use crate::deviation::Deviations;
use crate::link::{Link, LinkError, LinkEvent, Storage};

/// Most octets of a physical device address. The standard states no limit; the field has one octet of length.
pub const DEVICE_ADDRESS_MAX: usize = 32;

/// A device behind a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    network: u8,
    device: [u8; DEVICE_ADDRESS_MAX],
    length: usize,
}

impl Route {
    /// The device with this physical address in a network of the gateway; `None` for an address of more than
    /// [`DEVICE_ADDRESS_MAX`] octets.
    #[must_use]
    pub fn new(network: u8, device: &[u8]) -> Option<Self> {
        let mut route = Self { network, device: [0; DEVICE_ADDRESS_MAX], length: device.len() };
        route.device.get_mut(..device.len())?.copy_from_slice(device);
        Some(route)
    }

    /// The network behind the gateway.
    #[must_use]
    pub const fn network(&self) -> u8 {
        self.network
    }

    /// The physical address of the device.
    #[must_use]
    pub fn device(&self) -> &[u8] {
        self.device.get(..self.length).unwrap_or_default()
    }
}

/// A link to a device behind a gateway, over the link `L` to the gateway.
///
/// What comes from another device, or from the gateway itself, is passed over and counted; only a gateway's refusal
/// (ExceptionResponse, ConfirmedServiceError) counts as the device's, as nothing else will come.
#[derive(Debug)]
pub struct Behind<L, B> {
    link: L,
    route: Route,
    /// Prefix and APDU on their way.
    transmit: B,
    /// Where the received APDU is behind its prefix.
    received: Range<usize>,
    foreign: u32,
}

impl<L: Link, B: Storage> Behind<L, B> {
    /// The device at `route`; `transmit` holds one APDU with its prefix, of up to 35 octets.
    pub const fn new(link: L, route: Route, transmit: B) -> Self {
        Self { link, route, transmit, received: 0..0, foreign: 0 }
    }

    /// The link to the gateway.
    pub const fn link(&self) -> &L {
        &self.link
    }

    /// APDUs that were not this device's.
    pub const fn foreign(&self) -> u32 {
        self.foreign
    }

    /// Writes the APDU behind its prefix; returns their length.
    fn prefix(&mut self, apdu: &[u8]) -> Result<usize, LinkError> {
        let limit = self.transmit.as_ref().len();
        let mut out = Writer::new(self.transmit.as_mut());
        let prefixed = Gateway { response: false, network: self.route.network, device: self.route.device(), apdu };
        prefixed.encode(&mut out).map_err(|_| LinkError::ApduTooLong { length: apdu.len(), limit })?;
        Ok(out.len())
    }

    /// Where the device's APDU is in what was received; `None` if it is not the device's.
    fn locate(&mut self) -> Option<Range<usize>> {
        let octets = self.link.apdu();
        match Gateway::decode(octets) {
            Ok(Gateway { response: true, network, device, apdu })
                if network == self.route.network && device == self.route.device() =>
            {
                Some(octets.len().saturating_sub(apdu.len())..octets.len())
            }
            Ok(_) => None,
            Err(_) => {
                let refusal = [tag::EXCEPTION_RESPONSE, tag::CONFIRMED_SERVICE_ERROR];
                octets.first().is_some_and(|first| refusal.contains(first)).then_some(0..octets.len())
            }
        }
    }
}

impl<L: Link, B: Storage> Link for Behind<L, B> {
    fn open(&mut self, now: Instant) {
        self.link.open(now);
    }

    fn close(&mut self, now: Instant) {
        self.link.close(now);
    }

    fn send(&mut self, apdu: &[u8], now: Instant) -> Result<(), LinkError> {
        let length = self.prefix(apdu)?;
        self.link.send(self.transmit.as_ref().get(..length).unwrap_or_default(), now)
    }

    fn send_unconfirmed(&mut self, apdu: &[u8], now: Instant) -> Result<(), LinkError> {
        let length = self.prefix(apdu)?;
        self.link.send_unconfirmed(self.transmit.as_ref().get(..length).unwrap_or_default(), now)
    }

    fn handle_input(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.link.handle_input(bytes, now)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now);
    }

    fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        self.link.poll_transmit(out)
    }

    fn poll_event(&mut self) -> Option<LinkEvent> {
        loop {
            match self.link.poll_event()? {
                LinkEvent::Apdu => match self.locate() {
                    Some(place) => {
                        self.received = place;
                        return Some(LinkEvent::Apdu);
                    }
                    None => {
                        self.foreign = self.foreign.saturating_add(1);
                        self.link.release_apdu();
                    }
                },
                event => return Some(event),
            }
        }
    }

    fn apdu(&mut self) -> &mut [u8] {
        self.link.apdu().get_mut(self.received.clone()).unwrap_or_default()
    }

    fn release_apdu(&mut self) {
        self.link.release_apdu();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.link.poll_timeout()
    }

    fn take_deviations(&mut self) -> Deviations {
        self.link.take_deviations()
    }
}
