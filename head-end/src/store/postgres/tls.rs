//! TLS to the database, its certificate verified.

use std::sync::Arc;

use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::DatabaseUrl;
use crate::store::StoreError;

/// Connections under TLS as `url` wants them.
pub(super) fn connector(url: &DatabaseUrl) -> Result<MakeRustlsConnect, StoreError> {
    let failed = |reason: String| StoreError::Unreachable { place: url.to_string(), reason };
    let mut roots = RootCertStore::empty();
    match &url.authorities {
        Some(path) => {
            let read = |error: &dyn std::fmt::Display| failed(format!("{}: {error}", path.display()));
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| read(&error))? {
                let certificate = certificate.map_err(|error| read(&error))?;
                roots.add(certificate).map_err(|error| read(&error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| failed(error.to_string()))?;
    Ok(MakeRustlsConnect::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
