//! A link whose APDUs can be followed.

use std::sync::Arc;

use dlms::{
    Instant,
    association::Secret,
    deviation::Deviations,
    link::{Link, LinkError, LinkEvent},
};

use super::{explain::Explainer, link::MeterLink, room::Room, trace::Tap};
use crate::{
    meter::MeterConfig,
    operation::{Direction, Said},
};

/// A meter's link, and who follows it.
pub(super) struct TappedLink {
    link: MeterLink,
    tap: Tap,
    explainer: Explainer,
}

impl TappedLink {
    pub(super) fn new(link: MeterLink, tap: Tap, config: Arc<MeterConfig>, dedicated: Option<Secret>) -> Self {
        Self { link, tap, explainer: Explainer::new(config, dedicated) }
    }

    /// Its storage while nothing of an APDU is in it.
    pub(super) fn at_rest(&mut self) -> Option<[&mut Room; 2]> {
        self.link.at_rest()
    }

    fn say(&mut self, direction: Direction, apdu: &[u8]) {
        let said = self.explainer.explain(direction, apdu);
        self.tap.tell(direction, &said);
    }

    /// Tells those who follow of octets of the line.
    pub(super) fn octets(&self, direction: Direction, octets: &[u8]) {
        if self.tap.is_followed() {
            self.tap.tell(direction, &Said::Octets(self.explainer.scrubbed(octets)));
        }
    }
}

impl Link for TappedLink {
    fn open(&mut self, now: Instant) {
        self.link.open(now);
    }

    fn close(&mut self, now: Instant) {
        self.link.close(now);
    }

    fn send(&mut self, apdu: &[u8], now: Instant) -> Result<(), LinkError> {
        if self.tap.is_followed() {
            self.say(Direction::ToMeter, apdu);
        }
        self.link.send(apdu, now)
    }

    fn send_unconfirmed(&mut self, apdu: &[u8], now: Instant) -> Result<(), LinkError> {
        if self.tap.is_followed() {
            self.say(Direction::ToMeter, apdu);
        }
        self.link.send_unconfirmed(apdu, now)
    }

    fn can_send(&self) -> bool {
        self.link.can_send()
    }

    fn expect(&mut self, now: Instant) {
        self.link.expect(now);
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
        let event = self.link.poll_event();
        if event == Some(LinkEvent::Apdu) && self.tap.is_followed() {
            // Before it is deciphered in place.
            let apdu = self.link.apdu().to_vec();
            self.say(Direction::FromMeter, &apdu);
        }
        event
    }

    fn apdu(&mut self) -> &mut [u8] {
        self.link.apdu()
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
