//! What the APDU types stand on: a reader that remembers deviations, and the pair of directions.

use crate::axdr::{BufferFull, Data, DecodeError, DecodeErrorKind, Reader, Writer};
use crate::deviation::{Deviation, Deviations};

/// The octets are not what they should be; the [`Cursor`] knows where and why. A reason has forty octets, and code that
/// hands it up through every reader is longer than the code that reads.
#[derive(Clone, Copy, Debug)]
pub struct Refused(());

/// A [`Reader`] that remembers which deviations it met, and why it refused something.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    reader: Reader<'a>,
    deviations: Deviations,
    refusal: Option<DecodeError>,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), deviations: Deviations::NONE, refusal: None }
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

    /// Refuses what stands at `offset`.
    #[cold]
    #[inline(never)]
    pub(crate) const fn refuse(&mut self, offset: usize, kind: DecodeErrorKind) -> Refused {
        self.refusal = Some(DecodeError { offset, kind });
        Refused(())
    }

    pub(crate) const fn unexpected(&mut self, offset: usize, what: &'static str, found: u8) -> Refused {
        self.refuse(offset, DecodeErrorKind::UnexpectedTag { what, found })
    }

    /// Keeps the reason of a failed reading.
    #[inline]
    fn keep<T>(&mut self, read: Result<T, DecodeError>) -> Result<T, Refused> {
        read.map_err(|error| self.refuse(error.offset, error.kind))
    }

    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Refused> {
        let taken = self.reader.bytes(count);
        self.keep(taken)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let taken = self.reader.array();
        self.keep(taken)
    }

    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn u8(&mut self) -> Result<u8, Refused> {
        self.array().map(|[octet]| octet)
    }

    pub(crate) fn i8(&mut self) -> Result<i8, Refused> {
        self.u8().map(u8::cast_signed)
    }

    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn u16(&mut self) -> Result<u16, Refused> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Refused> {
        self.u16().map(u16::cast_signed)
    }

    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn u32(&mut self) -> Result<u32, Refused> {
        self.array().map(u32::from_be_bytes)
    }

    /// A-XDR BOOLEAN: senders use 01 and FF for true.
    pub(crate) fn boolean(&mut self) -> Result<bool, Refused> {
        self.u8().map(|octet| octet != 0)
    }

    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn length(&mut self, what: &'static str) -> Result<usize, Refused> {
        let before = self.reader.offset();
        let length = self.reader.length(what);
        let length = self.keep(length)?;
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

    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn octet_string(&mut self, what: &'static str) -> Result<&'a [u8], Refused> {
        let length = self.length(what)?;
        self.bytes(length)
    }

    pub(crate) fn present(&mut self) -> Result<bool, Refused> {
        let octet = self.u8()?;
        if octet > 1 {
            self.note(Deviation::PresenceOctet);
        }
        Ok(octet != 0)
    }

    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn data(&mut self) -> Result<Data<'a>, Refused> {
        let data = Data::decode(&mut self.reader);
        self.keep(data)
    }

    /// Takes `tag`, or refuses what is there instead.
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn require(&mut self, what: &'static str, tag: u8) -> Result<(), Refused> {
        let at = self.offset();
        match self.u8()? {
            found if found == tag => Ok(()),
            found => Err(self.unexpected(at, what, found)),
        }
    }

    /// Runs `read` on the next `length` octets, which it must use up.
    pub(crate) fn bounded<T>(
        &mut self,
        length: usize,
        read: impl FnOnce(&mut Self) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let after = self.narrow(length)?;
        let value = read(self)?;
        self.finish()?;
        self.reader = after;
        Ok(value)
    }

    /// Leaves the next `length` octets only, and returns the reader of those behind them.
    #[cfg_attr(feature = "small", inline(never))]
    fn narrow(&mut self, length: usize) -> Result<Reader<'a>, Refused> {
        let offset = self.offset();
        let body = self.bytes(length)?;
        Ok(core::mem::replace(&mut self.reader, Reader::with_offset(body, offset)))
    }

    /// Why something was refused.
    fn reason(&self) -> DecodeError {
        // Whoever makes a `Refused` gives the reason.
        self.refusal.unwrap_or(DecodeError { offset: self.offset(), kind: DecodeErrorKind::TooManyValues })
    }

    #[cfg_attr(feature = "small", inline(never))]
    fn finish(&mut self) -> Result<(), Refused> {
        let finished = self.reader.finish();
        self.keep(finished)
    }
}

/// A type with one encoding: what `write` writes, `read` reads back.
pub trait Wire<'a>: Sized {
    /// Octets of the smallest encoding, never 0: bounds the count of a list by the octets that are there.
    const SMALLEST: usize = 1;

    /// Takes one value.
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused>;

    /// Writes the value in its standard form.
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull>;
}

impl<'a> Wire<'a> for Data<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.data()
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        self.encode(writer)
    }
}

/// An OPTIONAL field: presence octet and value.
impl<'a, T: Wire<'a>> Wire<'a> for Option<T> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
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
    let value = T::read(&mut cursor).and_then(|value| cursor.finish().map(|()| value));
    value.map(|value| (value, cursor.deviations)).map_err(|Refused(())| cursor.reason())
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
