//! Wrapped APDUs out of an octet stream.

use super::{Header, UnsupportedVersion};
use crate::Instant;
use crate::deviation::{Deviation, Deviations};
use crate::link::{LinkError, Storage};

/// Cuts a stream into wrapped APDUs, however the stream itself is cut.
///
/// At most one APDU is held, in the storage given at the start. An APDU that does not fit is refused when its
/// header is complete, before any of it is stored.
#[derive(Debug)]
pub struct Framer<B> {
    storage: B,
    read_timeout_ms: u32,
    state: State,
    tolerated: Deviations,
    met: Deviations,
    /// An APDU has come: what comes now is no modem's banner any more.
    synchronised: bool,
}

/// ```text
///   Header --complete--> Body --complete--> Complete --release--> Header
///      |                                                            ^
///      `--- not for us ---> Skip --- octets passed -----------------'
/// ```
/// An error leads to `Broken`, which ends the stream: without its place in the stream a framer knows nothing.
#[derive(Clone, Copy, Debug)]
enum State {
    Header { bytes: [u8; Header::LENGTH], length: usize, started: Instant },
    Body { header: Header, length: usize, started: Instant },
    Skip { left: usize, started: Instant },
    Complete { header: Header },
    Broken,
}

impl State {
    const START: Self = Self::Header { bytes: [0; Header::LENGTH], length: 0, started: Instant::from_millis(0) };
}

impl<B: Storage> Framer<B> {
    /// A framer that refuses APDUs over the size of `storage` and lets one take `read_timeout_ms` milliseconds from
    /// its first octet to its last.
    pub const fn new(storage: B, read_timeout_ms: u32) -> Self {
        Self {
            storage,
            read_timeout_ms,
            state: State::START,
            tolerated: Deviations::NONE,
            met: Deviations::NONE,
            synchronised: false,
        }
    }

    /// Understands [`Deviation::LittleEndianWrapper`] and [`Deviation::WrapperPreamble`] where they are in the set.
    /// Neither is tolerated otherwise: each makes something of octets that are likelier to be of another protocol.
    pub const fn tolerate(&mut self, deviations: Deviations) {
        self.tolerated = deviations;
    }

    /// The deviations that were met since this was asked last.
    pub const fn take_deviations(&mut self) -> Deviations {
        core::mem::replace(&mut self.met, Deviations::NONE)
    }

    /// Forgets what was received: for a new connection.
    pub fn reset(&mut self) {
        self.state = State::START;
        self.synchronised = false;
    }

    /// Whether no octet of an APDU or its header has arrived.
    pub(super) const fn is_empty(&self) -> bool {
        matches!(self.state, State::Header { length: 0, .. })
    }

    pub(super) const fn storage_mut(&mut self) -> &mut B {
        &mut self.storage
    }

    /// Takes octets up to the end of an APDU that `accept` wants; returns how many. APDUs that it does not want are
    /// passed over. While an APDU waits nothing is taken.
    ///
    /// # Errors
    /// `UnsupportedVersion`, `Oversize`, or `ReadTimeout`; the stream is lost then, and all later octets are
    /// swallowed until [`reset`](Self::reset).
    pub fn handle_input(
        &mut self,
        input: &[u8],
        now: Instant,
        mut accept: impl FnMut(&Header) -> bool,
    ) -> Result<usize, LinkError> {
        self.handle_timeout(now)?;
        let mut rest = input;
        while !rest.is_empty() {
            let used = self.step(rest, now, &mut accept).inspect_err(|_| self.state = State::Broken)?;
            if used == 0 {
                break;
            }
            rest = rest.get(used..).unwrap_or_default();
        }
        Ok(input.len().saturating_sub(rest.len()))
    }

    /// Takes some of `input`, which is not empty; 0 when an APDU waits.
    fn step(
        &mut self,
        input: &[u8],
        now: Instant,
        accept: &mut impl FnMut(&Header) -> bool,
    ) -> Result<usize, LinkError> {
        match self.state {
            State::Header { mut bytes, length, started } => {
                let started = if length == 0 { now } else { started };
                let used = fill(&mut bytes, length, input);
                let length = length.saturating_add(used);
                self.state = if length < Header::LENGTH {
                    State::Header { bytes, length, started }
                } else {
                    self.begin(&bytes, started, accept)?
                };
                Ok(used)
            }
            State::Body { header, length, started } => {
                let body = self.storage.as_mut().get_mut(..usize::from(header.length)).unwrap_or_default();
                let used = fill(body, length, input);
                let length = length.saturating_add(used);
                self.state = if length < usize::from(header.length) {
                    State::Body { header, length, started }
                } else {
                    State::Complete { header }
                };
                Ok(used)
            }
            State::Skip { left, started } => {
                let used = left.min(input.len());
                let left = left.saturating_sub(used);
                self.state = if left == 0 { State::START } else { State::Skip { left, started } };
                Ok(used)
            }
            State::Complete { .. } => Ok(0),
            State::Broken => Ok(input.len()),
        }
    }

    /// What follows a complete header.
    fn begin(
        &mut self,
        bytes: &[u8; Header::LENGTH],
        started: Instant,
        accept: &mut impl FnMut(&Header) -> bool,
    ) -> Result<State, LinkError> {
        let hunting = !self.synchronised && self.tolerated.contains(Deviation::WrapperPreamble);
        let limit = self.storage.as_ref().len();
        let header = self.parse(bytes);
        if hunting && !header.is_ok_and(|header| usize::from(header.length) <= limit && accept(&header)) {
            // The header may begin at any of the octets behind the first.
            self.met.insert(Deviation::WrapperPreamble);
            let [_, kept @ ..] = *bytes;
            let mut shifted = [0; Header::LENGTH];
            shifted.iter_mut().zip(kept).for_each(|(to, from)| *to = from);
            return Ok(State::Header { bytes: shifted, length: kept.len(), started });
        }
        let header = header.map_err(|UnsupportedVersion(found)| LinkError::UnsupportedVersion { found })?;
        self.synchronised = true;
        let length = usize::from(header.length);
        if length == 0 {
            Ok(State::START)
        } else if !accept(&header) {
            Ok(State::Skip { left: length, started })
        } else if length > limit {
            Err(LinkError::Oversize { length, limit })
        } else {
            Ok(State::Body { header, length: 0, started })
        }
    }

    fn parse(&mut self, bytes: &[u8; Header::LENGTH]) -> Result<Header, UnsupportedVersion> {
        let swapped = UnsupportedVersion(Header::VERSION.swap_bytes());
        match Header::from_bytes(bytes) {
            Err(version) if version == swapped && self.tolerated.contains(Deviation::LittleEndianWrapper) => {
                self.met.insert(Deviation::LittleEndianWrapper);
                let [v0, v1, s0, s1, d0, d1, l0, l1] = *bytes;
                Header::from_bytes(&[v1, v0, s1, s0, d1, d0, l1, l0])
            }
            header => header,
        }
    }

    /// Ends the stream when an APDU has been incomplete for too long.
    ///
    /// # Errors
    /// `ReadTimeout`.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), LinkError> {
        if self.poll_timeout().is_some_and(|deadline| now >= deadline) {
            self.state = State::Broken;
            return Err(LinkError::ReadTimeout);
        }
        Ok(())
    }

    /// When the APDU that is being received must be complete.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Header { length: 0, .. } | State::Complete { .. } | State::Broken => None,
            State::Header { started, .. } | State::Body { started, .. } | State::Skip { started, .. } => {
                Some(started.after_ms(u64::from(self.read_timeout_ms)))
            }
        }
    }

    /// The header of the APDU that waits.
    pub const fn header(&self) -> Option<Header> {
        match self.state {
            State::Complete { header } => Some(header),
            _ => None,
        }
    }

    /// The APDU that waits; empty when there is none.
    pub fn apdu(&mut self) -> &mut [u8] {
        let length = self.header().map_or(0, |header| usize::from(header.length));
        self.storage.as_mut().get_mut(..length).unwrap_or_default()
    }

    /// Makes room for the next APDU.
    pub fn release_apdu(&mut self) {
        if let State::Complete { .. } = self.state {
            self.state = State::START;
        }
    }
}

/// Copies from `input` to what is free of `target` after `length` octets; returns how many.
fn fill(target: &mut [u8], length: usize, input: &[u8]) -> usize {
    let free = target.get_mut(length..).unwrap_or_default();
    let count = free.len().min(input.len());
    if let (Some(to), Some(from)) = (free.get_mut(..count), input.get(..count)) {
        to.copy_from_slice(from);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use std::vec::Vec;

    const T0: Instant = Instant::from_millis(1_000);
    /// Reported of meters and accepted by another implementation: every field has its low octet first.
    #[test]
    fn lesson_12_a_little_endian_header_is_understood_where_that_is_tolerated() {
        let swapped = hex!("0100 1000 0100 0D00 C001C100080000010000FF0200");
        let mut strict = Framer::new([0; 32], 100);
        let refused = LinkError::UnsupportedVersion { found: 0x0100 };
        assert_eq!(strict.handle_input(&swapped, T0, |_| true), Err(refused));
        let mut lenient = Framer::new([0; 32], 100);
        lenient.tolerate([Deviation::LittleEndianWrapper].into_iter().collect());
        assert_eq!(lenient.handle_input(&swapped, T0, |_| true), Ok(swapped.len()));
        assert_eq!(lenient.header(), Some(Header { source: 16, destination: 1, length: 13 }));
        assert_eq!(lenient.apdu(), &GET[8..]);
        assert_eq!(lenient.take_deviations().first(), Some(Deviation::LittleEndianWrapper));
        assert_eq!(lenient.take_deviations(), Deviations::NONE);
    }

    /// A modem's banner in front of the first header, however it is cut; later it is another protocol.
    #[test]
    fn lesson_12_octets_in_front_of_the_first_header_are_passed_over_where_that_is_tolerated() {
        let stream = [&b"\r\nCONNECT 9600\r\n\x00\x00\x01"[..], &GET].concat();
        for size in 1..stream.len() {
            let mut framer = Framer::new([0; 32], 100);
            framer.tolerate([Deviation::WrapperPreamble].into_iter().collect());
            for chunk in stream.chunks(size) {
                assert_eq!(framer.handle_input(chunk, T0, |header| header.source == 16), Ok(chunk.len()));
            }
            assert_eq!(framer.apdu(), &GET[8..], "pieces of {size}");
            assert_eq!(framer.take_deviations().first(), Some(Deviation::WrapperPreamble));
            framer.release_apdu();
            let lost = framer.handle_input(b"NO CARRIER", T0, |_| true);
            assert_eq!(lost, Err(LinkError::UnsupportedVersion { found: 0x4E4F }));
        }
        let mut strict = Framer::new([0; 32], 100);
        assert!(strict.handle_input(&stream, T0, |_| true).is_err());
    }

    const GET: [u8; 21] = hex!("0001 0010 0001 000D C001C100080000010000FF0200");
    const RELEASE: [u8; 13] = hex!("0001 0010 0001 0005 6203800100");

    /// Feeds `chunks`, releasing each APDU when it is complete.
    fn collect(framer: &mut Framer<[u8; 64]>, chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut apdus = Vec::new();
        for chunk in chunks {
            let mut rest = *chunk;
            loop {
                let used = framer.handle_input(rest, T0, |_| true).unwrap();
                rest = &rest[used..];
                if framer.header().is_none() {
                    assert!(rest.is_empty());
                    break;
                }
                apdus.push(framer.apdu().to_vec());
                framer.release_apdu();
            }
        }
        apdus
    }

    #[test]
    fn any_chunking_yields_the_same_apdus() {
        let stream = [GET.as_slice(), &RELEASE, &GET].concat();
        let expected = [GET[8..].to_vec(), RELEASE[8..].to_vec(), GET[8..].to_vec()];
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let mut framer = Framer::new([0; 64], 1_000);
                let chunks = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(collect(&mut framer, &chunks), expected, "cut at {first} and {second}");
            }
        }
        let mut framer = Framer::new([0; 64], 1_000);
        let octets: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(collect(&mut framer, &octets), expected);
    }

    #[test]
    fn a_waiting_apdu_holds_the_stream_back() {
        let stream = [GET, GET].concat();
        let mut framer = Framer::new([0; 13], 1_000);
        assert_eq!(framer.handle_input(&stream, T0, |_| true), Ok(21));
        assert_eq!(framer.handle_input(&stream[21..], T0, |_| true), Ok(0));
        assert_eq!(framer.apdu(), &GET[8..]);
        framer.release_apdu();
        assert!(framer.apdu().is_empty());
        assert_eq!(framer.handle_input(&stream[21..], T0, |_| true), Ok(21));
    }

    #[test]
    fn an_oversize_apdu_is_refused_at_its_header_and_ends_the_stream() {
        let mut framer = Framer::new([0; 12], 1_000);
        let error = LinkError::Oversize { length: 13, limit: 12 };
        assert_eq!(framer.handle_input(&GET[..7], T0, |_| true), Ok(7));
        assert_eq!(framer.handle_input(&GET[7..8], T0, |_| true), Err(error));
        assert_eq!(framer.handle_input(&RELEASE, T0, |_| true), Ok(RELEASE.len()));
        assert_eq!(framer.header(), None);
        framer.reset();
        assert_eq!(framer.handle_input(&RELEASE, T0, |_| true), Ok(RELEASE.len()));
        assert_eq!(framer.apdu(), &RELEASE[8..]);
    }

    #[test]
    fn what_is_not_wanted_is_passed_over_even_when_oversize() {
        let mut stream = hex!("0001 0010 0002 FFFF").to_vec();
        stream.resize(8 + 0xFFFF, 0x55);
        stream.extend_from_slice(&GET);
        let mut framer = Framer::new([0; 13], 1_000);
        assert_eq!(framer.handle_input(&stream, T0, |header| header.destination == 1), Ok(stream.len()));
        assert_eq!(framer.apdu(), &GET[8..]);
    }

    #[test]
    fn an_empty_apdu_is_ignored() {
        let stream = [&hex!("0001 0010 0001 0000")[..], &RELEASE].concat();
        let mut framer = Framer::new([0; 13], 1_000);
        assert_eq!(framer.handle_input(&stream, T0, |_| true), Ok(stream.len()));
        assert_eq!(framer.apdu(), &RELEASE[8..]);
    }

    #[test]
    fn lesson_15_an_incomplete_apdu_ends_at_the_read_timeout() {
        for received in 1..GET.len() {
            let mut framer = Framer::new([0; 64], 1_000);
            assert_eq!(framer.poll_timeout(), None);
            framer.handle_input(&GET[..1], T0, |_| true).unwrap();
            framer.handle_input(&GET[1..received], T0.after_ms(600), |_| true).unwrap();
            assert_eq!(framer.poll_timeout(), Some(T0.after_ms(1_000)));
            assert_eq!(framer.handle_timeout(T0.after_ms(999)), Ok(()));
            assert_eq!(framer.handle_timeout(T0.after_ms(1_000)), Err(LinkError::ReadTimeout));
            assert_eq!(framer.poll_timeout(), None);
        }
    }

    #[test]
    fn another_version_ends_the_stream() {
        let mut framer = Framer::new([0; 64], 1_000);
        let result = framer.handle_input(&hex!("7EA0070321930F017E"), T0, |_| true);
        assert_eq!(result, Err(LinkError::UnsupportedVersion { found: 0x7EA0 }));
        assert_eq!(framer.header(), None);
    }
}
