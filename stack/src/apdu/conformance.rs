//! The conformance block: which services an association may use.

use core::fmt;
use core::ops::{BitAnd, BitOr};

use crate::axdr::{BufferFull, Writer};
use crate::deviation::Deviation;
use crate::wire::{Cursor, Refused, Wire};

/// Conformance: 24 bits, one per service or capability (Green Book, conformance block).
///
/// Bit 0 of the standard is the highest bit of the first octet, here `0x80_0000`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Conformance(u32);

macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident = $mask:literal $text:literal,)*) => {
        impl Conformance {
            $($(#[$doc])* pub const $name: Self = Self($mask);)*

            /// Every bit with its name in the standard, the first bit first.
            const NAMED: &'static [(Self, &'static str)] = &[$((Self::$name, $text)),*];
        }
    };
}

bits! {
    /// Bit 0, reserved.
    RESERVED_ZERO = 0x80_0000 "reserved-zero",
    /// Bit 1: general-glo-, general-ded-, general-ciphering and general-signing.
    GENERAL_PROTECTION = 0x40_0000 "general-protection",
    /// Bit 2: general block transfer.
    GENERAL_BLOCK_TRANSFER = 0x20_0000 "general-block-transfer",
    /// Bit 3: Read (short names).
    READ = 0x10_0000 "read",
    /// Bit 4: Write (short names).
    WRITE = 0x08_0000 "write",
    /// Bit 5: UnconfirmedWrite (short names).
    UNCONFIRMED_WRITE = 0x04_0000 "unconfirmed-write",
    /// Bit 6: delta values in profiles (Green Book 9; reserved before).
    DELTA_VALUE_ENCODING = 0x02_0000 "delta-value-encoding",
    /// Bit 7, reserved.
    RESERVED_SEVEN = 0x01_0000 "reserved-seven",
    /// Bit 8: SET of attribute 0, all attributes at once.
    ATTRIBUTE_0_WITH_SET = 0x00_8000 "attribute0-supported-with-set",
    /// Bit 9: the priority bit of requests is honoured.
    PRIORITY_MANAGEMENT = 0x00_4000 "priority-mgmt-supported",
    /// Bit 10: GET of attribute 0, all attributes at once.
    ATTRIBUTE_0_WITH_GET = 0x00_2000 "attribute0-supported-with-get",
    /// Bit 11: block transfer with GET or Read.
    BLOCK_TRANSFER_WITH_GET = 0x00_1000 "block-transfer-with-get-or-read",
    /// Bit 12: block transfer with SET or Write.
    BLOCK_TRANSFER_WITH_SET = 0x00_0800 "block-transfer-with-set-or-write",
    /// Bit 13: block transfer with ACTION.
    BLOCK_TRANSFER_WITH_ACTION = 0x00_0400 "block-transfer-with-action",
    /// Bit 14: lists of attributes or methods.
    MULTIPLE_REFERENCES = 0x00_0200 "multiple-references",
    /// Bit 15: InformationReport (short names).
    INFORMATION_REPORT = 0x00_0100 "information-report",
    /// Bit 16: DataNotification.
    DATA_NOTIFICATION = 0x00_0080 "data-notification",
    /// Bit 17: ACCESS.
    ACCESS = 0x00_0040 "access",
    /// Bit 18: parameterized access (short names).
    PARAMETERIZED_ACCESS = 0x00_0020 "parameterized-access",
    /// Bit 19: GET.
    GET = 0x00_0010 "get",
    /// Bit 20: SET.
    SET = 0x00_0008 "set",
    /// Bit 21: selective access.
    SELECTIVE_ACCESS = 0x00_0004 "selective-access",
    /// Bit 22: EventNotification.
    EVENT_NOTIFICATION = 0x00_0002 "event-notification",
    /// Bit 23: ACTION.
    ACTION = 0x00_0001 "action",
}

impl Conformance {
    /// No service at all.
    pub const NONE: Self = Self(0);

    /// The block with these 24 bits; higher ones are dropped.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & 0xFF_FFFF)
    }

    /// The 24 bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The three octets as they stand in Initiate and in `xDLMS_context_info`.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }

    /// The block in these three octets.
    #[must_use]
    pub const fn from_bytes([a, b, c]: [u8; 3]) -> Self {
        Self(u32::from_be_bytes([0, a, b, c]))
    }

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no bit is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The bits of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The bits of both: what is negotiated.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// This block without the bits of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The names of the bits that are set, as the standard spells them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMED.iter().filter(move |(bit, _)| self.contains(*bit)).map(|(_, name)| *name)
    }
}

impl BitOr for Conformance {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl BitAnd for Conformance {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        self.intersection(other)
    }
}

impl fmt::Display for Conformance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (index, name) in self.names().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Conformance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Conformance({:06X}: {self})", self.0)
    }
}

/// BER inside A-XDR, the one exception: application tag 31, four octets, no unused bits.
impl Wire<'_> for Conformance {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refused> {
        const WHAT: &str = "conformance";
        cursor.require(WHAT, 0x5F)?;
        if cursor.peek() == Some(0x1F) {
            cursor.u8()?;
        } else {
            cursor.note(Deviation::ConformanceTag);
        }
        let length = cursor.length(WHAT)?;
        cursor.bounded(length, |cursor| {
            cursor.require("unused bits of conformance", 0)?;
            cursor.array().map(Self::from_bytes)
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.bytes(&[0x5F, 0x1F, 0x04, 0x00])?;
        writer.bytes(&self.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn common_values_name_their_services() {
        let lowest = Conformance::from_bits(0x00_101D);
        assert_eq!(lowest.to_string(), "block-transfer-with-get-or-read, get, set, selective-access, action");
        let short = Conformance::from_bytes([0x1C, 0x03, 0x20]);
        assert_eq!(
            short.names().collect::<Vec<_>>(),
            ["read", "write", "unconfirmed-write", "multiple-references", "information-report", "parameterized-access"]
        );
        assert_eq!(Conformance::NONE.to_string(), "none");
    }

    #[test]
    fn the_names_cover_the_24_bits_in_order() {
        let bits: Vec<u32> = Conformance::NAMED.iter().map(|(bit, _)| bit.bits()).collect();
        assert_eq!(bits, (0..24).map(|bit| 0x80_0000 >> bit).collect::<Vec<_>>());
    }

    #[test]
    fn negotiation_is_the_intersection() {
        let proposed = Conformance::from_bits(0x00_7E1F);
        let server = Conformance::GET | Conformance::ACTION | Conformance::READ;
        assert_eq!(proposed & server, Conformance::GET.union(Conformance::ACTION));
        assert_eq!(proposed.without(Conformance::from_bits(0x00_7E0F)), Conformance::GET);
    }
}
