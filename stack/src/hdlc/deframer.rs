//! Frames out of an octet stream.

use super::frame::{FLAG, Frame, FrameError, Header, LENGTH_MAX, LENGTH_MIN};
use crate::Instant;
use crate::link::Storage;

/// Cuts the octets of a line into frames.
///
/// A frame ends where its length field says, not at the next 7E, which may be part of it. A closing flag may open
/// the next frame. Octets between frames are passed over. Only after an error are the octets of the failed
/// frame searched for another opening flag, so that a lost octet costs no more than the frame it belonged to.
/// The storage, which never grows, bounds the frames that are accepted: it holds one without its flags.
#[derive(Debug)]
pub struct Deframer<B> {
    storage: B,
    inter_octet_timeout_ms: u32,
    /// Octets in the storage; they begin after an opening flag.
    filled: usize,
    /// Octets at the start of the storage that have been given out as a frame.
    delivered: usize,
    /// The header of the frame at the start of the storage, once it is complete and right.
    header: Option<Header>,
    /// No opening flag seen since the last error: the storage is empty.
    hunting: bool,
    last_octet: Instant,
    errors: u32,
}

/// What the octets in the storage amount to.
enum Verdict {
    /// A frame may come of it, given so many octets in all.
    Need(usize),
    /// All octets up to the closing flag are there.
    Closing(Header),
    /// Not the start of a frame: another flag, or octets between frames.
    Junk,
    /// A broken frame.
    Bad(FrameError),
}

impl<B: Storage> Deframer<B> {
    /// A deframer in which a gap of `inter_octet_timeout_ms` milliseconds inside a frame ends that frame.
    pub const fn new(storage: B, inter_octet_timeout_ms: u32) -> Self {
        Self {
            storage,
            inter_octet_timeout_ms,
            filled: 0,
            delivered: 0,
            header: None,
            hunting: true,
            last_octet: Instant::from_millis(0),
            errors: 0,
        }
    }

    /// Forgets what was received.
    pub fn reset(&mut self) {
        (self.filled, self.delivered) = (0, 0);
        (self.header, self.hunting) = (None, true);
    }

    /// Broken frames so far.
    pub const fn errors(&self) -> u32 {
        self.errors
    }

    /// When an incomplete frame is to be given up: by calling [`push`](Self::push), with or without octets.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (self.filled > self.delivered).then(|| self.last_octet.after_ms(u64::from(self.inter_octet_timeout_ms)))
    }

    /// Takes octets up to the end of the next frame. Returns how many were taken and the frame, or why it is
    /// none. When there is neither, all octets were taken; otherwise call again with the rest, even if it is empty.
    pub fn push<'a>(&'a mut self, input: &'a [u8], now: Instant) -> (usize, Option<Result<Frame<'a>, FrameError>>) {
        if self.delivered > 0 {
            self.drop_front(self.delivered);
            self.delivered = 0;
        }
        // The octets in the storage are all that will come of their frame.
        let mut expired = self.poll_timeout().is_some_and(|deadline| now >= deadline);
        let mut rest = input;
        let outcome = loop {
            if self.hunting {
                let Some(flag) = rest.iter().position(|octet| *octet == FLAG) else { return (input.len(), None) };
                rest = rest.get(flag.saturating_add(1)..).unwrap_or_default();
                self.hunting = false;
            }
            if self.filled == 0 {
                expired = false;
                rest = skip_flags(rest);
                if let Some((frame, used)) = whole(rest, self.storage.as_ref().len()) {
                    rest = rest.get(used..).unwrap_or_default();
                    return (input.len().saturating_sub(rest.len()), Some(Ok(frame)));
                }
            }
            match self.examine() {
                Verdict::Need(count) => {
                    if expired {
                        break Err(FrameError::Incomplete { length: self.announced(), available: self.filled });
                    }
                    if rest.is_empty() {
                        return (input.len(), None);
                    }
                    rest = self.take(count, rest);
                    self.last_octet = now;
                }
                Verdict::Closing(header) => {
                    let closing = match self.octets(self.filled).get(header.length) {
                        Some(octet) => Some(*octet),
                        None if expired => None,
                        None => match rest.split_first() {
                            Some((octet, after)) => {
                                if *octet == FLAG {
                                    rest = after;
                                }
                                Some(*octet)
                            }
                            None => return (input.len(), None),
                        },
                    };
                    break if closing == Some(FLAG) { Ok(header) } else { Err(FrameError::ClosingFlag) };
                }
                Verdict::Junk => self.resynchronise(),
                Verdict::Bad(error) => break Err(error),
            }
        };
        let taken = input.len().saturating_sub(rest.len());
        let outcome = outcome.and_then(|header| header.verify(self.octets(header.length)).map(|()| header));
        match outcome {
            Ok(header) => {
                self.delivered = header.length;
                self.header = None;
                (taken, Some(Ok(header.view(self.octets(header.length)))))
            }
            Err(error) => {
                self.errors = self.errors.saturating_add(1);
                self.resynchronise();
                (taken, Some(Err(error)))
            }
        }
    }

    fn octets(&self, count: usize) -> &[u8] {
        self.storage.as_ref().get(..count).unwrap_or_default()
    }

    /// The length field of the frame at the start of the storage; 0 when it is not there yet.
    fn announced(&self) -> usize {
        match self.octets(self.filled) {
            [high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])) & LENGTH_MAX,
            _ => 0,
        }
    }

    fn examine(&mut self) -> Verdict {
        let limit = self.storage.as_ref().len();
        let octets = self.octets(self.filled);
        let header = match self.header {
            Some(header) => header,
            None => match octets {
                [] => return need(2, limit),
                [first, ..] if first & 0xF0 != 0xA0 => return Verdict::Junk,
                [_] => return need(2, limit),
                _ => {
                    let length = self.announced();
                    if length > limit {
                        return Verdict::Bad(FrameError::TooLong { length, limit });
                    }
                    match Header::parse(octets) {
                        Ok(Some(header)) => header,
                        Ok(None) => return need(self.filled.saturating_add(1).max(LENGTH_MIN), limit),
                        Err(error) => return Verdict::Bad(error),
                    }
                }
            },
        };
        self.header = Some(header);
        if self.filled < header.length { need(header.length, limit) } else { Verdict::Closing(header) }
    }

    /// Moves octets from `input` into the storage until it holds `count`; returns what is left.
    fn take<'a>(&mut self, count: usize, input: &'a [u8]) -> &'a [u8] {
        let used = count.saturating_sub(self.filled).min(input.len());
        let (taken, rest) = input.split_at_checked(used).unwrap_or_default();
        let end = self.filled.saturating_add(used);
        if let Some(room) = self.storage.as_mut().get_mut(self.filled..end) {
            room.copy_from_slice(taken);
            self.filled = end;
        }
        rest
    }

    fn drop_front(&mut self, count: usize) {
        let count = count.min(self.filled);
        self.storage.as_mut().copy_within(count..self.filled, 0);
        self.filled = self.filled.saturating_sub(count);
    }

    /// Gives up what is at the start of the storage and goes on after the next flag in it.
    fn resynchronise(&mut self) {
        self.header = None;
        match self.octets(self.filled).iter().position(|octet| *octet == FLAG) {
            Some(flag) => self.drop_front(flag.saturating_add(1)),
            None => (self.filled, self.hunting) = (0, true),
        }
    }
}

fn need(count: usize, limit: usize) -> Verdict {
    if count > limit { Verdict::Bad(FrameError::TooLong { length: count, limit }) } else { Verdict::Need(count) }
}

fn skip_flags(octets: &[u8]) -> &[u8] {
    let flags = octets.iter().take_while(|octet| **octet == FLAG).count();
    octets.get(flags..).unwrap_or_default()
}

/// The frame at the start of `octets`, if all of it and its closing flag are there, right and not over `limit`: then it
/// needs no copy. Also how many octets it takes.
fn whole(octets: &[u8], limit: usize) -> Option<(Frame<'_>, usize)> {
    let header = Header::parse(octets).ok()??;
    let frame = octets.get(..header.length)?;
    if header.length > limit || octets.get(header.length) != Some(&FLAG) || header.verify(frame).is_err() {
        return None;
    }
    Some((header.view(frame), header.length.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use std::vec::Vec;

    const T0: Instant = Instant::from_millis(0);
    const SNRM: [u8; 9] = hex!("7EA0070321930F017E");
    const GET: [u8; 27] = hex!("7EA0190321326FD8E6E600C001C100080000010000FF0200601A7E");
    /// From a meter: the check sequence ends with a flag's octet.
    const FLAG_INSIDE: [u8; 29] = hex!("7EA01B0300023C4752D551E6E700C401C10009060100202000FF7E8C7E");

    /// All frames and errors that come of `chunks`.
    fn collect<B: Storage>(deframer: &mut Deframer<B>, chunks: &[&[u8]]) -> Vec<Result<Vec<u8>, FrameError>> {
        let mut found = Vec::new();
        for chunk in chunks {
            let mut rest = *chunk;
            loop {
                let (used, frame) = deframer.push(rest, T0);
                rest = &rest[used..];
                match frame {
                    Some(frame) => found.push(frame.map(|frame| frame.octets().to_vec())),
                    None => break assert!(rest.is_empty()),
                }
            }
        }
        found
    }

    fn frames(list: &[&[u8]]) -> Vec<Result<Vec<u8>, FrameError>> {
        list.iter().map(|frame| Ok(frame[1..frame.len() - 1].to_vec())).collect()
    }

    /// However the stream is cut, whole frames are found: with the flag doubled, shared, or junk between.
    #[test]
    fn lesson_08_and_34_any_chunking_any_flags_between() {
        let shared = [&SNRM[..8], &FLAG_INSIDE[..28], &GET].concat();
        let doubled = [SNRM.as_slice(), &FLAG_INSIDE, &GET].concat();
        let junk =
            [&hex!("00 FF 55")[..], &SNRM, &hex!("00"), &FLAG_INSIDE[..28], &hex!("7E7E7E 31 0D"), &GET].concat();
        let expected = frames(&[&SNRM, &FLAG_INSIDE, &GET]);
        for stream in [shared, doubled, junk] {
            for first in 0..=stream.len() {
                for second in first..=stream.len() {
                    let mut deframer = Deframer::new([0; 64], 100);
                    let chunks = [&stream[..first], &stream[first..second], &stream[second..]];
                    assert_eq!(collect(&mut deframer, &chunks), expected, "cut at {first} and {second}");
                }
            }
            let octets: Vec<&[u8]> = stream.chunks(1).collect();
            assert_eq!(collect(&mut Deframer::new([0; 64], 100), &octets), expected);
        }
    }

    /// Any octet lost, added or changed in the first frame costs at most that frame.
    #[test]
    fn lesson_08_resynchronises_after_any_damage() {
        let check = |damaged: &[u8], what: &str, at: usize| {
            let stream = [damaged, &SNRM, &GET].concat();
            for size in [1, 3, stream.len()] {
                let chunks: Vec<&[u8]> = stream.chunks(size).collect();
                let mut deframer = Deframer::new([0; 64], 100);
                let found: Vec<_> = collect(&mut deframer, &chunks).into_iter().filter(Result::is_ok).collect();
                let expected = frames(&[&SNRM, &GET]);
                assert!(found.ends_with(&expected), "{what} at {at}, pieces of {size}: {found:02X?}");
            }
        };
        for at in 0..FLAG_INSIDE.len() {
            let mut lost = FLAG_INSIDE.to_vec();
            lost.remove(at);
            check(&lost, "lost", at);
            let mut added = FLAG_INSIDE.to_vec();
            added.insert(at, 0x7E);
            check(&added, "added flag", at);
            for bit in 0..8 {
                let mut changed = FLAG_INSIDE.to_vec();
                changed[at] ^= 1 << bit;
                check(&changed, "changed", at);
            }
        }
    }

    #[test]
    fn lesson_15_a_gap_inside_a_frame_ends_it() {
        for received in 2..GET.len() {
            let mut deframer = Deframer::new([0; 64], 100);
            assert_eq!(deframer.push(&GET[..received], T0), (received, None));
            assert_eq!(deframer.poll_timeout(), Some(T0.after_ms(100)), "{received}");
            assert_eq!(deframer.push(&[], T0.after_ms(99)), (0, None));
            let (used, frame) = deframer.push(&[], T0.after_ms(100));
            assert!(matches!((used, frame), (0, Some(Err(_)))), "{received}");
            assert_eq!(deframer.push(&[], T0.after_ms(100)), (0, None));
            assert_eq!(deframer.poll_timeout(), None);
            let (used, frame) = deframer.push(&SNRM, T0.after_ms(100));
            assert_eq!((used, frame.unwrap().unwrap().octets()), (9, &SNRM[1..8]));
        }
    }

    /// A frame whose length was damaged swallows the one behind it, until the gap shows that no more comes.
    #[test]
    fn a_frame_inside_a_broken_one_is_found_after_the_gap() {
        let head = hex!("7E A0 20 03 21");
        let stream = [&head[..], &SNRM].concat();
        let mut deframer = Deframer::new([0; 64], 100);
        let found = collect(&mut deframer, &[&stream]);
        assert_eq!(found.last(), frames(&[&SNRM]).last());
        assert_eq!(deframer.errors(), 1);
    }

    #[test]
    fn a_frame_over_the_storage_is_refused_and_passed() {
        let stream = [GET.as_slice(), &SNRM].concat();
        let found = collect(&mut Deframer::new([0; 24], 100), &[&stream]);
        let mut expected = std::vec![Err(FrameError::TooLong { length: 25, limit: 24 })];
        expected.extend(frames(&[&SNRM]));
        assert_eq!(found, expected);
        assert_eq!(collect(&mut Deframer::new([0; 25], 100), &[&stream]), frames(&[&GET, &SNRM]));
        assert!(collect(&mut Deframer::new([0; 0], 100), &[&stream]).iter().all(Result::is_err));
    }

    #[test]
    fn a_missing_closing_flag_is_an_error() {
        let stream = [&SNRM[..8], &[0x55], &SNRM[..]].concat();
        let mut expected = std::vec![Err(FrameError::ClosingFlag)];
        expected.extend(frames(&[&SNRM]));
        assert_eq!(collect(&mut Deframer::new([0; 24], 100), &[&stream]), expected);
    }

    proptest::proptest! {
        #[test]
        fn any_octets_end_without_panic(octets in proptest::collection::vec(proptest::prop_oneof![
            proptest::strategy::Just(0x7E_u8), proptest::strategy::Just(0xA0), 0..16_u8, proptest::arbitrary::any::<u8>()
        ], 0..400), size in 1..40_usize) {
            let chunks: Vec<&[u8]> = octets.chunks(size).collect();
            collect(&mut Deframer::new([0; 64], 100), &chunks);
        }
    }
}
