//! Keys and passwords of simulated meters.

mod master_seed;

use std::fmt;

use dlms::association::Secret;
use dlms::security::{AuthenticationKey, EncryptionKey, KeyEncryptionKey, SecurityError, Suite};

pub use master_seed::{MasterSeed, MasterSeedError};

/// Keys of a meter, or of all meters of a fleet: each has a system title of its own.
///
/// They are meant for tests and demonstrations; `Debug` shows none of them.
pub struct Keys {
    pub(crate) suite: Suite,
    pub(crate) encryption: EncryptionKey,
    pub(crate) authentication: AuthenticationKey,
    pub(crate) broadcast: Option<EncryptionKey>,
    pub(crate) master: Option<KeyEncryptionKey>,
    /// Password, or HLS secret, of clients whose mechanism has one.
    pub(crate) password: Secret,
}

impl Keys {
    /// Global unicast encryption key of [`Keys::demonstration`]: the octets of the published ciphering examples.
    pub const DEMONSTRATION_ENCRYPTION: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    /// Authentication key of [`Keys::demonstration`].
    pub const DEMONSTRATION_AUTHENTICATION: [u8; 16] =
        [0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF];
    /// Key encrypting key of [`Keys::demonstration`].
    pub const DEMONSTRATION_MASTER: [u8; 16] =
        [0xE0, 0xE1, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xEB, 0xEC, 0xED, 0xEE, 0xEF];
    /// LLS password of [`Keys::demonstration`].
    pub const DEMONSTRATION_PASSWORD: &[u8] = b"12345678";

    /// Keys of suite 0 (16 octets each) and the password, or HLS secret, of clients whose mechanism has one.
    ///
    /// # Errors
    /// A key that does not have 16 octets, or a password without octets or with more than 64.
    pub fn new(encryption: &[u8], authentication: &[u8], password: &[u8]) -> Result<Self, SecurityError> {
        Self::of_suite(Suite::Suite0, encryption, authentication, password)
    }

    /// As [`Keys::new`] for meters of this suite: 16 octets each in suites 0 and 1, 32 in suite 2.
    ///
    /// # Errors
    /// A key that does not have as many octets, or a password as for [`Keys::new`].
    pub fn of_suite(
        suite: Suite,
        encryption: &[u8],
        authentication: &[u8],
        password: &[u8],
    ) -> Result<Self, SecurityError> {
        let refused = SecurityError::SecretLength { length: password.len() };
        Ok(Self {
            suite,
            encryption: EncryptionKey::from_slice(suite, encryption)?,
            authentication: AuthenticationKey::from_slice(suite, authentication)?,
            broadcast: None,
            master: None,
            password: Secret::new(password).filter(|_| !password.is_empty()).ok_or(refused)?,
        })
    }

    /// With a global broadcast encryption key, under which unconfirmed requests may come.
    ///
    /// # Errors
    /// A key that does not have the octets of the suite.
    pub fn with_broadcast(mut self, key: &[u8]) -> Result<Self, SecurityError> {
        self.broadcast = Some(EncryptionKey::from_slice(self.suite, key)?);
        Ok(self)
    }

    /// With a key encrypting key: the meters' keys can then be replaced.
    ///
    /// # Errors
    /// A key that does not have the octets of the suite.
    pub fn with_master(mut self, key: &[u8]) -> Result<Self, SecurityError> {
        self.master = Some(KeyEncryptionKey::from_slice(self.suite, key)?);
        Ok(self)
    }

    /// Well-known keys, for demonstrations.
    ///
    /// # Panics
    /// Never: a test makes them.
    #[must_use]
    pub fn demonstration() -> Self {
        Self::new(&Self::DEMONSTRATION_ENCRYPTION, &Self::DEMONSTRATION_AUTHENTICATION, Self::DEMONSTRATION_PASSWORD)
            .and_then(|keys| keys.with_master(&Self::DEMONSTRATION_MASTER))
            .unwrap_or_else(|error| unreachable!("the keys have the right length: {error}"))
    }
}

impl Keys {
    /// As [`Keys::demonstration`] for meters of a suite: where keys are longer, they go on counting up.
    ///
    /// # Panics
    /// Never: the keys have the length of the suite.
    #[must_use]
    pub fn demonstration_of(suite: Suite) -> Self {
        let length = suite.key_length();
        let counted = |first: u8| (first..=u8::MAX).take(length).collect::<Vec<_>>();
        let (encryption, authentication) = (Self::DEMONSTRATION_ENCRYPTION[0], Self::DEMONSTRATION_AUTHENTICATION[0]);
        Self::of_suite(suite, &counted(encryption), &counted(authentication), Self::DEMONSTRATION_PASSWORD)
            .and_then(|keys| keys.with_master(&counted(Self::DEMONSTRATION_MASTER[0])))
            .unwrap_or_else(|error| unreachable!("the keys have the right length: {error}"))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_wrong_length_are_refused_and_none_is_shown() {
        let keys = Keys::demonstration();
        assert_eq!(format!("{keys:?}"), "Keys { .. }");
        assert!(Keys::new(&[0; 15], &[0; 16], b"x").is_err());
        assert!(Keys::new(&[0; 16], &[0; 32], b"x").is_err());
        assert!(Keys::new(&[0; 16], &[0; 16], b"").is_err());
        assert!(Keys::new(&[0; 16], &[0; 16], &[b'x'; 65]).is_err());
    }
}
