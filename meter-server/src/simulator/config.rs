//! What a fleet of simulated meters is to be.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dlms::id::SystemTitle;
use dlms::security::Suite;

use super::defect::Defect;
use super::fault::Fault;
use super::keys::{Keys, MasterSeed};
use super::model::Model;
use crate::moment::Moment;

/// How the meters of a fleet are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// Each has ports of its own, which count up; port 0 lets the system choose them all.
    #[default]
    Ports,
    /// Each has an IPv4 address of its own, which count up from the one given, at one port and behind one socket for each
    /// protocol. The socket is bound to all addresses of the host; what comes to another one than a meter's is refused.
    /// On Linux every host has all of 127.0.0.0/8.
    Addresses,
    /// All are logical devices 1, 2, … of one physical device behind one port: at most 16,000, as an upper HDLC address
    /// has 14 bits. Each has a wrapper port number of its own likewise.
    LogicalDevices,
    /// They share a line behind a gateway: one port for all, and in front of every APDU the gateway's prefix with network 0
    /// and the meter's physical address, two octets that count from 1. One exchange at a time has the line.
    Gateway {
        /// Bits a second of the line.
        baud: u32,
    },
    /// They share a line behind a data concentrator: one port for all, and a wrapper port number, or upper HDLC address,
    /// for each, from 1 on. One exchange at a time has the line.
    Concentrator {
        /// Bits a second of the line.
        baud: u32,
    },
}

impl Addressing {
    /// Rate of a shared line when none is given, in bits a second.
    pub const LINE_BAUD: u32 = 9_600;
}

/// Meters that connect to the head-end themselves, as TCP clients with the wrapper. The roles of DLMS stay: the head-end
/// opens the association on the connection that it accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialConfig {
    /// Where the head-end listens.
    pub to: SocketAddr,
    /// Address from which the first meter connects; further meters count up. The system chooses when `None`.
    pub from: Option<IpAddr>,
    /// Connections that are open at a time; further meters wait for their turn.
    pub connections: usize,
    /// Connections that are being opened at a time.
    pub attempts: usize,
    /// The meters begin within this time, each at a moment of its own.
    pub spread: Duration,
    /// Shortest and longest pause after a failure. It doubles with each further one, and each meter takes a random part of
    /// it; a connection that ends is opened again after the shortest.
    pub pause: (Duration, Duration),
    /// Whether a meter sends its logical device name and a line feed ahead of everything else, as modems do. Otherwise it
    /// is known by its address, by the association's system title, or by what is read of it.
    pub banner: bool,
}

impl DialConfig {
    /// To this address, with up to 10,000 connections.
    #[must_use]
    pub const fn new(to: SocketAddr) -> Self {
        Self {
            to,
            from: None,
            connections: 10_000,
            attempts: 64,
            spread: Duration::from_secs(10),
            pause: (Duration::from_secs(5), Duration::from_secs(300)),
            banner: false,
        }
    }
}

/// Where a group of meters is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteConfig {
    /// How its meters are told apart.
    pub addressing: Addressing,
    /// TCP with the wrapper.
    pub tcp: Option<SocketAddr>,
    /// TCP with HDLC.
    pub hdlc_tcp: Option<SocketAddr>,
    /// UDP with the wrapper.
    pub udp: Option<SocketAddr>,
    /// Serial ports with HDLC: the first is the first meter's, and so on.
    pub serial: Vec<SerialConfig>,
    /// Whether the meters connect to the head-end.
    pub dial: Option<DialConfig>,
}

/// Where the keys of a group's meters come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// All have the same.
    Shared(Arc<Keys>),
    /// Each has its own, derived from a seed and its system title.
    Derived(Arc<MasterSeed>),
}

impl KeySource {
    /// The keys of a meter.
    pub(crate) fn of_meter(&self, suite: Suite, title: SystemTitle) -> Arc<Keys> {
        match self {
            Self::Shared(keys) => Arc::clone(keys),
            Self::Derived(seed) => Arc::new(seed.keys(suite, title)),
        }
    }
}

/// Meters of one kind within a fleet.
#[derive(Clone, Debug)]
pub struct Group {
    /// What it is called.
    pub name: String,
    /// What the meters are.
    pub model: Arc<Model>,
    /// How many, from 1.
    pub meters: u32,
    /// Seed of all values.
    pub seed: u64,
    /// Keys.
    pub keys: KeySource,
    /// System title of the first meter; the last five octets count up. Manufacturer and serial number when `None`.
    pub system_title: Option<SystemTitle>,
    /// What goes wrong on the lines of faulty meters.
    pub faults: Vec<Fault>,
    /// Part of the meters that are faulty, from 0 to 1.
    pub fault_share: f64,
    /// What is wrong with the meters themselves.
    pub defects: Vec<Defect>,
    /// Where they are reached; as the fleet says when `None`. Groups that follow each other and say the same share
    /// sockets.
    pub site: Option<SiteConfig>,
}

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
    /// How the meters are told apart.
    pub addressing: Addressing,
    /// TCP with the wrapper. Meter n (from 0) gets this port plus n, or this address plus n.
    pub tcp: Option<SocketAddr>,
    /// TCP with HDLC; as for `tcp`.
    pub hdlc_tcp: Option<SocketAddr>,
    /// UDP with the wrapper; as for `tcp`.
    pub udp: Option<SocketAddr>,
    /// Serial ports with HDLC: the first is meter 0's, and so on.
    pub serial: Vec<SerialConfig>,
    /// Whether the meters connect to the head-end.
    pub dial: Option<DialConfig>,
    /// Seed of all values: the same seed gives the same meters.
    pub seed: u64,
    /// Keys of all meters.
    pub keys: Arc<Keys>,
    /// Folder in which the meters keep all that clients and time have changed: security with its counters, and one record of
    /// the rest, from written attributes and tariffs to event logs, credit and images. They remember nothing across restarts
    /// when `None`. One simulator at a time may use it.
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
    /// Where meters push to whose push setup names no destination, as `host:port`. They push nothing when `None`.
    pub push_to: Option<String>,
    /// What is wrong with the meters themselves.
    pub defects: Vec<Defect>,
    /// Where the control interface is served: a loopback address, as it asks nobody who he is.
    pub control: Option<SocketAddr>,
    /// Where the metrics are served, and nothing else.
    pub metrics: Option<SocketAddr>,
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
            addressing: Addressing::default(),
            tcp: None,
            hdlc_tcp: None,
            udp: None,
            serial: Vec::new(),
            dial: None,
            seed: 1,
            keys: Arc::new(Keys::demonstration()),
            state: None,
            system_title: None,
            start: None,
            speed: 1.0,
            faults: Vec::new(),
            push_to: None,
            defects: Vec::new(),
            control: None,
            metrics: None,
            limits: Limits::default(),
            hdlc: HdlcConfig::default(),
        }
    }
}

impl FleetConfig {
    /// The group that this fleet is when it has no others.
    #[must_use]
    pub fn group(&self) -> Group {
        Group {
            name: self.model.name().to_owned(),
            model: Arc::clone(&self.model),
            meters: self.meters,
            seed: self.seed,
            keys: KeySource::Shared(Arc::clone(&self.keys)),
            system_title: self.system_title,
            faults: self.faults.clone(),
            fault_share: 1.0,
            defects: self.defects.clone(),
            site: None,
        }
    }

    /// Where its meters are reached unless their group says otherwise.
    pub(crate) fn site(&self) -> SiteConfig {
        SiteConfig {
            addressing: self.addressing,
            tcp: self.tcp,
            hdlc_tcp: self.hdlc_tcp,
            udp: self.udp,
            serial: self.serial.clone(),
            dial: self.dial.clone(),
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
    /// Connections to one port of a meter at a time; more are closed at once.
    pub connections_per_port: usize,
    /// UDP clients of one meter's socket that are kept apart. Beyond it the one silent for longest is forgotten, and one
    /// without an association before any other.
    pub udp_clients_per_port: usize,
    /// The same for a socket that many meters share.
    pub udp_clients_shared: usize,
    /// Descriptors that the process may have open, sockets among them; what the system says when `None`. Connections
    /// beyond it are closed at once.
    pub descriptors: Option<usize>,
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
            udp_clients_shared: 16_384,
            descriptors: None,
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
