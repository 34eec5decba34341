//! Key wrap (RFC 3394): how new keys travel to the Security setup's method key_transfer.

use super::{Crypto, KeyEncryptionKey, SecurityError, Suite, TransferredKey};

/// Octets that wrapping adds.
pub const WRAP_OVERHEAD: usize = 8;

/// A wrapped key: 24 octets in suites 0 and 1, 40 in suite 2.
#[derive(Clone, Copy, Debug)]
pub struct WrappedKey {
    octets: [u8; 32 + WRAP_OVERHEAD],
    length: usize,
}

impl WrappedKey {
    /// The octets, for the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

/// Wraps the octets of a new key with the present key encrypting key.
///
/// # Errors
/// [`SecurityError::KeyLength`] when `key` or `kek` does not have the suite's length, [`SecurityError::Engine`].
pub fn wrap_key<C: Crypto>(suite: Suite, kek: &KeyEncryptionKey, key: &[u8]) -> Result<WrappedKey, SecurityError> {
    for found in [key.len(), kek.as_bytes().len()] {
        if found != suite.key_length() {
            return Err(SecurityError::KeyLength { found });
        }
    }
    let length = key.len().saturating_add(WRAP_OVERHEAD);
    let mut wrapped = WrappedKey { octets: [0; 32 + WRAP_OVERHEAD], length };
    C::wrap(kek.as_bytes(), key, wrapped.octets.get_mut(..length).unwrap_or_default())?;
    Ok(wrapped)
}

/// Unwraps a key with the present key encrypting key. Whoever receives several unwraps all of them before any is
/// put to use.
///
/// # Errors
/// [`SecurityError::KeyUnwrap`] when the integrity check fails or the length is not that of a wrapped key of this
/// suite: a key of another suite is refused even if it unwraps; [`SecurityError::KeyLength`] when `kek` does not have
/// the suite's length, [`SecurityError::Engine`].
pub fn unwrap_key<C: Crypto>(
    suite: Suite,
    kek: &KeyEncryptionKey,
    wrapped: &[u8],
) -> Result<TransferredKey, SecurityError> {
    if kek.as_bytes().len() != suite.key_length() {
        return Err(SecurityError::KeyLength { found: kek.as_bytes().len() });
    }
    if wrapped.len() != suite.key_length().saturating_add(WRAP_OVERHEAD) {
        return Err(SecurityError::KeyUnwrap);
    }
    let mut key = TransferredKey::empty(suite);
    match C::unwrap(kek.as_bytes(), wrapped, key.as_bytes_mut()) {
        Ok(()) => Ok(key),
        Err(super::CryptoError::Tag) => Err(SecurityError::KeyUnwrap),
        Err(error) => Err(error.into()),
    }
}
