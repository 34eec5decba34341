//! The file of ports.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::{Path, PathBuf},
    time::Duration,
};

use dlms::p1::CrcRule;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::{
    config::{ConfigError, Span, toml_file},
    meter::{HostPort, MeterId},
};

/// How telegrams are taken, and where they come from.
#[derive(Clone, Debug)]
pub struct TelegramOptions {
    /// Of each so many seconds of the meter's clock one capture is kept.
    pub interval: Duration,
    /// Zone of local times where a meter states none.
    pub time_zone: TimeZone,
    /// Where telegrams come from.
    pub ports: Vec<Port>,
    /// Connections to all listening ports at the same time.
    pub connections: usize,
    /// Connections at the same time from one source: an IPv4 address, or an IPv6 network of 64 bits.
    pub connections_per_source: usize,
    /// Telegrams a minute from one source of connections, and what is none among them.
    pub rate_per_minute: u32,
    /// How long a line may be silent before it is opened anew, or a connection closed.
    pub idle: Duration,
}

/// A port that telegrams come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name, for people.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// What is demanded of check sums.
    pub check_sum: CheckSum,
    /// Whose telegrams they are: the meter's alone then, and also those that name none.
    pub meter: Option<MeterId>,
}

/// Where a port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A serial port of this machine.
    Serial {
        /// Its path.
        device: PathBuf,
        /// Line rate in bit/s.
        baud: u32,
        /// What its characters are made of.
        frame: Frame,
    },
    /// A serial server that we connect to.
    Connect(HostPort),
    /// Serial servers connect to us.
    Listen(SocketAddr),
}

/// What characters on a serial line are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Frame {
    /// Eight data bits without parity.
    #[default]
    #[serde(rename = "8N1")]
    Eight,
    /// Seven data bits with even parity, as before DSMR 4.
    #[serde(rename = "7E1")]
    Seven,
}

/// What is demanded of the check sums of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckSum {
    /// Four digits that are right, as of DSMR 4.
    #[default]
    Required,
    /// Right, or none at all, as before DSMR 4.
    IfPresent,
    /// The same with leading zeros left out.
    Unpadded,
}

impl CheckSum {
    pub(super) const fn rule(self) -> CrcRule {
        match self {
            Self::Required => CrcRule::Required,
            Self::IfPresent => CrcRule::IfPresent,
            Self::Unpadded => CrcRule::Unpadded,
        }
    }
}

impl Default for TelegramOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(900),
            time_zone: TimeZone::get(ZONE).unwrap_or(TimeZone::UTC),
            ports: Vec::new(),
            connections: 1_024,
            connections_per_source: 64,
            rate_per_minute: 600,
            idle: Duration::from_secs(60),
        }
    }
}

/// Most countries with such ports have its time.
const ZONE: &str = "Europe/Amsterdam";
/// Ports in one file, at most.
const PORTS: usize = 1_024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    interval: Option<Span>,
    time_zone: Option<String>,
    connections: Option<NonZeroUsize>,
    connections_per_source: Option<NonZeroUsize>,
    rate: Option<NonZeroU32>,
    idle: Option<Span>,
    #[serde(default)]
    port: Vec<PortText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortText {
    name: Option<String>,
    serial: Option<PathBuf>,
    baud: Option<u32>,
    frame: Option<Frame>,
    connect: Option<HostPort>,
    listen: Option<SocketAddr>,
    #[serde(default)]
    check_sum: CheckSum,
    meter: Option<String>,
}

impl TelegramOptions {
    /// Those of a file in TOML; `docs/telegrams.md` has its keys.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line and column.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        toml_file(path, Self::from_toml)
    }

    /// Those of the text of a file.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        use serde::de::Error as _;
        let wrong = |what: String| toml::de::Error::custom(what);
        let file: File = toml::from_str(text)?;
        let defaults = Self::default();
        let interval = file.interval.map_or(defaults.interval, Span::duration);
        if interval.subsec_nanos() != 0 || interval > Duration::from_secs(86_400) {
            return Err(wrong("`interval` is of whole seconds, and a day at most".to_owned()));
        }
        let time_zone = match file.time_zone {
            None => defaults.time_zone,
            Some(name) => TimeZone::get(&name).map_err(|error| wrong(format!("`time_zone`: {error}")))?,
        };
        if file.port.len() > PORTS {
            return Err(wrong(format!("at most {PORTS} ports")));
        }
        Ok(Self {
            interval,
            time_zone,
            ports: file.port.into_iter().map(Port::try_from).collect::<Result<_, String>>().map_err(wrong)?,
            connections: file.connections.map_or(defaults.connections, Into::into),
            connections_per_source: file.connections_per_source.map_or(defaults.connections_per_source, Into::into),
            rate_per_minute: file.rate.map_or(defaults.rate_per_minute, Into::into),
            idle: file.idle.map_or(defaults.idle, Span::duration),
        })
    }
}

impl TryFrom<PortText> for Port {
    type Error = String;

    fn try_from(text: PortText) -> Result<Self, String> {
        let PortText { name, serial, baud, frame, connect, listen, check_sum, meter } = text;
        let on_a_line = baud.is_some() || frame.is_some();
        let (place, own_name) = match (serial, connect, listen) {
            (Some(device), None, None) => {
                let baud = baud.unwrap_or(115_200);
                if !(50..=4_000_000).contains(&baud) {
                    return Err("`baud` is from 50 to 4000000 bit/s".to_owned());
                }
                let name = device.display().to_string();
                (Place::Serial { device, baud, frame: frame.unwrap_or_default() }, name)
            }
            (None, Some(_), None) | (None, None, Some(_)) if on_a_line => {
                return Err("`baud` and `frame` belong to a `serial` port".to_owned());
            }
            (None, Some(address), None) => (Place::Connect(address.clone()), address.to_string()),
            (None, None, Some(address)) => (Place::Listen(address), address.to_string()),
            _ => return Err("a port has one of `serial`, `connect` and `listen`".to_owned()),
        };
        let meter = match meter {
            Some(text) => Some(MeterId::try_new(&text).map_err(|error| format!("`meter`: {error}"))?),
            None => None,
        };
        Ok(Self { name: name.unwrap_or(own_name), place, check_sum, meter })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_ports_and_says_what_is_wrong_with_them() {
        let text = "interval = \"5m\"\ntime_zone = \"Europe/Vienna\"\n\
                    [[port]]\nserial = \"/dev/ttyUSB0\"\nbaud = 9600\nframe = \"7E1\"\ncheck_sum = \"if-present\"\n\
                    [[port]]\nname = \"hall\"\nconnect = \"serial.example:2000\"\nmeter = \"m1\"\n\
                    [[port]]\nlisten = \"[::]:2001\"\n";
        let read = TelegramOptions::from_toml(text).unwrap();
        assert_eq!(read.interval, Duration::from_secs(300));
        let names: Vec<_> = read.ports.iter().map(|port| port.name.as_str()).collect();
        assert_eq!(names, ["/dev/ttyUSB0", "hall", "[::]:2001"]);
        assert_eq!(read.ports[0].check_sum.rule(), CrcRule::IfPresent);
        assert_eq!(read.ports[1].meter.as_ref().map(MeterId::as_str), Some("m1"));
        for (wrong, said) in [
            ("interval = \"1500ms\"", "whole seconds"),
            ("interval = \"25h\"", "a day at most"),
            ("time_zone = \"Europe/Nowhere\"", "time_zone"),
            ("[[port]]\nname = \"x\"", "one of `serial`"),
            ("[[port]]\nserial = \"x\"\nlisten = \"[::]:1\"", "one of `serial`"),
            ("[[port]]\nconnect = \"x:1\"\nbaud = 9600", "belong to a `serial`"),
            ("[[port]]\nserial = \"x\"\nbaud = 1", "from 50"),
            ("[[port]]\nserial = \"x\"\nframe = \"8E1\"", "8E1"),
            ("[[port]]\nlisten = \"[::]:1\"\nmeter = \"a/b\"", "meter"),
            ("[[port]]\nconnect = \"x\"", "HOST:PORT"),
            ("password = 1", "password"),
        ] {
            let error = TelegramOptions::from_toml(wrong).unwrap_err().to_string();
            assert!(error.contains(said), "{wrong}: {error}");
        }
    }
}
