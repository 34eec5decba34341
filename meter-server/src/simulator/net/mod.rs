//! Sockets and serial ports of simulated meters.

pub(super) mod accept;
mod clients;
pub(super) mod counts;
mod datagrams;
pub(super) mod descriptors;
pub(super) mod dial;
pub(super) mod find;
pub(super) mod gateway;
mod line;
pub(super) mod push;
mod room;
pub(super) mod serial;
mod spoil;
pub(super) mod tcp;
pub(super) mod udp;
pub(super) mod uses;

use std::ops::Range;
use std::sync::{Arc, LazyLock, MutexGuard};
use std::time::Instant;

use dlms::association::server::{Connection, ServerLink, Source};
use dlms::hdlc::server::{Config, Session, Station};
use dlms::hdlc::{Address, FRAME_MAX, Parameters};
use dlms::id::{ClientSap, ServerSap};
use dlms::security::general::{LAYERS_BACK, LAYERS_FRONT};
use dlms::security::{Random, RustCrypto};
use dlms::wrapper;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::counts::LineCounts;
use self::descriptors::Descriptors;
use self::room::Room;
use self::uses::Way;
use super::config::{HdlcConfig, Limits};
use super::device::{PhysicalDevice, sap};
use super::fault::FaultPlan;
use super::fleet::handle::Site;
use super::population::Population;

/// Associations on one line. A client that opens one more replaces the one that was not used for longest.
const ASSOCIATIONS: usize = 4;
/// Associations on one TCP connection to a device that is one meter: each takes 6 KiB, and thousands may be open.
const ASSOCIATIONS_OF_ONE: usize = 2;
/// Links on one HDLC line.
const HDLC_LINKS: usize = 4;
/// Octets around a plain APDU when it is ciphered and signed.
const CIPHERING_OCTETS: usize = LAYERS_FRONT + LAYERS_BACK;
/// Storage of an association for requests in blocks.
const LONG_REQUEST_OCTETS: usize = 2_048;
/// A gap in a frame ends it after this, in milliseconds; TCP has gaps that a serial line has not.
const INTER_OCTET_MS: u32 = 1_000;

/// A line with its associations.
pub(super) type Line<L, const N: usize = ASSOCIATIONS> = Connection<L, RustCrypto, Room, N>;

/// What all ports of a fleet need.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) hdlc: HdlcConfig,
    pub(super) cancel: CancellationToken,
    pub(super) tasks: TaskTracker,
    pub(super) descriptors: Descriptors,
    pub(super) counts: Arc<LineCounts>,
}

/// A port of a device.
#[derive(Clone)]
pub(super) struct Port {
    shared: Arc<Shared>,
    site: Arc<Site>,
}

impl Port {
    pub(super) fn new(shared: &Arc<Shared>, site: &Arc<Site>) -> Self {
        Self { shared: Arc::clone(shared), site: Arc::clone(site) }
    }

    /// The device, for the time of one request.
    fn device(&self) -> MutexGuard<'_, PhysicalDevice> {
        self.site.device()
    }

    /// The device starts anew: what it does when its supply comes back.
    fn reboot(&self) {
        self.site.reboot();
    }

    /// Maker and serial number of the first meter, as a sign-on tells them.
    fn identity(&self) -> ([u8; 3], String) {
        let mut maker = *b"SIM";
        let (population, first) = (&self.site.population, self.site.numbers.start);
        let Some(identity) = population.identity(first, sap(0)) else { return (maker, String::new()) };
        let name = identity.logical_device_name.bytes();
        maker.iter_mut().zip(name).for_each(|(to, from)| *to = from);
        (maker, identity.serial)
    }

    /// The faults of a new connection.
    fn fault_plan(&self, way: Way) -> FaultPlan {
        let noise = self.site.population.fault_noise(self.site.numbers.start);
        FaultPlan::new(self.site.faults(), noise, self.site.uses.next(way))
    }

    /// Octets of the longest request: what the associations accept, ciphered.
    fn request_octets(&self) -> usize {
        let groups = self.site.population.groups(self.site.numbers.clone());
        let associations = groups.flat_map(|group| &group.model.associations);
        let largest = associations.map(|association| association.max_pdu).max().unwrap_or(0);
        usize::from(largest) + CIPHERING_OCTETS
    }

    /// Whether the device is one meter.
    fn is_alone(&self) -> bool {
        self.site.numbers.len() == 1
    }

    /// In a box: it would make every future large that has it.
    fn line<L: ServerLink, const N: usize>(&self, link: L, source: Source) -> Box<Line<L, N>> {
        let mut line = Connection::new(
            link,
            || Room::new(self.shared.limits.response_octets.max(LONG_REQUEST_OCTETS)),
            Room::new(self.shared.limits.response_octets),
        );
        line.set_source(source);
        Box::new(line)
    }

    /// A line with the wrapper.
    fn wrapper_line<const N: usize>(&self, source: Source) -> Box<Line<wrapper::server::Wrapper<Room>, N>> {
        self.line(self.wrapper_link(0), source)
    }

    /// A link with the wrapper, for APDUs with so many octets around them.
    fn wrapper_link(&self, around: usize) -> wrapper::server::Wrapper<Room> {
        let read_timeout_ms = u32::try_from(self.shared.limits.read.as_millis()).unwrap_or(u32::MAX);
        let transmit = Room::new(self.shared.limits.response_octets + wrapper::Header::LENGTH + around);
        wrapper::server::Wrapper::new(Room::new(self.request_octets() + around), transmit, read_timeout_ms)
    }

    /// A line with HDLC.
    fn hdlc_line(&self, full_duplex: bool, source: Source) -> Box<Line<HdlcStation>> {
        self.line(self.hdlc_station(full_duplex, self.site.numbers.clone(), 0), source)
    }

    /// A station that these meters' upper addresses reach, for APDUs with so many octets around them.
    fn hdlc_station(&self, full_duplex: bool, numbers: Range<u32>, around: usize) -> HdlcStation {
        let config = Config {
            parameters: Parameters::symmetric(self.shared.hdlc.information, self.shared.hdlc.window),
            inactivity_timeout_ms: u32::try_from(self.shared.limits.idle.as_millis()).unwrap_or(u32::MAX),
            full_duplex,
            ..Config::default()
        };
        // Each station holds a whole APDU and the LLC header of three octets.
        let around = around + 3;
        let (receive, transmit) = (self.request_octets() + around, self.shared.limits.response_octets + around);
        let session = || Session::new(config, Room::new(receive), Room::new(transmit));
        let sessions = (0..HDLC_LINKS).map(|_| session()).collect();
        let addresses = Ours {
            population: Arc::clone(&self.site.population),
            numbers,
            physical: self.shared.hdlc.physical_address,
        };
        Station::new(Room::new(FRAME_MAX), INTER_OCTET_MS, sessions, addresses)
    }
}

/// An HDLC station of a simulated device.
type HdlcStation = Station<Room, Vec<Session<Room>>, Ours>;

/// Which HDLC addresses are a device's.
pub(super) struct Ours {
    population: Arc<Population>,
    numbers: Range<u32>,
    physical: Option<u16>,
}

impl Ours {
    /// Number of the meter with this upper address.
    fn number(&self, upper: u16) -> Option<u32> {
        let number = self.numbers.start.checked_add(u32::from(upper).checked_sub(1)?)?;
        self.numbers.contains(&number).then_some(number)
    }
}

impl dlms::hdlc::server::Addresses for Ours {
    fn is_ours(&self, client: ClientSap, server: Address) -> bool {
        let physical = match (self.physical, server.lower()) {
            (Some(own), Some(asked)) => own == asked,
            // A short address has no physical part, and a device without one answers to any.
            _ => true,
        };
        let group = self.number(server.upper()).and_then(|number| self.population.group(number));
        physical && group.is_some_and(|group| group.model.association(client).is_some())
    }

    fn is_reached(&self, server: Address) -> bool {
        let lower = if server.lower().is_some() { self.physical.unwrap_or_default() } else { 0 };
        let own = |sap: ServerSap| Address::new(sap.0, lower, server.width());
        match self.physical {
            // A device without a physical address is every one.
            None => server.upper() == server.width().all_station() || self.number(server.upper()).is_some(),
            Some(_) => (0..self.numbers.len()).filter_map(|index| own(sap(index))).any(|own| server.includes(&own)),
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
