//! A part of a flash memory that is shared.

use core::cell::RefCell;

use embedded_storage::nor_flash::{ErrorType, MultiwriteNorFlash, NorFlash, NorFlashErrorKind, ReadNorFlash};

/// Some blocks of a flash memory, which others have other blocks of.
#[derive(Debug)]
pub struct Partition<'a, F> {
    flash: &'a RefCell<F>,
    start: u32,
    octets: usize,
}

impl<F> Clone for Partition<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Partition<'_, F> {}

impl<'a, F: NorFlash> Partition<'a, F> {
    /// `blocks` blocks that are erased as one each, from block `first` on; `None` when the memory does not have them.
    #[must_use]
    pub fn new(flash: &'a RefCell<F>, first: usize, blocks: usize) -> Option<Self> {
        let start = first.checked_mul(F::ERASE_SIZE)?;
        let octets = blocks.checked_mul(F::ERASE_SIZE)?;
        let capacity = flash.try_borrow().ok()?.capacity();
        (start.checked_add(octets)? <= capacity).then_some(Self { flash, start: u32::try_from(start).ok()?, octets })
    }

    /// Where `length` octets at `offset` are in the whole memory.
    fn place(&self, offset: u32, length: usize) -> Result<u32, NorFlashErrorKind> {
        let end = usize::try_from(offset).ok().and_then(|offset| offset.checked_add(length));
        match self.start.checked_add(offset) {
            Some(place) if end.is_some_and(|end| end <= self.octets) => Ok(place),
            _ => Err(NorFlashErrorKind::OutOfBounds),
        }
    }
}

/// All errors, as the kind that they are.
fn kind(error: impl embedded_storage::nor_flash::NorFlashError) -> NorFlashErrorKind {
    error.kind()
}

impl<F: NorFlash> ErrorType for Partition<'_, F> {
    type Error = NorFlashErrorKind;
}

impl<F: NorFlash> ReadNorFlash for Partition<'_, F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let place = self.place(offset, bytes.len())?;
        self.flash.try_borrow_mut().map_err(|_| NorFlashErrorKind::Other)?.read(place, bytes).map_err(kind)
    }

    fn capacity(&self) -> usize {
        self.octets
    }
}

impl<F: NorFlash> NorFlash for Partition<'_, F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        let length = usize::try_from(to.checked_sub(from).ok_or(NorFlashErrorKind::OutOfBounds)?);
        let place = self.place(from, length.map_err(|_| NorFlashErrorKind::OutOfBounds)?)?;
        let end = self.place(to, 0)?;
        self.flash.try_borrow_mut().map_err(|_| NorFlashErrorKind::Other)?.erase(place, end).map_err(kind)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let place = self.place(offset, bytes.len())?;
        self.flash.try_borrow_mut().map_err(|_| NorFlashErrorKind::Other)?.write(place, bytes).map_err(kind)
    }
}

impl<F: MultiwriteNorFlash> MultiwriteNorFlash for Partition<'_, F> {}
