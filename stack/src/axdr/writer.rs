//! A cursor over octets to be sent.

use super::BufferFull;

/// A cursor that writes into a buffer of the caller's.
///
/// A windowed writer ([`Writer::window`]) drops the first `skip` octets and counts those past the end
/// of the buffer: the same encoding routine then yields any part of a value that is larger than one
/// block, with no other buffer than the block's own.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    length: usize,
    skip: usize,
    overflow: Option<usize>,
}

impl<'b> Writer<'b> {
    /// Writes from the start of `buffer`; an octet that does not fit is an error.
    #[must_use]
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, length: 0, skip: 0, overflow: None }
    }

    /// Writes what comes after the first `skip` octets; octets past the end of `buffer` are counted in
    /// [`overflow`](Self::overflow) and dropped instead of being an error.
    #[must_use]
    pub const fn window(buffer: &'b mut [u8], skip: usize) -> Self {
        Self { buffer, length: 0, skip, overflow: Some(0) }
    }

    /// Octets written into the buffer so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Octets that did not fit into a windowed writer's buffer.
    #[must_use]
    pub const fn overflow(&self) -> usize {
        match self.overflow {
            Some(count) => count,
            None => 0,
        }
    }

    /// Octets that still fit.
    #[must_use]
    pub const fn free(&self) -> usize {
        self.buffer.len().saturating_sub(self.length)
    }

    /// What was written.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// What was written, to be changed in place.
    #[must_use]
    pub fn written_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(..self.length).unwrap_or_default()
    }

    /// Ends the writing and returns the written part of the buffer.
    #[must_use]
    pub fn into_written(self) -> &'b mut [u8] {
        self.buffer.get_mut(..self.length).unwrap_or_default()
    }

    /// Drops what was written after the first `length` octets: takes an attempt back.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Forgets everything that was written, what overflowed included: begins again.
    pub fn restart(&mut self) {
        self.length = 0;
        if let Some(overflow) = &mut self.overflow {
            *overflow = 0;
        }
    }

    /// Room for `count` octets, counted as written, which the caller fills; `None` when they do not all go into the
    /// buffer, or some are to be skipped.
    #[inline]
    pub(super) fn room(&mut self, count: usize) -> Option<&mut [u8]> {
        if self.skip != 0 {
            return None;
        }
        let end = self.length.checked_add(count)?;
        let room = self.buffer.get_mut(self.length..end)?;
        self.length = end;
        Some(room)
    }

    /// Writes octets as they are.
    ///
    /// # Errors
    /// [`BufferFull`] when they do not fit; nothing is written then.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), BufferFull> {
        let bytes = if self.skip == 0 {
            bytes
        } else {
            let dropped = self.skip.min(bytes.len());
            self.skip = self.skip.saturating_sub(dropped);
            bytes.get(dropped..).unwrap_or_default()
        };
        let Some(free) = self.buffer.get_mut(self.length..) else { return Err(BufferFull) };
        if let Some(room) = free.get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
            self.length = self.length.saturating_add(bytes.len());
            return Ok(());
        }
        let Some(overflow) = &mut self.overflow else { return Err(BufferFull) };
        let (fits, lost) = bytes.split_at_checked(free.len()).unwrap_or((bytes, &[]));
        free.copy_from_slice(fits);
        self.length = self.length.saturating_add(fits.len());
        *overflow = overflow.saturating_add(lost.len());
        Ok(())
    }

    /// Writes one octet.
    ///
    /// # Errors
    /// [`BufferFull`].
    #[inline]
    pub fn u8(&mut self, value: u8) -> Result<(), BufferFull> {
        self.bytes(&[value])
    }

    /// Writes a signed octet.
    ///
    /// # Errors
    /// [`BufferFull`].
    #[inline]
    pub fn i8(&mut self, value: i8) -> Result<(), BufferFull> {
        self.bytes(&value.to_be_bytes())
    }

    /// Writes a big-endian 16-bit number.
    ///
    /// # Errors
    /// [`BufferFull`].
    #[inline]
    pub fn u16(&mut self, value: u16) -> Result<(), BufferFull> {
        self.bytes(&value.to_be_bytes())
    }

    /// Writes a big-endian 32-bit number.
    ///
    /// # Errors
    /// [`BufferFull`].
    #[inline]
    pub fn u32(&mut self, value: u32) -> Result<(), BufferFull> {
        self.bytes(&value.to_be_bytes())
    }

    /// Writes a length or count in its shortest form.
    ///
    /// # Errors
    /// [`BufferFull`]; also for a length over 32 bits, which no buffer holds.
    #[inline]
    pub fn length(&mut self, length: usize) -> Result<(), BufferFull> {
        let value = u32::try_from(length).map_err(|_| BufferFull)?;
        let [a, b, c, d] = value.to_be_bytes();
        match value {
            0..=0x7F => self.bytes(&[d]),
            0x80..=0xFF => self.bytes(&[0x81, d]),
            0x100..=0xFFFF => self.bytes(&[0x82, c, d]),
            0x1_0000..=0xFF_FFFF => self.bytes(&[0x83, b, c, d]),
            _ => self.bytes(&[0x84, a, b, c, d]),
        }
    }

    /// Writes a length and the octets.
    ///
    /// # Errors
    /// [`BufferFull`].
    #[inline]
    pub fn octet_string(&mut self, bytes: &[u8]) -> Result<(), BufferFull> {
        self.length(bytes.len())?;
        self.bytes(bytes)
    }

    /// Writes the presence octet of an OPTIONAL field.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn present(&mut self, present: bool) -> Result<(), BufferFull> {
        self.u8(u8::from(present))
    }
}
