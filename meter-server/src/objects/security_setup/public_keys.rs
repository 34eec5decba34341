//! Key pairs and certificates of a meter of suite 1 or 2, in memory of fixed size.

use dlms::axdr::Writer;
use dlms::id::SystemTitle;
use dlms::security::certificate::{
    Certificate, CertificateError, CertificateStore, Entity, FixedStore, Purpose, Stored, chain_validity,
    find_by_entity, import_anchor, import_certificate,
};
use dlms::security::{Crypto, Curve, Curves, KeyEncryptionKey, PrivateKey, PublicKey, Suite, WRAP_OVERHEAD};

/// Certificates that are kept at most: trust anchors, authorities below them, those of clients and the meter's own.
pub const CERTIFICATES: usize = 10;
/// Octets of a certificate at most.
pub const CERTIFICATE_OCTETS: usize = 640;

/// Key pairs in use, and as many that wait for their certificates.
const PURPOSES: usize = 3;
/// Octets of the widest private key.
const PRIVATE_KEY_OCTETS: usize = 48;
/// Version of the record's layout.
const VERSION: u8 = 1;

/// Octets of the longest record of [`PublicKeys::encode`].
pub const PUBLIC_KEYS_RECORD: usize =
    2 + 2 * PURPOSES * (1 + PRIVATE_KEY_OCTETS + WRAP_OVERHEAD) + CERTIFICATES * (5 + CERTIFICATE_OCTETS);

type Store = FixedStore<CERTIFICATES, CERTIFICATE_OCTETS>;

/// A public key of a client, from a certificate that leads to a trust anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientKey {
    /// Whose.
    pub client: SystemTitle,
    /// What for.
    pub purpose: Purpose,
    /// The key.
    pub key: PublicKey,
    /// First and last second since 1970 at which everything on the way to the anchor is valid.
    pub validity: (u64, u64),
}

impl ClientKey {
    /// Whether it may be used at `now`, in seconds since 1970 in UTC; always where there is no trusted clock.
    #[must_use]
    pub fn is_valid(&self, now: Option<u64>) -> bool {
        now.is_none_or(|now| (self.validity.0..=self.validity.1).contains(&now))
    }
}

/// Key pairs and certificates. Private keys never leave it but wrapped, and wipe themselves.
#[derive(Default)]
pub struct PublicKeys {
    store: Store,
    /// Key pairs that have their certificate, by purpose.
    own: [Option<PrivateKey>; PURPOSES],
    /// Key pairs without one yet. What they will replace is good until then.
    pending: [Option<PrivateKey>; PURPOSES],
    /// Changes with everything.
    revision: u64,
}

impl core::fmt::Debug for PublicKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PublicKeys").field("certificates", &self.certificates().count()).finish_non_exhaustive()
    }
}

impl PublicKeys {
    /// Neither key pairs nor certificates.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Believes an authority from now on; for whoever makes the meter, never for a client.
    ///
    /// # Errors
    /// What the profile refuses; [`CertificateError::Full`].
    pub fn trust(&mut self, suite: Suite, der: &[u8]) -> Result<(), CertificateError> {
        import_anchor(&mut self.store, suite, der)
    }

    /// Gives the meter `server` a certificate that it begins with. `pair` is the private key of one of its own.
    ///
    /// # Errors
    /// As a client that imports it; [`CertificateError::ForeignKey`] for one of the meter's own without its private key.
    pub fn install<E: Curves>(
        &mut self,
        suite: Suite,
        server: SystemTitle,
        der: &[u8],
        pair: Option<&PrivateKey>,
    ) -> Result<(), CertificateError> {
        if let Some(pair) = pair {
            let purpose = Certificate::parse(der)?.purpose().ok_or(CertificateError::KeyUsage)?;
            *self.pending_mut(purpose).ok_or(CertificateError::KeyUsage)? = Some(copy(pair)?);
        }
        self.import::<E>(suite, server, None, der)
    }

    /// The certificates.
    #[must_use]
    pub const fn store(&self) -> &FixedStore<CERTIFICATES, CERTIFICATE_OCTETS> {
        &self.store
    }

    pub(crate) const fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// A number that changes whenever a certificate does.
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }

    /// The certificates one after the other.
    pub(super) fn certificates(&self) -> impl Iterator<Item = Stored<'_>> {
        (0..self.store.slots()).filter_map(|slot| self.store.get(slot))
    }

    /// The private key of the certified pair for `purpose`.
    #[must_use]
    pub fn private_key(&self, purpose: Purpose) -> Option<&PrivateKey> {
        self.own.get(usize::from(purpose.value()))?.as_ref()
    }

    /// The pair that waits for its certificate, or else the one in use.
    pub(super) fn newest(&self, purpose: Purpose) -> Option<&PrivateKey> {
        let pending = self.pending.get(usize::from(purpose.value()))?.as_ref();
        pending.or_else(|| self.private_key(purpose))
    }

    pub(super) fn pending_mut(&mut self, purpose: Purpose) -> Option<&mut Option<PrivateKey>> {
        self.pending.get_mut(usize::from(purpose.value()))
    }

    /// Imports a certificate; the pair that waits for it is in use from then on.
    pub(super) fn import<E: Curves>(
        &mut self,
        suite: Suite,
        server: SystemTitle,
        now: Option<u64>,
        der: &[u8],
    ) -> Result<(), CertificateError> {
        let Self { store, own, pending, .. } = self;
        let is_of = |pairs: &[Option<PrivateKey>; PURPOSES], purpose: Purpose, key: &PublicKey| {
            let pair = pairs.get(usize::from(purpose.value())).and_then(Option::as_ref);
            pair.is_some_and(|pair| E::public_key(pair).as_ref() == Ok(key))
        };
        let known = |purpose, key: &PublicKey| is_of(pending, purpose, key) || is_of(own, purpose, key);
        let (entity, purpose) = import_certificate::<E>(store, suite, server, known, now, der)?;
        if entity == Entity::Server && is_of(pending, purpose, Certificate::parse(der)?.public_key()) {
            let place = usize::from(purpose.value());
            if let (Some(own), Some(pending)) = (own.get_mut(place), pending.get_mut(place)) {
                *own = pending.take();
            }
        }
        Ok(())
    }

    /// The public key of `client` for `purpose`, by a certificate that still leads to a trust anchor. `now` is in seconds
    /// since 1970 in UTC; `None`, where there is no trusted clock, leaves validity out.
    ///
    /// # Errors
    /// [`CertificateError::NotFound`], or why the certificate is not believed.
    pub fn client_key<E: Curves>(
        &self,
        suite: Suite,
        client: SystemTitle,
        purpose: Purpose,
        now: Option<u64>,
    ) -> Result<ClientKey, CertificateError> {
        let slot = find_by_entity(&self.store, Entity::Client, purpose, client.as_bytes());
        let found = slot.and_then(|slot| self.store.get(slot)).ok_or(CertificateError::NotFound)?;
        let certificate = Certificate::parse(found.der)?;
        certificate.check(suite, purpose, Some(client))?;
        let validity = chain_validity::<E>(&certificate, &self.store, now)?;
        Ok(ClientKey { client, purpose, key: *certificate.public_key(), validity })
    }

    /// All public keys of clients that certificates lead to whenever they are valid: what would cost too much to verify
    /// with each APDU. It holds until a certificate changes.
    pub fn client_keys<E: Curves>(&self, suite: Suite) -> impl Iterator<Item = ClientKey> {
        let clients = self.certificates().filter(|stored| stored.entity == Entity::Client);
        clients.filter_map(move |stored| {
            let client = Certificate::parse(stored.der).ok()?.system_title().ok()?;
            self.client_key::<E>(suite, client, stored.purpose, None).ok()
        })
    }

    /// The same once more, to be changed and kept, or thrown away.
    pub(super) fn next(&self) -> Result<Self, CertificateError> {
        let mut next = Self { store: self.store.clone(), revision: self.revision.wrapping_add(1), ..Self::default() };
        let pairs = self.own.iter().chain(&self.pending);
        for (to, from) in next.own.iter_mut().chain(&mut next.pending).zip(pairs) {
            *to = from.as_ref().map(copy).transpose()?;
        }
        Ok(next)
    }

    /// Writes everything for non-volatile memory, private keys wrapped with `kek`, and returns how many octets that are,
    /// at most [`PUBLIC_KEYS_RECORD`]. `None` when `out` is too short or the engine fails.
    #[must_use]
    pub fn encode<C: Crypto>(&self, kek: &KeyEncryptionKey, out: &mut [u8]) -> Option<usize> {
        let mut out = Writer::new(out);
        out.u8(VERSION).ok()?;
        for pair in self.own.iter().chain(&self.pending) {
            let key = pair.as_ref().map_or(&[][..], PrivateKey::as_bytes);
            let mut room = [0; PRIVATE_KEY_OCTETS + WRAP_OVERHEAD];
            let length = if key.is_empty() { 0 } else { key.len().checked_add(WRAP_OVERHEAD)? };
            let wrapped = room.get_mut(..length)?;
            if !key.is_empty() {
                C::wrap(kek.as_bytes(), key, wrapped).ok()?;
            }
            out.u8(u8::try_from(length).ok()?).ok()?;
            out.bytes(wrapped).ok()?;
        }
        out.u8(u8::try_from(self.certificates().count()).ok()?).ok()?;
        for Stored { entity, purpose, anchor, der } in self.certificates() {
            out.bytes(&[entity.value(), purpose.value(), u8::from(anchor)]).ok()?;
            out.u16(u16::try_from(der.len()).ok()?).ok()?;
            out.bytes(der).ok()?;
        }
        Some(out.len())
    }

    /// Reads what [`encode`](Self::encode) wrote. `None` for anything else, also for keys of another suite or under
    /// another `kek`.
    #[must_use]
    pub fn decode<C: Crypto>(suite: Suite, kek: &KeyEncryptionKey, record: &[u8]) -> Option<Self> {
        let curve = suite.curve()?;
        let (&VERSION, mut rest) = record.split_first()? else { return None };
        let mut keys = Self::default();
        for pair in keys.own.iter_mut().chain(&mut keys.pending) {
            let (&length, tail) = rest.split_first()?;
            let (wrapped, tail) = tail.split_at_checked(usize::from(length))?;
            rest = tail;
            if !wrapped.is_empty() {
                *pair = Some(unwrapped::<C>(curve, kek, wrapped)?);
            }
        }
        let (&count, mut rest) = rest.split_first()?;
        for _ in 0..count {
            let (&[entity, purpose, anchor], tail) = rest.split_first_chunk::<3>()?;
            let (length, tail) = tail.split_first_chunk::<2>()?;
            let (der, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            rest = tail;
            let (entity, purpose) = (Entity::from_value(entity)?, Purpose::from_value(purpose)?);
            keys.store.put(None, Stored { entity, purpose, anchor: anchor != 0, der }).ok()?;
        }
        rest.is_empty().then_some(keys)
    }
}

fn copy(key: &PrivateKey) -> Result<PrivateKey, CertificateError> {
    Ok(PrivateKey::from_slice(key.curve(), key.as_bytes())?)
}

fn unwrapped<C: Crypto>(curve: Curve, kek: &KeyEncryptionKey, wrapped: &[u8]) -> Option<PrivateKey> {
    if wrapped.len() != curve.width().checked_add(WRAP_OVERHEAD)? {
        return None;
    }
    let mut room = zeroize::Zeroizing::new([0; PRIVATE_KEY_OCTETS]);
    let octets = room.get_mut(..curve.width())?;
    C::unwrap(kek.as_bytes(), wrapped, octets).ok()?;
    PrivateKey::from_slice(curve, octets).ok()
}

#[cfg(test)]
mod tests {
    use dlms::security::{Random, RustCrypto};

    use super::*;

    struct Counting(u8);

    impl Random for Counting {
        fn fill(&mut self, octets: &mut [u8]) {
            for octet in octets {
                self.0 = self.0.wrapping_add(1);
                *octet = self.0;
            }
        }
    }

    fn key(curve: Curve, seed: u8) -> PrivateKey {
        RustCrypto::generate(curve, &mut Counting(seed)).unwrap()
    }

    fn kek(suite: Suite, octet: u8) -> KeyEncryptionKey {
        KeyEncryptionKey::from_slice(suite, &[octet; 32][..suite.key_length()]).unwrap()
    }

    /// The longest record that there can be is read again; anything less, more or other than it is not.
    #[test]
    fn a_record_is_read_whole_and_with_its_keys_only() {
        for (suite, other) in [(Suite::Suite1, Suite::Suite2), (Suite::Suite2, Suite::Suite1)] {
            let curve = suite.curve().unwrap();
            let mut keys = PublicKeys::new();
            for (seed, pair) in (0..).zip(keys.own.iter_mut().chain(&mut keys.pending)) {
                *pair = Some(key(curve, seed));
            }
            for octet in 0..u8::try_from(CERTIFICATES).unwrap() {
                let der = [octet; CERTIFICATE_OCTETS];
                let entity = Entity::from_value(octet % 4).unwrap();
                let stored = Stored { entity, purpose: Purpose::Signature, anchor: octet == 3, der: &der };
                keys.store.put(None, stored).unwrap();
            }
            let mut record = vec![0; PUBLIC_KEYS_RECORD];
            let length = keys.encode::<RustCrypto>(&kek(suite, 1), &mut record).unwrap();
            assert_eq!(length == PUBLIC_KEYS_RECORD, suite == Suite::Suite2, "{length} octets");
            let record = &record[..length];
            let again = PublicKeys::decode::<RustCrypto>(suite, &kek(suite, 1), record).unwrap();
            assert!(again.certificates().eq(keys.certificates()));
            for (found, kept) in again.own.iter().chain(&again.pending).zip(keys.own.iter().chain(&keys.pending)) {
                let (found, kept) = (found.as_ref().unwrap(), kept.as_ref().unwrap());
                assert_eq!(found.as_bytes(), kept.as_bytes());
                assert!(!record.windows(8).any(|window| window == &kept.as_bytes()[..8]));
            }
            let refused = |suite, kek: &KeyEncryptionKey, record: &[u8]| {
                PublicKeys::decode::<RustCrypto>(suite, kek, record).is_none()
            };
            assert!(refused(suite, &kek(suite, 2), record) && refused(other, &kek(other, 1), record));
            assert!(refused(Suite::Suite0, &kek(suite, 1), record));
            for end in (0..length).step_by(97) {
                assert!(refused(suite, &kek(suite, 1), &record[..end]), "{end} octets");
            }
            assert!(refused(suite, &kek(suite, 1), &[record, &[0]].concat()));
            assert!(keys.encode::<RustCrypto>(&kek(suite, 1), &mut vec![0; length - 1]).is_none());
        }
    }

    #[test]
    fn debug_output_holds_no_key() {
        let mut keys = PublicKeys::new();
        keys.own[0] = Some(key(Curve::P256, 5));
        assert_eq!(format!("{keys:?}"), "PublicKeys { certificates: 0, .. }");
    }
}
