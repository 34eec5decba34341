//! The two slots of a journal in flash memory, each of them one block that records are appended to.

use embedded_storage::nor_flash::NorFlash;

use super::{BLANK, WRITE_SIZE_MAX, aligned, place};
use crate::journal::Slots;

/// Two blocks of flash memory as the slots of a [`Journal`](crate::journal::Journal).
///
/// A slot is a whole block. Records are appended to it one behind the other, and the last one is the slot's content; the
/// block is erased when it is full. While one slot is written or erased, the other holds the record before.
///
/// In front of a record stands its length, and the same with all bits turned: a length that was cut off ends the slot.
/// Whether the record itself is whole is for the journal's check sum to say.
#[derive(Debug)]
pub struct FlashSlots<F> {
    flash: F,
}

/// The header of a record, padded to what is programmed at once.
const HEAD: usize = 4;

/// What was found in a slot.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    /// Where the last record is, and how long.
    last: Option<(usize, usize)>,
    /// Where the next one can be written; `None` when the block has to be erased first.
    next: Option<usize>,
}

impl<F: NorFlash> FlashSlots<F> {
    /// In the first two blocks of `flash`; `None` when it does not have two, or is programmed in units that are longer
    /// than [`WRITE_SIZE_MAX`] or do not divide a block.
    pub fn new(flash: F) -> Option<Self> {
        let fits = F::ERASE_SIZE.checked_mul(2).is_some_and(|octets| octets <= flash.capacity());
        let units = F::WRITE_SIZE != 0 && F::WRITE_SIZE <= WRITE_SIZE_MAX && F::READ_SIZE == 1;
        (fits && units && F::ERASE_SIZE.is_multiple_of(F::WRITE_SIZE)).then_some(Self { flash })
    }

    /// Octets of a header.
    const fn head() -> usize {
        aligned(HEAD, F::WRITE_SIZE)
    }

    fn start(slot: usize) -> usize {
        F::ERASE_SIZE.saturating_mul(slot & 1)
    }

    /// Walks over the records of a slot. `None` when the memory cannot be read.
    fn walk(&mut self, slot: usize) -> Option<Found> {
        let start = Self::start(slot);
        let (mut at, mut last) = (0_usize, None);
        loop {
            let data = at.checked_add(Self::head())?;
            if data > F::ERASE_SIZE {
                return Some(Found { last, next: None });
            }
            let mut head = [0; WRITE_SIZE_MAX];
            let head = head.get_mut(..Self::head().min(WRITE_SIZE_MAX))?;
            self.flash.read(place(start, at)?, head).ok()?;
            if head.iter().all(|octet| *octet == BLANK) {
                // What follows must be blank as well: an erasure that was cut off leaves anything.
                let next = self.is_blank(start, at)?.then_some(at);
                return Some(Found { last, next });
            }
            let [a, b, c, d] = *head.first_chunk::<HEAD>()?;
            let length = u16::from_be_bytes([a, b]);
            let end = data.checked_add(aligned(usize::from(length), F::WRITE_SIZE))?;
            if length == !u16::from_be_bytes([c, d]) && end <= F::ERASE_SIZE {
                last = Some((data, usize::from(length)));
                at = end;
            } else {
                return Some(Found { last, next: None });
            }
        }
    }

    /// Whether nothing is written from `at` on.
    fn is_blank(&mut self, start: usize, at: usize) -> Option<bool> {
        let mut at = at;
        let mut octets = [0; WRITE_SIZE_MAX];
        while at < F::ERASE_SIZE {
            let part = octets.get_mut(..F::ERASE_SIZE.saturating_sub(at).min(WRITE_SIZE_MAX))?;
            self.flash.read(place(start, at)?, part).ok()?;
            if part.iter().any(|octet| *octet != BLANK) {
                return Some(false);
            }
            at = at.checked_add(part.len())?;
        }
        Some(true)
    }

    /// Programs `octets`, the last unit filled up.
    fn program(&mut self, at: usize, octets: &[u8]) -> Option<()> {
        let whole = octets.len().checked_sub(octets.len().checked_rem(F::WRITE_SIZE)?)?;
        let (front, rest) = octets.split_at_checked(whole)?;
        self.flash.write(u32::try_from(at).ok()?, front).ok()?;
        if !rest.is_empty() {
            let mut unit = [BLANK; WRITE_SIZE_MAX];
            let unit = unit.get_mut(..F::WRITE_SIZE)?;
            unit.get_mut(..rest.len())?.copy_from_slice(rest);
            self.flash.write(place(at, whole)?, unit).ok()?;
        }
        Some(())
    }

    fn append(&mut self, slot: usize, octets: &[u8]) -> Option<()> {
        let start = Self::start(slot);
        let length = u16::try_from(octets.len()).ok()?;
        let needed = Self::head().checked_add(aligned(octets.len(), F::WRITE_SIZE))?;
        if needed > F::ERASE_SIZE {
            return None;
        }
        let free = self.walk(slot)?.next.filter(|at| at.saturating_add(needed) <= F::ERASE_SIZE);
        let at = match free {
            Some(at) => at,
            None => {
                self.flash.erase(place(start, 0)?, place(start, F::ERASE_SIZE)?).ok()?;
                0
            }
        };
        let at = start.checked_add(at)?;
        let [a, b] = length.to_be_bytes();
        let [c, d] = (!length).to_be_bytes();
        self.program(at, &[a, b, c, d])?;
        self.program(at.checked_add(Self::head())?, octets)
    }
}

impl<F: NorFlash> Slots for FlashSlots<F> {
    fn read(&mut self, slot: usize, out: &mut [u8]) -> Option<usize> {
        let Some((at, length)) = self.walk(slot)?.last else { return Some(0) };
        // A length that does not fit is nothing that was written here: as broken as any other.
        let length = length.min(out.len());
        self.flash.read(place(Self::start(slot), at)?, out.get_mut(..length)?).ok()?;
        Some(length)
    }

    fn write(&mut self, slot: usize, octets: &[u8]) -> bool {
        self.append(slot, octets).is_some()
    }
}
