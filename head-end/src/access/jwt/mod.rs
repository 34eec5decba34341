//! Bearer tokens of an OpenID Connect provider: signed JSON web tokens (RFC 7519).
//!
//! Signatures are checked by `ring`, which the server has for TLS anyway. Only asymmetric algorithms are known at all,
//! so that neither `none` nor a public key taken for a secret can be talked into.

mod claims;
mod fetch;
mod jws;
mod keys;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use self::{claims::Claims, jws::Jws, keys::Keys};
pub use self::{
    jws::Algorithm,
    keys::{JwksError, KeySource},
};
use super::{Caller, Refused, Role};
use crate::meter::Tenant;

/// Whose tokens are believed, and what they mean.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// The claim `iss`, to the letter.
    pub issuer: String,
    /// One of the claim `aud`.
    pub audience: String,
    /// Where its keys are.
    pub keys: KeySource,
    /// Algorithms that are accepted.
    pub algorithms: Vec<Algorithm>,
    /// Claim with the caller's name.
    pub subject_claim: String,
    /// Claim with the caller's roles, a path with dots: a string, strings divided by spaces, or a list.
    pub roles_claim: String,
    /// What values of that claim mean; empty: the names of the roles themselves.
    pub roles: BTreeMap<String, Role>,
    /// Whose meters the callers see, from a claim or for all of them.
    pub tenant: TenantRule,
    /// By how much the clocks may differ.
    pub leeway: Duration,
}

/// Where the tenant of an issuer's callers comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantRule {
    /// They see all meters.
    All,
    /// They all have this one.
    Fixed(Tenant),
    /// It stands in this claim; a token without it is refused.
    Claim(String),
}

/// An issuer with its keys.
#[derive(Debug)]
pub(super) struct Issuer {
    settings: IssuerSettings,
    keys: Keys,
}

impl Issuer {
    /// An issuer whose keys are fetched in the background, from now on until it is dropped.
    pub(super) fn start(settings: IssuerSettings) -> Self {
        let keys = Keys::start(settings.keys.clone());
        Self { settings, keys }
    }

    pub(super) fn name(&self) -> &str {
        &self.settings.issuer
    }

    /// Whose token it is, at `now`.
    pub(super) async fn caller(&self, token: &str, now: Timestamp) -> Result<Caller, Refused> {
        let jws = Jws::parse(token)?;
        if !self.settings.algorithms.contains(&jws.algorithm) {
            return Err(Refused("the token is signed by an algorithm that is not accepted"));
        }
        let keys = self.keys.having(jws.key_id.as_deref()).await?;
        let verified = keys.iter().filter(|key| jws.key_id.is_none() || key.id == jws.key_id);
        if !verified.into_iter().any(|key| jws.is_signed_by(key)) {
            return Err(Refused("the signature of the token is not by a key of its issuer"));
        }
        Claims::parse(&jws.payload)?.caller(&self.settings, now)
    }
}

/// The claim `iss` of a token that is not verified yet, to find who has to verify it.
pub(super) fn claimed_issuer(token: &str) -> Result<String, Refused> {
    Claims::parse(&Jws::parse(token)?.payload)?.issuer()
}
