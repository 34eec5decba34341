//! Which broker, and how.

use std::{
    num::NonZeroU16,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use serde::Deserialize;

use crate::config::{ConfigError, Span, toml_file};

/// Where a broker is: `mqtt://HOST:PORT`, or `mqtts://HOST:PORT` for TLS.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Broker {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub tls: bool,
}

/// Why a text is no broker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a broker such as mqtt://broker.example:1883 or mqtts://broker.example:8883")]
pub struct BrokerError(String);

impl FromStr for Broker {
    type Err = BrokerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || BrokerError(text.to_owned());
        let (tls, rest) = match text.strip_prefix("mqtts://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("mqtt://").ok_or_else(wrong)?),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // The colons of an IPv6 address are inside brackets.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
            _ => (rest, if tls { 8_883 } else { 1_883 }),
        };
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or_else(wrong)?,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        // User and password have options of their own, so that neither is seen in lists of processes.
        if host.is_empty() || host.contains(['/', '@', ' ', '?', '#']) || port == 0 {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port, tls })
    }
}

impl TryFrom<String> for Broker {
    type Error = BrokerError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// What topics begin with: levels of letters, digits and most other characters, divided by `/`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Prefix(String);

impl Prefix {
    /// As it stands in topics.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let level = |level: &str| {
            let wild = level.contains(['+', '#']) || level.chars().any(char::is_control);
            !level.is_empty() && !wild && !level.starts_with('$')
        };
        if text.len() > 200 || !text.split('/').all(level) {
            return Err(
                "a prefix of topics has at most 200 octets, no empty level, and none of + # $ that topics reserve",
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Prefix {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// How readings and events are published.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// Where to.
    pub broker: Broker,
    /// User name, if the broker asks for one.
    pub user: Option<String>,
    /// File of the password, read at each connection.
    pub password_file: Option<PathBuf>,
    /// Authorities of the broker's certificate in PEM; those of the machine without it.
    pub ca: Option<PathBuf>,
    /// Our own certificate in PEM and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// What we call ourselves; made of our system title without it. No two head-ends may share one.
    pub client_id: Option<String>,
    /// What topics begin with.
    pub prefix: Prefix,
    /// Messages that wait for their acknowledgement at the same time.
    pub in_flight: u16,
    /// What topics of Home Assistant's discovery begin with; none are published without it.
    pub discovery: Option<Prefix>,
    /// A meter from which nothing was stored for so long is offline.
    pub offline_after: Duration,
}

impl BrokerOptions {
    /// Defaults for a broker.
    #[must_use]
    pub fn new(broker: Broker) -> Self {
        Self {
            broker,
            user: None,
            password_file: None,
            ca: None,
            identity: None,
            client_id: None,
            prefix: Prefix("dlms".to_owned()),
            in_flight: 64,
            discovery: None,
            // A day and the time that a meter which is read daily may be late.
            offline_after: Duration::from_secs(26 * 3_600),
        }
    }
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    broker: Broker,
    user: Option<String>,
    password_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    client_id: Option<String>,
    prefix: Option<Prefix>,
    in_flight: Option<NonZeroU16>,
    discovery: Option<Prefix>,
    offline_after: Option<Span>,
}

impl BrokerOptions {
    /// Those of a file in TOML; `docs/mqtt.md` has its keys. Relative paths in it are taken from its folder.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line and column.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        toml_file(path, |text| Self::from_toml(text, folder))
    }

    /// Those of the text of a file in `folder`.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn from_toml(text: &str, folder: &Path) -> Result<Self, toml::de::Error> {
        use serde::de::Error as _;
        let file: File = toml::from_str(text)?;
        let identity = match (file.certificate, file.key) {
            (Some(certificate), Some(key)) => Some((folder.join(certificate), folder.join(key))),
            (None, None) => None,
            _ => return Err(toml::de::Error::custom("`certificate` and `key` belong together")),
        };
        if !file.broker.tls && (file.ca.is_some() || identity.is_some()) {
            return Err(toml::de::Error::custom("certificates are for brokers of mqtts://"));
        }
        if identity.is_some() && file.ca.is_none() {
            return Err(toml::de::Error::custom("a `certificate` needs the `ca` that the broker is known by"));
        }
        let defaults = Self::new(file.broker);
        Ok(Self {
            user: file.user,
            password_file: file.password_file.map(|path| folder.join(path)),
            ca: file.ca.map(|path| folder.join(path)),
            identity,
            client_id: file.client_id,
            prefix: file.prefix.unwrap_or(defaults.prefix),
            in_flight: file.in_flight.map_or(defaults.in_flight, NonZeroU16::get),
            discovery: file.discovery,
            offline_after: file.offline_after.map_or(defaults.offline_after, Span::duration),
            broker: defaults.broker,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_is_wrong_with_it() {
        let options = |text: &str| BrokerOptions::from_toml(text, Path::new("/etc/head-end"));
        let text = "broker = \"mqtts://x\"\npassword_file = \"secret\"\nca = \"/ca.pem\"\noffline_after = \"1h\"";
        let read = options(text).unwrap();
        assert_eq!(read.password_file.as_deref(), Some(Path::new("/etc/head-end/secret")));
        assert_eq!(read.ca.as_deref(), Some(Path::new("/ca.pem")));
        assert_eq!((read.offline_after, read.in_flight), (Duration::from_secs(3_600), 64));
        for (wrong, said) in [
            ("", "broker"),
            ("broker = \"x\"", "is not a broker"),
            ("broker = \"mqtt://x\"\npassword = \"secret\"", "password"),
            ("broker = \"mqtt://x\"\nca = \"ca.pem\"", "mqtts://"),
            ("broker = \"mqtts://x\"\nkey = \"k\"", "belong together"),
            ("broker = \"mqtts://x\"\nkey = \"k\"\ncertificate = \"c\"", "needs the `ca`"),
            ("broker = \"mqtt://x\"\nin_flight = 0", "in_flight"),
        ] {
            let error = options(wrong).unwrap_err().to_string();
            assert!(error.contains(said), "{wrong}: {error}");
        }
    }

    #[test]
    fn brokers_have_a_scheme_a_host_and_perhaps_a_port() {
        let broker = |host: &str, port, tls| Ok(Broker { host: host.to_owned(), port, tls });
        assert_eq!("mqtt://broker.example".parse(), broker("broker.example", 1883, false));
        assert_eq!("mqtts://broker.example/".parse(), broker("broker.example", 8883, true));
        assert_eq!("mqtt://[::1]:1884".parse(), broker("::1", 1884, false));
        assert_eq!("mqtts://[::1]".parse(), broker("::1", 8883, true));
        for wrong in [
            "broker.example",
            "http://x",
            "mqtt://",
            "mqtt://x:0",
            "mqtt://x:y",
            "mqtt://x:70000",
            "mqtt://::1:1883",
            "mqtt://[::1",
            "mqtt://user:secret@x",
            "mqtt://x/path",
        ] {
            assert_eq!(wrong.parse::<Broker>(), Err(BrokerError(wrong.to_owned())));
        }
    }

    #[test]
    fn prefixes_hold_no_wildcards() {
        assert_eq!("north/meters".parse::<Prefix>().unwrap().as_str(), "north/meters");
        for wrong in ["", "/", "a/", "a//b", "a/+", "#", "$SYS", "a\u{0}", &"x".repeat(201)] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong:?}");
        }
    }
}
