//! Sockets and serial ports of simulated meters.

mod line;
pub(super) mod serial;
pub(super) mod tcp;
pub(super) mod udp;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use dlms::association::server::{Connection, ServerLink};
use dlms::hdlc::server::{Config, Session, Station};
use dlms::hdlc::{Address, FRAME_MAX, Parameters};
use dlms::id::{ClientSap, ServerSap};
use dlms::security::{Random, RustCrypto};
use dlms::wrapper;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::{HdlcConfig, Limits};
use super::consumption::Noise;
use super::device::PhysicalDevice;
use super::fault::{Fault, FaultPlan};

/// Associations on one line. A client that opens one more replaces the one that was not used for longest.
const ASSOCIATIONS: usize = 4;
/// Links on one HDLC line.
const HDLC_LINKS: usize = 4;
/// Octets around a plain APDU when it is ciphered: general-glo header, system title, security header and tag.
const CIPHERING_OCTETS: usize = 64;
/// Storage of an association for requests in blocks.
const LONG_REQUEST_OCTETS: usize = 2_048;
/// A gap in a frame ends it after this, in milliseconds; TCP has gaps that a serial line has not.
const INTER_OCTET_MS: u32 = 1_000;

/// A line with its associations.
pub(super) type Line<L> = Connection<L, RustCrypto, Vec<u8>, ASSOCIATIONS>;

/// What every port of a device needs.
#[derive(Clone)]
pub(super) struct Port {
    pub(super) device: Arc<Mutex<PhysicalDevice>>,
    pub(super) faults: Arc<Mutex<Vec<Fault>>>,
    pub(super) noise: Noise,
    pub(super) limits: Limits,
    pub(super) hdlc: HdlcConfig,
    pub(super) cancel: CancellationToken,
    pub(super) tasks: TaskTracker,
}

/// Connections are numbered so that each has faults of its own.
#[derive(Default)]
pub(super) struct ConnectionNumbers(AtomicU64);

impl ConnectionNumbers {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl Port {
    /// The device, for the time of one request. A panic elsewhere must not take the meter down.
    fn device(&self) -> MutexGuard<'_, PhysicalDevice> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Maker and serial number of the first meter, as a sign-on tells them.
    fn identity(&self) -> ([u8; 3], String) {
        let device = self.device();
        let Some(meter) = device.meters().first() else { return (*b"SIM", String::new()) };
        let mut maker = *b"SIM";
        maker.iter_mut().zip(meter.model().manufacturer.bytes()).for_each(|(to, from)| *to = from);
        (maker, meter.identity().serial.clone())
    }

    fn fault_plan(&self, connection: u64) -> FaultPlan {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
        FaultPlan::new(faults, self.noise, connection)
    }

    /// Octets of the longest request: what the associations accept, ciphered.
    fn request_octets(&self) -> usize {
        let device = self.device();
        let largest = |meter: &super::Meter| {
            meter.model().associations.iter().map(|association| association.max_pdu).max().unwrap_or(0)
        };
        let largest = device.meters().first().map_or(0, largest);
        usize::from(largest) + CIPHERING_OCTETS
    }

    fn line<L: ServerLink>(&self, link: L) -> Line<L> {
        Connection::new(
            link,
            || vec![0; self.limits.response_octets.max(LONG_REQUEST_OCTETS)],
            vec![0; self.limits.response_octets],
        )
    }

    /// A line with the wrapper.
    fn wrapper_line(&self) -> Line<wrapper::server::Wrapper<Vec<u8>>> {
        let read_timeout_ms = u32::try_from(self.limits.read.as_millis()).unwrap_or(u32::MAX);
        let transmit = vec![0; self.limits.response_octets + wrapper::Header::LENGTH];
        self.line(wrapper::server::Wrapper::new(vec![0; self.request_octets()], transmit, read_timeout_ms))
    }

    /// A line with HDLC.
    fn hdlc_line(&self, full_duplex: bool) -> Line<HdlcStation> {
        let config = Config {
            parameters: Parameters::symmetric(self.hdlc.information, self.hdlc.window),
            inactivity_timeout_ms: u32::try_from(self.limits.idle.as_millis()).unwrap_or(u32::MAX),
            full_duplex,
            ..Config::default()
        };
        // Each station holds a whole APDU and the LLC header of three octets.
        let (receive, transmit) = (self.request_octets() + 3, self.limits.response_octets + 3);
        let session = || Session::new(config, vec![0; receive], vec![0; transmit]);
        let sessions = (0..HDLC_LINKS).map(|_| session()).collect();
        let addresses = Ours::new(&self.device(), self.hdlc.physical_address);
        self.line(Station::new(vec![0; FRAME_MAX], INTER_OCTET_MS, sessions, addresses))
    }
}

/// An HDLC station of a simulated device.
type HdlcStation = Station<Vec<u8>, Vec<Session<Vec<u8>>>, Ours>;

/// Which HDLC addresses are a device's.
pub(super) struct Ours {
    clients: Vec<ClientSap>,
    servers: Vec<ServerSap>,
    physical: Option<u16>,
}

impl Ours {
    fn new(device: &PhysicalDevice, physical: Option<u16>) -> Self {
        let clients = device.meters().first().map(|meter| meter.model().clients().map(|(_, client)| client).collect());
        let servers = device.meters().iter().map(|meter| meter.identity().server).collect();
        Self { clients: clients.unwrap_or_default(), servers, physical }
    }
}

impl dlms::hdlc::server::Addresses for Ours {
    fn is_ours(&self, client: ClientSap, server: Address) -> bool {
        let physical = match (self.physical, server.lower()) {
            (Some(own), Some(asked)) => own == asked,
            // A short address has no physical part, and a device without one answers to any.
            _ => true,
        };
        physical && self.clients.contains(&client) && self.servers.binary_search(&ServerSap(server.upper())).is_ok()
    }

    fn is_reached(&self, server: Address) -> bool {
        let lower = if server.lower().is_some() { self.physical.unwrap_or_default() } else { 0 };
        let own = |sap: &ServerSap| Address::new(sap.0, lower, server.width());
        match self.physical {
            // A device without a physical address is every one.
            None => server.upper() == server.width().all_station() || self.servers.contains(&ServerSap(server.upper())),
            Some(_) => self.servers.iter().filter_map(own).any(|own| server.includes(&own)),
        }
    }
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OsRandom;

impl Random for OsRandom {
    /// # Panics
    /// When the operating system gives no random octets: a challenge must be unpredictable or not be given at all. That
    /// ends the connection, not the meter.
    fn fill(&mut self, octets: &mut [u8]) {
        let filled = getrandom::fill(octets);
        assert!(filled.is_ok(), "the operating system gives no random octets: {filled:?}");
    }
}

/// The time of the protocol machines.
pub(super) fn ticks(at: Instant) -> dlms::Instant {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let elapsed = at.saturating_duration_since(*START);
    dlms::Instant::from_millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
