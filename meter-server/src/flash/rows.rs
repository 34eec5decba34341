//! Rows of one length in a ring of flash blocks.

use core::cell::RefCell;

use embedded_storage::nor_flash::NorFlash;

use super::{BLANK, WRITE_SIZE_MAX, aligned, place};
use crate::journal::crc32;

/// Octets around a row: its number and a check sum.
pub const ROW_OVERHEAD: usize = 4 + 4;
/// Longest row, in octets.
const ROW_MAX: usize = 120;
const ROOM: usize = aligned(ROW_MAX + ROW_OVERHEAD, WRITE_SIZE_MAX);

/// Rows of `N` octets, numbered from 0 on; the oldest block of them is erased when the memory is full.
///
/// A row whose write was cut off is not there; its place stays empty and its number goes to the row that is appended
/// next. So the numbers of the rows that are there follow each other without a gap, whenever power failed.
#[derive(Debug)]
pub struct RowRing<F, const N: usize> {
    flash: RefCell<F>,
    /// Places for rows.
    places: usize,
    /// Number of the oldest row.
    first: u32,
    /// Number of the row that is appended next.
    next: u32,
    /// Where it goes.
    head: usize,
}

/// What is in the place of a row.
enum Place<const N: usize> {
    Blank,
    Spoiled,
    Row(u32, [u8; N]),
}

impl<F: NorFlash, const N: usize> RowRing<F, N> {
    /// Looks for the rows in `flash`. `None` when it does not have two blocks that hold a row each, when a row is longer
    /// than 120 octets, or when it cannot be read.
    pub fn open(flash: F) -> Option<Self> {
        let blocks = flash.capacity().checked_div(F::ERASE_SIZE)?;
        let places = blocks.saturating_mul(Self::per_block());
        let mut ring = Self { flash: RefCell::new(flash), places, first: 0, next: 0, head: 0 };
        let units = F::WRITE_SIZE != 0 && F::WRITE_SIZE <= WRITE_SIZE_MAX && F::READ_SIZE == 1;
        if !units || N > ROW_MAX || Self::per_block() == 0 || ring.places < Self::per_block().saturating_mul(2) {
            return None;
        }
        let mut newest: Option<(u32, usize)> = None;
        for index in 0..ring.places {
            if let Place::Row(number, _) = ring.at(index)?
                && newest.is_none_or(|(known, _)| number > known)
            {
                newest = Some((number, index));
            }
        }
        let Some((number, index)) = newest else { return Some(ring) };
        ring.next = number.checked_add(1)?;
        ring.head = ring.following(index);
        // Behind the newest row there may be places that were spoiled.
        while !ring.starts_block(ring.head) && !matches!(ring.at(ring.head)?, Place::Blank) {
            ring.head = ring.following(ring.head);
        }
        ring.first = ring.oldest(number, index)?;
        Some(ring)
    }

    /// Octets from one row to the next.
    const fn stride() -> usize {
        aligned(N.saturating_add(ROW_OVERHEAD), F::WRITE_SIZE)
    }

    /// Rows of a block.
    fn per_block() -> usize {
        F::ERASE_SIZE.checked_div(Self::stride()).unwrap_or(0)
    }

    /// Rows that are there at least once the memory has been full: all but a block of them.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        u32::try_from(self.places.saturating_sub(Self::per_block())).unwrap_or(u32::MAX)
    }

    /// Number of the oldest row that is there.
    #[must_use]
    pub const fn first(&self) -> u32 {
        self.first
    }

    /// Rows that are there.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.next.saturating_sub(self.first)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn following(&self, index: usize) -> usize {
        let next = index.saturating_add(1);
        if next >= self.places { 0 } else { next }
    }

    fn before(&self, index: usize) -> usize {
        index.checked_sub(1).unwrap_or(self.places.saturating_sub(1))
    }

    fn starts_block(&self, index: usize) -> bool {
        index.checked_rem(Self::per_block()) == Some(0)
    }

    /// Where place number `index` begins.
    fn offset(index: usize) -> Option<u32> {
        let (block, row) = (index.checked_div(Self::per_block())?, index.checked_rem(Self::per_block())?);
        place(block.checked_mul(F::ERASE_SIZE)?, row.checked_mul(Self::stride())?)
    }

    /// `None` when the memory cannot be read.
    fn at(&self, index: usize) -> Option<Place<N>> {
        let mut room = [0; ROOM];
        let octets = room.get_mut(..Self::stride())?;
        self.flash.try_borrow_mut().ok()?.read(Self::offset(index)?, octets).ok()?;
        if octets.iter().all(|octet| *octet == BLANK) {
            return Some(Place::Blank);
        }
        let (summed, sum) = octets.split_at_checked(N.checked_add(4)?)?;
        if sum.first_chunk::<4>() != Some(&crc32(summed).to_be_bytes()) {
            return Some(Place::Spoiled);
        }
        let (number, row) = summed.split_first_chunk::<4>()?;
        Some(Place::Row(u32::from_be_bytes(*number), *row.first_chunk::<N>()?))
    }

    /// The oldest of the rows that follow each other up to row `number` at `index`.
    fn oldest(&self, number: u32, index: usize) -> Option<u32> {
        let (mut oldest, mut at) = (number, index);
        for _ in 1..self.places {
            at = self.before(at);
            match self.at(at)? {
                Place::Blank => break,
                Place::Spoiled => {}
                Place::Row(found, _) if found.checked_add(1) == Some(oldest) => oldest = found,
                Place::Row(..) => break,
            }
        }
        Some(oldest)
    }

    /// Row number `number`; `None` when it is not there.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<[u8; N]> {
        if number < self.first || number >= self.next {
            return None;
        }
        // Without spoiled places it would be here; with them it is further back.
        let back = usize::try_from(self.next.checked_sub(number)?).ok()?;
        let places = self.places;
        let mut at = self.head.checked_add(places)?.checked_sub(back)?.checked_rem(places)?;
        for _ in 0..places {
            match self.at(at)? {
                Place::Row(found, row) if found == number => return Some(row),
                _ => at = self.before(at),
            }
        }
        None
    }

    /// Appends a row; whether it will survive a loss of power from now on.
    pub fn append(&mut self, row: &[u8; N]) -> bool {
        self.put(row).is_some()
    }

    fn put(&mut self, row: &[u8; N]) -> Option<()> {
        let following = self.next.checked_add(1)?;
        if self.starts_block(self.head) {
            self.erase_block()?;
        }
        let mut room = [BLANK; ROOM];
        let octets = room.get_mut(..Self::stride())?;
        let (summed, sum) = octets.split_at_mut_checked(N.checked_add(4)?)?;
        let (number, content) = summed.split_first_chunk_mut::<4>()?;
        *number = self.next.to_be_bytes();
        content.copy_from_slice(row);
        *sum.first_chunk_mut::<4>()? = crc32(summed).to_be_bytes();
        let at = self.head;
        // Written or not, the place is used up.
        self.head = self.following(at);
        self.flash.get_mut().write(Self::offset(at)?, octets).ok()?;
        self.next = following;
        Some(())
    }

    /// Erases the block that the head is at, and with it the oldest rows.
    fn erase_block(&mut self) -> Option<()> {
        let mut kept = None;
        for index in 0..Self::per_block() {
            if let Place::Row(number, _) = self.at(self.head.checked_add(index)?)? {
                kept = number.checked_add(1);
            }
        }
        let start = Self::offset(self.head)?;
        let end = place(usize::try_from(start).ok()?, F::ERASE_SIZE)?;
        if let Some(kept) = kept.filter(|kept| *kept <= self.next) {
            self.first = self.first.max(kept);
        }
        self.flash.get_mut().erase(start, end).ok()
    }

    /// Forgets all rows, the oldest first; whether that is for good. Numbers go on, until the next start.
    pub fn clear(&mut self) -> bool {
        let mut blocks = self.places.checked_div(Self::per_block()).unwrap_or(0);
        // At its start the head has no row of its own block yet: the oldest are there.
        if self.starts_block(self.head) {
            if self.erase_block().is_none() {
                return false;
            }
            blocks = blocks.saturating_sub(1);
        }
        for _ in 0..blocks {
            // To the next block; the one with the newest row comes last.
            self.head = self.following(self.head);
            while !self.starts_block(self.head) {
                self.head = self.following(self.head);
            }
            if self.erase_block().is_none() {
                return false;
            }
        }
        self.first = self.next;
        true
    }
}
