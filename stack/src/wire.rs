//! What the APDU types stand on: a reader that remembers deviations, and the pair of directions.

use crate::axdr::{BufferFull, Data, DecodeError, DecodeErrorKind, Reader, Writer};
use crate::deviation::{Deviation, Deviations};

/// A [`Reader`] that remembers which deviations it met.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    reader: Reader<'a>,
    deviations: Deviations,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), deviations: Deviations::NONE }
    }

    pub(crate) const fn deviations(&self) -> Deviations {
        self.deviations
    }

    pub(crate) const fn note(&mut self, deviation: Deviation) {
        self.deviations.insert(deviation);
    }

    pub(crate) const fn offset(&self) -> usize {
        self.reader.offset()
    }

    pub(crate) const fn remaining(&self) -> usize {
        self.reader.remaining()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.reader.is_empty()
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.reader.rest()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.reader.peek()
    }

    pub(crate) const fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        self.reader.error(kind)
    }

    pub(crate) const fn unexpected(&self, what: &'static str, found: u8) -> DecodeError {
        self.error(DecodeErrorKind::UnexpectedTag { what, found })
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        self.reader.bytes(count)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.reader.array()
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.reader.u8()
    }

    pub(crate) fn i8(&mut self) -> Result<i8, DecodeError> {
        self.reader.i8()
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.reader.u16()
    }

    pub(crate) fn i16(&mut self) -> Result<i16, DecodeError> {
        self.reader.array().map(i16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.reader.u32()
    }

    /// A-XDR BOOLEAN: senders use 01 and FF for true.
    pub(crate) fn boolean(&mut self) -> Result<bool, DecodeError> {
        self.reader.u8().map(|octet| octet != 0)
    }

    pub(crate) fn length(&mut self, what: &'static str) -> Result<usize, DecodeError> {
        let before = self.reader.offset();
        let length = self.reader.length(what)?;
        let taken = self.reader.offset().wrapping_sub(before);
        let shortest = match length {
            0..=0x7F => 1,
            0x80..=0xFF => 2,
            0x100..=0xFFFF => 3,
            0x1_0000..=0xFF_FFFF => 4,
            _ => 5,
        };
        if taken > shortest {
            self.note(Deviation::NonMinimalLength);
        }
        Ok(length)
    }

    pub(crate) fn octet_string(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.length(what)?;
        self.bytes(length)
    }

    pub(crate) fn present(&mut self) -> Result<bool, DecodeError> {
        let octet = self.u8()?;
        if octet > 1 {
            self.note(Deviation::PresenceOctet);
        }
        Ok(octet != 0)
    }

    pub(crate) fn data(&mut self) -> Result<Data<'a>, DecodeError> {
        Data::decode(&mut self.reader)
    }

    /// Takes `tag`, or refuses what is there instead.
    pub(crate) fn require(&mut self, what: &'static str, tag: u8) -> Result<(), DecodeError> {
        let at = *self;
        match self.u8()? {
            found if found == tag => Ok(()),
            found => Err(at.unexpected(what, found)),
        }
    }

    /// Runs `read` on the next `length` octets, which it must use up.
    pub(crate) fn bounded<T>(
        &mut self,
        length: usize,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let offset = self.offset();
        let body = self.bytes(length)?;
        let after = core::mem::replace(&mut self.reader, Reader::with_offset(body, offset));
        let value = read(self)?;
        self.reader.finish()?;
        self.reader = after;
        Ok(value)
    }

    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        self.reader.finish()
    }
}

/// A type with one encoding: what `write` writes, `read` reads back.
pub trait Wire<'a>: Sized {
    /// Octets of the smallest encoding, never 0: bounds the count of a list by the octets that are there.
    const SMALLEST: usize = 1;

    /// Takes one value.
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, DecodeError>;

    /// Writes the value in its standard form.
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull>;
}

impl<'a> Wire<'a> for Data<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, DecodeError> {
        cursor.data()
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        self.encode(writer)
    }
}

/// An OPTIONAL field: presence octet and value.
impl<'a, T: Wire<'a>> Wire<'a> for Option<T> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, DecodeError> {
        if cursor.present()? { T::read(cursor).map(Some) } else { Ok(None) }
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.present(self.is_some())?;
        self.as_ref().map_or(Ok(()), |value| value.write(writer))
    }
}

/// Reads a value that takes all of `bytes`.
pub(crate) fn decode_whole<'a, T: Wire<'a>>(bytes: &'a [u8]) -> Result<(T, Deviations), DecodeError> {
    let mut cursor = Cursor::new(bytes);
    let value = T::read(&mut cursor)?;
    let deviations = cursor.deviations();
    cursor.finish()?;
    Ok((value, deviations))
}

/// Octets that `write` would write.
pub(crate) fn measure(write: impl FnOnce(&mut Writer<'_>) -> Result<(), BufferFull>) -> Result<usize, BufferFull> {
    let mut counter = Writer::window(&mut [], 0);
    write(&mut counter)?;
    Ok(counter.overflow())
}

/// Gives APDU types their public `decode` and `encode`.
macro_rules! codec {
    ($($type:ident $(<$life:lifetime>)?),* $(,)?) => {
        $(codec!(@one $type $(<$life>)?);)*
    };
    (@one $type:ident <$life:lifetime>) => {
        impl<$life> $type<$life> {
            /// Decodes `bytes`, all of them; known deviations are accepted.
            ///
            /// # Errors
            /// [`DecodeError`](crate::axdr::DecodeError) with the place and the reason.
            pub fn decode(bytes: &$life [u8]) -> Result<Self, $crate::axdr::DecodeError> {
                $crate::wire::decode_whole(bytes).map(|(value, _)| value)
            }

            /// Decodes `bytes` like `decode` and says which deviations were met.
            ///
            /// # Errors
            /// As `decode`.
            pub fn decode_with_deviations(
                bytes: &$life [u8],
            ) -> Result<(Self, $crate::deviation::Deviations), $crate::axdr::DecodeError> {
                $crate::wire::decode_whole(bytes)
            }

            codec!(@encode);
        }
    };
    (@one $type:ident) => {
        impl $type {
            /// Decodes `bytes`, all of them; known deviations are accepted.
            ///
            /// # Errors
            /// [`DecodeError`](crate::axdr::DecodeError) with the place and the reason.
            pub fn decode(bytes: &[u8]) -> Result<Self, $crate::axdr::DecodeError> {
                $crate::wire::decode_whole(bytes).map(|(value, _)| value)
            }

            /// Decodes `bytes` like `decode` and says which deviations were met.
            ///
            /// # Errors
            /// As `decode`.
            pub fn decode_with_deviations(
                bytes: &[u8],
            ) -> Result<(Self, $crate::deviation::Deviations), $crate::axdr::DecodeError> {
                $crate::wire::decode_whole(bytes)
            }

            codec!(@encode);
        }
    };
    (@encode) => {
        /// Writes the encoding, tag included.
        ///
        /// # Errors
        /// [`BufferFull`](crate::axdr::BufferFull) when it does not fit.
        pub fn encode(&self, writer: &mut $crate::axdr::Writer<'_>) -> Result<(), $crate::axdr::BufferFull> {
            $crate::wire::Wire::write(self, writer)
        }
    };
}
pub(crate) use codec;
