//! Import, export and removal of certificates: what methods 6, 7 and 8 of class 64 do.

use super::chain::verify_chain;
use super::{Certificate, CertificateError, CertificateStore, Entity, Purpose, Stored, find_by_entity, find_by_serial};
use crate::id::SystemTitle;
use crate::security::{Curves, PublicKey, Suite};

/// How export and removal name a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identification<'a> {
    /// By whose it is and what for, 0.
    Entity {
        /// Whose.
        entity: Entity,
        /// What for.
        purpose: Purpose,
        /// System title; of an authority its common name.
        title: &'a [u8],
    },
    /// By serial number and issuer, 1.
    Serial {
        /// Serial number.
        serial: &'a [u8],
        /// The issuer's name.
        issuer: &'a [u8],
    },
}

impl Identification<'_> {
    /// The slot of the certificate.
    #[must_use]
    pub fn find(&self, store: &impl CertificateStore) -> Option<usize> {
        match *self {
            Self::Entity { entity, purpose, title } => find_by_entity(store, entity, purpose, title),
            Self::Serial { serial, issuer } => find_by_serial(store, serial, issuer),
        }
    }
}

/// Loads a trust anchor out of band: a certificate of an authority that is believed from now on. Never to be reached
/// by a service of the protocol.
///
/// # Errors
/// What the profile refuses; [`CertificateError::Full`].
pub fn import_anchor(store: &mut impl CertificateStore, suite: Suite, der: &[u8]) -> Result<(), CertificateError> {
    let certificate = Certificate::parse(der)?;
    certificate.check(suite, Purpose::Other, None)?;
    let stored = Stored { entity: Entity::Authority, purpose: Purpose::Other, anchor: true, der };
    store.put(slot_of(store, &stored, &certificate), stored)
}

/// Imports a certificate, method 6: parsed, held against the profile, led to a trust anchor of the store; one of the
/// server's own must hold the public key that `own` gives for its purpose (that of the pending pair, or of the one in
/// use). It takes the place of one for the same entity and purpose with the same title. Returns whose it is and what for.
///
/// # Errors
/// The first check that it does not pass; the store is then as it was.
pub fn import_certificate<E: Curves>(
    store: &mut impl CertificateStore,
    suite: Suite,
    server: SystemTitle,
    own: impl Fn(Purpose, &PublicKey) -> bool,
    now: Option<u64>,
    der: &[u8],
) -> Result<(Entity, Purpose), CertificateError> {
    let certificate = Certificate::parse(der)?;
    let purpose = certificate.purpose().ok_or(CertificateError::KeyUsage)?;
    certificate.check(suite, purpose, None)?;
    E::check(certificate.public_key())?;
    let entity = certificate.entity(server);
    if entity == Entity::Server && !own(purpose, certificate.public_key()) {
        return Err(CertificateError::ForeignKey);
    }
    verify_chain::<E>(&certificate, store, now)?;
    let stored = Stored { entity, purpose, anchor: false, der };
    let slot = slot_of(store, &stored, &certificate);
    // An anchor stays one, whatever arrives over the line.
    if slot.and_then(|slot| store.get(slot)).is_some_and(|found| found.anchor) {
        return Err(CertificateError::NotRemovable);
    }
    store.put(slot, stored)?;
    Ok((entity, purpose))
}

/// Exports a certificate, method 7.
///
/// # Errors
/// [`CertificateError::NotFound`].
pub fn export<'s, S: CertificateStore>(
    store: &'s S,
    identification: &Identification<'_>,
) -> Result<&'s [u8], CertificateError> {
    let slot = identification.find(store).ok_or(CertificateError::NotFound)?;
    store.get(slot).map(|found| found.der).ok_or(CertificateError::NotFound)
}

/// Removes a certificate, method 8. The server's own can only be renewed, and the last trust anchor stays.
///
/// # Errors
/// [`CertificateError::NotFound`], [`CertificateError::NotRemovable`].
pub fn remove(store: &mut impl CertificateStore, identification: &Identification<'_>) -> Result<(), CertificateError> {
    let slot = identification.find(store).ok_or(CertificateError::NotFound)?;
    let found = store.get(slot).ok_or(CertificateError::NotFound)?;
    let anchors = (0..store.slots()).filter_map(|slot| store.get(slot)).filter(|found| found.anchor).count();
    if found.entity == Entity::Server || (found.anchor && anchors <= 1) {
        return Err(CertificateError::NotRemovable);
    }
    store.clear(slot);
    Ok(())
}

/// The slot of the certificate that a new one replaces.
fn slot_of(store: &impl CertificateStore, new: &Stored<'_>, certificate: &Certificate<'_>) -> Option<usize> {
    if new.entity == Entity::Authority {
        // Of an authority there may be several, with the same name and different keys.
        return (0..store.slots()).find(|slot| {
            store.get(*slot).is_some_and(|found| {
                found.entity == Entity::Authority
                    && Certificate::parse(found.der).is_ok_and(|found| {
                        found.subject() == certificate.subject() && found.public_key() == certificate.public_key()
                    })
            })
        });
    }
    let title = certificate.system_title().ok()?;
    find_by_entity(store, new.entity, new.purpose, title.as_bytes())
}
