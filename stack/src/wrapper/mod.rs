//! The TCP and UDP wrapper (IEC 62056-47): eight octets in front of every APDU.
//!
//! | octets | field | value |
//! |---|---|---|
//! | 2 | version | 1 |
//! | 2 | source wPort | the sender's service access point |
//! | 2 | destination wPort | the receiver's |
//! | 2 | length | octets of the APDU that follows |
//!
//! On TCP the wrapped APDUs form a stream that may be cut anywhere: [`Framer`]. On UDP each datagram holds one:
//! [`decode_datagram`], [`encode_datagram`].

pub mod client;
mod framer;
pub mod server;
mod transmit;

use thiserror::Error;

use crate::axdr::{BufferFull, Writer};
use crate::id::{ClientSap, ServerSap};

pub use framer::Framer;

/// The port registered with IANA for DLMS/COSEM, TCP and UDP.
pub const PORT: u16 = 4059;

/// wPort of the all-station address: a broadcast, UDP only (IEC 62056-47).
pub const ALL_STATION: u16 = 0x007F;

/// The header of a wrapped APDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The sender's service access point.
    pub source: u16,
    /// The receiver's service access point.
    pub destination: u16,
    /// Octets of the APDU that follows.
    pub length: u16,
}

impl Header {
    /// Octets of a header.
    pub const LENGTH: usize = 8;

    /// The only version there is.
    pub const VERSION: u16 = 1;

    /// Header of an APDU of `length` octets from a client to a server.
    #[must_use]
    pub const fn request(client: ClientSap, server: ServerSap, length: u16) -> Self {
        Self { source: client.0, destination: server.0, length }
    }

    /// Header of an APDU of `length` octets from a server to a client.
    #[must_use]
    pub const fn response(client: ClientSap, server: ServerSap, length: u16) -> Self {
        Self { source: server.0, destination: client.0, length }
    }

    /// Reads a header.
    ///
    /// # Errors
    /// The version is not 1.
    pub const fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Result<Self, UnsupportedVersion> {
        let [v1, v0, s1, s0, d1, d0, l1, l0] = *bytes;
        let version = u16::from_be_bytes([v1, v0]);
        if version != Self::VERSION {
            return Err(UnsupportedVersion(version));
        }
        Ok(Self {
            source: u16::from_be_bytes([s1, s0]),
            destination: u16::from_be_bytes([d1, d0]),
            length: u16::from_be_bytes([l1, l0]),
        })
    }

    /// The header as octets.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LENGTH] {
        let [s1, s0] = self.source.to_be_bytes();
        let [d1, d0] = self.destination.to_be_bytes();
        let [l1, l0] = self.length.to_be_bytes();
        [0, 1, s1, s0, d1, d0, l1, l0]
    }
}

/// The version field of a header that is not 1: the octets are not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("wrapper version {0:#06x}")]
pub struct UnsupportedVersion(pub u16);

/// Why a datagram was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WrapperError {
    /// The version is not 1.
    #[error(transparent)]
    Version(#[from] UnsupportedVersion),
    /// A datagram that ends before the APDU it announces, or before the header's end.
    #[error("datagram of {available} octet(s), {needed} needed")]
    Truncated {
        /// Octets that header and APDU take.
        needed: usize,
        /// Octets of the datagram.
        available: usize,
    },
}

/// The header and the APDU of a datagram. Octets after the APDU are dropped: an APDU never spans datagrams and
/// a datagram never holds two.
///
/// # Errors
/// `Version` or `Truncated`; the datagram is to be dropped.
pub fn decode_datagram(datagram: &[u8]) -> Result<(Header, &[u8]), WrapperError> {
    let available = datagram.len();
    let Some((head, rest)) = datagram.split_first_chunk::<{ Header::LENGTH }>() else {
        return Err(WrapperError::Truncated { needed: Header::LENGTH, available });
    };
    let header = Header::from_bytes(head)?;
    match rest.get(..usize::from(header.length)) {
        Some(apdu) => Ok((header, apdu)),
        None => Err(WrapperError::Truncated {
            needed: Header::LENGTH.saturating_add(usize::from(header.length)),
            available,
        }),
    }
}

/// The wrapped APDUs of a datagram, in order: one by the standard, more from senders that gather them
/// ([`Deviation::DatagramTail`](crate::deviation::Deviation::DatagramTail)). Octets that are no wrapped APDU end it with an error.
pub fn split_datagram(datagram: &[u8]) -> impl Iterator<Item = Result<(Header, &[u8]), WrapperError>> {
    let mut rest = Some(datagram);
    core::iter::from_fn(move || {
        let octets = rest.take().filter(|octets| !octets.is_empty())?;
        let decoded = decode_datagram(octets);
        if let Ok((_, apdu)) = decoded {
            rest = octets.get(Header::LENGTH.saturating_add(apdu.len())..);
        }
        Some(decoded)
    })
}

/// Writes `apdu` with its header, as one datagram or as the next part of a stream. The header's own `length` is
/// replaced by that of `apdu`.
///
/// # Errors
/// [`BufferFull`], also for an APDU over 65535 octets.
pub fn encode_datagram(header: Header, apdu: &[u8], out: &mut Writer<'_>) -> Result<(), BufferFull> {
    let length = u16::try_from(apdu.len()).map_err(|_| BufferFull)?;
    out.bytes(&Header { length, ..header }.to_bytes())?;
    out.bytes(apdu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    /// Published example: AARQ of the public client to the management logical device.
    const AARQ: [u8; 39] = hex!("0001 0010 0001 001F 601DA109060760857405080101BE10040E01000000065F1F0400007E1F04B0");

    #[test]
    fn a_datagram_decodes_to_header_and_apdu() {
        let (header, apdu) = decode_datagram(&AARQ).unwrap();
        assert_eq!(header, Header::request(ClientSap::PUBLIC, ServerSap::MANAGEMENT, 31));
        assert_eq!(apdu, &AARQ[8..]);
        let mut out = [0; 39];
        let mut writer = Writer::new(&mut out);
        encode_datagram(header, apdu, &mut writer).unwrap();
        assert_eq!(writer.written(), AARQ);
    }

    #[test]
    fn the_response_header_is_mirrored() {
        let header = Header::response(ClientSap::PUBLIC, ServerSap::MANAGEMENT, 0x2B);
        assert_eq!(header.to_bytes(), hex!("0001 0001 0010 002B"));
    }

    #[test]
    fn every_truncation_of_a_datagram_is_refused() {
        for length in 0..AARQ.len() {
            let needed = if length < 8 { 8 } else { AARQ.len() };
            assert_eq!(
                decode_datagram(&AARQ[..length]),
                Err(WrapperError::Truncated { needed, available: length }),
                "{length}"
            );
        }
    }

    #[test]
    fn octets_after_the_apdu_of_a_datagram_are_dropped() {
        let mut glued = AARQ.to_vec();
        glued.extend_from_slice(&AARQ);
        assert_eq!(decode_datagram(&glued).unwrap().1, &AARQ[8..]);
        assert_eq!(split_datagram(&glued).map(|apdu| apdu.unwrap().1).collect::<std::vec::Vec<_>>(), [&AARQ[8..]; 2]);
        glued.push(0);
        let refused = Err(WrapperError::Truncated { needed: 8, available: 1 });
        assert_eq!(split_datagram(&glued).last(), Some(refused));
        assert_eq!(split_datagram(&[]).count(), 0);
    }

    #[test]
    fn another_version_is_refused() {
        let swapped = hex!("0100 1000 0100 0000");
        assert_eq!(decode_datagram(&swapped), Err(WrapperError::Version(UnsupportedVersion(0x0100))));
    }

    #[test]
    fn an_apdu_over_the_length_field_is_refused() {
        let apdu = std::vec![0; 0x1_0000];
        let mut out = std::vec![0; 0x1_0010];
        let header = Header::request(ClientSap(1), ServerSap(1), 0);
        assert_eq!(encode_datagram(header, &apdu, &mut Writer::new(&mut out)), Err(BufferFull));
        assert_eq!(encode_datagram(header, &apdu[1..], &mut Writer::new(&mut out)), Ok(()));
    }
}
