//! The sending half of a station: one APDU, cut into numbered frames and kept until it is acknowledged.

use core::ops::Range;

use super::control::Sequence;
use super::parameters::Parameters;
use crate::link::{LinkError, Storage};

/// Sends one APDU at a time, and beside it one outside the sequence.
///
/// The storage holds the numbered APDU at its start and the unnumbered one at its end, each with its LLC header.
#[derive(Debug)]
pub(super) struct Sender<B> {
    storage: B,
    information: usize,
    window: u8,
    /// Octets of the numbered APDU; 0 when there is none.
    length: usize,
    /// Octets of it that were acknowledged.
    acknowledged: usize,
    /// Octets of it that were sent, this time.
    sent: usize,
    /// V(A): the oldest frame that was not acknowledged.
    oldest: Sequence,
    /// V(A) before it moved last.
    previous: Sequence,
    /// V(S): the next frame to be sent.
    next: Sequence,
    /// One past the newest frame that was ever sent: the highest N(R) a peer may name.
    highest: Sequence,
    /// Octets of the unnumbered APDU that are still to be sent, at the end of the storage.
    unnumbered: usize,
}

/// What an N(R) meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acknowledged {
    /// Frames were acknowledged.
    Some,
    /// None that were not acknowledged before.
    Nothing,
    /// Frames that were never sent.
    Invalid,
}

/// The information field of the next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    /// N(S).
    pub(super) send: Sequence,
    /// The information field.
    pub(super) information: &'a [u8],
    /// Whether more of the APDU follows.
    pub(super) segmented: bool,
    /// Whether an acknowledgement must be awaited before more may be sent.
    pub(super) last: bool,
}

impl<B: Storage> Sender<B> {
    pub(super) const fn new(storage: B) -> Self {
        Self {
            storage,
            information: Parameters::DEFAULT.information_transmit as usize,
            window: Parameters::DEFAULT.window_transmit,
            length: 0,
            acknowledged: 0,
            sent: 0,
            oldest: Sequence::ZERO,
            previous: Sequence::ZERO,
            next: Sequence::ZERO,
            highest: Sequence::ZERO,
            unnumbered: 0,
        }
    }

    /// The link was set up anew: numbers start at 0, what was to be sent is dropped.
    pub(super) fn reset(&mut self, parameters: &Parameters) {
        self.information = usize::from(parameters.information_transmit).max(1);
        self.window = parameters.window_transmit.clamp(1, Parameters::WINDOW_MAX);
        (self.length, self.acknowledged, self.sent) = (0, 0, 0);
        (self.oldest, self.previous, self.next, self.highest) = Default::default();
    }

    /// V(S).
    pub(super) const fn next_send(&self) -> Sequence {
        self.next
    }

    /// Whether frames are not acknowledged yet, sent or not.
    pub(super) const fn is_pending(&self) -> bool {
        self.acknowledged < self.length
    }

    /// Takes an APDU in place of the one before. Numbers that were given to unacknowledged frames of that are given
    /// again.
    pub(super) fn load(&mut self, llc: [u8; 3], apdu: &[u8]) -> Result<(), LinkError> {
        let free = self.storage.as_ref().len().saturating_sub(self.unnumbered);
        self.length = put(self.storage.as_mut().get_mut(..free).unwrap_or_default(), llc, apdu, free)?;
        self.acknowledged = 0;
        self.highest = self.oldest;
        self.rewind();
        Ok(())
    }

    /// Goes back to the oldest frame that was not acknowledged.
    pub(super) const fn rewind(&mut self) {
        self.next = self.oldest;
        self.sent = self.acknowledged;
    }

    /// Takes the peer's N(R). One that was valid before the newest acknowledgement is a late copy and means nothing.
    pub(super) fn acknowledge(&mut self, receive: Sequence) -> Acknowledged {
        let count = receive.ahead_of(self.oldest);
        if count == 0 {
            return Acknowledged::Nothing;
        }
        if count > self.highest.ahead_of(self.oldest) {
            let late = self.oldest.ahead_of(receive) <= self.oldest.ahead_of(self.previous);
            return if late { Acknowledged::Nothing } else { Acknowledged::Invalid };
        }
        let octets = usize::from(count).saturating_mul(self.information);
        self.acknowledged = self.acknowledged.saturating_add(octets).min(self.length);
        let outpaced = count > self.next.ahead_of(self.oldest);
        (self.previous, self.oldest) = (self.oldest, receive);
        if outpaced {
            self.rewind();
        }
        if !self.is_pending() {
            (self.length, self.acknowledged, self.sent) = (0, 0, 0);
        }
        Acknowledged::Some
    }

    /// How many frames may be sent from here before an acknowledgement must be awaited.
    pub(super) const fn burst(&self) -> u8 {
        let left = self.length.saturating_sub(self.sent).div_ceil(self.information);
        let room = self.window.saturating_sub(self.next.ahead_of(self.oldest));
        if left < room as usize { left as u8 } else { room }
    }

    /// The next frame, if the window lets it go.
    pub(super) fn peek(&self) -> Option<Segment<'_>> {
        let burst = self.burst();
        if burst == 0 {
            return None;
        }
        let end = self.segment_end();
        Some(Segment {
            send: self.next,
            information: self.storage.as_ref().get(self.sent..end)?,
            segmented: end < self.length,
            last: burst == 1,
        })
    }

    /// The frame that [`peek`](Self::peek) showed was sent.
    pub(super) fn advance(&mut self) {
        self.sent = self.segment_end();
        let highest = self.highest.ahead_of(self.oldest);
        self.next = self.next.plus(1);
        if self.next.ahead_of(self.oldest) > highest {
            self.highest = self.next;
        }
    }

    fn segment_end(&self) -> usize {
        self.sent.saturating_add(self.information).min(self.length)
    }

    /// Takes an APDU to be sent outside the sequence.
    pub(super) fn load_unnumbered(&mut self, llc: [u8; 3], apdu: &[u8]) -> Result<(), LinkError> {
        if self.unnumbered > 0 {
            return Err(LinkError::Busy);
        }
        let storage = self.storage.as_mut();
        let capacity = storage.len();
        let start = capacity.saturating_sub(apdu.len().saturating_add(llc.len()));
        if start < self.length {
            let limit = capacity.saturating_sub(self.length);
            return Err(too_long(apdu, limit));
        }
        self.unnumbered = put(storage.get_mut(start..).unwrap_or_default(), llc, apdu, capacity)?;
        Ok(())
    }

    /// The information field of the next unnumbered frame, and whether more follows.
    pub(super) fn peek_unnumbered(&self) -> Option<(&[u8], bool)> {
        let segment = self.unnumbered_segment();
        let more = segment.end < self.storage.as_ref().len();
        self.storage.as_ref().get(segment).filter(|octets| !octets.is_empty()).map(|octets| (octets, more))
    }

    /// The frame that [`peek_unnumbered`](Self::peek_unnumbered) showed was sent.
    pub(super) fn advance_unnumbered(&mut self) {
        self.unnumbered = self.unnumbered.saturating_sub(self.unnumbered_segment().len());
    }

    fn unnumbered_segment(&self) -> Range<usize> {
        let end = self.storage.as_ref().len();
        let start = end.saturating_sub(self.unnumbered);
        start..start.saturating_add(self.information).min(end)
    }

    /// Whether an unnumbered APDU is still to be sent.
    pub(super) const fn is_unnumbered_pending(&self) -> bool {
        self.unnumbered > 0
    }
}

fn too_long(apdu: &[u8], limit: usize) -> LinkError {
    LinkError::ApduTooLong { length: apdu.len(), limit: limit.saturating_sub(3) }
}

/// Writes LLC header and APDU to the start of `room`; returns how many octets that were.
fn put(room: &mut [u8], llc: [u8; 3], apdu: &[u8], limit: usize) -> Result<usize, LinkError> {
    let (head, rest) = room.split_first_chunk_mut::<3>().ok_or(too_long(apdu, limit))?;
    let body = rest.get_mut(..apdu.len()).ok_or(too_long(apdu, limit))?;
    *head = llc;
    body.copy_from_slice(apdu);
    Ok(head.len().saturating_add(body.len()))
}

#[cfg(test)]
mod tests {
    use super::super::LLC_RESPONSE;
    use super::*;
    use std::vec::Vec;

    fn sender(information: u16, window: u8) -> Sender<[u8; 64]> {
        let mut sender = Sender::new([0; 64]);
        sender.reset(&Parameters { information_transmit: information, window_transmit: window, ..Parameters::DEFAULT });
        sender
    }

    fn burst(sender: &mut Sender<[u8; 64]>) -> Vec<(u8, usize, bool, bool)> {
        let mut sent = Vec::new();
        while let Some(segment) = sender.peek() {
            sent.push((segment.send.get(), segment.information.len(), segment.segmented, segment.last));
            sender.advance();
        }
        sent
    }

    #[test]
    fn lesson_33_no_more_than_the_window_is_sent_and_its_last_frame_is_marked() {
        let mut sender = sender(8, 3);
        sender.load(LLC_RESPONSE, &[7; 30]).unwrap();
        assert_eq!(burst(&mut sender), [(0, 8, true, false), (1, 8, true, false), (2, 8, true, true)]);
        assert_eq!(sender.acknowledge(Sequence::new(3)), Acknowledged::Some);
        assert_eq!(burst(&mut sender), [(3, 8, true, false), (4, 1, false, true)]);
        assert!(sender.is_pending());
        assert_eq!(sender.acknowledge(Sequence::new(5)), Acknowledged::Some);
        assert!(!sender.is_pending());
        assert_eq!(burst(&mut sender), []);
    }

    #[test]
    fn what_was_not_acknowledged_is_sent_again_with_its_numbers() {
        let mut sender = sender(8, 3);
        sender.load(LLC_RESPONSE, &[7; 30]).unwrap();
        burst(&mut sender);
        assert_eq!(sender.acknowledge(Sequence::new(1)), Acknowledged::Some);
        sender.rewind();
        assert_eq!(burst(&mut sender), [(1, 8, true, false), (2, 8, true, false), (3, 8, true, true)]);
        sender.rewind();
        assert_eq!(sender.acknowledge(Sequence::new(3)), Acknowledged::Some, "a late answer to the first time");
        assert_eq!(burst(&mut sender), [(3, 8, true, false), (4, 1, false, true)]);
    }

    #[test]
    fn an_acknowledgement_of_what_was_never_sent_is_invalid_and_a_late_copy_is_not() {
        let mut sender = sender(8, 2);
        sender.load(LLC_RESPONSE, &[7; 30]).unwrap();
        assert_eq!(sender.acknowledge(Sequence::new(1)), Acknowledged::Invalid);
        burst(&mut sender);
        assert_eq!(sender.acknowledge(Sequence::new(3)), Acknowledged::Invalid);
        assert_eq!(sender.acknowledge(Sequence::new(2)), Acknowledged::Some);
        assert_eq!(sender.acknowledge(Sequence::new(2)), Acknowledged::Nothing);
        assert_eq!(sender.acknowledge(Sequence::new(0)), Acknowledged::Nothing);
        assert_eq!(sender.acknowledge(Sequence::new(7)), Acknowledged::Invalid);
    }

    #[test]
    fn an_acknowledgement_of_the_apdu_before_does_not_count_for_the_one_that_took_its_numbers() {
        let mut sender = sender(8, 1);
        sender.load(LLC_RESPONSE, &[7; 3]).unwrap();
        burst(&mut sender);
        sender.load(LLC_RESPONSE, &[8; 3]).unwrap();
        assert_eq!(sender.acknowledge(Sequence::new(1)), Acknowledged::Invalid);
        assert_eq!(burst(&mut sender), [(0, 6, false, true)]);
        assert_eq!(sender.acknowledge(Sequence::new(1)), Acknowledged::Some);
        sender.load(LLC_RESPONSE, &[9; 3]).unwrap();
        assert_eq!(sender.acknowledge(Sequence::ZERO), Acknowledged::Nothing, "a late copy");
    }

    #[test]
    fn an_unnumbered_apdu_waits_behind_the_numbered_one() {
        let mut sender = sender(8, 1);
        sender.load(LLC_RESPONSE, &[7; 30]).unwrap();
        sender.load_unnumbered(LLC_RESPONSE, &[9; 10]).unwrap();
        assert_eq!(sender.load_unnumbered(LLC_RESPONSE, &[9; 10]), Err(LinkError::Busy));
        assert_eq!(sender.peek_unnumbered(), Some((&[0xE6, 0xE7, 0, 9, 9, 9, 9, 9][..], true)));
        sender.advance_unnumbered();
        assert_eq!(sender.peek_unnumbered(), Some((&[9; 5][..], false)));
        sender.advance_unnumbered();
        assert_eq!(sender.peek_unnumbered(), None);
        assert_eq!(sender.peek().unwrap().information, [0xE6, 0xE7, 0, 7, 7, 7, 7, 7]);
        let refused = LinkError::ApduTooLong { length: 29, limit: 28 };
        assert_eq!(sender.load_unnumbered(LLC_RESPONSE, &[9; 29]), Err(refused));
        assert_eq!(sender.load_unnumbered(LLC_RESPONSE, &[9; 28]), Ok(()));
        assert_eq!(sender.load(LLC_RESPONSE, &[7; 31]), Err(LinkError::ApduTooLong { length: 31, limit: 30 }));
    }
}
