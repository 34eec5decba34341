//! Writing COSEM values without building them first.

use super::tag;
use super::{BitString, BufferFull, CompactArray, Writer};
use crate::obis::ObisCode;
use crate::time::{Date, DateTime, Time};

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($int:ty) = $tag:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// [`BufferFull`].
        #[inline]
        pub fn $name(&mut self, value: $int) -> Result<(), BufferFull> {
            self.tagged(tag::$tag, value.to_be_bytes())
        }
    )*};
}

/// COSEM values, each with its tag. A value that does not fit may be written in part; the buffer is then of no use.
impl Writer<'_> {
    numbers! {
        /// Writes a `double-long`.
        double_long(i32) = DOUBLE_LONG;
        /// Writes a `double-long-unsigned`.
        double_long_unsigned(u32) = DOUBLE_LONG_UNSIGNED;
        /// Writes a `bcd`.
        bcd(u8) = BCD;
        /// Writes an `integer`.
        integer(i8) = INTEGER;
        /// Writes a `long`.
        long(i16) = LONG;
        /// Writes an `unsigned`.
        unsigned(u8) = UNSIGNED;
        /// Writes a `long-unsigned`.
        long_unsigned(u16) = LONG_UNSIGNED;
        /// Writes a `long64`.
        long64(i64) = LONG64;
        /// Writes a `long64-unsigned`.
        long64_unsigned(u64) = LONG64_UNSIGNED;
        /// Writes an `enum`.
        enumerated(u8) = ENUM;
        /// Writes a `float32`.
        float32(f32) = FLOAT32;
        /// Writes a `float64`.
        float64(f64) = FLOAT64;
    }

    /// Writes a tag and a fixed body in one step.
    #[inline]
    pub(super) fn tagged<const N: usize>(&mut self, tag: u8, body: [u8; N]) -> Result<(), BufferFull> {
        if let Some((first, rest)) = self.room(const { N + 1 }).and_then(<[u8]>::split_first_mut) {
            *first = tag;
            rest.copy_from_slice(&body);
            return Ok(());
        }
        self.u8(tag)?;
        self.bytes(&body)
    }

    /// Writes a tag, a length and octets.
    #[inline]
    pub(super) fn string(&mut self, tag: u8, octets: &[u8]) -> Result<(), BufferFull> {
        if let (Ok(length @ 0..=0x7F), Some(size)) = (u8::try_from(octets.len()), octets.len().checked_add(2))
            && let Some([first, second, rest @ ..]) = self.room(size)
        {
            *first = tag;
            *second = length;
            rest.copy_from_slice(octets);
            return Ok(());
        }
        self.u8(tag)?;
        self.octet_string(octets)
    }

    /// Writes a `null-data`.
    ///
    /// # Errors
    /// [`BufferFull`].
    #[inline]
    pub fn null(&mut self) -> Result<(), BufferFull> {
        self.u8(tag::NULL)
    }

    /// Writes a `dont-care`.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn dont_care(&mut self) -> Result<(), BufferFull> {
        self.u8(tag::DONT_CARE)
    }

    /// Writes the head of an `array`; `count` elements of one type are to follow.
    ///
    /// # Errors
    /// [`BufferFull`].
    #[inline]
    pub fn array(&mut self, count: usize) -> Result<(), BufferFull> {
        self.u8(tag::ARRAY)?;
        self.length(count)
    }

    /// Writes the head of a `structure`; `count` elements are to follow.
    ///
    /// # Errors
    /// [`BufferFull`].
    #[inline]
    pub fn structure(&mut self, count: usize) -> Result<(), BufferFull> {
        self.u8(tag::STRUCTURE)?;
        self.length(count)
    }

    /// Writes a `compact-array`.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn compact_array(&mut self, array: &CompactArray<'_>) -> Result<(), BufferFull> {
        self.u8(tag::COMPACT_ARRAY)?;
        self.bytes(array.description())?;
        self.octet_string(array.contents())
    }

    /// Writes a `boolean`, true as 01.
    ///
    /// # Errors
    /// [`BufferFull`].
    #[inline]
    pub fn boolean(&mut self, value: bool) -> Result<(), BufferFull> {
        self.tagged(tag::BOOLEAN, [u8::from(value)])
    }

    /// Writes a `bit-string`; the unused bits of its last octet become 0.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn bit_string(&mut self, bits: &BitString<'_>) -> Result<(), BufferFull> {
        self.u8(tag::BIT_STRING)?;
        self.length(bits.len())?;
        let used = bits.len() & 7;
        match bits.as_bytes().split_last() {
            Some((last, whole)) if used != 0 => {
                self.bytes(whole)?;
                self.u8(last & !(0xFF_u8 >> used))
            }
            _ => self.bytes(bits.as_bytes()),
        }
    }

    /// Writes an `octet-string`.
    ///
    /// # Errors
    /// [`BufferFull`].
    #[inline]
    pub fn octets(&mut self, octets: &[u8]) -> Result<(), BufferFull> {
        self.string(tag::OCTET_STRING, octets)
    }

    /// Writes a `visible-string`. Its characters should be ASCII.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn visible_string(&mut self, text: &str) -> Result<(), BufferFull> {
        self.string(tag::VISIBLE_STRING, text.as_bytes())
    }

    /// Writes a `utf8-string`.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn utf8_string(&mut self, text: &str) -> Result<(), BufferFull> {
        self.string(tag::UTF8_STRING, text.as_bytes())
    }

    /// Writes an OBIS code as an `octet-string` of six octets.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn obis(&mut self, code: ObisCode) -> Result<(), BufferFull> {
        self.octets(code.as_bytes())
    }

    /// Writes a date-time the way most attributes have it: as an `octet-string` of twelve octets.
    ///
    /// # Errors
    /// [`BufferFull`].
    #[inline]
    pub fn date_time(&mut self, value: &DateTime) -> Result<(), BufferFull> {
        self.octets(value.as_bytes())
    }

    /// Writes a date as an `octet-string` of five octets.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn date(&mut self, value: &Date) -> Result<(), BufferFull> {
        self.octets(&value.to_bytes())
    }

    /// Writes a time as an `octet-string` of four octets.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn time(&mut self, value: &Time) -> Result<(), BufferFull> {
        self.octets(&value.to_bytes())
    }

    /// Writes a `date-time` with its own tag.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn typed_date_time(&mut self, value: &DateTime) -> Result<(), BufferFull> {
        self.tagged(tag::DATE_TIME, value.to_bytes())
    }

    /// Writes a `date` with its own tag.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn typed_date(&mut self, value: &Date) -> Result<(), BufferFull> {
        self.tagged(tag::DATE, value.to_bytes())
    }

    /// Writes a `time` with its own tag.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn typed_time(&mut self, value: &Time) -> Result<(), BufferFull> {
        self.tagged(tag::TIME, value.to_bytes())
    }
}
