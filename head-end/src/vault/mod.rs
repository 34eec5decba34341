//! Secrets at rest: sealed with AES-256-GCM under one master key.
//!
//! A sealed secret is bound to the meter it belongs to and to its role by additional authenticated
//! data, so that a blob copied to another row of the store does not open. The master key never
//! leaves this module; it is not printed, not logged and not part of any error.

mod master;

use std::fmt;

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use dlms::id::SystemTitle;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub use self::master::{MasterKey, MasterKeyError};
use crate::meter::{CounterId, MeterId, Secret};

/// What a secret is used for; part of what it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretRole {
    /// Global unicast encryption key.
    EncryptionKey,
    /// Authentication key.
    AuthenticationKey,
    /// Password of low level security.
    Password,
    /// Master key, under which other keys travel to the meter (key encrypting key).
    MasterKey,
    /// Global broadcast encryption key.
    BroadcastKey,
    /// Encryption key of ciphered telegrams of the customer port.
    CustomerPortKey,
    /// Authentication key of the same.
    CustomerPortAuthenticationKey,
}

impl SecretRole {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::EncryptionKey,
        Self::AuthenticationKey,
        Self::Password,
        Self::MasterKey,
        Self::BroadcastKey,
        Self::CustomerPortKey,
        Self::CustomerPortAuthenticationKey,
    ];

    /// Those of a customer port, which its customer is given.
    pub const CUSTOMER_PORT: [Self; 2] = [Self::CustomerPortKey, Self::CustomerPortAuthenticationKey];

    /// Those of a security setup.
    pub const KEYS: [Self; 4] = [Self::EncryptionKey, Self::AuthenticationKey, Self::MasterKey, Self::BroadcastKey];

    /// The name in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EncryptionKey => "encryption-key",
            Self::AuthenticationKey => "authentication-key",
            Self::Password => "password",
            Self::MasterKey => "master-key",
            Self::BroadcastKey => "broadcast-key",
            Self::CustomerPortKey => "customer-port-key",
            Self::CustomerPortAuthenticationKey => "customer-port-authentication-key",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A secret as the store holds it: format octet, nonce, ciphertext, tag.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// The blob read from a store.
    #[must_use]
    pub const fn from_bytes(octets: Vec<u8>) -> Self {
        Self(octets)
    }

    /// The blob to write to a store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} octets)", self.0.len())
    }
}

/// Why a secret could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The blob is shorter than its format allows, or of a format that this version does not know.
    #[error("the stored secret is not of a known format")]
    Format,
    /// The tag does not verify: another master key, a changed blob, or a blob of another meter or role.
    #[error("the stored secret does not open: another master key, or the store was changed")]
    Tag,
    /// The operating system gave no random octets.
    #[error("the operating system gave no random octets")]
    Random,
    /// The secret is longer than AES-GCM takes.
    #[error("the secret is too long to seal")]
    Length,
}

const FORMAT: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;

/// Seals and opens secrets.
pub struct Vault {
    cipher: Aes256Gcm,
    fingerprint_key: Zeroizing<[u8; 32]>,
}

impl Vault {
    /// A vault under `master`.
    #[must_use]
    pub fn new(master: &MasterKey) -> Self {
        let cipher = Aes256Gcm::new(master.expose().into());
        let fingerprint_key = Zeroizing::new(hmac(master.expose(), &[b"dlms-head-end fingerprint 1"]));
        Self { cipher, fingerprint_key }
    }

    /// Seals `secret`, which is the `role` of `meter`.
    ///
    /// # Errors
    /// [`VaultError::Random`] or [`VaultError::Length`].
    pub fn seal(&self, meter: &MeterId, role: SecretRole, secret: &Secret) -> Result<Sealed, VaultError> {
        self.seal_bound(&binding(meter.as_str(), role.name()), secret)
    }

    /// Opens what [`seal`](Self::seal) made for the same meter and role.
    ///
    /// # Errors
    /// [`VaultError::Format`] or [`VaultError::Tag`].
    pub fn open(&self, meter: &MeterId, role: SecretRole, sealed: &Sealed) -> Result<Secret, VaultError> {
        self.open_bound(&binding(meter.as_str(), role.name()), sealed)
    }

    /// Seals a secret of the head-end itself, which has this name.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub fn seal_own(&self, name: &str, secret: &Secret) -> Result<Sealed, VaultError> {
        self.seal_bound(&binding("", name), secret)
    }

    /// Opens what [`seal_own`](Self::seal_own) made under the same name.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_own(&self, name: &str, sealed: &Sealed) -> Result<Secret, VaultError> {
        self.open_bound(&binding("", name), sealed)
    }

    /// Seals a known text, to be kept in the store so that another master key is noticed at start.
    ///
    /// # Errors
    /// [`VaultError::Random`].
    pub fn seal_check(&self) -> Result<Sealed, VaultError> {
        self.seal_own("check", &Secret::new(CHECK.to_vec()))
    }

    /// Whether `sealed` was made by [`seal_check`](Self::seal_check) under the same master key.
    ///
    /// # Errors
    /// [`VaultError::Format`] or [`VaultError::Tag`] when it was not.
    pub fn verify_check(&self, sealed: &Sealed) -> Result<(), VaultError> {
        let opened = self.open_own("check", sealed)?;
        if opened.expose() == CHECK { Ok(()) } else { Err(VaultError::Tag) }
    }

    /// A keyed digest of `parts`, to recognise contents without keeping them.
    #[must_use]
    pub fn fingerprint(&self, parts: &[&[u8]]) -> [u8; 32] {
        hmac(&self.fingerprint_key, parts)
    }

    /// The counter that belongs to `key` under our `title`.
    ///
    /// Not keyed by the master key: after the master key was lost and the meters were registered
    /// again, the same keys must find the same counters.
    #[must_use]
    pub fn counter_id(title: &SystemTitle, key: &Secret) -> CounterId {
        let digest =
            Sha256::new().chain_update(b"dlms-head-end counter 1").chain_update(title.0).chain_update(key.expose());
        let mut id = [0; 16];
        for (octet, from) in id.iter_mut().zip(digest.finalize()) {
            *octet = from;
        }
        CounterId(id)
    }

    fn seal_bound(&self, binding: &[u8], secret: &Secret) -> Result<Sealed, VaultError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| VaultError::Random)?;
        let mut text = Zeroizing::new(secret.expose().to_vec());
        let tag = self
            .cipher
            .encrypt_inout_detached(&nonce.into(), binding, text.as_mut_slice().into())
            .map_err(|_| VaultError::Length)?;
        let mut blob = Vec::with_capacity(1 + NONCE + text.len() + TAG);
        blob.push(FORMAT);
        blob.extend_from_slice(&nonce);
        blob.extend_from_slice(&text);
        blob.extend_from_slice(&tag);
        Ok(Sealed(blob))
    }

    fn open_bound(&self, binding: &[u8], sealed: &Sealed) -> Result<Secret, VaultError> {
        let (&format, rest) = sealed.0.split_first().ok_or(VaultError::Format)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or(VaultError::Format)?;
        let (text, tag) = rest.split_last_chunk::<TAG>().ok_or(VaultError::Format)?;
        if format != FORMAT {
            return Err(VaultError::Format);
        }
        let mut plain = Zeroizing::new(text.to_vec());
        self.cipher
            .decrypt_inout_detached(nonce.into(), binding, plain.as_mut_slice().into(), tag.into())
            .map_err(|_| VaultError::Tag)?;
        Ok(Secret::new(std::mem::take(&mut *plain)))
    }
}

const CHECK: &[u8] = b"the master key is the one this store was made with";

/// What a secret is bound to; the length in front keeps owner and role apart.
fn binding(owner: &str, role: &str) -> Vec<u8> {
    let mut octets = b"dlms-head-end secret 1".to_vec();
    octets.extend_from_slice(&(owner.len() as u64).to_be_bytes());
    octets.extend_from_slice(owner.as_bytes());
    octets.extend_from_slice(role.as_bytes());
    octets
}

fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC fills a short key up to the block of its hash with zeros; done here, no length can be refused.
    let mut block = Zeroizing::new([0; 64]);
    for (octet, from) in block.iter_mut().zip(key) {
        *octet = *from;
    }
    let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(redacted)")
    }
}

#[cfg(test)]
mod tests;
