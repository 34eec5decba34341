//! Telegrams for a meter to send.

use thiserror::Error;

use super::{PrintedUnit, Timestamp, crc16};
use crate::axdr::{BufferFull, Writer};
use crate::obis::ObisCode;
use crate::unit::Decimal;

/// Why something cannot be written into a telegram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The buffer is too short.
    #[error(transparent)]
    Full(#[from] BufferFull),
    /// A character that has a meaning in telegrams, or none at all: brackets, slash, exclamation mark, line ends.
    #[error("a character that cannot stand in a telegram")]
    Character,
    /// The number has more digits than its format, or decimals that the format would cut off.
    #[error("the number does not fit its format")]
    Number,
    /// A value without an object to belong to.
    #[error("no object begun")]
    NoObject,
}

/// How a number is printed: F9(3,3) in DSMR's terms is nine digits in all, three of them decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberFormat {
    /// Digits in all, leading zeros included.
    pub digits: u8,
    /// Of them behind the point.
    pub places: u8,
    /// The unit; [`PrintedUnit::NONE`] for none.
    pub unit: PrintedUnit,
}

/// Writes a telegram into a buffer.
///
/// ```
/// use dlms::obis::ObisCode;
/// use dlms::p1::{NumberFormat, PrintedUnit, TelegramWriter};
/// use dlms::unit::Decimal;
///
/// let mut buffer = [0; 128];
/// let mut telegram = TelegramWriter::new(&mut buffer, "KFM5KAIFA-METER")?;
/// let format = NumberFormat { digits: 9, places: 3, unit: PrintedUnit::KILOWATT_HOUR };
/// telegram.object(ObisCode::ACTIVE_IMPORT)?.number(Decimal { digits: 25_653, exponent: 0 }, format)?;
/// let octets = telegram.finish()?;
/// assert_eq!(octets, b"/KFM5KAIFA-METER\r\n\r\n1-0:1.8.0(000025.653*kWh)\r\n!537B\r\n");
/// # Ok::<(), dlms::p1::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct TelegramWriter<'b> {
    out: Writer<'b>,
    in_object: bool,
}

impl<'b> TelegramWriter<'b> {
    /// Begins a telegram with manufacturer, baud digit and what the manufacturer adds.
    ///
    /// # Errors
    /// [`EncodeError::Character`], [`EncodeError::Full`].
    pub fn new(buffer: &'b mut [u8], identification: &str) -> Result<Self, EncodeError> {
        let mut out = Writer::new(buffer);
        out.u8(b'/')?;
        out.bytes(printable(identification)?)?;
        out.bytes(b"\r\n")?;
        Ok(Self { out, in_object: false })
    }

    /// Begins a data line. Value group F is left out when it is 255.
    ///
    /// # Errors
    /// [`EncodeError::Full`].
    pub fn object(&mut self, code: ObisCode) -> Result<&mut Self, EncodeError> {
        let [a, b, c, d, e, f] = code.0;
        self.out.bytes(b"\r\n")?;
        for (separator, group) in [("", a), ("-", b), (":", c), (".", d), (".", e), ("*", f)] {
            if separator != "*" || group != 255 {
                self.out.bytes(separator.as_bytes())?;
                self.digits(group.into(), 1)?;
            }
        }
        self.in_object = true;
        Ok(self)
    }

    /// Goes on with the object's values on the next line, as DSMR 2.2 and 3.0 do for the reading of a gas meter.
    ///
    /// # Errors
    /// [`EncodeError::Full`], [`EncodeError::NoObject`].
    pub fn next_line(&mut self) -> Result<&mut Self, EncodeError> {
        if !self.in_object {
            return Err(EncodeError::NoObject);
        }
        self.out.bytes(b"\r\n")?;
        Ok(self)
    }

    /// Adds a number, which is exact or refused.
    ///
    /// # Errors
    /// [`EncodeError::Number`], [`EncodeError::Full`], [`EncodeError::NoObject`].
    pub fn number(&mut self, value: Decimal, format: NumberFormat) -> Result<&mut Self, EncodeError> {
        let magnitude = scaled(value, format).ok_or(EncodeError::Number)?;
        let places = u32::from(format.places);
        let power = 10_u128.checked_pow(places).ok_or(EncodeError::Number)?;
        let whole_digits = format.digits.checked_sub(format.places).ok_or(EncodeError::Number)?;
        let whole = magnitude.checked_div(power).ok_or(EncodeError::Number)?;
        let fraction = magnitude.checked_rem(power).ok_or(EncodeError::Number)?;
        let limit = 10_u128.checked_pow(whole_digits.into()).ok_or(EncodeError::Number)?;
        if whole >= limit {
            return Err(EncodeError::Number);
        }
        self.open()?;
        if value.digits < 0 {
            self.out.u8(b'-')?;
        }
        self.digits(whole, whole_digits.max(1))?;
        if format.places > 0 {
            self.out.u8(b'.')?;
            self.digits(fraction, format.places)?;
        }
        if !format.unit.text.is_empty() {
            self.out.u8(b'*')?;
            self.out.bytes(format.unit.text.as_bytes())?;
        }
        self.close()
    }

    /// Adds a time.
    ///
    /// # Errors
    /// [`EncodeError::Full`], [`EncodeError::NoObject`].
    pub fn time(&mut self, time: Timestamp) -> Result<&mut Self, EncodeError> {
        self.open()?;
        let (fields, season) = time.printed();
        for field in fields {
            self.digits(field.into(), 2)?;
        }
        self.out.bytes(season.as_bytes())?;
        self.close()
    }

    /// Adds octets as hexadecimal digits.
    ///
    /// # Errors
    /// [`EncodeError::Full`], [`EncodeError::NoObject`].
    pub fn octets(&mut self, octets: &[u8]) -> Result<&mut Self, EncodeError> {
        self.open()?;
        for octet in octets {
            for nibble in [octet >> 4, octet & 0x0F] {
                let digit = if nibble < 10 { b'0' } else { b'A'.wrapping_sub(10) };
                self.out.u8(digit.wrapping_add(nibble))?;
            }
        }
        self.close()
    }

    /// Adds text as it is; empty text says that there is nothing.
    ///
    /// # Errors
    /// [`EncodeError::Character`], [`EncodeError::Full`], [`EncodeError::NoObject`].
    pub fn text(&mut self, text: &str) -> Result<&mut Self, EncodeError> {
        let text = printable(text)?;
        self.open()?;
        self.out.bytes(text)?;
        self.close()
    }

    /// Ends the telegram with its check sum, as of DSMR 4.
    ///
    /// # Errors
    /// [`EncodeError::Full`].
    pub fn finish(mut self) -> Result<&'b [u8], EncodeError> {
        self.out.bytes(b"\r\n!")?;
        let crc = crc16(self.out.written());
        for shift in [12, 8, 4, 0] {
            let digit = char::from_digit(u32::from(crc >> shift & 0x0F), 16).unwrap_or('0');
            self.out.u8(u8::try_from(digit.to_ascii_uppercase()).unwrap_or(b'0'))?;
        }
        self.out.bytes(b"\r\n")?;
        Ok(self.out.into_written())
    }

    /// Ends the telegram without a check sum, as in DSMR 2.2 and 3.0.
    ///
    /// # Errors
    /// [`EncodeError::Full`].
    pub fn finish_without_crc(mut self) -> Result<&'b [u8], EncodeError> {
        self.out.bytes(b"\r\n!\r\n")?;
        Ok(self.out.into_written())
    }

    fn open(&mut self) -> Result<(), EncodeError> {
        if self.in_object { Ok(self.out.u8(b'(')?) } else { Err(EncodeError::NoObject) }
    }

    fn close(&mut self) -> Result<&mut Self, EncodeError> {
        self.out.u8(b')')?;
        Ok(self)
    }

    /// Writes `number` with at least `count` digits, of which a `u128` has 39 at most.
    fn digits(&mut self, number: u128, count: u8) -> Result<(), EncodeError> {
        let mut text = [b'0'; 39];
        let mut rest = number;
        let mut used: usize = 0;
        for digit in text.iter_mut().rev() {
            if rest == 0 && used >= usize::from(count) {
                break;
            }
            *digit = b'0'.wrapping_add(u8::try_from(rest % 10).unwrap_or_default());
            rest /= 10;
            used = used.saturating_add(1);
        }
        let start = text.len().saturating_sub(used);
        Ok(self.out.bytes(text.get(start..).unwrap_or_default())?)
    }
}

/// The digits of `value` without point, as `format` prints them; `None` when some would be lost.
fn scaled(value: Decimal, format: NumberFormat) -> Option<u128> {
    let shift = i32::from(value.exponent).checked_sub(format.unit.power.into())?.checked_add(format.places.into())?;
    let power = 10_u128.checked_pow(shift.unsigned_abs())?;
    let digits = value.digits.unsigned_abs();
    if shift >= 0 {
        digits.checked_mul(power)
    } else {
        (digits.checked_rem(power)? == 0).then_some(digits.checked_div(power)?)
    }
}

fn printable(text: &str) -> Result<&[u8], EncodeError> {
    let allowed = |octet: u8| matches!(octet, b' '..=b'~') && !matches!(octet, b'(' | b')' | b'/' | b'!');
    if text.bytes().all(allowed) { Ok(text.as_bytes()) } else { Err(EncodeError::Character) }
}
