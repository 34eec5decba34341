//! The way from a certificate to a trust anchor.

use super::{Certificate, CertificateError, CertificateStore};
use crate::security::Curves;

/// Most certificates of a path, trust anchor included.
pub const CHAIN_MAX: usize = 4;

/// Most signatures that are verified for one path: names can be made to fit in more ways than anybody needs.
const SIGNATURES_MAX: u8 = 16;

/// Leads from `leaf` to a trust anchor of the store: each certificate signed by the next, each issuer an authority
/// whose path length suffices, at most [`CHAIN_MAX`] certificates, all of them valid at `now`.
///
/// `now` is in seconds since 1970 in UTC; `None`, where there is no trusted clock, leaves validity out. A certificate
/// that is an anchor itself is trusted as one.
///
/// # Errors
/// [`CertificateError::NoPath`], or why the path that came nearest was refused.
pub fn verify_chain<E: Curves>(
    leaf: &Certificate<'_>,
    store: &impl CertificateStore,
    now: Option<u64>,
) -> Result<(), CertificateError> {
    chain_validity::<E>(leaf, store, now).map(drop)
}

/// As [`verify_chain`], and gives the first and the last second since 1970 at which all certificates of the path that was
/// found are valid: until then the result holds, as long as the store stays as it is.
///
/// # Errors
/// As [`verify_chain`].
pub fn chain_validity<E: Curves>(
    leaf: &Certificate<'_>,
    store: &impl CertificateStore,
    now: Option<u64>,
) -> Result<(u64, u64), CertificateError> {
    let mut search = Search { store, now, signatures: SIGNATURES_MAX };
    search.upwards::<E>(leaf, 0, 1)
}

/// The seconds that two validities have in common.
fn both((from, to): (u64, u64), (other_from, other_to): (u64, u64)) -> (u64, u64) {
    (from.max(other_from), to.min(other_to))
}

struct Search<'s, S> {
    store: &'s S,
    now: Option<u64>,
    signatures: u8,
}

impl<S: CertificateStore> Search<'_, S> {
    /// `authorities` of them lie between the leaf and `below`, which is the certificate number `length` of the path.
    fn upwards<E: Curves>(
        &mut self,
        below: &Certificate<'_>,
        authorities: u8,
        length: usize,
    ) -> Result<(u64, u64), CertificateError> {
        if let Some(now) = self.now {
            below.check_validity(now)?;
        }
        let store = self.store;
        let stored = || (0..store.slots()).filter_map(|slot| store.get(slot));
        if stored().any(|found| found.anchor && found.der == below.der()) {
            return Ok(below.validity());
        }
        if length >= CHAIN_MAX {
            return Err(CertificateError::NoPath);
        }
        let mut nearest = CertificateError::NoPath;
        // Anchors first: they end the search.
        for anchor in [true, false] {
            for found in stored().filter(|found| found.anchor == anchor) {
                let Ok(issuer) = Certificate::parse(found.der) else { continue };
                if issuer.der() == below.der() || !below.names_issuer(&issuer) {
                    continue;
                }
                let checked = self.step::<E>(below, &issuer, authorities);
                let result = match checked {
                    Ok(()) if anchor => Ok(issuer.validity()),
                    Ok(()) => {
                        let further = authorities.saturating_add(u8::from(!issuer.is_self_issued()));
                        self.upwards::<E>(&issuer, further, length.saturating_add(1))
                    }
                    Err(error) => Err(error),
                };
                match result {
                    Ok(above) => return Ok(both(below.validity(), above)),
                    Err(CertificateError::NoPath) => {}
                    Err(error) => nearest = error,
                }
            }
        }
        Err(nearest)
    }

    fn step<E: Curves>(
        &mut self,
        below: &Certificate<'_>,
        issuer: &Certificate<'_>,
        authorities: u8,
    ) -> Result<(), CertificateError> {
        issuer.check_authority()?;
        if let Some(now) = self.now {
            issuer.check_validity(now)?;
        }
        let allowed = issuer.basic_constraints().and_then(|constraints| constraints.path_length);
        if allowed.is_some_and(|allowed| authorities > allowed) {
            return Err(CertificateError::BasicConstraints);
        }
        self.signatures = self.signatures.checked_sub(1).ok_or(CertificateError::NoPath)?;
        below.check_issued_by::<E>(issuer)
    }
}
