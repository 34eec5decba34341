//! What a token says, checked.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{IssuerSettings, Refused, TenantRule};
use crate::access::{Caller, Role, Roles};

/// The claims of a token.
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Refused> {
        serde_json::from_slice(payload).map(Self).map_err(|_| Refused("the claims of the token are not a JSON object"))
    }

    pub(super) fn issuer(&self) -> Result<String, Refused> {
        self.text("iss").map(ToOwned::to_owned).ok_or(Refused("the token does not say who issued it"))
    }

    /// Whose token it is, if it is valid at `now`.
    pub(super) fn caller(&self, of: &IssuerSettings, now: Timestamp) -> Result<Caller, Refused> {
        if self.text("iss") != Some(&of.issuer) {
            return Err(Refused("the token is from another issuer"));
        }
        if !strings(self.0.get("aud")).any(|audience| audience == of.audience) {
            return Err(Refused("the token is for another audience"));
        }
        self.check_time(of, now)?;
        let subject = self.text(&of.subject_claim).filter(|subject| (1..=200).contains(&subject.chars().count()));
        let subject = subject.ok_or(Refused("the token does not say whose it is"))?;
        let meant = |name: &str| match of.roles.is_empty() {
            true => name.parse::<Role>().ok(),
            false => of.roles.get(name).copied(),
        };
        let roles =
            Roles::from_iter(strings(self.at(&of.roles_claim)).flat_map(str::split_whitespace).filter_map(meant));
        let tenant = match &of.tenant {
            TenantRule::All => None,
            TenantRule::Fixed(tenant) => Some(tenant.clone()),
            TenantRule::Claim(claim) => {
                let named = self.at(claim).and_then(Value::as_str).and_then(|name| name.parse().ok());
                Some(named.ok_or(Refused("the token does not say for which tenant it is"))?)
            }
        };
        Ok(Caller { subject: subject.into(), roles, tenant })
    }

    fn check_time(&self, of: &IssuerSettings, now: Timestamp) -> Result<(), Refused> {
        // NumericDate (RFC 7519, section 2) may have a fraction.
        let now = now.as_millisecond() as f64 / 1000.0;
        let leeway = of.leeway.as_secs_f64();
        let time = |claim: &str| {
            self.0.get(claim).map(|value| value.as_f64().ok_or(Refused("a time of the token is no number")))
        };
        let expires = time("exp").transpose()?.ok_or(Refused("the token does not say when it expires"))?;
        if now >= expires + leeway {
            return Err(Refused("the token has expired"));
        }
        if time("nbf").transpose()?.is_some_and(|begins| now < begins - leeway) {
            return Err(Refused("the token is not valid yet"));
        }
        Ok(())
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.0.get(claim)?.as_str()
    }

    /// The claim at a path with dots, such as `realm_access.roles`; a claim with dots in its own name wins.
    fn at(&self, path: &str) -> Option<&Value> {
        if let Some(whole) = self.0.get(path) {
            return Some(whole);
        }
        let (first, rest) = path.split_once('.')?;
        rest.split('.').try_fold(self.0.get(first)?, |value, part| value.get(part))
    }
}

/// A string, or those of a list.
fn strings(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    value.and_then(Value::as_str).into_iter().chain(list.iter().filter_map(Value::as_str))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use serde_json::json;

    use super::*;
    use crate::access::{Algorithm, KeySource};

    fn settings() -> IssuerSettings {
        IssuerSettings {
            issuer: "https://id.example".into(),
            audience: "head-end".into(),
            keys: KeySource::File("unused".into()),
            algorithms: vec![Algorithm::ES256],
            subject_claim: "sub".into(),
            roles_claim: "realm_access.roles".into(),
            roles: BTreeMap::from([("meter-op".into(), Role::Operator)]),
            tenant: TenantRule::Claim("tenant".into()),
            leeway: Duration::from_secs(60),
        }
    }

    fn good() -> Value {
        json!({"iss": "https://id.example", "aud": ["other", "head-end"], "sub": "anna", "exp": 1000, "nbf": 500,
            "tenant": "north", "realm_access": {"roles": ["meter-op", "administrator"]}})
    }

    fn at(settings: &IssuerSettings, claims: &Value, second: i64) -> Result<Caller, Refused> {
        let claims = Claims::parse(claims.to_string().as_bytes()).unwrap();
        claims.caller(settings, Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn claims_become_a_caller_with_mapped_roles_and_tenant() {
        let caller = at(&settings(), &good(), 700).unwrap();
        assert_eq!((&*caller.subject, caller.tenant.unwrap().as_str()), ("anna", "north"));
        assert_eq!(caller.roles, Roles::from_iter([Role::Operator]), "a role that is not mapped is none");
        let direct = IssuerSettings { roles: BTreeMap::new(), roles_claim: "scope".into(), ..settings() };
        let mut claims = good();
        claims["scope"] = json!("openid viewer");
        assert_eq!(at(&direct, &claims, 700).unwrap().roles, Roles::from_iter([Role::Viewer]));
    }

    #[test]
    fn time_is_checked_with_leeway_on_both_sides() {
        for (second, valid) in [(439, false), (440, true), (1059, true), (1060, false)] {
            assert_eq!(at(&settings(), &good(), second).is_ok(), valid, "{second}");
        }
    }

    #[test]
    fn each_claim_that_is_wrong_or_missing_refuses_the_token() {
        for (claim, value) in [
            ("iss", json!("https://evil.example")),
            ("aud", json!("other")),
            ("aud", Value::Null),
            ("exp", Value::Null),
            ("exp", json!("9999999999")),
            ("nbf", json!("0")),
            ("sub", json!("")),
            ("sub", json!(5)),
            ("tenant", json!("no/slash")),
            ("tenant", json!(["north"])),
        ] {
            let mut claims = good();
            claims[claim] = value;
            assert!(at(&settings(), &claims, 700).is_err(), "{claim}: {}", claims[claim]);
        }
        for claim in ["iss", "aud", "exp", "sub", "tenant"] {
            let mut claims = good();
            claims.as_object_mut().unwrap().remove(claim);
            assert!(at(&settings(), &claims, 700).is_err(), "no {claim}");
        }
    }
}
