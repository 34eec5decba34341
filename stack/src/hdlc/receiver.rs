//! The receiving half of a station: numbered frames joined to APDUs, and unnumbered ones beside them.

use core::ops::Range;

use super::address::Address;
use super::control::Sequence;
use super::{LLC_COMMAND, LLC_RESPONSE};
use crate::link::Storage;

/// Joins segments to APDUs. One complete APDU is held until it is released.
///
/// The storage holds the numbered APDU at its start and, right behind, the unnumbered one, so that a notification
/// may come between the segments of an answer.
#[derive(Debug)]
pub(super) struct Receiver<B> {
    storage: B,
    /// V(R): the next frame expected.
    next: Sequence,
    numbered: usize,
    unnumbered: usize,
    unnumbered_source: Option<Address>,
    /// The rest of an unnumbered APDU is to be passed over.
    skipping: bool,
    held: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Nothing,
    Numbered,
    Unnumbered,
}

/// What became of a numbered frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Taken; more segments follow.
    Accepted,
    /// Taken; the APDU is complete and held.
    Complete,
    /// Not the frame expected: a copy of an earlier one, or one after a lost one.
    OutOfSequence,
    /// Not taken: an APDU is still held.
    Busy,
    /// The APDU, of so many octets or more, does not fit.
    Oversize(usize),
}

impl<B: Storage> Receiver<B> {
    pub(super) const fn new(storage: B) -> Self {
        Self {
            storage,
            next: Sequence::ZERO,
            numbered: 0,
            unnumbered: 0,
            unnumbered_source: None,
            skipping: false,
            held: Held::Nothing,
        }
    }

    /// The link was set up anew or ended: what was received in part is dropped. A complete APDU stays held.
    pub(super) fn reset(&mut self) {
        self.next = Sequence::ZERO;
        if self.held != Held::Numbered {
            self.clear_numbered();
        }
    }

    /// V(R).
    pub(super) const fn next(&self) -> Sequence {
        self.next
    }

    /// Octets of the largest APDU that fits.
    pub(super) fn limit(&self) -> usize {
        self.storage.as_ref().len().saturating_sub(LLC_COMMAND.len())
    }

    /// Whether an APDU waits to be released.
    pub(super) fn is_held(&self) -> bool {
        self.held != Held::Nothing
    }

    /// Whether segments have arrived and more are to follow.
    pub(super) fn is_partial(&self) -> bool {
        self.numbered > 0 && self.held != Held::Numbered
    }

    /// Whether segments of an unnumbered APDU have arrived and more are to follow.
    pub(super) fn is_unnumbered_partial(&self) -> bool {
        self.unnumbered > 0 && self.held != Held::Unnumbered
    }

    /// Takes an I frame.
    pub(super) fn numbered(&mut self, send: Sequence, segmented: bool, information: &[u8]) -> Outcome {
        if send != self.next {
            return Outcome::OutOfSequence;
        }
        if self.is_held() {
            return Outcome::Busy;
        }
        let end = self.numbered.saturating_add(information.len());
        let capacity = self.storage.as_ref().len();
        if end.saturating_add(self.unnumbered) > capacity {
            self.skipping |= self.unnumbered > 0;
            self.unnumbered = 0;
        }
        if end > capacity {
            return Outcome::Oversize(end.saturating_sub(LLC_COMMAND.len()));
        }
        let unnumbered = self.unnumbered_range();
        self.storage.as_mut().copy_within(unnumbered, end);
        self.put(self.numbered, information);
        self.numbered = end;
        self.next = self.next.plus(1);
        if segmented {
            return Outcome::Accepted;
        }
        self.held = Held::Numbered;
        if self.range().is_empty() {
            self.release();
            return Outcome::Accepted;
        }
        Outcome::Complete
    }

    /// Takes a UI frame; returns whether it completed an APDU. One that does not fit, or comes while another APDU is
    /// held, is passed over whole.
    pub(super) fn unnumbered(&mut self, source: Address, segmented: bool, information: &[u8]) -> bool {
        let first = llc_length(information) > 0;
        if first || self.unnumbered_source != Some(source) {
            self.skipping = false;
            if self.held != Held::Unnumbered {
                self.unnumbered = 0;
            }
        }
        self.unnumbered_source = Some(source);
        let start = self.numbered.saturating_add(self.unnumbered);
        let fits = start.saturating_add(information.len()) <= self.storage.as_ref().len();
        if self.skipping || self.is_held() || !fits {
            self.drop_unnumbered();
            self.skipping = segmented;
            return false;
        }
        self.put(start, information);
        self.unnumbered = self.unnumbered.saturating_add(information.len());
        if segmented {
            return false;
        }
        self.unnumbered_source = None;
        self.held = Held::Unnumbered;
        if self.range().is_empty() {
            self.release();
            return false;
        }
        true
    }

    /// Gives up an unnumbered APDU that is not complete.
    pub(super) fn drop_unnumbered(&mut self) {
        if self.held != Held::Unnumbered {
            self.unnumbered = 0;
        }
    }

    /// The APDU that is held, without its LLC header.
    pub(super) fn apdu(&mut self) -> &mut [u8] {
        let range = self.range();
        self.storage.as_mut().get_mut(range).unwrap_or_default()
    }

    /// Gives up the APDU that is held.
    pub(super) fn release(&mut self) {
        match self.held {
            Held::Nothing => {}
            Held::Numbered => self.clear_numbered(),
            Held::Unnumbered => self.unnumbered = 0,
        }
        self.held = Held::Nothing;
    }

    fn clear_numbered(&mut self) {
        let unnumbered = self.unnumbered_range();
        self.storage.as_mut().copy_within(unnumbered, 0);
        self.numbered = 0;
    }

    fn put(&mut self, start: usize, information: &[u8]) {
        let end = start.saturating_add(information.len());
        if let Some(room) = self.storage.as_mut().get_mut(start..end) {
            room.copy_from_slice(information);
        }
    }

    fn unnumbered_range(&self) -> Range<usize> {
        self.numbered..self.numbered.saturating_add(self.unnumbered)
    }

    fn range(&self) -> Range<usize> {
        let whole = match self.held {
            Held::Nothing => return 0..0,
            Held::Numbered => 0..self.numbered,
            Held::Unnumbered => self.unnumbered_range(),
        };
        let llc = self.storage.as_ref().get(whole.clone()).map_or(0, llc_length);
        whole.start.saturating_add(llc)..whole.end
    }
}

/// Octets of the LLC header at the start. That of either direction is taken: there are servers that answer with the
/// client's.
fn llc_length(octets: &[u8]) -> usize {
    if octets.starts_with(&LLC_COMMAND) || octets.starts_with(&LLC_RESPONSE) { LLC_COMMAND.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(sap: u16) -> Address {
        Address::client(sap).unwrap()
    }

    #[test]
    fn segments_are_joined_and_the_llc_header_is_stripped_once() {
        let mut receiver = Receiver::new([0; 16]);
        assert_eq!(receiver.numbered(Sequence::ZERO, true, &[0xE6, 0xE7, 0, 1, 2]), Outcome::Accepted);
        assert!(receiver.is_partial());
        assert_eq!(receiver.numbered(Sequence::new(1), false, &[0xE6, 0xE7, 0]), Outcome::Complete);
        assert_eq!(receiver.apdu(), [1, 2, 0xE6, 0xE7, 0]);
        assert!(!receiver.is_partial());
        receiver.release();
        assert!(receiver.apdu().is_empty());
        assert_eq!(receiver.numbered(Sequence::new(2), false, &[0xE6, 0xE6, 0, 9]), Outcome::Complete);
        assert_eq!(receiver.apdu(), [9]);
    }

    #[test]
    fn a_copy_and_a_gap_change_nothing() {
        let mut receiver = Receiver::new([0; 16]);
        receiver.numbered(Sequence::ZERO, true, &[1, 2]);
        for send in [0, 2, 7] {
            assert_eq!(receiver.numbered(Sequence::new(send), false, &[9]), Outcome::OutOfSequence);
        }
        assert_eq!(receiver.numbered(Sequence::new(1), false, &[3]), Outcome::Complete);
        assert_eq!(receiver.apdu(), [1, 2, 3]);
        assert_eq!(receiver.numbered(Sequence::new(2), false, &[4]), Outcome::Busy);
        assert_eq!(receiver.next(), Sequence::new(2));
    }

    #[test]
    fn lesson_10_a_notification_between_segments_disturbs_neither() {
        let mut receiver = Receiver::new([0; 24]);
        receiver.numbered(Sequence::ZERO, true, &[1, 2]);
        assert!(!receiver.unnumbered(source(1), true, &[0xE6, 0xE7, 0, 0x0F, 5]));
        receiver.numbered(Sequence::new(1), true, &[3, 4]);
        assert!(receiver.unnumbered(source(1), false, &[6]));
        assert_eq!(receiver.apdu(), [0x0F, 5, 6]);
        receiver.release();
        assert!(!receiver.unnumbered(source(1), true, &[0xE6, 0xE7, 0, 0x0F, 7]));
        assert_eq!(receiver.numbered(Sequence::new(2), false, &[5]), Outcome::Complete);
        assert_eq!(receiver.apdu(), [1, 2, 3, 4, 5]);
        receiver.release();
        assert!(receiver.unnumbered(source(1), false, &[8]));
        assert_eq!(receiver.apdu(), [0x0F, 7, 8]);
    }

    #[test]
    fn a_notification_whose_end_was_lost_does_not_spoil_the_next() {
        let mut receiver = Receiver::new([0; 24]);
        assert!(!receiver.unnumbered(source(1), true, &[0xE6, 0xE7, 0, 0x0F, 5]));
        assert!(receiver.unnumbered(source(1), false, &[0xE6, 0xE7, 0, 0x0F, 6]));
        assert_eq!(receiver.apdu(), [0x0F, 6]);
        receiver.release();
        assert!(!receiver.unnumbered(source(1), true, &[0xE6, 0xE7, 0, 0x0F, 7]));
        assert!(receiver.unnumbered(source(2), false, &[9]), "segments of two senders are not joined");
        assert_eq!(receiver.apdu(), [9]);
    }

    #[test]
    fn what_does_not_fit_is_refused_at_the_first_octet_too_many() {
        let mut receiver = Receiver::new([0; 8]);
        assert_eq!(receiver.numbered(Sequence::ZERO, true, &[0xE6, 0xE7, 0, 1, 2, 3, 4]), Outcome::Accepted);
        assert_eq!(receiver.numbered(Sequence::new(1), true, &[5, 6]), Outcome::Oversize(6));
        receiver.reset();
        assert!(!receiver.unnumbered(source(1), true, &[0xE6, 0xE7, 0, 1, 2, 3, 4]));
        assert!(!receiver.unnumbered(source(1), true, &[5, 6]));
        assert!(!receiver.unnumbered(source(1), false, &[7]), "the rest is passed over");
        assert!(receiver.unnumbered(source(1), false, &[0xE6, 0xE7, 0, 9]));
        assert_eq!(receiver.apdu(), [9]);
    }

    #[test]
    fn the_answer_has_precedence_over_a_notification_when_memory_is_short() {
        let mut receiver = Receiver::new([0; 8]);
        assert!(!receiver.unnumbered(source(1), true, &[0xE6, 0xE7, 0, 1]));
        assert_eq!(receiver.numbered(Sequence::ZERO, false, &[0xE6, 0xE7, 0, 2, 3]), Outcome::Complete);
        assert_eq!(receiver.apdu(), [2, 3]);
        receiver.release();
        assert!(!receiver.unnumbered(source(1), false, &[4]), "its first part is gone");
    }
}
