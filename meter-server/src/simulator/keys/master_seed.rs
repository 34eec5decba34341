//! Keys of each meter from one seed.

use std::fmt;

use dlms::id::SystemTitle;
use dlms::security::Suite;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use super::Keys;

/// Begins what is derived from, so that another use of the same seed gives other keys.
const LABEL: &[u8] = b"dlms-meter-keys-1";
/// Octets of a seed.
const SEED_OCTETS: usize = 32;

/// A seed from which the keys of every meter follow: 32 octets.
///
/// A key is the first 16 octets (32 in suite 2) of HKDF-Expand of RFC 5869 with SHA-256, the seed being the pseudorandom key and
/// the text `dlms-meter-keys-1`, an octet 0, the name of the key, an octet 0 and the eight octets of the system title being
/// `info`. The names are `guek`, `gak` and `kek`. The global broadcast key `gbek` is the same for all meters: it is made
/// without a system title. The password, which is the HLS secret too, is `password` likewise, its first eight octets as
/// 16 hexadecimal digits in lower case.
///
/// Whoever has the seed has all keys: it is wiped from memory, and `Debug` does not show it.
pub struct MasterSeed(Zeroizing<[u8; SEED_OCTETS]>);

/// The text is no seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a master seed is written as 64 hexadecimal digits")]
pub struct MasterSeedError;

impl MasterSeed {
    /// The seed with these octets.
    #[must_use]
    pub fn new(octets: [u8; SEED_OCTETS]) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// The seed that 64 hexadecimal digits say; white space around them does not count.
    ///
    /// # Errors
    /// [`MasterSeedError`].
    pub fn from_hex(text: &str) -> Result<Self, MasterSeedError> {
        let mut octets = Zeroizing::new([0; SEED_OCTETS]);
        hex::decode_to_slice(text.trim(), &mut *octets).map_err(|_| MasterSeedError)?;
        Ok(Self(octets))
    }

    /// The keys of the meter with this system title.
    pub(crate) fn keys(&self, suite: Suite, title: SystemTitle) -> Keys {
        let length = suite.key_length();
        let key = |name: &str| self.derive(name, &title.0);
        let mut password = Zeroizing::new([0; 16]);
        let written = hex::encode_to_slice(&key("password")[..8], &mut *password);
        let part = |octets: &Zeroizing<[u8; 32]>| Zeroizing::new(octets[..length].to_vec());
        let keys = written.ok().and_then(|()| {
            Keys::of_suite(suite, &part(&key("guek")), &part(&key("gak")), &*password)
                .and_then(|keys| keys.with_master(&part(&key("kek"))))
                .and_then(|keys| keys.with_broadcast(&part(&self.derive("gbek", &[]))))
                .ok()
        });
        keys.unwrap_or_else(|| unreachable!("derived keys have the length of the suite"))
    }

    /// HKDF-Expand of one block.
    fn derive(&self, name: &str, title: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).unwrap_or_else(|_| unreachable!("HMAC takes any key"));
        for part in [LABEL, &[0], name.as_bytes(), &[0], title, &[1]] {
            mac.update(part);
        }
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for MasterSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MasterSeed").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TITLE: SystemTitle = SystemTitle(*b"SIM\0\0\x98\x96\x81");

    const EXPECTED: [&str; 5] = [
        "e3ce24ed987834b3a8cb89c8ba3d8bbb",
        "d1ad5373deecf7bd7bb388cadbc58123",
        "212896c7b815ff1289c4f761eeb75656",
        "6854de39cb163d77f463c4b3cbb3d905",
        "b82b1d619d6f30da",
    ];

    fn seed() -> MasterSeed {
        MasterSeed::from_hex(" 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n").unwrap()
    }

    /// Computed by `hmac.new(seed, label + b"\0" + name + b"\0" + title + b"\1", "sha256")` of Python's standard library.
    #[test]
    fn keys_are_those_of_hkdf_expand() {
        let keys = seed().keys(Suite::Suite0, TITLE);
        assert_eq!(hex::encode(keys.encryption.as_bytes()), EXPECTED[0]);
        assert_eq!(hex::encode(keys.authentication.as_bytes()), EXPECTED[1]);
        assert_eq!(hex::encode(keys.master.as_ref().unwrap().as_bytes()), EXPECTED[2]);
        assert_eq!(hex::encode(keys.broadcast.as_ref().unwrap().as_bytes()), EXPECTED[3]);
        assert_eq!(keys.password.as_bytes(), EXPECTED[4].as_bytes());
        let long = seed().keys(Suite::Suite2, TITLE);
        assert_eq!(long.encryption.as_bytes()[..16], *keys.encryption.as_bytes());
        assert_eq!(long.encryption.as_bytes().len(), 32);
    }

    #[test]
    fn meters_have_nothing_in_common_but_the_broadcast_key() {
        let (one, other) =
            (seed().keys(Suite::Suite0, TITLE), seed().keys(Suite::Suite0, SystemTitle(*b"SIM\0\0\0\0\x02")));
        assert_ne!(one.encryption.as_bytes(), other.encryption.as_bytes());
        assert_ne!(one.authentication.as_bytes(), other.authentication.as_bytes());
        assert_ne!(one.password.as_bytes(), other.password.as_bytes());
        assert_eq!(one.broadcast.unwrap().as_bytes(), other.broadcast.unwrap().as_bytes());
    }

    #[test]
    fn a_seed_is_not_shown_and_has_one_length() {
        assert_eq!(format!("{:?}", seed()), "MasterSeed(..)");
        assert!(MasterSeed::from_hex("00").is_err());
        assert!(MasterSeed::from_hex(&"0g".repeat(32)).is_err());
    }
}
