//! General block transfer (IEC 62056-5-3): what both sides share.
//!
//! An APDU that is longer than its receiver takes is cut into blocks, after it was ciphered: the opposite order of the
//! blocks of GET, SET and ACTION. Each side numbers what it sends from 1 and names the last block that it has received
//! in sequence; a sender goes on behind that one, so that whatever was lost is sent again. A burst of blocks (as many
//! as the receiver's window) ends with one that does not announce another: then it is the receiver's turn.
//!
//! The client alone watches the clock of a confirmed exchange and repeats what stayed without effect; the server
//! answers what it is sent. Recovery is not specified in the sources at hand beyond the meaning of the fields; what is
//! done here was tried against independent implementations.

use crate::apdu::{BlockControl, GeneralBlockTransfer};
use crate::axdr::Writer;

/// Most octets in front of a block's data: tag, control, both numbers, length.
pub(crate) const HEADER_MAX: usize = 1 + 1 + 2 + 2 + 3;

/// Octets of data in each block but the last, where a block may have `limit` octets.
pub(crate) const fn fragment(limit: usize) -> usize {
    // One octet of length up to 127 octets of data, two up to 255.
    let header = match limit {
        0..=134 => 7,
        135..=263 => 8,
        _ => HEADER_MAX,
    };
    limit.saturating_sub(header)
}

/// What a block is to its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The one that comes next.
    Next,
    /// Had before, or without a number of its own.
    Repeated,
    /// One between it and the last is missing.
    Gap,
}

/// Block numbers of one exchange, as one side sees them. They count from 1 and go on with 0 behind 65535.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Numbers {
    /// The block that was sent last.
    pub(crate) sent: u16,
    /// The last one of these that the peer has.
    pub(crate) acknowledged: u16,
    /// The last block of the peer that was received in sequence.
    pub(crate) received: u16,
    /// Blocks that the peer takes in one burst.
    pub(crate) window: u8,
}

impl Numbers {
    /// Takes the numbers of a block. Where no data is `expected`, an empty block ahead of its turn is the next one:
    /// nothing but acknowledgements can be missing before it.
    pub(crate) fn take(&mut self, block: &GeneralBlockTransfer<'_>, expected: bool) -> Arrival {
        self.window = block.control.window().max(1);
        // Acknowledgements of what was never sent, or taken back, say nothing: there are clients that send FFFF.
        if block.acknowledged.wrapping_sub(self.acknowledged) <= self.sent.wrapping_sub(self.acknowledged) {
            self.acknowledged = block.acknowledged;
        }
        let ahead = block.number.wrapping_sub(self.received);
        let empty = block.data.is_empty();
        // Some acknowledgements have no number.
        if ahead != 1 && block.number == 0 && empty {
            return Arrival::Repeated;
        }
        match ahead {
            1 => {}
            2..=0x7FFF if empty && !expected => {}
            0 | 0x8000.. => return Arrival::Repeated,
            _ => return Arrival::Gap,
        }
        self.received = block.number;
        Arrival::Next
    }

    /// The peer has gone on, which it does only when it has what it was sent, whatever it acknowledges.
    pub(crate) const fn peer_went_on(&mut self) {
        self.acknowledged = self.sent;
    }

    /// The number of an empty block: that of the one before it, as long as nobody has seen that.
    pub(crate) const fn take_empty(&mut self) -> u16 {
        if self.sent == self.acknowledged {
            self.sent = self.sent.wrapping_add(1);
        }
        self.sent
    }
}

/// Joins the blocks of an unconfirmed transfer, which nobody acknowledges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joiner {
    next: u16,
    length: usize,
}

/// What came of a block of an unconfirmed transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// More blocks are needed.
    More,
    /// The APDU is complete, in as many octets of the storage.
    Complete(usize),
    /// A block is missing, or there are more octets than the storage has: the transfer is lost.
    Lost,
}

impl Joiner {
    /// A transfer that begins.
    pub(crate) const fn new() -> Self {
        Self { next: 1, length: 0 }
    }

    /// The number of the block that comes next.
    pub(crate) const fn next(&self) -> u16 {
        self.next
    }

    /// Takes a block and keeps its data in `storage`. One that was had before is passed over.
    pub(crate) fn push(&mut self, block: &GeneralBlockTransfer<'_>, storage: &mut [u8]) -> Joined {
        let ahead = block.number.wrapping_sub(self.next);
        if ahead >= 0x8000 {
            return Joined::More;
        }
        let end = self.length.saturating_add(block.data.len());
        let Some(room) = storage.get_mut(self.length..end).filter(|_| ahead == 0) else { return Joined::Lost };
        room.copy_from_slice(block.data);
        self.length = end;
        self.next = self.next.wrapping_add(1);
        if block.control.is_last() { Joined::Complete(end) } else { Joined::More }
    }
}

/// Cuts a whole APDU, ciphered if it is to be, into the blocks of an unconfirmed transfer: a notification that is longer
/// than its receiver takes. Window and acknowledged number are 0 and every block says that it streams, as recorded
/// meters have it.
///
/// ```
/// use dlms::association::UnconfirmedBlocks;
///
/// let apdu = [0x0F; 300];
/// let mut blocks = UnconfirmedBlocks::new(&apdu, 128);
/// let mut out = [0; 128];
/// let mut lengths = std::vec::Vec::new();
/// while let Some(length) = blocks.next_block(&mut out) {
///     lengths.push(length);
/// }
/// assert_eq!(lengths, [128, 128, 65]);
/// assert_eq!(out[..6], [0xE0, 0xC0, 0, 3, 0, 0]);
/// ```
#[derive(Clone, Debug)]
pub struct UnconfirmedBlocks<'a> {
    rest: Option<&'a [u8]>,
    fragment: usize,
    number: u16,
}

impl<'a> UnconfirmedBlocks<'a> {
    /// Blocks of at most `max_pdu` octets each, at least 8.
    #[must_use]
    pub fn new(apdu: &'a [u8], max_pdu: usize) -> Self {
        Self { rest: Some(apdu), fragment: fragment(max_pdu).max(1), number: 0 }
    }

    /// Writes the next block into `out` and returns its length; `None` behind the last one, and when `out` is too small.
    pub fn next_block(&mut self, out: &mut [u8]) -> Option<usize> {
        let (data, rest) = match self.rest?.split_at_checked(self.fragment) {
            Some((data, rest)) if !rest.is_empty() => (data, Some(rest)),
            _ => (self.rest?, None),
        };
        let number = self.number.wrapping_add(1);
        let control = BlockControl::new(rest.is_none(), true, 0);
        let block = GeneralBlockTransfer { control, number, acknowledged: 0, data };
        let mut out = Writer::new(out);
        block.encode(&mut out).ok()?;
        (self.rest, self.number) = (rest, number);
        Some(out.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: u16, acknowledged: u16, data: &[u8]) -> GeneralBlockTransfer<'_> {
        GeneralBlockTransfer { control: BlockControl::new(false, false, 3), number, acknowledged, data }
    }

    #[test]
    fn a_block_fills_its_limit_and_never_more() {
        for limit in 16..70_000 {
            let data = fragment(limit);
            let header = if data < 128 {
                7
            } else if data < 256 {
                8
            } else {
                9
            };
            assert!(data + header <= limit && data + header + 2 >= limit, "{limit}: {data}");
        }
    }

    #[test]
    fn numbers_go_round() {
        let mut numbers = Numbers { sent: 0xFFFE, acknowledged: 0xFFFE, received: 0xFFFE, window: 0 };
        assert_eq!(numbers.take(&block(0xFFFF, 0xFFFE, &[1]), true), Arrival::Next);
        assert_eq!(numbers.take(&block(1, 0xFFFE, &[1]), true), Arrival::Gap);
        assert_eq!(numbers.take(&block(0, 0xFFFE, &[1]), true), Arrival::Next);
        assert_eq!(numbers.take(&block(0xFFFF, 0xFFFE, &[1]), true), Arrival::Repeated);
        numbers.sent = 1;
        numbers.take(&block(1, 0, &[1]), true);
        assert_eq!((numbers.received, numbers.acknowledged), (1, 0));
        assert_eq!(numbers.window, 3);
    }

    #[test]
    fn what_was_never_sent_is_not_acknowledged() {
        let mut numbers = Numbers { sent: 3, acknowledged: 2, ..Numbers::default() };
        for false_number in [0, 1, 4, 0xFFFF] {
            numbers.take(&block(1, false_number, &[1]), true);
            assert_eq!(numbers.acknowledged, 2);
        }
        numbers.take(&block(2, 3, &[1]), true);
        assert_eq!(numbers.acknowledged, 3);
    }

    #[test]
    fn empty_blocks_are_skipped_over_only_where_nothing_else_can_be_missing() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.take(&block(3, 0, &[]), true), Arrival::Gap);
        assert_eq!(numbers.take(&block(3, 0, &[]), false), Arrival::Next);
        assert_eq!(numbers.take(&block(0, 0, &[]), false), Arrival::Repeated);
        assert_eq!(numbers.take_empty(), 1);
        assert_eq!(numbers.take_empty(), 1, "the same until it was seen");
        numbers.take(&block(4, 1, &[]), true);
        assert_eq!(numbers.take_empty(), 2);
    }

    #[test]
    fn an_unconfirmed_transfer_is_joined_or_lost() {
        let apdu: std::vec::Vec<u8> = (0..=255).collect();
        let mut cut = UnconfirmedBlocks::new(&apdu, 64);
        let mut blocks = std::vec::Vec::new();
        let mut out = [0; 64];
        while let Some(length) = cut.next_block(&mut out) {
            blocks.push(out[..length].to_vec());
        }
        let decode = |octets| GeneralBlockTransfer::decode(octets).unwrap();
        let mut storage = [0; 256];
        let mut joiner = Joiner::new();
        for octets in &blocks[..blocks.len() - 1] {
            assert_eq!(joiner.push(&decode(octets), &mut storage), Joined::More);
            assert_eq!(joiner.push(&decode(octets), &mut storage), Joined::More, "the same again");
        }
        assert_eq!(joiner.push(&decode(blocks.last().unwrap()), &mut storage), Joined::Complete(256));
        assert_eq!(storage[..], apdu[..]);

        let mut joiner = Joiner::new();
        assert_eq!(joiner.push(&decode(&blocks[1]), &mut storage), Joined::Lost);
        let mut joiner = Joiner::new();
        assert_eq!(joiner.push(&decode(&blocks[0]), &mut [0; 10]), Joined::Lost);
    }
}
