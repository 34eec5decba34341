//! Secrets, and names for keys that tell nothing about them.

use std::fmt;

use zeroize::Zeroizing;

/// Octets that must not be seen: wiped on drop, and `Debug` shows their number only.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes `octets` over.
    #[must_use]
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// The octets themselves; the caller keeps no copy beyond its use of them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Number of octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no octet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} octets)", self.0.len())
    }
}

/// Names one transmit invocation counter: a pair of an encryption key and our own system title.
///
/// The counter belongs to that pair and not to the meter, because the pair is what must never see
/// one counter value twice. So the counter survives a meter that is deleted and registered again,
/// and meters that were given the same key share it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CounterId(pub [u8; 16]);

impl fmt::Debug for CounterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CounterId({})", hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_octet_of_a_secret() {
        let secret = Secret::new(b"\x41\x42topsecret".to_vec());
        let shown = format!("{secret:?}");
        assert_eq!(shown, "Secret(11 octets)");
    }
}
