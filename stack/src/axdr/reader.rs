//! A cursor over received octets.

use super::{BitString, DecodeError, DecodeErrorKind};

/// A cursor over received octets that knows its offset in the whole input, so that errors can name it.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Offset of the end of `rest`: unlike that of its start it never changes, which makes reading faster.
    end: usize,
}

impl<'a> Reader<'a> {
    /// A reader at offset 0.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, end: bytes.len() }
    }

    /// A reader over a part that starts at `offset` of the whole input.
    #[must_use]
    pub const fn with_offset(bytes: &'a [u8], offset: usize) -> Self {
        Self { rest: bytes, end: offset.saturating_add(bytes.len()) }
    }

    /// Offset of the next octet in the whole input.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.end.saturating_sub(self.rest.len())
    }

    /// Offset of the end of the octets that are there.
    pub(crate) const fn end(&self) -> usize {
        self.end
    }

    /// Octets that are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The octets that are left, without taking them.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// An error at this reader's place.
    #[must_use]
    pub const fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { offset: self.offset(), kind }
    }

    /// The next octet, without taking it.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes `count` octets.
    ///
    /// # Errors
    /// `Truncated` when fewer are left.
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.error(DecodeErrorKind::Truncated {
                needed: count.saturating_sub(self.rest.len()),
                available: self.rest.len(),
            })),
        }
    }

    /// Takes `N` octets as an array.
    ///
    /// # Errors
    /// `Truncated` when fewer are left.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => Err(self.error(DecodeErrorKind::Truncated {
                needed: N.saturating_sub(self.rest.len()),
                available: self.rest.len(),
            })),
        }
    }

    /// Takes one octet.
    ///
    /// # Errors
    /// `Truncated` at the end of the input.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[octet]| octet)
    }

    /// Takes a signed octet.
    ///
    /// # Errors
    /// `Truncated` at the end of the input.
    #[inline]
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.array().map(i8::from_be_bytes)
    }

    /// Takes a big-endian 16-bit number.
    ///
    /// # Errors
    /// `Truncated` at the end of the input.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes a big-endian 32-bit number.
    ///
    /// # Errors
    /// `Truncated` at the end of the input.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes a length or count: one octet up to 127, else 0x80+n and n octets, n from 1 to 4.
    /// Longer than necessary forms are accepted, as meters send them.
    ///
    /// # Errors
    /// `Truncated`, or `InvalidLength` for the indefinite form and for more than four octets.
    #[inline]
    pub fn length(&mut self, what: &'static str) -> Result<usize, DecodeError> {
        let start = *self;
        let first = self.u8()?;
        if first < 0x80 {
            return Ok(usize::from(first));
        }
        let count = usize::from(first & 0x7F);
        if count == 0 || count > 4 {
            return Err(start.error(DecodeErrorKind::InvalidLength { what }));
        }
        let octets = self.bytes(count)?;
        let value = octets.iter().fold(0_u32, |sum, octet| (sum << 8) | u32::from(*octet));
        usize::try_from(value).map_err(|_| start.error(DecodeErrorKind::InvalidLength { what }))
    }

    /// Takes a length and that many octets.
    ///
    /// # Errors
    /// `Truncated` or `InvalidLength`.
    #[inline]
    pub fn octet_string(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.length(what)?;
        self.bytes(length)
    }

    /// Takes a number of bits and the octets that hold them.
    pub(super) fn bit_string(&mut self) -> Result<BitString<'a>, DecodeError> {
        let start = *self;
        let bits = self.length("bit-string")?;
        let octets = self.bytes(super::tag::octets_of_bits(bits))?;
        BitString::new(octets, bits).ok_or(start.error(DecodeErrorKind::InvalidLength { what: "bit-string" }))
    }

    /// Takes the presence octet of an OPTIONAL or DEFAULT field: 00 absent, anything else present.
    ///
    /// # Errors
    /// `Truncated` at the end of the input.
    pub fn present(&mut self) -> Result<bool, DecodeError> {
        self.u8().map(|octet| octet != 0)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// `TrailingOctets` when something is left.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.error(DecodeErrorKind::TrailingOctets { count: self.rest.len() }))
        }
    }
}
