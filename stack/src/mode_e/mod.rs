//! IEC 62056-21: the sign-on of optical heads and RS-485 lines, at 300 baud, after which the line speaks HDLC.
//!
//! ```text
//!   client   300 baud   /? address ! CR LF
//!   meter    300 baud   / XXX Z \2 identification CR LF      XXX maker, Z rate, \2 mode E
//!   client   300 baud   ACK 2 Z 2 CR LF                      HDLC, at rate Z, binary
//!   meter    rate Z     ACK 2 Z 2 CR LF                      left away by some
//!   both     rate Z     HDLC frames
//! ```
//!
//! [`client::SignOn`] and [`server::SignOn`] are the two sides, driven like a link: octets and time go in, octets for the
//! line with the rate they need, events and the next deadline come out. Characters have seven bits and even parity
//! during the sign-on and eight bits after it; octet for octet that is eight bits without parity whose highest bit is
//! the parity, so the port stays at 8N1 all the time ([`Parity::Emulated`]).
//!
//! The other modes of the standard are recognised: A and B send their readout without being asked further, C waits for
//! an option, D sends without a request. Their readout is available as text ([`client::SignOn::readout`],
//! [`data_sets`]).

pub mod client;
mod identification;
mod line;
mod readout;
pub mod server;

use thiserror::Error;

pub use identification::{DeviceAddress, Identification, Mode};
pub use readout::{DataSet, data_sets};

/// The rate of every sign-on, in bit/s.
pub const INITIAL_BAUD: u32 = 300;

/// Acknowledge, in front of an option select message.
const ACK: u8 = 0x06;
/// Start of a data block.
const STX: u8 = 0x02;
/// End of a data block; its check character follows.
const ETX: u8 = 0x03;

/// A rate that modes C and E can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Baud(u8);

impl Baud {
    const RATES: [u32; 7] = [300, 600, 1_200, 2_400, 4_800, 9_600, 19_200];

    /// The rate of every sign-on.
    pub const INITIAL: Self = Self(0);
    /// The highest rate, 19200 bit/s.
    pub const HIGHEST: Self = Self(6);

    /// The highest rate that is not over `bits_per_second`; `None` under 300.
    #[must_use]
    pub fn at_most(bits_per_second: u32) -> Option<Self> {
        let index = Self::RATES.iter().rposition(|rate| *rate <= bits_per_second)?;
        u8::try_from(index).ok().map(Self)
    }

    /// The rate that a character from `0` to `6` names.
    #[must_use]
    pub const fn from_character(character: u8) -> Option<Self> {
        match character {
            b'0'..=b'6' => Some(Self(character & 0x0F)),
            _ => None,
        }
    }

    /// The character that names the rate.
    #[must_use]
    pub const fn character(self) -> u8 {
        b'0' | self.0
    }

    /// The rate in bit/s.
    #[must_use]
    pub fn bits_per_second(self) -> u32 {
        Self::RATES.get(usize::from(self.0)).copied().unwrap_or(INITIAL_BAUD)
    }
}

/// How the parity of a sign-on comes about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parity {
    /// The port has eight data bits and no parity: the highest bit is made, and checked, here.
    #[default]
    Emulated,
    /// The port, or a modem behind a network connection, does it: the highest bit is neither set nor looked at.
    Port,
}

impl Parity {
    const fn send(self, octet: u8) -> u8 {
        match self {
            Self::Emulated => {
                (octet & 0x7F) | if octet & 0x7F == 0 { 0 } else { ((octet & 0x7F).count_ones() as u8 & 1) << 7 }
            }
            Self::Port => octet,
        }
    }

    /// The character; `None` when its parity is wrong.
    const fn receive(self, octet: u8) -> Option<u8> {
        if matches!(self, Self::Emulated) && !octet.count_ones().is_multiple_of(2) { None } else { Some(octet & 0x7F) }
    }
}

/// Octets for the line, and the rate that it must have for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Octets that were written into the caller's buffer.
    pub len: usize,
    /// The rate in bit/s.
    pub baud: u32,
}

/// Why a sign-on came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignOnError {
    /// No identification, although it was asked for.
    #[error("no identification after {attempts} attempt(s)")]
    NoIdentification {
        /// How often it was asked for.
        attempts: u8,
    },
    /// The meter identifies itself, but not for HDLC, and no readout was wanted.
    #[error("the meter offers {0}, not mode E")]
    NotModeE(Mode),
    /// The meter offered HDLC and sends a readout as text.
    #[error("the meter offered mode E and sends a readout of mode C")]
    ReadoutInstead,
    /// The meter confirmed another rate or protocol than was selected.
    #[error("the meter confirmed another option than the one that was selected")]
    OtherOption,
    /// The readout stopped before its end.
    #[error("the readout stopped after {octets} octet(s)")]
    ReadoutIncomplete {
        /// Octets received.
        octets: usize,
    },
    /// The readout is longer than the storage.
    #[error("a readout of more than {limit} octet(s)")]
    ReadoutTooLong {
        /// Octets that fit.
        limit: usize,
    },
    /// The readout's check character is wrong, or characters of it had wrong parity.
    #[error("the check character of the readout is wrong")]
    ReadoutCheck,
}

/// Milliseconds that `octets` characters of ten bits take.
fn line_time_ms(octets: usize, baud: u32) -> u64 {
    (octets as u64).saturating_mul(10_000).div_ceil(u64::from(baud.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_table() {
        for (character, rate) in [(b'0', 300), (b'3', 2_400), (b'5', 9_600), (b'6', 19_200)] {
            assert_eq!(Baud::from_character(character).map(Baud::bits_per_second), Some(rate));
            assert_eq!(Baud::at_most(rate).map(Baud::character), Some(character));
        }
        assert_eq!(Baud::from_character(b'7'), None);
        assert_eq!(Baud::at_most(115_200), Some(Baud::HIGHEST));
        assert_eq!(Baud::at_most(9_599).map(Baud::bits_per_second), Some(4_800));
        assert_eq!(Baud::at_most(299), None);
    }

    /// `/?!` CR LF as a port of eight bits without parity shows it: published by makers of optical heads.
    #[test]
    fn even_parity_in_the_highest_bit() {
        let sent: std::vec::Vec<u8> = b"/?!\r\n".iter().map(|octet| Parity::Emulated.send(*octet)).collect();
        assert_eq!(sent, [0xAF, 0x3F, 0x21, 0x8D, 0x0A]);
        for octet in 0..=0x7F {
            let sent = Parity::Emulated.send(octet);
            assert_eq!(Parity::Emulated.receive(sent), Some(octet));
            assert_eq!(Parity::Emulated.receive(sent ^ 0x80), None);
            assert_eq!(Parity::Port.receive(Parity::Port.send(octet)), Some(octet));
        }
    }
}
