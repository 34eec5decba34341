//! Passwords, HLS secrets and dedicated keys: short secrets that are kept inside the machines.

use core::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Most octets of a secret.
pub const SECRET_BYTES_MAX: usize = 64;

/// An LLS password or HLS secret of at most 64 octets; wiped on drop and never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret {
    octets: [u8; SECRET_BYTES_MAX],
    length: usize,
}

impl Secret {
    /// No secret: lowest level, and HLS-GMAC whose secrets are keys.
    pub const NONE: Self = Self { octets: [0; SECRET_BYTES_MAX], length: 0 };

    /// The secret in `bytes`; `None` when it has more than 64 octets.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self::NONE;
        secret.octets.get_mut(..bytes.len())?.copy_from_slice(bytes);
        secret.length = bytes.len();
        Some(secret)
    }

    /// The octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
