//! What a fleet of simulated meters is to be.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dlms::id::SystemTitle;

use super::fault::Fault;
use super::keys::Keys;
use super::model::Model;
use crate::moment::Moment;

/// A fleet of simulated meters.
///
/// The defaults are one meter of the built-in model with the demonstration keys, at the operating system's time,
/// without any port.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// What the meters are.
    pub model: Arc<Model>,
    /// How many meters, from 1.
    pub meters: u32,
    /// Whether all meters are logical devices 1, 2, … of one physical device, instead of having a port each.
    pub logical_devices: bool,
    /// TCP with the wrapper. Meter n (from 0) gets this port plus n; port 0 lets the system choose.
    pub tcp: Option<SocketAddr>,
    /// TCP with HDLC; ports as for `tcp`.
    pub hdlc_tcp: Option<SocketAddr>,
    /// UDP with the wrapper; ports as for `tcp`.
    pub udp: Option<SocketAddr>,
    /// Serial ports with HDLC: the first is meter 0's, and so on.
    pub serial: Vec<SerialConfig>,
    /// Seed of all values: the same seed gives the same meters.
    pub seed: u64,
    /// Keys of all meters.
    pub keys: Arc<Keys>,
    /// Folder in which the meters keep counters, floors, policies, keys that were transferred or agreed on, key pairs,
    /// certificates and failed attempts; they remember nothing across restarts when `None`. One simulator at a time may use
    /// it.
    pub state: Option<PathBuf>,
    /// System title of the first meter; the last five octets count up. Manufacturer and serial number of the first
    /// meter when `None`.
    pub system_title: Option<SystemTitle>,
    /// Simulated time at the start; the operating system's when `None`.
    pub start: Option<Moment>,
    /// How much faster than real time simulated time runs.
    pub speed: f64,
    /// What goes wrong on the lines.
    pub faults: Vec<Fault>,
    /// Bounds.
    pub limits: Limits,
    /// HDLC parameters.
    pub hdlc: HdlcConfig,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            model: Arc::new(Model::built_in()),
            meters: 1,
            logical_devices: false,
            tcp: None,
            hdlc_tcp: None,
            udp: None,
            serial: Vec::new(),
            seed: 1,
            keys: Arc::new(Keys::demonstration()),
            state: None,
            system_title: None,
            start: None,
            speed: 1.0,
            faults: Vec::new(),
            limits: Limits::default(),
            hdlc: HdlcConfig::default(),
        }
    }
}

/// A serial port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerialConfig {
    /// Device file.
    pub path: PathBuf,
    /// Bits per second; eight data bits, no parity, one stop bit.
    pub baud: u32,
    /// Whether each link begins with the sign-on of IEC 62056-21 at 300 baud, which offers up to `baud`; the address that it
    /// asks for is the meter's serial number.
    pub mode_e: bool,
}

impl SerialConfig {
    /// Speed when none is given.
    pub const DEFAULT_BAUD: u32 = 9_600;
}

/// Bounds of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections to one port at a time; more are closed at once.
    pub connections_per_port: usize,
    /// UDP clients of one port that are kept apart; beyond it the one silent for longest is forgotten.
    pub udp_clients_per_port: usize,
    /// A connection without a received octet for so long is closed.
    pub idle: Duration,
    /// Time for the rest of an APDU to arrive.
    pub read: Duration,
    /// Longest response APDU in octets, whatever the client would accept.
    pub response_octets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_per_port: 16,
            udp_clients_per_port: 64,
            // Three minutes are the default of the TCP-UDP setup class (IC 41).
            idle: Duration::from_secs(180),
            read: Duration::from_secs(30),
            response_octets: 4_096,
        }
    }
}

/// What the meters' HDLC stations agree to at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HdlcConfig {
    /// Octets of an information field, up to 2030.
    pub information: u16,
    /// Frames sent before an acknowledgement, up to 7.
    pub window: u8,
    /// Physical device address (the lower one); any is answered when `None`.
    pub physical_address: Option<u16>,
}

impl Default for HdlcConfig {
    fn default() -> Self {
        Self { information: 1_024, window: 7, physical_address: None }
    }
}
