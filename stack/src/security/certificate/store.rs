//! Where certificates are kept, and how class 64 finds them.

use super::{Certificate, CertificateError, Entity, Purpose};
use crate::id::SystemTitle;

/// A certificate of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    /// Whose it is.
    pub entity: Entity,
    /// What its key is for.
    pub purpose: Purpose,
    /// Trusted without further proof, because it was loaded out of band.
    pub anchor: bool,
    /// The certificate.
    pub der: &'a [u8],
}

/// A bounded number of certificates.
///
/// Slots keep their number until something is removed. An implementation persists what it is given before it returns.
pub trait CertificateStore {
    /// Number of slots, empty ones included.
    fn slots(&self) -> usize;

    /// The certificate in a slot; `None` for an empty slot.
    fn get(&self, slot: usize) -> Option<Stored<'_>>;

    /// Puts a certificate into a slot, whatever was there; `None` takes an empty one.
    ///
    /// # Errors
    /// [`CertificateError::Full`]; the store is then as it was.
    fn put(&mut self, slot: Option<usize>, certificate: Stored<'_>) -> Result<(), CertificateError>;

    /// Empties a slot.
    fn clear(&mut self, slot: usize);
}

/// The slot of the certificate of this entity and purpose with this system title. An authority has none: of it the
/// title is compared with the common name.
#[must_use]
pub fn find_by_entity(store: &impl CertificateStore, entity: Entity, purpose: Purpose, title: &[u8]) -> Option<usize> {
    (0..store.slots()).find(|slot| {
        store.get(*slot).is_some_and(|found| {
            found.entity == entity
                && found.purpose == purpose
                && Certificate::parse(found.der).is_ok_and(|certificate| match certificate.system_title() {
                    Ok(found) => SystemTitle::from_slice(title) == Some(found),
                    Err(_) => certificate.common_name() == Some(title),
                })
        })
    })
}

/// The slot of the certificate with this serial number of this issuer.
///
/// Peers differ in how they write both: the serial number as DER INTEGER, as its content, or as decimal or hexadecimal
/// text; the issuer as DER Name or as the text of its common name. DER is tried first, and whatever fits more than one
/// certificate fits none.
#[must_use]
pub fn find_by_serial(store: &impl CertificateStore, serial: &[u8], issuer: &[u8]) -> Option<usize> {
    [Form::Der, Form::Content, Form::Decimal, Form::Hexadecimal].into_iter().find_map(|form| {
        let mut fitting = (0..store.slots()).filter(|slot| {
            store.get(*slot).and_then(|found| Certificate::parse(found.der).ok()).is_some_and(|certificate| {
                form.fits(certificate.serial_number(), serial) && issuer_fits(&certificate, issuer)
            })
        });
        let found = fitting.next()?;
        fitting.next().is_none().then_some(found)
    })
}

/// How a serial number is written.
#[derive(Clone, Copy)]
enum Form {
    Der,
    Content,
    Decimal,
    Hexadecimal,
}

impl Form {
    /// `content` is the INTEGER's content in the certificate.
    fn fits(self, content: &[u8], given: &[u8]) -> bool {
        let number = |octets: &[u8]| {
            let start = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len());
            let digits = octets.get(start..).unwrap_or_default();
            (digits.len() <= 16)
                .then(|| digits.iter().fold(0, |number: u128, octet| (number << 8) | u128::from(*octet)))
        };
        match self {
            Self::Der => match given {
                [2, length, rest @ ..] => usize::from(*length) == rest.len() && rest == content,
                _ => false,
            },
            Self::Content => given == content,
            Self::Decimal => {
                let text = core::str::from_utf8(given).ok().filter(|text| text.bytes().all(|c| c.is_ascii_digit()));
                let given = text.and_then(|text| text.parse::<u128>().ok());
                given.is_some() && given == number(content)
            }
            Self::Hexadecimal => {
                let text = core::str::from_utf8(given).ok().filter(|text| text.bytes().all(|c| c.is_ascii_hexdigit()));
                let given = text.and_then(|text| u128::from_str_radix(text, 16).ok());
                given.is_some() && given == number(content)
            }
        }
    }
}

fn issuer_fits(certificate: &Certificate<'_>, given: &[u8]) -> bool {
    certificate.issuer() == given
        || super::parse::common_name_of(certificate.issuer()).is_some_and(|name| name == given)
        || core::str::from_utf8(given)
            .ok()
            .and_then(|text| text.strip_prefix("CN="))
            .is_some_and(|name| super::parse::common_name_of(certificate.issuer()) == Some(name.as_bytes()))
}

/// A store of `SLOTS` certificates of at most `OCTETS` octets each, in memory. 512 octets hold every certificate of the
/// profile on P-256, 640 on P-384, unless names are long.
#[derive(Clone, Debug)]
pub struct FixedStore<const SLOTS: usize, const OCTETS: usize> {
    slots: [Option<Slot<OCTETS>>; SLOTS],
}

#[derive(Clone, Copy, Debug)]
struct Slot<const OCTETS: usize> {
    entity: Entity,
    purpose: Purpose,
    anchor: bool,
    der: [u8; OCTETS],
    length: usize,
}

impl<const SLOTS: usize, const OCTETS: usize> FixedStore<SLOTS, OCTETS> {
    /// An empty store.
    #[must_use]
    pub const fn new() -> Self {
        Self { slots: [const { None }; SLOTS] }
    }
}

impl<const SLOTS: usize, const OCTETS: usize> Default for FixedStore<SLOTS, OCTETS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const SLOTS: usize, const OCTETS: usize> CertificateStore for FixedStore<SLOTS, OCTETS> {
    fn slots(&self) -> usize {
        SLOTS
    }

    fn get(&self, slot: usize) -> Option<Stored<'_>> {
        let slot = self.slots.get(slot)?.as_ref()?;
        let der = slot.der.get(..slot.length)?;
        Some(Stored { entity: slot.entity, purpose: slot.purpose, anchor: slot.anchor, der })
    }

    fn put(&mut self, slot: Option<usize>, certificate: Stored<'_>) -> Result<(), CertificateError> {
        let place = match slot {
            Some(slot) => self.slots.get_mut(slot),
            None => self.slots.iter_mut().find(|slot| slot.is_none()),
        };
        let (place, length) = (place.ok_or(CertificateError::Full)?, certificate.der.len());
        let mut der = [0; OCTETS];
        der.get_mut(..length).ok_or(CertificateError::Full)?.copy_from_slice(certificate.der);
        let Stored { entity, purpose, anchor, .. } = certificate;
        *place = Some(Slot { entity, purpose, anchor, der, length });
        Ok(())
    }

    fn clear(&mut self, slot: usize) {
        if let Some(slot) = self.slots.get_mut(slot) {
            *slot = None;
        }
    }
}
