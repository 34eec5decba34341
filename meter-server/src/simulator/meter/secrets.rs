//! Passwords and HLS secrets that clients have set, and how they are kept.

use std::collections::BTreeMap;

use dlms::id::ClientSap;
use dlms::security::{Crypto, KeyEncryptionKey, RustCrypto};
use zeroize::Zeroizing;

/// Octets of a secret: what the stack's association holds.
const OCTETS: std::ops::RangeInclusive<usize> = 1..=64;
/// Key wrap works on pieces of this length, at least two of them, and puts one in front.
const PIECE: usize = 8;

/// Secrets by client; only of those that have set one.
#[derive(Default)]
pub(super) struct Secrets(BTreeMap<ClientSap, Zeroizing<Box<[u8]>>>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Secrets {
    pub(super) fn get(&self, client: ClientSap) -> Option<&[u8]> {
        self.0.get(&client).map(|secret| &***secret)
    }

    /// Sets a secret, or takes it back; returns the one before. `None` when it has a length that no secret has.
    pub(super) fn replace(&mut self, client: ClientSap, secret: Option<&[u8]>) -> Option<Option<Box<[u8]>>> {
        let before = match secret {
            Some(secret) if !OCTETS.contains(&secret.len()) => return None,
            Some(secret) => self.0.insert(client, Zeroizing::new(secret.into())),
            None => self.0.remove(&client),
        };
        Some(before.map(|before| (*before).clone()))
    }

    /// What is kept of them: wrapped, behind their length and filled up with zeros, as hexadecimal digits. `None` when
    /// there is no key to wrap them with.
    pub(super) fn wrapped(&self, master: Option<&KeyEncryptionKey>) -> Option<BTreeMap<u16, String>> {
        self.0
            .iter()
            .map(|(client, secret)| {
                let padded = (secret.len() + 1).next_multiple_of(PIECE).max(2 * PIECE);
                let mut plain = Zeroizing::new(vec![0; padded]);
                plain[0] = u8::try_from(secret.len()).ok()?;
                plain[1..=secret.len()].copy_from_slice(secret);
                let mut wrapped = vec![0; padded + PIECE];
                RustCrypto::wrap(master?.as_bytes(), &plain, &mut wrapped).ok()?;
                Some((client.0, hex::encode(wrapped)))
            })
            .collect()
    }

    /// The secrets that were kept; `None` when they are wrapped under another key.
    pub(super) fn unwrapped(kept: &BTreeMap<u16, String>, master: Option<&KeyEncryptionKey>) -> Option<Self> {
        let each = kept.iter().map(|(client, wrapped)| {
            let wrapped = hex::decode(wrapped).ok()?;
            let mut plain = Zeroizing::new(vec![0; wrapped.len().checked_sub(PIECE)?]);
            RustCrypto::unwrap(master?.as_bytes(), &wrapped, &mut plain).ok()?;
            let (length, rest) = plain.split_first()?;
            Some((ClientSap(*client), Zeroizing::new(rest.get(..usize::from(*length))?.into())))
        });
        each.collect::<Option<_>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use dlms::security::Suite;

    use super::*;

    #[test]
    fn secrets_of_every_length_are_kept_under_the_master_key_alone() {
        let key = |octet| KeyEncryptionKey::from_slice(Suite::Suite0, &[octet; 16]).unwrap();
        for length in 0..=80_usize {
            let secret = vec![0x33; length];
            let mut secrets = Secrets::default();
            let taken = secrets.replace(ClientSap(17), Some(&secret));
            assert_eq!(taken, (1..=64).contains(&length).then_some(None), "{length}");
            if taken.is_none() {
                continue;
            }
            assert_eq!(secrets.wrapped(None), None, "nothing to wrap it with");
            let kept = secrets.wrapped(Some(&key(1))).unwrap();
            assert!(!kept[&17].contains("3333"), "{kept:?}");
            assert!(!format!("{secrets:?}").contains("51"), "{secrets:?}");
            let again = Secrets::unwrapped(&kept, Some(&key(1))).unwrap();
            assert_eq!(again.get(ClientSap(17)), Some(&secret[..]));
            assert!(Secrets::unwrapped(&kept, Some(&key(2))).is_none() && Secrets::unwrapped(&kept, None).is_none());
        }
        assert_eq!(Secrets::default().wrapped(None), Some(BTreeMap::new()));
    }
}
