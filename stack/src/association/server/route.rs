//! APDUs for devices behind this server, when it is a gateway.

use super::answer::SERVICE_NOT_ALLOWED;
use super::connection::{Connection, ServerLink};
use super::device::Device;
use super::outbox::Queue;
use crate::Instant;
use crate::apdu::Gateway;
use crate::axdr::Writer;
use crate::id::{ClientSap, ServerSap};
use crate::link::{LinkError, Storage};
use crate::security::Crypto;

/// An APDU for a device behind the gateway, as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routed<'a> {
    /// Who sent it.
    pub client: ClientSap,
    /// The service access point it was sent to.
    pub server: ServerSap,
    /// The network behind the gateway.
    pub network: u8,
    /// Physical address of the device.
    pub device: &'a [u8],
    /// The complete APDU, plain or ciphered: not this server's to understand.
    pub apdu: &'a [u8],
}

/// What a server makes of an APDU for a device behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routing {
    /// It is no gateway: the APDU is refused like any other that it does not know.
    #[default]
    NotAGateway,
    /// There is no such device, or no way to it: the client is told.
    Unreachable,
    /// It is passed on. What the device answers is handed to [`Connection::answer_routed`].
    Taken,
}

impl<L: ServerLink, C: Crypto, B: Storage, const N: usize, Q: Queue> Connection<L, C, B, N, Q> {
    /// Sends what a device behind this server answered, or says of its own accord, to a client.
    ///
    /// # Errors
    /// `ApduTooLong`, and what the link says.
    pub fn answer_routed(&mut self, answer: &Routed<'_>, now: Instant) -> Result<(), LinkError> {
        let limit = self.out.as_ref().len();
        let mut out = Writer::new(self.out.as_mut());
        let Routed { client, server, network, device, apdu } = *answer;
        let prefixed = Gateway { response: true, network, device, apdu };
        prefixed.encode(&mut out).map_err(|_| LinkError::ApduTooLong { length: apdu.len(), limit })?;
        let length = out.len();
        self.sending = true;
        self.link.send(client, server, self.out.as_ref().get(..length).unwrap_or_default(), now)
    }

    /// Offers the received APDU, which has a gateway's prefix, to the device; whether that took care of it.
    pub(super) fn route<D: Device>(
        &mut self,
        client: ClientSap,
        server: ServerSap,
        now: Instant,
        device: &mut D,
    ) -> bool {
        let Ok(Gateway { response: false, network, device: address, apdu }) = Gateway::decode(self.link.apdu()) else {
            return false;
        };
        match device.route(&Routed { client, server, network, device: address, apdu }) {
            Routing::NotAGateway => false,
            Routing::Taken => true,
            Routing::Unreachable => {
                let limit = self.out.as_ref().len();
                let mut out = Writer::new(self.out.as_mut());
                // What a gateway says then is not verified against the standard: the prefix comes back, and behind it that
                // the service is not possible now.
                let head = Gateway { response: true, network, device: address, apdu: &[] };
                let written = head.encode(&mut out).and_then(|()| SERVICE_NOT_ALLOWED.encode(&mut out));
                let length = out.len();
                let sent = match written {
                    Ok(()) => self.link.send(client, server, self.out.as_ref().get(..length).unwrap_or_default(), now),
                    Err(_) => Err(LinkError::ApduTooLong { length, limit }),
                };
                self.sending = true;
                if let Err(error) = sent {
                    self.failed = Some(error);
                }
                true
            }
        }
    }
}
