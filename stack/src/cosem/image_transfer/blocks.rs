//! Which blocks of an image are to be sent.

use crate::axdr::BitString;

/// The blocks of an image, and a place to note which of them the meter has.
#[derive(Debug)]
pub(super) struct Blocks<'a> {
    bitmap: &'a mut [u8],
    /// Octets of the image.
    image: u32,
    /// Octets of a block, from 1.
    block: u32,
    /// Whether `bitmap` says what the meter has.
    known: bool,
    /// The next block that may have to be sent.
    next: u32,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(image: u32, bitmap: &'a mut [u8]) -> Self {
        Self { bitmap, image, block: 1, known: false, next: 0 }
    }

    /// Cuts the image into blocks of `octets`; false for 0.
    pub(super) const fn cut(&mut self, octets: u32) -> bool {
        self.block = if octets == 0 { 1 } else { octets };
        octets != 0
    }

    /// How many there are.
    pub(super) const fn count(&self) -> u32 {
        self.image.div_ceil(self.block)
    }

    /// All blocks from `first` on are to be sent.
    pub(super) const fn send_from(&mut self, first: u32) {
        self.known = false;
        self.next = first;
    }

    /// The blocks that `present` does not have are to be sent. False when there is no room to note them.
    pub(super) fn send_missing(&mut self, present: &BitString<'_>) -> bool {
        let octets = present.as_bytes();
        let Some(place) = self.bitmap.get_mut(..octets.len()) else { return false };
        place.copy_from_slice(octets);
        if let Some(beyond) = self.bitmap.get_mut(octets.len()..) {
            beyond.fill(0);
        }
        // Bits past the last block are as they were received, and those blocks do not exist. A status that is shorter
        // than the image, as meters with a dynamic length send it, has the rest missing.
        let unused = octets.len().saturating_mul(8).saturating_sub(present.len());
        if let Some(last) = octets.len().checked_sub(1).and_then(|index| self.bitmap.get_mut(index)) {
            *last &= 0xFF_u8.checked_shl(u32::try_from(unused).unwrap_or(8)).unwrap_or(0);
        }
        self.known = true;
        self.next = 0;
        true
    }

    /// The block to be sent: its number, and where in the image it begins and how long it is.
    pub(super) fn current(&mut self) -> Option<(u32, u32, u32)> {
        while self.next < self.count() && self.known && self.has(self.next) {
            self.next = self.next.saturating_add(1);
        }
        if self.next >= self.count() {
            return None;
        }
        let offset = self.next.saturating_mul(self.block);
        Some((self.next, offset, self.block.min(self.image.saturating_sub(offset))))
    }

    /// Goes on behind the current block.
    pub(super) const fn advance(&mut self) {
        self.next = self.next.saturating_add(1);
    }

    fn has(&self, block: u32) -> bool {
        let (octet, bit) = (usize::try_from(block >> 3).unwrap_or(usize::MAX), block & 7);
        self.bitmap.get(octet).is_some_and(|octet| octet & (0x80_u8 >> bit) != 0)
    }
}
