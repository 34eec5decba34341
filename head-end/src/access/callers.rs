//! The file of callers: who they are, and how they prove it.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Algorithm, Caller, CertificateNames, IssuerSettings, KeySource, Role, Roles, TenantRule,
    jwt::{self, Issuer},
    token::{self, TokenHash},
};
use crate::meter::Tenant;

/// Why a caller is not believed. It says nothing that helps to guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub &'static str);

/// Why the file of callers is not usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallersError {
    /// It cannot be read.
    #[error("cannot read the file of callers {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not valid.
    #[error("{}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
}

/// What a call carries to prove who makes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials<'a> {
    /// The token of `authorization: Bearer`.
    pub bearer: Option<&'a str>,
    /// The names of the certificate that the connection was opened with.
    pub certificate: Option<&'a CertificateNames>,
}

/// Everybody who may call.
#[derive(Debug)]
pub struct Callers {
    tokens: HashMap<String, TokenEntry>,
    certificates: Vec<CertificateEntry>,
    issuers: Vec<Issuer>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    token: Vec<TokenEntry>,
    certificate: Vec<CertificateEntry>,
    issuer: Vec<IssuerEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenEntry {
    id: String,
    #[serde(deserialize_with = "hash")]
    hash: TokenHash,
    subject: String,
    roles: Vec<Role>,
    tenant: Option<Tenant>,
    expires: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CertificateEntry {
    name: String,
    subject: String,
    roles: Vec<Role>,
    tenant: Option<Tenant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerEntry {
    issuer: String,
    audience: String,
    /// File or address of the keys; without it the issuer is asked where they are.
    jwks: Option<String>,
    ca: Option<PathBuf>,
    algorithms: Option<Vec<Algorithm>>,
    subject_claim: Option<String>,
    roles_claim: Option<String>,
    #[serde(default)]
    roles: BTreeMap<String, Role>,
    tenant: Option<Tenant>,
    tenant_claim: Option<String>,
    leeway_s: Option<u16>,
}

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash")
    }
}

fn hash<'de, D: serde::Deserializer<'de>>(from: D) -> Result<TokenHash, D::Error> {
    let text = String::deserialize(from)?;
    TokenHash::parse(&text).ok_or_else(|| serde::de::Error::custom("a hash is sha256: and 64 hexadecimal digits"))
}

/// Largest file, in octets.
const LARGEST: u64 = 4 * 1024 * 1024;

impl Callers {
    /// Those of a file. The keys of its issuers are fetched in the background from now on.
    ///
    /// # Errors
    /// [`CallersError`] with file, line and column.
    pub fn from_file(path: &Path) -> Result<Self, CallersError> {
        let failed = |source| CallersError::Read { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(failed)?.len() > LARGEST {
            let message = "it is larger than 4 MiB".to_owned();
            return Err(CallersError::Invalid { path: path.to_owned(), message });
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::from_toml(&text, folder).map_err(|message| CallersError::Invalid { path: path.to_owned(), message })
    }

    /// Those of the text of a file in `folder`, from which relative paths in it are taken.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn from_toml(text: &str, folder: &Path) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        for (subject, roles) in file
            .token
            .iter()
            .map(|token| (&token.subject, &token.roles))
            .chain(file.certificate.iter().map(|certificate| (&certificate.subject, &certificate.roles)))
        {
            if subject.is_empty() || subject.chars().count() > 200 {
                return Err(format!("{subject:?}: the subject of a caller has 1 to 200 characters"));
            }
            if roles.is_empty() {
                return Err(format!("{subject:?} has no role, and could do nothing"));
            }
        }
        let mut tokens = HashMap::new();
        for token in file.token {
            if let Some(twice) = tokens.insert(token.id.clone(), token) {
                return Err(format!("two tokens have the id {:?}", twice.id));
            }
        }
        const SORTS: [&str; 5] = ["subject:", "dns:", "uri:", "email:", "sha256:"];
        for certificate in &file.certificate {
            if !SORTS.iter().any(|sort| certificate.name.starts_with(sort)) {
                return Err(format!("{:?}: the name of a certificate begins with one of {SORTS:?}", certificate.name));
            }
        }
        let issuers = file.issuer.into_iter().map(|entry| entry.settings(folder)).collect::<Result<Vec<_>, _>>()?;
        for (position, issuer) in issuers.iter().enumerate() {
            if issuers.iter().take(position).any(|earlier| earlier.issuer == issuer.issuer) {
                return Err(format!("the issuer {:?} stands there twice", issuer.issuer));
            }
        }
        if tokens.is_empty() && file.certificate.is_empty() && issuers.is_empty() {
            return Err("it names no token, no certificate and no issuer, so that nobody could call".to_owned());
        }
        Ok(Self { tokens, certificates: file.certificate, issuers: issuers.into_iter().map(Issuer::start).collect() })
    }

    /// Whether any of them proves it by a certificate.
    #[must_use]
    pub fn by_certificate(&self) -> bool {
        !self.certificates.is_empty()
    }

    /// Who makes a call with these credentials. A token counts before a certificate, and a wrong one is refused even
    /// if the certificate would do.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn caller(&self, credentials: Credentials<'_>, now: Timestamp) -> Result<Caller, Refused> {
        match credentials {
            Credentials { bearer: Some(bearer), .. } => match token::split(bearer) {
                Some((id, secret)) => self.by_token(id, secret, now),
                None => {
                    let named = jwt::claimed_issuer(bearer)?;
                    let issuer = self.issuers.iter().find(|issuer| issuer.name() == named);
                    issuer.ok_or(Refused("the token is from another issuer"))?.caller(bearer, now).await
                }
            },
            Credentials { certificate: Some(names), .. } => {
                let entry = self.certificates.iter().find(|entry| names.has(&entry.name));
                let entry = entry.ok_or(Refused("the certificate belongs to no caller"))?;
                Ok(caller(&entry.subject, &entry.roles, entry.tenant.as_ref()))
            }
            Credentials { .. } => Err(Refused("the call carries neither a token nor a certificate")),
        }
    }

    fn by_token(&self, id: &str, secret: &str, now: Timestamp) -> Result<Caller, Refused> {
        const WRONG: Refused = Refused("the token is not known");
        let entry = self.tokens.get(id).filter(|entry| entry.hash.matches(secret)).ok_or(WRONG)?;
        if entry.expires.is_some_and(|end| now >= end) {
            return Err(Refused("the token has expired"));
        }
        Ok(caller(&entry.subject, &entry.roles, entry.tenant.as_ref()))
    }
}

fn caller(subject: &str, roles: &[Role], tenant: Option<&Tenant>) -> Caller {
    Caller { subject: subject.into(), roles: Roles::from_iter(roles.iter().copied()), tenant: tenant.cloned() }
}

impl IssuerEntry {
    fn settings(self, folder: &Path) -> Result<IssuerSettings, String> {
        let ca = self.ca.map(|path| folder.join(path));
        let keys = match self.jwks {
            None => KeySource::Url { url: self.issuer.clone(), discover: true, ca },
            Some(url) if url.contains("://") => KeySource::Url { url, discover: false, ca },
            Some(path) => KeySource::File(folder.join(path)),
        };
        let tenant = match (self.tenant, self.tenant_claim) {
            (None, None) => TenantRule::All,
            (Some(tenant), None) => TenantRule::Fixed(tenant),
            (None, Some(claim)) => TenantRule::Claim(claim),
            (Some(_), Some(_)) => return Err(format!("{}: either tenant or tenant_claim", self.issuer)),
        };
        Ok(IssuerSettings {
            issuer: self.issuer,
            audience: self.audience,
            keys,
            algorithms: self.algorithms.unwrap_or_else(|| vec![Algorithm::RS256, Algorithm::ES256]),
            subject_claim: self.subject_claim.unwrap_or_else(|| "sub".to_owned()),
            roles_claim: self.roles_claim.unwrap_or_else(|| "roles".to_owned()),
            roles: self.roles,
            tenant,
            leeway: Duration::from_secs(self.leeway_s.unwrap_or(60).into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::NewToken;

    fn file(entry: &str) -> Result<Callers, String> {
        Callers::from_toml(entry, Path::new(""))
    }

    fn with(bearer: &str) -> Credentials<'_> {
        Credentials { bearer: Some(bearer), certificate: None }
    }

    #[tokio::test]
    async fn a_token_is_its_caller_until_it_expires() {
        let token = NewToken::draw().unwrap();
        let callers = file(&format!(
            "[[token]]\nid = {:?}\nhash = {:?}\nsubject = \"mdm\"\nroles = [\"viewer\", \"security_officer\"]\ntenant = \
             \"north\"\nexpires = \"2026-12-01T00:00:00Z\"",
            token.id,
            token.hash.text()
        ))
        .unwrap();
        let (before, after) = ("2026-11-30T23:59:59Z".parse().unwrap(), "2026-12-01T00:00:00Z".parse().unwrap());
        let caller = callers.caller(with(&token.token), before).await.unwrap();
        assert_eq!((&*caller.subject, caller.tenant.as_ref().map(Tenant::as_str)), ("mdm", Some("north")));
        assert_eq!(caller.roles, Roles::from_iter([Role::Viewer, Role::SecurityOfficer]));
        assert!(callers.caller(with(&token.token), after).await.is_err());
        let mut wrong = token.token.to_string();
        wrong.replace_range(wrong.len() - 1.., if wrong.ends_with('0') { "1" } else { "0" });
        for bearer in [wrong.as_str(), "dhe_", "dhe__", "", "dhe_x_y", "a.b.c"] {
            assert!(callers.caller(with(bearer), before).await.is_err(), "{bearer}");
        }
        assert!(callers.caller(Credentials::default(), before).await.is_err());
        assert!(!format!("{callers:?}").contains(&token.hash.text()[7..20]));
    }

    #[test]
    fn what_could_let_nobody_in_or_somebody_wrong_is_told() {
        for (entry, part) in [
            ("", "nobody could call"),
            ("[[token]]\nid=\"a\"", "missing field"),
            ("[[certificate]]\nname=\"mdm\"\nsubject=\"mdm\"\nroles=[\"viewer\"]", "begins with one of"),
            ("[[certificate]]\nname=\"dns:m\"\nsubject=\"mdm\"\nroles=[]", "no role"),
            ("[[certificate]]\nname=\"dns:m\"\nsubject=\"mdm\"\nroles=[\"root\"]", "unknown variant"),
            ("[[certificate]]\nname=\"dns:m\"\nsubject=\"\"\nroles=[\"viewer\"]", "1 to 200"),
            ("[[issuer]]\nissuer=\"i\"\naudience=\"a\"\nalgorithms=[\"HS256\"]", "unknown variant"),
            ("[[issuer]]\nissuer=\"i\"\naudience=\"a\"\ntenant=\"t\"\ntenant_claim=\"t\"", "either tenant"),
        ] {
            let error = file(entry).unwrap_err();
            assert!(error.contains(part), "{entry}: {error}");
        }
    }
}
