//! Blocks of an image that arrive in any order, and which of them are there.

use embedded_storage::nor_flash::MultiwriteNorFlash;

use super::{BLANK, WRITE_SIZE_MAX, aligned, place};

/// An image in flash memory: its octets, and behind them a mark for each of its blocks that is whole. The marks begin
/// where memory is erased apart from the octets, so that they go before what they vouch for.
///
/// A mark is programmed after the block, so that a block whose write was cut off counts as missing. It comes again with
/// the same octets, which is why the memory must bear to be programmed twice.
#[derive(Debug)]
pub struct BlockStore<F> {
    flash: F,
    block_size: usize,
    blocks: usize,
}

impl<F: MultiwriteNorFlash> BlockStore<F> {
    /// Room for blocks of `block_size` octets, as many as `flash` holds with their marks. `None` for a block size that is
    /// not a multiple of what is programmed at once, or when there is no room for one block.
    pub fn new(flash: F, block_size: usize) -> Option<Self> {
        let units = F::WRITE_SIZE != 0 && F::WRITE_SIZE <= WRITE_SIZE_MAX && F::READ_SIZE == 1 && F::ERASE_SIZE != 0;
        if !units || block_size == 0 || !block_size.is_multiple_of(F::WRITE_SIZE) {
            return None;
        }
        let capacity = flash.capacity();
        let most = capacity.checked_div(block_size.checked_add(F::WRITE_SIZE)?)?;
        let mut store = Self { flash, block_size, blocks: most };
        // What is lost to the marks' own beginning is less than is erased at once.
        while store.marks().checked_add(store.blocks.checked_mul(F::WRITE_SIZE)?)? > capacity {
            store.blocks = store.blocks.checked_sub(1)?;
        }
        (store.blocks != 0).then_some(store)
    }

    /// Octets of a block.
    #[must_use]
    pub const fn block_size(&self) -> usize {
        self.block_size
    }

    /// Octets of the longest image.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.blocks.saturating_mul(self.block_size)
    }

    /// Erases everything, so that a new image can come; `None` when the memory fails.
    pub fn clear(&mut self) -> Option<()> {
        // Backwards: the marks go before what they vouch for.
        let mut end = self.flash.capacity();
        while end > 0 {
            let start = end.saturating_sub(F::ERASE_SIZE);
            self.flash.erase(place(start, 0)?, place(end, 0)?).ok()?;
            end = start;
        }
        Some(())
    }

    /// Where the marks begin.
    const fn marks(&self) -> usize {
        aligned(self.capacity(), F::ERASE_SIZE)
    }

    fn mark(&self, number: usize) -> Option<u32> {
        if number >= self.blocks {
            return None;
        }
        place(self.marks(), number.checked_mul(F::WRITE_SIZE)?)
    }

    /// Whether block number `number` is there.
    pub fn has(&mut self, number: u32) -> bool {
        let mut mark = [BLANK; WRITE_SIZE_MAX];
        let found = usize::try_from(number).ok().and_then(|number| {
            let mark = mark.get_mut(..F::WRITE_SIZE)?;
            self.flash.read(self.mark(number)?, mark).ok()?;
            // A mark that was cut off vouches for nothing.
            mark.iter().all(|octet| *octet == 0).then_some(())
        });
        found.is_some()
    }

    /// Writes a block, the last of which may be shorter. `None` when there is something else already, or when the memory
    /// fails.
    pub fn write(&mut self, number: u32, octets: &[u8]) -> Option<()> {
        let index = usize::try_from(number).ok()?;
        if octets.len() > self.block_size {
            return None;
        }
        let mark = self.mark(index)?;
        let start = index.checked_mul(self.block_size)?;
        let there = self.has(number);
        let mut at = 0;
        while at < octets.len() {
            let end = at.checked_add(F::WRITE_SIZE)?.min(octets.len());
            let part = octets.get(at..end)?;
            let mut found = [BLANK; WRITE_SIZE_MAX];
            let found = found.get_mut(..F::WRITE_SIZE)?;
            self.flash.read(place(start, at)?, found).ok()?;
            // Bits can only be cleared: what is there must be on its way to what shall be.
            if found.iter().zip(part).any(|(found, octet)| found & octet != *octet || (there && found != octet)) {
                return None;
            }
            if found.iter().zip(part).any(|(found, octet)| found != octet) {
                let mut unit = [BLANK; WRITE_SIZE_MAX];
                let unit = unit.get_mut(..F::WRITE_SIZE)?;
                unit.get_mut(..part.len())?.copy_from_slice(part);
                self.flash.write(place(start, at)?, unit).ok()?;
            }
            at = end;
        }
        if there {
            return Some(());
        }
        self.flash.write(mark, [0; WRITE_SIZE_MAX].get(..F::WRITE_SIZE)?).ok()
    }

    /// Octets of the image from `offset` on; `None` when the memory fails.
    pub fn read(&mut self, offset: usize, out: &mut [u8]) -> Option<()> {
        if offset.checked_add(out.len())? > self.capacity() {
            return None;
        }
        self.flash.read(u32::try_from(offset).ok()?, out).ok()
    }
}
