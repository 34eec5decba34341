//! Structures that several classes share.

use crate::time::DateTime;

structure! {
    /// A time from one moment to another, mostly with wildcards.
    Window "structure of start and end time" {
        /// When it begins.
        start: DateTime,
        /// When it ends.
        end: DateTime,
    }
}

enumeration! {
    /// Speed of a serial line.
    BaudRate "baud rate" {
        /// 300 baud.
        Baud300 = 0,
        /// 600 baud.
        Baud600 = 1,
        /// 1200 baud.
        Baud1200 = 2,
        /// 2400 baud.
        Baud2400 = 3,
        /// 4800 baud.
        Baud4800 = 4,
        /// 9600 baud.
        Baud9600 = 5,
        /// 19200 baud.
        Baud19200 = 6,
        /// 38400 baud.
        Baud38400 = 7,
        /// 57600 baud.
        Baud57600 = 8,
        /// 115200 baud.
        Baud115200 = 9,
    }
}

impl BaudRate {
    /// Bits per second; `None` for a value that the Blue Book does not list.
    #[must_use]
    pub const fn bits_per_second(self) -> Option<u32> {
        Some(match self {
            Self::Baud300 => 300,
            Self::Baud600 => 600,
            Self::Baud1200 => 1_200,
            Self::Baud2400 => 2_400,
            Self::Baud4800 => 4_800,
            Self::Baud9600 => 9_600,
            Self::Baud19200 => 19_200,
            Self::Baud38400 => 38_400,
            Self::Baud57600 => 57_600,
            Self::Baud115200 => 115_200,
            Self::Other(_) => return None,
        })
    }
}
