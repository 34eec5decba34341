//! Where a database is, and how it is spoken with.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::Deserialize;
use tokio_postgres::config::{Config, Host, SslMode};

/// URL of a PostgreSQL database, `postgres://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE&…`. Shown without its password.
///
/// Options are those of the field (`connect_timeout`, `options`, `target_session_attrs`, …), with two differences.
/// `sslmode` is `disable` or `require`, by default `disable` for this machine and `require` for any other; a certificate is
/// always verified, for which `sslrootcert` names authorities other than those of the system.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DatabaseUrl {
    pub(super) config: Config,
    pub(super) authorities: Option<PathBuf>,
}

/// A text that is not the URL of a database. Its own text shows nothing of the URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the URL of a PostgreSQL database: {0}")]
pub struct DatabaseUrlError(String);

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        if !is_database_url(text) {
            return Err(DatabaseUrlError("it does not begin with postgres://".to_owned()));
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut others, mut mode, mut authorities) = (Vec::new(), None, None);
        for option in query.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslmode", "disable")) => mode = Some(SslMode::Disable),
                Some(("sslmode", "require" | "verify-full")) => mode = Some(SslMode::Require),
                Some(("sslmode", _)) => {
                    return Err(DatabaseUrlError(
                        "sslmode is disable or require, which verifies the server".to_owned(),
                    ));
                }
                Some(("sslrootcert", path)) => authorities = Some(PathBuf::from(path)),
                _ => others.push(option),
            }
        }
        let url = if others.is_empty() { base.to_owned() } else { format!("{base}?{}", others.join("&")) };
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            DatabaseUrlError(reason)
        })?;
        if config.get_hosts().is_empty() {
            return Err(DatabaseUrlError("it names no host".to_owned()));
        }
        let here = config.get_hosts().iter().all(is_here);
        config.ssl_mode(mode.unwrap_or(if here { SslMode::Disable } else { SslMode::Require }));
        if config.get_application_name().is_none() {
            config.application_name("dlms-head-end");
        }
        Ok(Self { config, authorities })
    }
}

/// Whether `text` is meant as the URL of a database.
fn is_database_url(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// Whether a host is this machine.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

impl TryFrom<String> for DatabaseUrl {
    type Error = DatabaseUrlError;

    fn try_from(text: String) -> Result<Self, DatabaseUrlError> {
        text.parse()
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        for (place, host) in self.config.get_hosts().iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            match host {
                Host::Tcp(name) => f.write_str(name)?,
                #[cfg(unix)]
                Host::Unix(path) => write!(f, "{}", path.display())?,
            }
            let ports = self.config.get_ports();
            write!(f, ":{}", ports.get(place).or(ports.first()).unwrap_or(&5432))?;
        }
        write!(f, "/{}", self.config.get_dbname().or(self.config.get_user()).unwrap_or_default())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        let url: DatabaseUrl = "postgres://user:secret@db.example:5433/meters?connect_timeout=3".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://db.example:5433/meters");
        assert!(!format!("{url:?}").contains("secret"));
        for wrong in [
            "postgres://user:secret@/",
            "postgres://user:secret@h:port/x",
            "user:secret@h",
            "postgres://u:secret@h/d?x=secret",
        ] {
            let error = wrong.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn other_machines_are_spoken_with_under_tls_unless_that_is_switched_off() {
        let mode = |text: &str| text.parse::<DatabaseUrl>().map(|url| url.config.get_ssl_mode());
        assert_eq!(mode("postgres://u@127.0.0.1/d"), Ok(SslMode::Disable));
        assert_eq!(mode("postgres://u@%2Frun%2Fpostgresql/d"), Ok(SslMode::Disable));
        assert_eq!(mode("postgres://u@db.example/d"), Ok(SslMode::Require));
        assert_eq!(mode("postgres://u@db.example/d?sslmode=disable"), Ok(SslMode::Disable));
        assert_eq!(mode("postgres://u@localhost/d?sslmode=verify-full&sslrootcert=ca.pem"), Ok(SslMode::Require));
        for weak in ["prefer", "allow", "verify-ca"] {
            assert!(mode(&format!("postgres://u@db.example/d?sslmode={weak}")).is_err(), "{weak}");
        }
    }
}
