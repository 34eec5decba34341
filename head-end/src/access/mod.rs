//! Who calls, and what a caller may do.
//!
//! [`Callers`] finds out who calls, by a token or a certificate. A [`Caller`] has roles, a role has permissions, and
//! [`METHODS`] says which permission each method of the API needs. What is not in that table is refused.

mod caller;
mod callers;
mod certificate;
mod jwt;
mod live;
mod methods;
mod rate;
mod role;
mod token;

use std::sync::Arc;

pub use self::{
    caller::Caller,
    callers::{Callers, CallersError, Credentials, Refused},
    certificate::CertificateNames,
    jwt::{Algorithm, IssuerSettings, JwksError, KeySource, TenantRule},
    live::{Files, Live},
    methods::{METHODS, Method},
    rate::{Limiter, Rate},
    role::{Permission, Role, RoleError, Roles},
    token::{NewToken, TokenHash},
};

/// The cryptography of TLS: `ring`, whatever else the process has.
pub(crate) fn ring_provider() -> Arc<tokio_rustls::rustls::crypto::CryptoProvider> {
    Arc::new(tokio_rustls::rustls::crypto::ring::default_provider())
}
