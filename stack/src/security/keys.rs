//! Symmetric keys, wiped when dropped and never shown.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{SecurityError, Suite};

/// Which encryption key protects an APDU; each has its own transmit counter and its own receive floor for each peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyId {
    /// Global unicast encryption key (key_id 0 of class 64).
    Unicast,
    /// Global broadcast encryption key (key_id 1).
    Broadcast,
    /// Dedicated key of one association.
    Dedicated,
    /// A key that came with a general-ciphering message, wrapped or agreed on.
    Message,
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unicast => "global unicast key",
            Self::Broadcast => "global broadcast key",
            Self::Dedicated => "dedicated key",
            Self::Message => "key of the message",
        })
    }
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Deliberately neither `Clone` nor comparable; `Debug` prints no octet of it.
        #[derive(Zeroize, ZeroizeOnDrop)]
        pub struct $name {
            octets: [u8; 32],
            length: u8,
        }

        impl $name {
            /// Takes the key's octets: 16 in suites 0 and 1, 32 in suite 2.
            ///
            /// # Errors
            /// [`SecurityError::KeyLength`].
            pub fn from_slice(suite: Suite, octets: &[u8]) -> Result<Self, SecurityError> {
                if octets.len() != suite.key_length() {
                    return Err(SecurityError::KeyLength { found: octets.len() });
                }
                let mut key = Self { octets: [0; 32], length: 0 };
                key.octets.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
                key.length = u8::try_from(octets.len()).unwrap_or_default();
                Ok(key)
            }

            /// The key's octets.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                self.octets.get(..usize::from(self.length)).unwrap_or_default()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

key!(
    /// Encryption key: global unicast, global broadcast or dedicated.
    EncryptionKey
);
key!(
    /// Authentication key: never encrypts, it is authenticated together with every APDU.
    AuthenticationKey
);

key!(
    /// Key encrypting key (key_id 3), also called the master key: wraps other keys and nothing else.
    KeyEncryptionKey
);
key!(
    /// A key that arrived wrapped; its key_id says what it becomes.
    TransferredKey
);
key!(
    /// A key that both sides derived; its key_id, or the message that it came with, says what it becomes.
    AgreedKey
);

impl TransferredKey {
    /// Zeros, to be filled by unwrapping.
    pub(super) fn empty(suite: Suite) -> Self {
        Self { octets: [0; 32], length: u8::try_from(suite.key_length()).unwrap_or_default() }
    }

    pub(super) fn as_bytes_mut(&mut self) -> &mut [u8] {
        self.octets.get_mut(..usize::from(self.length)).unwrap_or_default()
    }
}

/// The keys of one Security setup object.
///
/// Several associations may use the same object; they then share its keys **and** its counters.
#[derive(Debug)]
pub struct KeySet {
    /// The suite, which gives the keys' length.
    pub suite: Suite,
    /// Global unicast encryption key.
    pub encryption: EncryptionKey,
    /// Global broadcast encryption key, if broadcasts are used.
    pub broadcast: Option<EncryptionKey>,
    /// Authentication key; without one only encryption is possible.
    pub authentication: Option<AuthenticationKey>,
}

impl KeySet {
    /// Takes the octets of the unicast and the authentication key.
    ///
    /// # Errors
    /// [`SecurityError::KeyLength`] when one does not have the suite's length.
    #[cfg_attr(feature = "small", inline(never))]
    pub fn new(suite: Suite, encryption: &[u8], authentication: &[u8]) -> Result<Self, SecurityError> {
        let mut set = Self::encryption_only(suite, encryption)?;
        set.authentication = Some(AuthenticationKey::from_slice(suite, authentication)?);
        Ok(set)
    }

    /// Takes the octets of the unicast key alone, as for a customer's push interface that is encrypted only.
    ///
    /// # Errors
    /// [`SecurityError::KeyLength`].
    pub fn encryption_only(suite: Suite, encryption: &[u8]) -> Result<Self, SecurityError> {
        Ok(Self {
            suite,
            encryption: EncryptionKey::from_slice(suite, encryption)?,
            broadcast: None,
            authentication: None,
        })
    }

    /// Adds the octets of the broadcast key.
    ///
    /// # Errors
    /// [`SecurityError::KeyLength`].
    pub fn with_broadcast(mut self, broadcast: &[u8]) -> Result<Self, SecurityError> {
        self.broadcast = Some(EncryptionKey::from_slice(self.suite, broadcast)?);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn a_key_has_the_length_of_its_suite() {
        let octets = [0x5A; 40];
        for suite in [Suite::Suite0, Suite::Suite1, Suite::Suite2] {
            for length in 0..=octets.len() {
                let key = EncryptionKey::from_slice(suite, &octets[..length]);
                assert_eq!(key.is_ok(), length == suite.key_length(), "{suite:?}, {length} octets");
            }
            let key = AuthenticationKey::from_slice(suite, &octets[..suite.key_length()]).unwrap();
            assert_eq!(key.as_bytes(), &octets[..suite.key_length()]);
        }
    }

    #[test]
    fn debug_output_holds_no_key() {
        let set = KeySet::new(Suite::Suite0, &[0x93; 16], &[0x93; 16]).unwrap().with_broadcast(&[0x93; 16]).unwrap();
        for text in [format!("{set:?}"), format!("{set:#?}"), format!("{set:02X?}")] {
            assert!(!text.contains("93") && !text.contains("147"), "{text}");
            assert_eq!(text.matches("(redacted)").count(), 3, "{text}");
        }
    }
}
