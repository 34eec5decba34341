//! Why a fleet did not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use crate::simulator::net::descriptors::RESERVED;

/// Why a fleet did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FleetError {
    /// Not a number of meters.
    #[error("{count} meters: from 1 to {limit} are possible")]
    Meters {
        /// The number.
        count: u32,
        /// The largest possible one.
        limit: u32,
    },
    /// Meters of two groups would have the same system title.
    #[error("groups {first} and {second} have meters with the same system title")]
    Titles {
        /// A group.
        first: String,
        /// Another.
        second: String,
    },
    /// The sockets need more descriptors than the process may open.
    #[error(
        "{listening} listening sockets and {RESERVED} more do not fit into the {limit} descriptors that the process may open; meters can share a \
         socket by addresses or logical devices"
    )]
    Descriptors {
        /// Sockets.
        listening: usize,
        /// What the process may open.
        limit: usize,
    },
    /// Counting up from the first address leaves the range, or it is none that can be counted.
    #[error("no address for meter {meter} from {first}: {reason}")]
    Addresses {
        /// The first address.
        first: SocketAddr,
        /// The meter, from 0.
        meter: u32,
        /// Why.
        reason: &'static str,
    },
    /// Counting up from the first port leaves the range of ports.
    #[error("no port for meter {meter}: {first} and {meter} more is over 65535")]
    Ports {
        /// The first port.
        first: u16,
        /// The meter, from 0.
        meter: u32,
    },
    /// A port could not be opened.
    #[error("cannot listen on {protocol} {address}: {source}")]
    Listen {
        /// Transport protocol.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A serial port could not be opened.
    #[error("cannot open serial port {}: {source}", path.display())]
    Serial {
        /// Device file.
        path: PathBuf,
        /// Why.
        source: tokio_serial::Error,
    },
    /// There are more serial ports than meters.
    #[error("{ports} serial ports for {devices} device(s)")]
    SerialPorts {
        /// Serial ports.
        ports: usize,
        /// Physical devices.
        devices: usize,
    },
    /// What a meter kept cannot be used.
    #[error("state of meter {serial}: {reason}")]
    State {
        /// Serial number.
        serial: String,
        /// Why.
        reason: String,
    },
    /// A setting is outside its range.
    #[error("{what} must be {range}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// What it may be.
        range: &'static str,
    },
}
