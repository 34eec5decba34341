//! A flash memory in memory, whose power fails when it is told to.

use std::cell::RefCell;
use std::rc::Rc;

use embedded_storage::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_write,
};

/// Blocks of `ERASE` octets that are programmed in units of `WRITE`. Clones share the memory.
#[derive(Clone, Debug)]
pub(super) struct Nor<const WRITE: usize, const ERASE: usize>(pub(super) Rc<RefCell<Memory>>);

#[derive(Debug)]
pub(super) struct Memory {
    pub(super) octets: Vec<u8>,
    /// Steps that power will last for, an octet programmed or eight erased; `None`: for ever.
    pub(super) power: Option<usize>,
    /// Whether it has failed.
    pub(super) dark: bool,
    /// Octets that can no longer be written.
    pub(super) broken: core::ops::Range<usize>,
    /// Steps that were made.
    pub(super) steps: usize,
    /// How often each block was erased.
    pub(super) erased: Vec<usize>,
    /// Whether octets may be programmed again, as [`MultiwriteNorFlash`] says.
    pub(super) again: bool,
    /// What is left of an octet whose write was cut off.
    pub(super) torn: u8,
}

impl Memory {
    fn check_works(&self, offset: usize) -> Result<(), NorFlashErrorKind> {
        if self.broken.contains(&offset) { Err(NorFlashErrorKind::Other) } else { Ok(()) }
    }

    /// Whether there is power for another step.
    fn step(&mut self) -> bool {
        match &mut self.power {
            Some(0) => {
                self.dark = true;
                return false;
            }
            Some(power) => *power -= 1,
            None => {}
        }
        self.steps += 1;
        true
    }
}

impl<const WRITE: usize, const ERASE: usize> Nor<WRITE, ERASE> {
    pub(super) fn new(blocks: usize) -> Self {
        let octets = vec![0xFF; ERASE * blocks];
        let memory = Memory {
            octets,
            power: None,
            dark: false,
            broken: 0..0,
            steps: 0,
            erased: vec![0; blocks],
            again: false,
            torn: 0b0101_1010,
        };
        Self(Rc::new(RefCell::new(memory)))
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for Nor<WRITE, ERASE> {
    type Error = NorFlashErrorKind;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for Nor<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let memory = self.0.borrow();
        let start = offset as usize;
        bytes.copy_from_slice(memory.octets.get(start..start + bytes.len()).ok_or(NorFlashErrorKind::OutOfBounds)?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.borrow().octets.len()
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for Nor<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        let mut memory = self.0.borrow_mut();
        memory.check_works(from as usize)?;
        for octets in (from as usize..to as usize).step_by(8) {
            if octets % ERASE == 0 {
                memory.erased[octets / ERASE] += 1;
            }
            if !memory.step() {
                return Err(NorFlashErrorKind::Other);
            }
            memory.octets[octets..octets + 8].fill(0xFF);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let mut memory = self.0.borrow_mut();
        memory.check_works(offset as usize)?;
        for (index, octet) in bytes.iter().enumerate() {
            let at = offset as usize + index;
            let torn = memory.torn;
            let before = memory.octets[at];
            assert!(memory.again || before == 0xFF, "octet {at} is programmed twice");
            if !memory.step() {
                // Of the bits that were to be cleared some are.
                memory.octets[at] = before & (octet | torn);
                return Err(NorFlashErrorKind::Other);
            }
            memory.octets[at] = before & octet;
        }
        Ok(())
    }
}

impl<const WRITE: usize, const ERASE: usize> MultiwriteNorFlash for Nor<WRITE, ERASE> {}
