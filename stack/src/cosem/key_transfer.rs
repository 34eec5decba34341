//! What a client sends to `key_transfer` of a Security setup: new keys, wrapped under the key encrypting key.

use super::ToData;
use super::security_setup::{KeyId, KeyTransferData};
use crate::axdr::{BufferFull, Writer};
use crate::security::{Crypto, KeyEncryptionKey, SecurityError, Suite, WrappedKey, wrap_key};

/// Keys that a Security setup has at most.
const KEYS_MAX: usize = 4;

/// The parameter of `key_transfer`, in version 0 `global_key_transfer`.
///
/// ```
/// use dlms::axdr::{Data, Writer};
/// use dlms::cosem::key_transfer::KeyTransferParameter;
/// use dlms::cosem::security_setup::KeyId;
/// use dlms::security::{KeyEncryptionKey, RustCrypto, Suite};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let master = KeyEncryptionKey::from_slice(Suite::Suite0, &[0xE0; 16])?;
/// let mut keys = KeyTransferParameter::new();
/// keys.add::<RustCrypto>(Suite::Suite0, &master, KeyId::GlobalUnicastEncryption, &[0x11; 16])?;
/// keys.add::<RustCrypto>(Suite::Suite0, &master, KeyId::Authentication, &[0x22; 16])?;
/// let mut buffer = [0; 128];
/// let mut writer = Writer::new(&mut buffer);
/// keys.encode(&mut writer)?;
/// assert!(matches!(Data::from_slice(writer.written())?, Data::Array(keys) if keys.len() == 2));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyTransferParameter {
    keys: [Option<(KeyId, WrappedKey)>; KEYS_MAX],
}

impl KeyTransferParameter {
    /// No keys yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { keys: [None; KEYS_MAX] }
    }

    /// Wraps a key under the key encrypting key that is in force; a key with the same identifier is replaced.
    ///
    /// # Errors
    /// [`SecurityError::KeyLength`] when a key has not the suite's length, [`SecurityError::Engine`];
    /// [`SecurityError::BufferTooSmall`] for more than four keys.
    pub fn add<C: Crypto>(
        &mut self,
        suite: Suite,
        kek: &KeyEncryptionKey,
        key_id: KeyId,
        key: &[u8],
    ) -> Result<(), SecurityError> {
        let wrapped = wrap_key::<C>(suite, kek, key)?;
        let known = self.keys.iter().position(|known| known.is_some_and(|(known, _)| known == key_id));
        let place = known.or_else(|| self.keys.iter().position(Option::is_none));
        let place = place.and_then(|place| self.keys.get_mut(place)).ok_or(SecurityError::BufferTooSmall)?;
        *place = Some((key_id, wrapped));
        Ok(())
    }

    /// Writes the parameter: an array of key identifiers and wrapped keys.
    ///
    /// # Errors
    /// [`BufferFull`].
    pub fn encode(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        let keys = self.keys.iter().flatten();
        writer.array(keys.clone().count())?;
        keys.clone().try_for_each(|(key_id, wrapped)| {
            KeyTransferData { key_id: *key_id, key_wrapped: wrapped.as_bytes() }.to_data(writer)
        })
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;
    use crate::security::RustCrypto;

    /// The wrapped key is that of RFC 3394, 4.1.
    #[test]
    fn a_published_key_is_wrapped_and_placed() {
        let master = KeyEncryptionKey::from_slice(Suite::Suite0, &hex!("000102030405060708090A0B0C0D0E0F")).unwrap();
        let mut keys = KeyTransferParameter::new();
        keys.add::<RustCrypto>(Suite::Suite0, &master, KeyId::Authentication, &[7; 16]).unwrap();
        let key = hex!("00112233445566778899AABBCCDDEEFF");
        keys.add::<RustCrypto>(Suite::Suite0, &master, KeyId::Authentication, &key).unwrap();
        let mut buffer = [0; 64];
        let mut writer = Writer::new(&mut buffer);
        keys.encode(&mut writer).unwrap();
        let expected = hex!("01 01 02 02 16 02 09 18 1FA68B0A8112B447 AEF34BD8FB5A7B82 9D3E862371D2CFE5");
        assert_eq!(writer.written(), expected);
        assert_eq!(
            keys.add::<RustCrypto>(Suite::Suite0, &master, KeyId::Master, &[7; 32]),
            Err(SecurityError::KeyLength { found: 32 })
        );
    }
}
