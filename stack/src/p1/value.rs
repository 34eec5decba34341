//! What stands between two brackets.

use core::fmt;

use super::{Quantity, Timestamp};
use crate::obis::ObisCode;

/// A value of a data line, typed by the object that it belongs to and by its form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Nothing between the brackets: no such device, no message.
    Empty,
    /// A number, perhaps with a unit.
    Number(Quantity),
    /// A time.
    Time(Timestamp),
    /// Octets printed as hexadecimal digits: identifiers and messages.
    Octets(Hex<'a>),
    /// The code of another object, in logs and in the readings of DSMR 2.2 and 3.0.
    Obis(ObisCode),
    /// Anything else.
    Text(&'a str),
}

/// How the values of an object are printed, where their form does not tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// Pairs of hexadecimal digits.
    Hex,
    /// Characters that may look like a number.
    Text,
    /// A time first, which in DSMR 2.2 and 3.0 has no letter.
    TimeFirst,
    /// As the form says.
    Free,
}

impl Coding {
    const fn of(code: ObisCode) -> Self {
        match code.0 {
            // e-MUCS prints its version where other meters have an identifier.
            [0, _, 96, 1, 4, _] | [1, 3, 0, 2, 8, _] | [_, _, 96, 14, _, _] | [1, _, 0, 0, _, _] => Self::Text,
            [0, _, 96, 1 | 13, _, _] | [0, _, 42, 0, 0, _] => Self::Hex,
            [0, _, 1, 0, 0, _] | [0, _, 24, 3, _, _] => Self::TimeFirst,
            _ => Self::Free,
        }
    }
}

impl<'a> Value<'a> {
    /// Types `text`, the value number `index` (from 0) of the object `code`.
    ///
    /// Identifiers are taken for hexadecimal wherever they can be: some meters print digits as they are there, and
    /// nothing in the telegram tells.
    #[must_use]
    pub fn new(code: ObisCode, index: usize, text: &'a str) -> Self {
        if text.is_empty() {
            return Self::Empty;
        }
        let coding = Coding::of(code);
        match coding {
            Coding::Text => return Self::Text(text),
            Coding::Hex => return Hex::new(text).map_or(Self::Text(text), Self::Octets),
            Coding::TimeFirst | Coding::Free => {}
        }
        let bare_time = coding == Coding::TimeFirst && index == 0;
        match Timestamp::from_text(text) {
            Some(time) if bare_time || time.season().is_some() => return Self::Time(time),
            _ => {}
        }
        if let Some(quantity) = Quantity::from_text(text) {
            return Self::Number(quantity);
        }
        match text.parse() {
            Ok(code) if text.contains(':') => Self::Obis(code),
            _ => Self::Text(text),
        }
    }
}

/// Octets printed as pairs of hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hex<'a>(&'a str);

impl<'a> Hex<'a> {
    /// Takes pairs of hexadecimal digits, of either case.
    #[must_use]
    pub fn new(digits: &'a str) -> Option<Self> {
        let whole = digits.len().is_multiple_of(2) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        whole.then_some(Self(digits))
    }

    /// The digits as printed.
    #[must_use]
    pub const fn digits(&self) -> &'a str {
        self.0
    }

    /// How many octets there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len() / 2
    }

    /// Whether there are no octets.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The octets.
    pub fn octets(&self) -> impl ExactSizeIterator<Item = u8> + use<'a> {
        self.0.as_bytes().chunks_exact(2).map(|pair| {
            pair.iter().fold(0, |octet: u8, digit| {
                let digit = char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                octet << 4 | digit.unwrap_or_default()
            })
        })
    }

    /// Writes the octets to the front of `buffer`; `None` when it is too short.
    #[must_use]
    pub fn write<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let target = buffer.get_mut(..self.len())?;
        target.iter_mut().zip(self.octets()).for_each(|(to, from)| *to = from);
        Some(target)
    }
}

/// As characters where all octets are printable ASCII, else as digits.
impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.octets().all(|octet| matches!(octet, b' '..=b'~')) {
            self.octets().try_for_each(|octet| write!(f, "{}", char::from(octet)))
        } else {
            f.write_str(self.0)
        }
    }
}

impl fmt::Debug for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hex({})", self.0)
    }
}
