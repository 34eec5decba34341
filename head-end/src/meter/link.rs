//! How a meter's octets are carried.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

/// The communication profile below the application layer, and its end point.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkConfig {
    /// TCP with the eight-octet wrapper (Green Book, TCP-UDP/IP profile).
    TcpWrapper {
        /// Where the meter or its gateway listens.
        address: HostPort,
    },
    /// TCP with the same wrapper, on a connection that the meter makes to the head-end.
    DialIn,
    /// UDP with the same wrapper, one APDU in a datagram.
    UdpWrapper {
        /// Where the meter listens.
        address: HostPort,
    },
    /// HDLC frames carried by a TCP stream, as behind serial servers and modems.
    HdlcTcp {
        /// Where the gateway listens.
        address: HostPort,
        /// The station's parameters.
        hdlc: HdlcConfig,
    },
    /// HDLC frames on a serial port.
    HdlcSerial {
        /// Path of the port.
        device: PathBuf,
        /// Line rate in bit/s; with a sign-on the highest to be selected.
        baud: u32,
        /// The station's parameters.
        hdlc: HdlcConfig,
        /// The sign-on of IEC 62056-21 at 300 baud that comes first, as at optical heads.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode_e: Option<ModeE>,
    },
}

/// The sign-on of IEC 62056-21, mode E.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModeE {
    /// Address of the device on a line of several: up to 32 letters, digits and spaces; empty: whoever is there.
    pub device_address: String,
}

/// HDLC parameters of one meter (IEC 62056-46).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HdlcConfig {
    /// Lower HDLC address, the physical device; the upper one is the server access point.
    /// `None` with a one-octet address, which has no lower part.
    pub lower: Option<u16>,
    /// How many octets the server address takes on the line.
    pub width: AddressWidth,
    /// Frames that may be sent before an acknowledgement, proposed for both directions: 1 to 7.
    pub window: u8,
    /// Largest information field, proposed for both directions, in octets: 32 to 2030.
    pub information_field: u16,
}

impl Default for HdlcConfig {
    fn default() -> Self {
        Self { lower: None, width: AddressWidth::One, window: 1, information_field: 128 }
    }
}

/// Octets of a server address on the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressWidth {
    /// Upper address alone.
    #[default]
    One,
    /// One octet each for upper and lower address.
    Two,
    /// Two octets each for upper and lower address.
    Four,
}

impl AddressWidth {
    /// The width of `octets` octets: 1, 2 or 4.
    #[must_use]
    pub const fn from_octets(octets: u32) -> Option<Self> {
        match octets {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            4 => Some(Self::Four),
            _ => None,
        }
    }

    /// Number of octets.
    #[must_use]
    pub const fn octets(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// Largest upper or lower address that fits.
    #[must_use]
    pub const fn largest(self) -> u16 {
        match self {
            Self::One | Self::Two => 0x7F,
            Self::Four => 0x3FFF,
        }
    }
}

/// A host name or IP address with a port, kept as text and resolved at each connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    host: String,
    port: u16,
}

/// Why a text is not `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostPortError {
    /// There is no colon, or nothing in front of it.
    #[error("an address is HOST:PORT, such as 192.0.2.7:4059, [2001:db8::7]:4059 or meter.example:4059")]
    Shape,
    /// What follows the last colon is not a port from 1 to 65535.
    #[error("{0:?} is not a port from 1 to 65535")]
    Port(String),
    /// The host has white space or is an IPv6 address without brackets.
    #[error("{0:?} is not a host name, an IPv4 address or an IPv6 address in brackets")]
    Host(String),
}

impl HostPort {
    /// Port `port` of this host.
    #[must_use]
    pub fn localhost(port: u16) -> Self {
        Self { host: "127.0.0.1".to_owned(), port }
    }

    /// The host name or address, an IPv6 one without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let (host, port) = text.rsplit_once(':').ok_or(HostPortError::Shape)?;
        if host.is_empty() {
            return Err(HostPortError::Shape);
        }
        let port = match port.parse::<u16>() {
            Ok(number) if number != 0 => number,
            _ => return Err(HostPortError::Port(port.to_owned())),
        };
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let legal = match bare {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')),
        };
        if !legal {
            return Err(HostPortError::Host(host.to_owned()));
        }
        Ok(Self { host: bare.unwrap_or(host).to_owned(), port })
    }
}

impl TryFrom<String> for HostPort {
    type Error = HostPortError;

    fn try_from(text: String) -> Result<Self, HostPortError> {
        text.parse()
    }
}

impl From<HostPort> for String {
    fn from(address: HostPort) -> Self {
        address.to_string()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_through_text() {
        for text in ["127.0.0.1:4059", "[2001:db8::7]:4059", "meter-7.example:1"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        assert_eq!("[::1]:4059".parse::<HostPort>().unwrap().host(), "::1");
    }

    #[test]
    fn broken_addresses_say_what_is_wrong() {
        let parse = |text: &str| text.parse::<HostPort>().unwrap_err();
        assert_eq!(parse("localhost"), HostPortError::Shape);
        assert_eq!(parse(":4059"), HostPortError::Shape);
        assert_eq!(parse("a:0"), HostPortError::Port("0".into()));
        assert_eq!(parse("a:65536"), HostPortError::Port("65536".into()));
        assert_eq!(parse("::1:4059"), HostPortError::Host("::1".into()));
        assert_eq!(parse("a b:4059"), HostPortError::Host("a b".into()));
        assert_eq!(parse("[zz]:4059"), HostPortError::Host("[zz]".into()));
    }
}
