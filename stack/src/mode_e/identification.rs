//! What the messages of a sign-on carry: addresses of devices, and what a meter says of itself.

use core::fmt;
use core::str::FromStr;

use super::Baud;

/// Address of a device on a line of several, up to 32 characters; empty: whoever is there.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceAddress {
    characters: [u8; Self::LENGTH_MAX],
    length: u8,
}

impl DeviceAddress {
    /// The longest address, in characters.
    pub const LENGTH_MAX: usize = 32;

    /// Whoever is on the line.
    pub const ANY: Self = Self { characters: [0; Self::LENGTH_MAX], length: 0 };

    /// An address of letters, digits and spaces; `None` for other characters, or more than 32.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        let legal = text.iter().all(|octet| octet.is_ascii_alphanumeric() || *octet == b' ');
        let mut characters = [0; Self::LENGTH_MAX];
        characters.get_mut(..text.len()).filter(|_| legal)?.copy_from_slice(text);
        u8::try_from(text.len()).ok().map(|length| Self { characters, length })
    }

    /// Its characters.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.characters.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Whether a request for `asked` is for this device: leading zeros are not relevant, and no address is everybody's.
    #[must_use]
    pub fn is_meant_by(&self, asked: &[u8]) -> bool {
        let significant = |text: &[u8]| text.iter().take_while(|octet| **octet == b'0').count();
        let (own, asked_from) = (self.as_bytes(), significant(asked));
        asked.is_empty() || asked.get(asked_from..) == own.get(significant(own)..)
    }
}

impl FromStr for DeviceAddress {
    type Err = IllegalAddress;

    fn from_str(text: &str) -> Result<Self, IllegalAddress> {
        Self::new(text.as_bytes()).ok_or(IllegalAddress)
    }
}

/// A text that is no device address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a device address has up to 32 letters, digits and spaces")]
pub struct IllegalAddress;

impl fmt::Display for DeviceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(core::str::from_utf8(self.as_bytes()).unwrap_or_default())
    }
}

impl fmt::Debug for DeviceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceAddress({self})")
    }
}

/// A protocol mode of IEC 62056-21, as an identification announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// No change of the rate; the readout follows at once.
    A,
    /// The readout follows at once, at the rate that a letter names.
    B,
    /// An option is waited for; a digit names the rate.
    C,
    /// The readout follows at 2400 baud; nobody asked.
    D,
    /// As C, and HDLC can be selected.
    E,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mode {self:?}")
    }
}

/// What a meter says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identification {
    /// Three letters of the maker. A small third letter promises answers within 20 ms instead of 200.
    pub maker: [u8; 3],
    /// The character at the place of the rate.
    pub rate: u8,
    /// The mode it announces.
    pub mode: Mode,
    text: [u8; Self::TEXT_MAX],
    length: u8,
}

impl Identification {
    /// Characters of the maker's own text that are kept; the standard has no more.
    pub const TEXT_MAX: usize = 16;

    /// Reads the line, without its end: `/XXXZ`, sequences of a backslash and a character, the maker's own text. `asked`:
    /// it answers a request. `None` for anything else.
    #[must_use]
    pub fn parse(line: &[u8], asked: bool) -> Option<Self> {
        let (&[slash, a, b, c, rate], mut rest) = line.split_first_chunk()?;
        if slash != b'/' || !(a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && c.is_ascii_alphabetic()) {
            return None;
        }
        let mut enhanced = false;
        while let [b'\\', sequence, after @ ..] = rest {
            enhanced |= *sequence == b'2';
            rest = after;
        }
        let mode = match rate {
            _ if !asked => Mode::D,
            b'0'..=b'9' if enhanced => Mode::E,
            b'0'..=b'9' => Mode::C,
            b'A'..=b'I' => Mode::B,
            _ => Mode::A,
        };
        // In mode A the character at the place of the rate may be part of the text: it is kept apart all the same.
        let kept = rest.get(..rest.len().min(Self::TEXT_MAX)).unwrap_or_default();
        let mut text = [0; Self::TEXT_MAX];
        text.iter_mut().zip(kept).for_each(|(to, from)| *to = *from);
        Some(Self { maker: [a, b, c], rate, mode, text, length: kept.len() as u8 })
    }

    /// The maker's own text.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        self.text.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The highest rate that the meter offers in modes C and E.
    #[must_use]
    pub const fn baud(&self) -> Option<Baud> {
        Baud::from_character(self.rate)
    }

    /// The rate of the readout that follows by itself, in bit/s; `None` where an option is waited for.
    #[must_use]
    pub const fn readout_baud(&self) -> Option<u32> {
        match (self.mode, self.rate) {
            (Mode::A, _) => Some(300),
            (Mode::B, b'A') => Some(600),
            (Mode::B, b'B') => Some(1_200),
            (Mode::B, b'C') => Some(2_400),
            (Mode::B, b'D') => Some(4_800),
            (Mode::B, b'E') => Some(9_600),
            (Mode::B, b'F') => Some(19_200),
            // The letters behind are reserved.
            (Mode::B, _) => Some(300),
            (Mode::D, _) => Some(2_400),
            (Mode::C | Mode::E, _) => None,
        }
    }

    /// How long an answer must wait, in milliseconds.
    pub(super) const fn reaction_ms(&self) -> u64 {
        let [_, _, third] = self.maker;
        if third.is_ascii_lowercase() { 20 } else { 200 }
    }
}

impl fmt::Display for Identification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for octet in self.maker.iter().chain([&self.rate]).chain(self.text()) {
            write!(f, "{}", octet.escape_ascii())?;
        }
        write!(f, " ({})", self.mode)
    }
}

impl fmt::Debug for Identification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identification({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn parse(line: &[u8]) -> Identification {
        Identification::parse(line, true).unwrap()
    }

    /// Lines that meters of these makers show in their manuals.
    #[test]
    fn identifications_name_maker_rate_and_mode() {
        for (line, mode, rate, text) in [
            (&b"/LGZ5\\2ZMD3104407.B32"[..], Mode::E, Some(9_600), &b"ZMD3104407.B32"[..]),
            (b"/ISK5\\2MT174-0001", Mode::E, Some(9_600), b"MT174-0001"),
            (b"/LGZ4ZMF100AC.M29", Mode::C, Some(4_800), b"ZMF100AC.M29"),
            (b"/EMH5\\@01LZQJL0014E", Mode::C, Some(9_600), b"01LZQJL0014E"),
            (b"/ABBAmeter", Mode::B, None, b"meter"),
            (b"/NZR S1", Mode::A, None, b"S1"),
        ] {
            let identification = parse(line);
            assert_eq!(identification.mode, mode, "{identification}");
            assert_eq!(identification.baud().map(Baud::bits_per_second), rate, "{identification}");
            assert_eq!(identification.text(), text);
        }
        assert_eq!(parse(b"/ABBAmeter").readout_baud(), Some(600));
        assert_eq!(Identification::parse(b"/NZR3S1", false).unwrap().mode, Mode::D);
        assert_eq!((parse(b"/NZR5").reaction_ms(), parse(b"/NZr5").reaction_ms()), (200, 20));
        assert_eq!(parse(b"/LGZ5\\2A\x01").to_string(), "LGZ5A\\x01 (mode E)");
    }

    #[test]
    fn other_lines_are_none() {
        for line in [&b""[..], b"/", b"/?!", b"/LG", b"LGZ5\\2", b"/L1Z5", b"/\xC3\xA4\xC3\xA45"] {
            assert_eq!(Identification::parse(line, true), None, "{line:?}");
        }
    }

    #[test]
    fn addresses_are_compared_without_leading_zeros() {
        let own: DeviceAddress = "00123456".parse().unwrap();
        for (asked, meant) in
            [(&b""[..], true), (b"123456", true), (b"0123456", true), (b"23456", false), (b"0", false)]
        {
            assert_eq!(own.is_meant_by(asked), meant, "{asked:?}");
        }
        assert!(!DeviceAddress::ANY.is_meant_by(b"1"));
        assert_eq!(DeviceAddress::new(&[b'1'; 33]), None);
        assert_eq!("12!".parse::<DeviceAddress>(), Err(IllegalAddress));
    }
}
