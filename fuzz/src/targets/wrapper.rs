//! Wrapped APDUs out of a stream, and in datagrams.

use dlms::Instant;
use dlms::link::LinkError;
use dlms::wrapper::{Framer, Header, decode_datagram, encode_datagram};

use super::{encoded, pieces};
use crate::bounded;

const STORAGE: usize = 64;

type Wrapped = (Header, Vec<u8>);

/// Every APDU for an even port, and how the stream ended.
fn apdus<'a>(cut: impl Iterator<Item = &'a [u8]>) -> (Vec<Wrapped>, Option<LinkError>) {
    let mut framer = Framer::new([0; STORAGE], 1_000);
    let now = Instant::from_millis(0);
    let mut found = Vec::new();
    for mut rest in cut {
        loop {
            let taken = match framer.handle_input(rest, now, |header| header.destination % 2 == 0) {
                Ok(taken) => taken,
                Err(error) => return (found, Some(error)),
            };
            rest = &rest[taken..];
            let Some(header) = framer.header() else {
                assert!(rest.is_empty(), "without an APDU all octets are taken");
                break;
            };
            assert_eq!(framer.apdu().len(), usize::from(header.length));
            found.push((header, framer.apdu().to_vec()));
            framer.release_apdu();
        }
    }
    (found, None)
}

pub(super) fn run(octets: &[u8]) {
    if let Ok((header, apdu)) = bounded(0, || decode_datagram(octets)) {
        // Octets behind the APDU are dropped.
        let again = encoded(|writer| encode_datagram(header, apdu, writer));
        assert!(octets.starts_with(&again), "{again:02X?}");
    }
    let (seed, stream) = octets.split_first().unwrap_or((&0, octets));
    let whole = apdus(std::iter::once(stream));
    assert!(whole.0.len() <= stream.len() / Header::LENGTH, "work is bounded by the octets");
    // An APDU that is too long is refused by its header, whatever part of it is there.
    assert_eq!(whole, apdus(pieces(stream, *seed)), "however the stream is cut");
}
