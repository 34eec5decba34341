//! What a client's certificate says about its owner.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use x509_cert::{
    Certificate,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// The names of a verified certificate, in the form in which the file of callers has them: `subject:CN=…`,
/// `dns:…`, `uri:…`, `email:…` and `sha256:…`, the fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateNames(Arc<[String]>);

impl CertificateNames {
    /// The names of a certificate in DER, whose chain has been verified; what does not parse has a fingerprint alone.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        let mut names = vec![format!("sha256:{}", hex::encode(Sha256::digest(der)))];
        if let Ok(certificate) = Certificate::from_der(der) {
            let contents = certificate.tbs_certificate();
            names.push(format!("subject:{}", contents.subject()));
            let alternatives = contents.get_extension::<SubjectAltName>().ok().flatten();
            names.extend(alternatives.iter().flat_map(|(_, found)| found.0.iter()).filter_map(|name| match name {
                GeneralName::DnsName(name) => Some(format!("dns:{}", name.as_str())),
                GeneralName::UniformResourceIdentifier(name) => Some(format!("uri:{}", name.as_str())),
                GeneralName::Rfc822Name(name) => Some(format!("email:{}", name.as_str())),
                _ => None,
            }));
        }
        Self(names.into())
    }

    /// Whether `name` is one of them.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|own| own == name)
    }
}
