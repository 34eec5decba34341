//! A file that behaves as a flash memory: erased in blocks to ones, programmed to zeros. A board has a driver instead.

use core::ffi::{c_char, c_int, c_void};

use dlms_meter_server::flash::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// Octets in all.
const CAPACITY: usize = 29 * FileFlash::ERASE_SIZE;
/// Octets that are read or written at once here.
const STEP: usize = 64;

/// For reading and writing, made when it is not there (Linux).
const OPEN_FLAGS: c_int = 0o2 | 0o100;
const OWNER_ALONE: c_int = 0o600;

unsafe extern "C" {
    fn open(path: *const c_char, flags: c_int, mode: c_int) -> c_int;
    fn pread(fd: c_int, buffer: *mut c_void, count: usize, offset: i64) -> isize;
    fn pwrite(fd: c_int, buffer: *const c_void, count: usize, offset: i64) -> isize;
}

/// The file.
pub struct FileFlash {
    fd: c_int,
}

impl FileFlash {
    /// What is beyond the end of the file is erased.
    pub fn open(path: *const c_char) -> Option<Self> {
        // SAFETY: the caller has the path from the C start-up code, which ends it with a zero.
        let fd = unsafe { open(path, OPEN_FLAGS, OWNER_ALONE) };
        (fd >= 0).then_some(Self { fd })
    }

    fn put(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        // SAFETY: the pointer and the length are those of one slice.
        let count = unsafe { pwrite(self.fd, bytes.as_ptr().cast(), bytes.len(), offset.into()) };
        if usize::try_from(count) == Ok(bytes.len()) { Ok(()) } else { Err(NorFlashErrorKind::Other) }
    }
}

impl ErrorType for FileFlash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for FileFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        bytes.fill(0xFF);
        // SAFETY: the pointer and the length are those of one exclusive slice.
        let count = unsafe { pread(self.fd, bytes.as_mut_ptr().cast(), bytes.len(), offset.into()) };
        if count < 0 { Err(NorFlashErrorKind::Other) } else { Ok(()) }
    }

    fn capacity(&self) -> usize {
        CAPACITY
    }
}

impl NorFlash for FileFlash {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = 4_096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        (from..to).step_by(STEP).try_for_each(|offset| self.put(offset, &[0xFF; STEP]))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        for (offset, part) in (offset..).step_by(STEP).zip(bytes.chunks(STEP)) {
            let mut found = [0; STEP];
            let Some(found) = found.get_mut(..part.len()) else { return Err(NorFlashErrorKind::Other) };
            self.read(offset, found)?;
            // Bits are only ever cleared.
            found.iter_mut().zip(part).for_each(|(found, octet)| *found &= octet);
            self.put(offset, found)?;
        }
        Ok(())
    }
}

impl MultiwriteNorFlash for FileFlash {}
