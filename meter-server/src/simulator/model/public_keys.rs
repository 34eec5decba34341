//! Trust anchors, certificates and private keys that the meters of a model begin with.

use dlms::id::SystemTitle;
use dlms::security::certificate::{
    Certificate, CertificateError, CertificateStore, Entity, Purpose, Stored, verify_chain,
};
use dlms::security::{Curves, PrivateKey, PublicKey, RustCrypto, Suite};
use toml::Spanned;

use super::ModelError;
use super::error::Places;
use super::schema::{PublicKeyFile, SecretText};
use crate::objects::PublicKeys;

/// What the meters of suite 1 or 2 begin with.
#[derive(Debug, Default)]
pub(crate) struct InitialKeys {
    anchors: Vec<Vec<u8>>,
    certificates: Vec<Vec<u8>>,
    private_keys: Vec<(PublicKey, PrivateKey)>,
}

impl InitialKeys {
    pub(super) fn compile(places: &Places<'_>, suite: Suite, file: &PublicKeyFile) -> Result<Self, ModelError> {
        let mut initial = Self::default();
        let mut believed = PublicKeys::new();
        let decoded = |text: &Spanned<String>, what: &str| {
            let octets: String = text.get_ref().split_whitespace().collect();
            hex::decode(octets).map_err(|_| places.error(text.span(), format!("{what} is hexadecimal DER")))
        };
        for text in &file.trust_anchors {
            let der = decoded(text, "a trust anchor")?;
            believed
                .trust(suite, &der)
                .map_err(|error| places.error(text.span(), format!("this trust anchor is refused: {error}")))?;
            initial.anchors.push(der);
        }
        let mut subjects = Vec::new();
        for text in &file.certificates {
            let der = decoded(text, "a certificate")?;
            let key = check(&mut believed, suite, &der)
                .map_err(|error| places.error(text.span(), format!("this certificate is refused: {error}")))?;
            subjects.push(key);
            initial.certificates.push(der);
        }
        for text in &file.private_keys {
            let key = private_key(suite, text.get_ref()).ok_or_else(|| {
                let octets = suite.curve().map_or(0, dlms::security::Curve::width);
                places.error(
                    text.span(),
                    format!("a private key of suite {} is {octets} octets in hexadecimal", suite.id()),
                )
            })?;
            let public = RustCrypto::public_key(&key)
                .map_err(|_| places.error(text.span(), "this private key is not below the order of its curve"))?;
            if !subjects.contains(&public) {
                return Err(places.error(text.span(), "none of the certificates is for this private key"));
            }
            initial.private_keys.push((public, key));
        }
        Ok(initial)
    }

    /// The keys and certificates of the meter `title`. Certificates whose private key is there are a meter's own and only
    /// that meter's; all others are everybody's.
    pub(crate) fn of_meter(&self, suite: Suite, title: SystemTitle) -> Result<PublicKeys, CertificateError> {
        let mut keys = PublicKeys::new();
        for anchor in &self.anchors {
            keys.trust(suite, anchor)?;
        }
        for der in &self.certificates {
            let certificate = Certificate::parse(der)?;
            let pair = self.private_keys.iter().find(|(public, _)| public == certificate.public_key());
            match (pair, certificate.system_title() == Ok(title)) {
                (Some((_, pair)), true) => keys.install::<RustCrypto>(suite, title, der, Some(pair))?,
                (Some(_), false) => {}
                (None, _) => keys.install::<RustCrypto>(suite, title, der, None)?,
            }
        }
        Ok(keys)
    }
}

fn private_key(suite: Suite, text: &SecretText) -> Option<PrivateKey> {
    let mut octets = zeroize::Zeroizing::new([0; 48]);
    let octets = octets.get_mut(..suite.curve()?.width())?;
    hex::decode_to_slice(text.expose(), octets).ok()?;
    PrivateKey::from_slice(suite.curve()?, octets).ok()
}

/// Checks a certificate as an import would, except for whose it is, and gives its public key. Authorities are there for the
/// certificates behind them.
fn check(believed: &mut PublicKeys, suite: Suite, der: &[u8]) -> Result<PublicKey, CertificateError> {
    let certificate = Certificate::parse(der)?;
    let purpose = certificate.purpose().ok_or(CertificateError::KeyUsage)?;
    certificate.check(suite, purpose, None)?;
    RustCrypto::check(certificate.public_key())?;
    verify_chain::<RustCrypto>(&certificate, believed.store(), None)?;
    if purpose == Purpose::Other {
        let stored = Stored { entity: Entity::Authority, purpose, anchor: false, der };
        believed.store_mut().put(None, stored)?;
    }
    Ok(*certificate.public_key())
}
