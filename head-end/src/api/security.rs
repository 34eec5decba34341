//! What the server needs to know who calls and to keep calls private.

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};

use crate::access::{Callers, CallersError, Files, Live, ring_provider};

/// Files that the protection of the API comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityFiles {
    /// The callers; without it everybody is the administrator.
    pub callers: Option<PathBuf>,
    /// Our certificate chain in PEM; without it nothing is encrypted.
    pub certificate: Option<PathBuf>,
    /// Its private key in PEM.
    pub key: Option<PathBuf>,
    /// Authorities whose certificates clients may present, in PEM.
    pub client_ca: Option<PathBuf>,
}

/// Why the API is not protected as it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityError {
    /// The callers cannot be read.
    #[error(transparent)]
    Callers(#[from] CallersError),
    /// A certificate or a key cannot be read.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Files that need each other.
    #[error("{0}")]
    Incomplete(&'static str),
}

/// The protection of the API. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Security {
    files: SecurityFiles,
    pub(super) callers: Option<Arc<Live<Callers>>>,
    pub(super) tls: Option<Arc<Live<ServerConfig>>>,
}

impl Security {
    /// Reads the files.
    ///
    /// # Errors
    /// [`SecurityError`].
    pub fn open(files: SecurityFiles) -> Result<Self, SecurityError> {
        let tls = files.tls()?.map(|config| Arc::new(Live::new(config)));
        let callers = files.callers.as_deref().map(Callers::from_file).transpose()?;
        if callers.as_ref().is_some_and(Callers::by_certificate) && files.client_ca.is_none() {
            return Err(SecurityError::Incomplete(
                "callers with certificates need the authority that signs them: tls_client_ca",
            ));
        }
        Ok(Self { files, callers: callers.map(|callers| Arc::new(Live::new(callers))), tls })
    }

    /// Whether callers are told apart.
    #[must_use]
    pub(crate) const fn knows_callers(&self) -> bool {
        self.callers.is_some()
    }

    /// What is missing before anybody from outside may be let in.
    #[must_use]
    pub const fn missing(&self) -> Option<&'static str> {
        match (&self.callers, &self.tls) {
            (None, None) => Some("authenticated and encrypted"),
            (None, Some(_)) => Some("authenticated"),
            (Some(_), None) => Some("encrypted"),
            (Some(_), Some(_)) => None,
        }
    }

    /// Reads files again that change, for ever.
    pub(super) async fn reload(self) {
        let files = &self.files;
        let listed = |paths: [&Option<PathBuf>; 3]| Files::new(paths.into_iter().flatten().cloned().collect());
        let callers = async {
            match (&self.callers, &files.callers) {
                (Some(callers), Some(path)) => {
                    let load = || Callers::from_file(path).map(|read| callers.set(read));
                    listed([&files.callers, &None, &None]).reload("the callers", load).await;
                }
                _ => std::future::pending().await,
            }
        };
        let tls = async {
            match &self.tls {
                Some(tls) => {
                    let load = || files.tls().map(|read| read.into_iter().for_each(|read| tls.set(read)));
                    let watched = listed([&files.certificate, &files.key, &files.client_ca]);
                    watched.reload("the certificates", load).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::join!(callers, tls);
    }
}

impl SecurityFiles {
    fn tls(&self) -> Result<Option<ServerConfig>, SecurityError> {
        let (certificate, key) = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) if self.client_ca.is_none() => return Ok(None),
            (None, None) => return Err(SecurityError::Incomplete("tls_client_ca needs tls_cert and tls_key")),
            _ => return Err(SecurityError::Incomplete("tls_cert and tls_key need each other")),
        };
        let builder = ServerConfig::builder_with_provider(ring_provider())
            .with_safe_default_protocol_versions()
            .map_err(in_file(certificate))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path)? {
                    roots.add(authority).map_err(in_file(path))?;
                }
                // Who has no certificate may still have a token; who has one must have a good one.
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), ring_provider());
                builder.with_client_cert_verifier(verifier.allow_unauthenticated().build().map_err(in_file(path))?)
            }
        };
        let private = PrivateKeyDer::from_pem_file(key).map_err(in_file(key))?;
        let mut config = builder.with_single_cert(certificates(certificate)?, private).map_err(in_file(certificate))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Some(config))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SecurityError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let read = read.map_err(in_file(path))?;
    if read.is_empty() {
        return Err(SecurityError::File { path: path.to_owned(), reason: "it has no certificate".to_owned() });
    }
    Ok(read)
}

fn in_file<E: Error>(path: &Path) -> impl FnOnce(E) -> SecurityError {
    move |error| SecurityError::File { path: path.to_owned(), reason: error.to_string() }
}
