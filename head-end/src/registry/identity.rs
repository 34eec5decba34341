//! Our own key pairs of digital signature, and whose certificates of meters are believed: HLS mechanism 7.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use dlms::{
    id::SystemTitle,
    security::{
        Curve, Curves, PrivateKey, PublicKey, RustCrypto, Suite,
        certificate::{
            Certificate, CertificateError, CertificateStore, Entity, Purpose, REQUEST_MAX, Stored,
            certification_request, verify_chain,
        },
    },
};
use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use zeroize::Zeroizing;

use super::RegistryError;
use crate::{
    meter::Secret,
    store::Store,
    vault::{Sealed, Vault, VaultError},
};

/// Certification authorities whose certificates of meters are believed.
#[derive(Clone, Debug, Default)]
pub struct Anchors(Arc<[Vec<u8>]>);

/// Why there are no trust anchors.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// The file cannot be read, or is no PEM.
    #[error("cannot read certificates in {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A certificate is not that of an authority of the suites.
    #[error("certificate {number} is not that of an authority: {reason}")]
    Certificate {
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        reason: CertificateError,
    },
    /// There are none.
    #[error("{} has no certificate", path.display())]
    None {
        /// The file.
        path: PathBuf,
    },
}

impl Anchors {
    /// The authorities in a PEM file: each is a trust anchor.
    ///
    /// # Errors
    /// [`AnchorError`].
    pub fn from_file(path: &Path) -> Result<Self, AnchorError> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        let failed = |error: rustls_pki_types::pem::Error| AnchorError::File {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let read = read.map_err(failed)?;
        if read.is_empty() {
            return Err(AnchorError::None { path: path.to_owned() });
        }
        Self::new(read.iter().map(|certificate| certificate.to_vec()).collect())
    }

    /// These authorities, in DER.
    ///
    /// # Errors
    /// [`AnchorError::Certificate`].
    pub fn new(certificates: Vec<Vec<u8>>) -> Result<Self, AnchorError> {
        for (n, der) in certificates.iter().enumerate() {
            let checked = Certificate::parse(der).and_then(|certificate| certificate.check_authority());
            checked.map_err(|reason| AnchorError::Certificate { number: n + 1, reason })?;
        }
        Ok(Self(certificates.into()))
    }

    /// The public key of a meter's certificate of digital signature, and its suite: led to one of the anchors, valid
    /// now, and for `title` where that is known.
    pub(crate) fn verify(&self, der: &[u8], title: Option<SystemTitle>) -> Result<Verified, CertificateError> {
        let certificate = Certificate::parse(der)?;
        let suite = match certificate.public_key().curve() {
            Curve::P256 => Suite::Suite1,
            Curve::P384 => Suite::Suite2,
        };
        certificate.check(suite, Purpose::Signature, title)?;
        RustCrypto::check(certificate.public_key())?;
        let now = u64::try_from(Timestamp::now().as_second()).unwrap_or(0);
        verify_chain::<RustCrypto>(&certificate, &Known(&self.0), Some(now))?;
        Ok(Verified { suite, title: certificate.system_title()?, key: *certificate.public_key() })
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a certificate says that was led to an anchor.
pub(crate) struct Verified {
    pub(crate) suite: Suite,
    pub(crate) title: SystemTitle,
    pub(crate) key: PublicKey,
}

/// The anchors as the stack looks for them: nothing is ever put there.
struct Known<'a>(&'a [Vec<u8>]);

impl CertificateStore for Known<'_> {
    fn slots(&self) -> usize {
        self.0.len()
    }

    fn get(&self, slot: usize) -> Option<Stored<'_>> {
        let der = self.0.get(slot)?;
        Some(Stored { entity: Entity::Authority, purpose: Purpose::Other, anchor: true, der })
    }

    fn put(&mut self, _: Option<usize>, _: Stored<'_>) -> Result<(), CertificateError> {
        Err(CertificateError::Full)
    }

    fn clear(&mut self, _: usize) {}
}

/// Our private keys of digital signature, one for each curve.
#[derive(Debug)]
pub(super) struct SigningKeys {
    p256: Secret,
    p384: Secret,
}

impl SigningKeys {
    /// Those of this installation, drawn at its first start.
    pub(super) async fn open<S: Store>(store: &S, vault: &Vault) -> Result<Self, RegistryError> {
        let key = async |name: &'static str, octets| {
            let drawn = vault.seal_own(name, &draw(octets)?)?.as_bytes().to_vec();
            let kept = Sealed::from_bytes(store.instance_value(name, drawn).await?);
            Ok::<_, RegistryError>(vault.open_own(name, &kept)?)
        };
        Ok(Self { p256: key("signing-key-p256", 32).await?, p384: key("signing-key-p384", 48).await? })
    }

    /// That of a suite; suite 0 has none.
    pub(super) const fn of(&self, suite: Suite) -> Option<&Secret> {
        match suite {
            Suite::Suite0 => None,
            Suite::Suite1 => Some(&self.p256),
            Suite::Suite2 => Some(&self.p384),
        }
    }
}

/// A private key, uniformly below the order of its curve but for a share of 2^-32 at the top: both orders begin with 32
/// bits that are set.
fn draw(octets: usize) -> Result<Secret, VaultError> {
    let mut key = Zeroizing::new(vec![0; octets]);
    loop {
        getrandom::fill(&mut key).map_err(|_| VaultError::Random)?;
        if !key.starts_with(&[0xFF; 4]) && key.iter().any(|octet| *octet != 0) {
            return Ok(Secret::new(std::mem::take(&mut *key)));
        }
    }
}

/// Our public key of digital signature in a suite, and the request for its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// The system title that the certificate is to be for.
    pub title: SystemTitle,
    /// The public key, x and y.
    pub public_key: Vec<u8>,
    /// The certification request, PKCS#10 in DER.
    pub request: Vec<u8>,
}

/// The request for a certificate of `title` over `key`.
pub(super) fn signing_key(suite: Suite, key: &Secret, title: SystemTitle) -> Result<SigningKey, CertificateError> {
    let curve = suite.curve().ok_or(CertificateError::Algorithm)?;
    let key = PrivateKey::from_slice(curve, key.expose()).map_err(|_| CertificateError::Algorithm)?;
    let mut room = [0; REQUEST_MAX];
    let place = certification_request::<RustCrypto>(&key, title, &mut room)?;
    let request = room.get(place).unwrap_or_default().to_vec();
    Ok(SigningKey { title, public_key: RustCrypto::public_key(&key)?.as_bytes().to_vec(), request })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_keys_are_keys_of_their_curves_and_never_the_same() {
        for (curve, octets) in [(Curve::P256, 32), (Curve::P384, 48)] {
            let [one, other] = [(); 2].map(|()| draw(octets).unwrap());
            assert!(one != other);
            let key = PrivateKey::from_slice(curve, one.expose()).unwrap();
            assert!(RustCrypto::public_key(&key).is_ok());
        }
    }

    #[test]
    fn what_is_no_authority_is_no_anchor() {
        assert!(matches!(Anchors::new(vec![vec![0x30, 0]]), Err(AnchorError::Certificate { number: 1, .. })));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("anchors.pem");
        assert!(matches!(Anchors::from_file(&file), Err(AnchorError::File { .. })));
        std::fs::write(&file, "nothing\n").unwrap();
        assert!(matches!(Anchors::from_file(&file), Err(AnchorError::None { .. })));
        assert!(Anchors::default().is_empty());
    }
}
