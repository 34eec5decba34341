//! The control field: what a frame is (IEC 62056-46, modulo 8).

use core::fmt;

/// A sequence number, 0 to 7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sequence(u8);

impl Sequence {
    /// The first number after the link was set up.
    pub const ZERO: Self = Self(0);

    /// The number `value` modulo 8.
    #[must_use]
    pub const fn new(value: u8) -> Self {
        Self(value & 7)
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The number `count` further on.
    #[must_use]
    pub const fn plus(self, count: u8) -> Self {
        Self(self.0.wrapping_add(count) & 7)
    }

    /// How many numbers `self` is ahead of `earlier`, modulo 8.
    #[must_use]
    pub const fn ahead_of(self, earlier: Self) -> u8 {
        self.0.wrapping_sub(earlier.0) & 7
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a frame is, without its poll/final bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Information: a segment of an APDU.
    I {
        /// N(S): the number of this frame.
        send: Sequence,
        /// N(R): the number expected next; acknowledges all before.
        receive: Sequence,
    },
    /// Receive ready: acknowledges, and polls or answers a poll.
    Rr {
        /// N(R).
        receive: Sequence,
    },
    /// Receive not ready: acknowledges, and asks to send nothing.
    Rnr {
        /// N(R).
        receive: Sequence,
    },
    /// Reject: asks for everything from N(R) again. Not part of the profile; tolerated.
    Rej {
        /// N(R).
        receive: Sequence,
    },
    /// Set normal response mode: the client opens the link.
    Snrm,
    /// Disconnect: the client closes the link.
    Disc,
    /// Unnumbered acknowledge: the server agrees to SNRM or DISC.
    Ua,
    /// Disconnected mode: the server has no link.
    Dm,
    /// Frame reject: the server cannot go on.
    Frmr,
    /// Unnumbered information: a segment of an APDU outside any sequence.
    Ui,
    /// Anything else, poll/final bit cleared.
    Unknown(u8),
}

/// A control field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// What the frame is.
    pub kind: Kind,
    /// P in a command (from the client): answer now. F in a response: the answer ends here.
    pub poll_final: bool,
}

impl Control {
    const POLL_FINAL: u8 = 0x10;

    /// A control field with the poll/final bit set.
    #[must_use]
    pub const fn with_poll_final(kind: Kind) -> Self {
        Self { kind, poll_final: true }
    }

    /// Reads a control field; every octet is one.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        let poll_final = byte & Self::POLL_FINAL != 0;
        let receive = Sequence::new(byte >> 5);
        let bare = byte & !Self::POLL_FINAL;
        let kind = if byte & 1 == 0 {
            Kind::I { send: Sequence::new(byte >> 1), receive }
        } else {
            match (bare, byte & 0x0F) {
                (_, 0x01) => Kind::Rr { receive },
                (_, 0x05) => Kind::Rnr { receive },
                (_, 0x09) => Kind::Rej { receive },
                (0x83, _) => Kind::Snrm,
                (0x43, _) => Kind::Disc,
                (0x63, _) => Kind::Ua,
                (0x0F, _) => Kind::Dm,
                (0x87, _) => Kind::Frmr,
                (0x03, _) => Kind::Ui,
                _ => Kind::Unknown(bare),
            }
        };
        Self { kind, poll_final }
    }

    /// The control field as an octet.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        let bare = match self.kind {
            Kind::I { send, receive } => (receive.get() << 5) | (send.get() << 1),
            Kind::Rr { receive } => (receive.get() << 5) | 0x01,
            Kind::Rnr { receive } => (receive.get() << 5) | 0x05,
            Kind::Rej { receive } => (receive.get() << 5) | 0x09,
            Kind::Snrm => 0x83,
            Kind::Disc => 0x43,
            Kind::Ua => 0x63,
            Kind::Dm => 0x0F,
            Kind::Frmr => 0x87,
            Kind::Ui => 0x03,
            Kind::Unknown(bare) => bare & !Self::POLL_FINAL,
        };
        if self.poll_final { bare | Self::POLL_FINAL } else { bare }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_survives() {
        for byte in 0..=255 {
            assert_eq!(Control::from_byte(byte).to_byte(), byte);
        }
    }

    /// Published table of control fields, and the first exchanges of a connection.
    #[test]
    fn published_control_fields() {
        let i = |send, receive| Kind::I { send: Sequence::new(send), receive: Sequence::new(receive) };
        let receive = Sequence::new(7);
        for (byte, kind, poll_final) in [
            (0x10, i(0, 0), true),
            (0x30, i(0, 1), true),
            (0x32, i(1, 1), true),
            (0x52, i(1, 2), true),
            (0x54, i(2, 2), true),
            (0x74, i(2, 3), true),
            (0x44, i(2, 2), false),
            (0xF1, Kind::Rr { receive }, true),
            (0xE1, Kind::Rr { receive }, false),
            (0xF5, Kind::Rnr { receive }, true),
            (0xF9, Kind::Rej { receive }, true),
            (0x93, Kind::Snrm, true),
            (0x53, Kind::Disc, true),
            (0x73, Kind::Ua, true),
            (0x1F, Kind::Dm, true),
            (0x97, Kind::Frmr, true),
            (0x13, Kind::Ui, true),
            (0x03, Kind::Ui, false),
            (0xFD, Kind::Unknown(0xED), true),
        ] {
            assert_eq!(Control::from_byte(byte), Control { kind, poll_final }, "{byte:#04x}");
        }
    }

    #[test]
    fn sequence_numbers_count_modulo_8() {
        assert_eq!(Sequence::new(7).plus(1), Sequence::ZERO);
        assert_eq!(Sequence::new(1).ahead_of(Sequence::new(7)), 2);
        assert_eq!(Sequence::new(3).ahead_of(Sequence::new(3)), 0);
    }
}
