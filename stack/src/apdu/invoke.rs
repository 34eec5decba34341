//! Invoke identifiers, which pair responses with requests.

use core::fmt;

use crate::axdr::{BufferFull, Writer};
use crate::wire::{Cursor, Refused, Wire};

/// Invoke-Id-And-Priority: one octet in front of every GET, SET and ACTION.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InvokeIdAndPriority(pub u8);

impl InvokeIdAndPriority {
    const ID: u8 = 0x0F;
    const CONFIRMED: u8 = 0x40;
    const HIGH_PRIORITY: u8 = 0x80;

    /// The octet for invoke-id `id` (its low four bits).
    #[must_use]
    pub const fn new(id: u8, confirmed: bool, high_priority: bool) -> Self {
        let mut octet = id & Self::ID;
        if confirmed {
            octet |= Self::CONFIRMED;
        }
        if high_priority {
            octet |= Self::HIGH_PRIORITY;
        }
        Self(octet)
    }

    /// Invoke-id, 0 to 15.
    #[must_use]
    pub const fn id(self) -> u8 {
        self.0 & Self::ID
    }

    /// Whether an answer is expected.
    #[must_use]
    pub const fn is_confirmed(self) -> bool {
        self.0 & Self::CONFIRMED != 0
    }

    /// Whether the request may overtake others.
    #[must_use]
    pub const fn is_high_priority(self) -> bool {
        self.0 & Self::HIGH_PRIORITY != 0
    }

    /// Whether `response` answers this request: meters clear the other bits, so only the id counts.
    #[must_use]
    pub const fn matches(self, response: Self) -> bool {
        self.id() == response.id()
    }
}

impl fmt::Debug for InvokeIdAndPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvokeIdAndPriority({:#04X})", self.0)
    }
}

impl Wire<'_> for InvokeIdAndPriority {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refused> {
        cursor.u8().map(Self)
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(self.0)
    }
}

/// Long-Invoke-Id-And-Priority: four octets in front of ACCESS and DataNotification.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LongInvokeIdAndPriority(pub u32);

impl LongInvokeIdAndPriority {
    /// The bits of the id.
    pub const ID: u32 = 0x00FF_FFFF;
    /// The answer repeats the request (ACCESS).
    pub const SELF_DESCRIPTIVE: u32 = 0x1000_0000;
    /// The server stops at the first item that fails (ACCESS).
    pub const BREAK_ON_ERROR: u32 = 0x2000_0000;
    /// An answer is expected.
    pub const CONFIRMED: u32 = 0x4000_0000;
    /// The request may overtake others.
    pub const HIGH_PRIORITY: u32 = 0x8000_0000;

    /// Invoke-id `id` (its low 24 bits) with `flags` from the constants of this type.
    #[must_use]
    pub const fn new(id: u32, flags: u32) -> Self {
        Self(id & Self::ID | flags & !Self::ID)
    }

    /// Invoke-id, 24 bits.
    #[must_use]
    pub const fn id(self) -> u32 {
        self.0 & Self::ID
    }

    /// Whether the answer repeats the request.
    #[must_use]
    pub const fn is_self_descriptive(self) -> bool {
        self.0 & Self::SELF_DESCRIPTIVE != 0
    }

    /// Whether the server stops at the first item that fails.
    #[must_use]
    pub const fn breaks_on_error(self) -> bool {
        self.0 & Self::BREAK_ON_ERROR != 0
    }

    /// Whether an answer is expected.
    #[must_use]
    pub const fn is_confirmed(self) -> bool {
        self.0 & Self::CONFIRMED != 0
    }

    /// Whether the request may overtake others.
    #[must_use]
    pub const fn is_high_priority(self) -> bool {
        self.0 & Self::HIGH_PRIORITY != 0
    }

    /// Whether `response` answers this request: only the id counts.
    #[must_use]
    pub const fn matches(self, response: Self) -> bool {
        self.id() == response.id()
    }
}

impl fmt::Debug for LongInvokeIdAndPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LongInvokeIdAndPriority({:#010X})", self.0)
    }
}

impl Wire<'_> for LongInvokeIdAndPriority {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refused> {
        cursor.u32().map(Self)
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u32(self.0)
    }
}
