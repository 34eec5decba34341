//! The security control octet.

use core::fmt;

use super::{Protection, SecurityError, Suite};

/// Security control octet, in front of every invocation counter: bit 7 compression, bit 6 key set (0 unicast,
/// 1 broadcast), bit 5 encrypted, bit 4 authenticated, bits 3 to 0 the suite (Green Book, clause 9.2.7.2.4.1).
///
/// It is authenticated exactly as it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecurityControl(pub u8);

impl SecurityControl {
    const AUTHENTICATED: u8 = 0x10;
    const ENCRYPTED: u8 = 0x20;
    const BROADCAST: u8 = 0x40;
    const COMPRESSED: u8 = 0x80;
    const SUITE: u8 = 0x0F;

    /// The octet for this suite and protection with the unicast key.
    #[must_use]
    pub const fn new(suite: Suite, protection: Protection) -> Self {
        let mut octet = suite.id();
        if protection.authenticated {
            octet |= Self::AUTHENTICATED;
        }
        if protection.encrypted {
            octet |= Self::ENCRYPTED;
        }
        Self(octet)
    }

    /// The same octet with the broadcast key selected.
    #[must_use]
    pub const fn with_broadcast_key(self) -> Self {
        Self(self.0 | Self::BROADCAST)
    }

    /// The suite it names.
    ///
    /// # Errors
    /// [`SecurityError::UnknownSuite`] for the reserved ids 3 to 15.
    pub const fn suite(self) -> Result<Suite, SecurityError> {
        Suite::from_id(self.0 & Self::SUITE)
    }

    /// The protection it claims.
    #[must_use]
    pub const fn protection(self) -> Protection {
        Protection {
            authenticated: self.0 & Self::AUTHENTICATED != 0,
            encrypted: self.0 & Self::ENCRYPTED != 0,
            signed: false,
        }
    }

    /// Whether the broadcast key is used.
    #[must_use]
    pub const fn is_broadcast(self) -> bool {
        self.0 & Self::BROADCAST != 0
    }

    /// Whether the plaintext was compressed before it was protected.
    #[must_use]
    pub const fn is_compressed(self) -> bool {
        self.0 & Self::COMPRESSED != 0
    }
}

impl fmt::Display for SecurityControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}", self.0)
    }
}

impl fmt::Debug for SecurityControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecurityControl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_of_the_three_protections() {
        for (suite, a, e, ae) in
            [(Suite::Suite0, 0x10, 0x20, 0x30), (Suite::Suite1, 0x11, 0x21, 0x31), (Suite::Suite2, 0x12, 0x22, 0x32)]
        {
            assert_eq!(SecurityControl::new(suite, Protection::AUTHENTICATED).0, a);
            assert_eq!(SecurityControl::new(suite, Protection::ENCRYPTED).0, e);
            assert_eq!(SecurityControl::new(suite, Protection::AUTHENTICATED_ENCRYPTED).0, ae);
        }
        let broadcast = SecurityControl::new(Suite::Suite0, Protection::AUTHENTICATED_ENCRYPTED).with_broadcast_key();
        assert_eq!(broadcast.0, 0x70);
        assert!(broadcast.is_broadcast() && !broadcast.is_compressed());
        assert!(SecurityControl(0xB0).is_compressed());
    }
}
