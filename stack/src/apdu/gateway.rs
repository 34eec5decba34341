//! The prefix in front of an APDU that a gateway passes on.

use crate::axdr::{BufferFull, Writer};
use crate::wire::{Cursor, Refused, Wire, codec};

use super::tag;

/// An APDU, plain or ciphered, with the address of the device behind a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway<'a> {
    /// Whether it comes back from the device.
    pub response: bool,
    /// Network behind the gateway.
    pub network: u8,
    /// Address of the device in that network.
    pub device: &'a [u8],
    /// The complete APDU.
    pub apdu: &'a [u8],
}

codec!(Gateway<'a>);

impl<'a> Wire<'a> for Gateway<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        let at = cursor.offset();
        let response = match cursor.u8()? {
            tag::GATEWAY_REQUEST => false,
            tag::GATEWAY_RESPONSE => true,
            found => return Err(cursor.unexpected(at, "gateway prefix", found)),
        };
        let network = cursor.u8()?;
        let device = cursor.octet_string("physical device address")?;
        let rest = cursor.remaining();
        Ok(Self { response, network, device, apdu: cursor.bytes(rest)? })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(if self.response { tag::GATEWAY_RESPONSE } else { tag::GATEWAY_REQUEST })?;
        writer.u8(self.network)?;
        writer.octet_string(self.device)?;
        writer.bytes(self.apdu)
    }
}
