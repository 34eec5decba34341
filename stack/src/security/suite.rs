//! Security suites.

use super::SecurityError;

/// Security suite: which algorithms, and therefore which key lengths (Green Book, clause 9.2.3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Suite {
    /// AES-GCM-128; no public-key cryptography.
    #[default]
    Suite0,
    /// AES-GCM-128 with ECDSA and ECDH on P-256.
    Suite1,
    /// AES-GCM-256 with ECDSA and ECDH on P-384.
    Suite2,
}

impl Suite {
    /// The suite with this id; 3 to 15 are reserved and refused.
    ///
    /// # Errors
    /// [`SecurityError::UnknownSuite`].
    pub const fn from_id(id: u8) -> Result<Self, SecurityError> {
        match id {
            0 => Ok(Self::Suite0),
            1 => Ok(Self::Suite1),
            2 => Ok(Self::Suite2),
            _ => Err(SecurityError::UnknownSuite { id }),
        }
    }

    /// The id, as in attribute 3 of class 64 and in the security control octet.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Suite0 => 0,
            Self::Suite1 => 1,
            Self::Suite2 => 2,
        }
    }

    /// Octets of each symmetric key: encryption, authentication, dedicated and key encrypting key.
    #[must_use]
    pub const fn key_length(self) -> usize {
        match self {
            Self::Suite0 | Self::Suite1 => 16,
            Self::Suite2 => 32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ids_are_refused() {
        for id in 0..=u8::MAX {
            match Suite::from_id(id) {
                Ok(suite) => assert_eq!(suite.id(), id),
                Err(error) => {
                    assert!(id > 2);
                    assert_eq!(error, SecurityError::UnknownSuite { id });
                }
            }
        }
    }
}
