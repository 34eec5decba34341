//! A fleet of simulated meters, running.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use dlms::id::{ServerSap, SystemTitle};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::{FleetConfig, SerialConfig};
use super::consumption::Noise;
use super::device::PhysicalDevice;
use super::driver::{self, Deliver, Devices, MeterPlace, Wake, WakeList};
use super::fault::Fault;
use super::meter::security::Security;
use super::meter::{Meter, MeterIdentity, Notification};
use super::net::{self, Port};
use super::timeline::{Timeline, wall_clock};

/// Meters of one fleet.
const METERS_MAX: u32 = 60_000;
/// Logical devices of one physical device: an upper HDLC address of two octets has 14 bits.
const LOGICAL_DEVICES_MAX: u32 = 16_000;

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

/// Running meters. They stop when this is dropped, or in good order with [`shutdown`](Self::shutdown).
#[derive(Debug)]
pub struct Fleet {
    devices: Arc<[DeviceHandle]>,
    timeline: Timeline,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

/// One physical device of a fleet.
#[derive(Clone, Debug)]
pub struct DeviceHandle {
    device: Arc<Mutex<PhysicalDevice>>,
    faults: Arc<Mutex<Vec<Fault>>>,
    identities: Arc<[MeterIdentity]>,
    ports: Ports,
}

/// Where a device is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// TCP with the wrapper.
    pub tcp: Option<SocketAddr>,
    /// TCP with HDLC.
    pub hdlc_tcp: Option<SocketAddr>,
    /// UDP with the wrapper.
    pub udp: Option<SocketAddr>,
    /// Serial port with HDLC.
    pub serial: Option<PathBuf>,
}

impl DeviceHandle {
    /// The meters of this device: one, unless the fleet is of logical devices.
    #[must_use]
    pub fn meters(&self) -> &[MeterIdentity] {
        &self.identities
    }

    /// Where it is reached.
    #[must_use]
    pub const fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Replaces the faults of connections that are opened from now on.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Looks at the device, or does something to it, between two requests.
    pub fn with<T>(&self, look: impl FnOnce(&mut PhysicalDevice) -> T) -> T {
        look(&mut self.device.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Fleet {
    /// Opens all ports and serves them until the fleet is shut down or dropped. Must be called within a tokio runtime
    /// with time and I/O.
    ///
    /// # Errors
    /// A setting outside its range, or a port that cannot be opened; no meter runs then.
    pub async fn start(config: FleetConfig) -> Result<Self, FleetError> {
        check(&config)?;
        let now = config.start.unwrap_or_else(wall_clock);
        let timeline = Timeline::new(now, config.speed);
        let cancel = CancellationToken::new();
        let tasks = TaskTracker::new();
        // Dropped with an error, the guard ends what has been started.
        let guard = cancel.clone().drop_guard();
        let noise = Noise::new(config.seed);
        let list = Arc::new(WakeList::default());
        let mut devices = Vec::new();
        for (number, meters) in physical_devices(&config, timeline)?.into_iter().enumerate() {
            let number_u32 = u32::try_from(number).unwrap_or(u32::MAX);
            let identities: Arc<[MeterIdentity]> = meters.iter().map(|meter| meter.identity().clone()).collect();
            let wake = Wake { list: Arc::clone(&list), device: number_u32 };
            let device = PhysicalDevice::new(meters, Arc::clone(&config.keys), timeline, Some(wake));
            let device = Arc::new(Mutex::new(device));
            let faults = Arc::new(Mutex::new(config.faults.clone()));
            let port = Port {
                device: Arc::clone(&device),
                faults: Arc::clone(&faults),
                noise: noise.stream(u64::from(number_u32)).stream(1_000),
                limits: config.limits,
                hdlc: config.hdlc,
                cancel: cancel.clone(),
                tasks: tasks.clone(),
            };
            let ports = open(&config, number_u32, &port, config.serial.get(number)).await?;
            devices.push(DeviceHandle { device, faults, identities, ports });
        }
        guard.disarm();
        let devices: Arc<[DeviceHandle]> = devices.into();
        driver::start(Arc::clone(&devices), list, NoSender, timeline, cancel.clone(), &tasks);
        tasks.close();
        Ok(Self { devices, timeline, cancel, tasks })
    }

    /// The physical devices: one for each meter, or one for all.
    #[must_use]
    pub fn devices(&self) -> &[DeviceHandle] {
        &self.devices
    }

    /// The simulated time.
    #[must_use]
    pub const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Closes all connections and ports, and waits until they are closed.
    pub async fn shutdown(self) {
        self.cancel.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Devices for Arc<[DeviceHandle]> {
    fn count(&self) -> u32 {
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    fn with(&self, number: u32, act: &mut dyn FnMut(&mut PhysicalDevice)) {
        if let Some(handle) = self.get(number as usize) {
            handle.with(act);
        }
    }
}

/// Sends nothing: no object of the meters pushes yet.
struct NoSender;

impl Deliver for NoSender {
    fn deliver(&mut self, _: MeterPlace, _: VecDeque<Notification>) {}
}

fn check(config: &FleetConfig) -> Result<(), FleetError> {
    let limit = if config.logical_devices { LOGICAL_DEVICES_MAX } else { METERS_MAX };
    if config.meters == 0 || config.meters > limit {
        return Err(FleetError::Meters { count: config.meters, limit });
    }
    let devices = if config.logical_devices { 1 } else { config.meters as usize };
    if config.serial.len() > devices {
        return Err(FleetError::SerialPorts { ports: config.serial.len(), devices });
    }
    let setting = |right: bool, what, range| if right { Ok(()) } else { Err(FleetError::Setting { what, range }) };
    let suite = config.model.suite;
    setting(
        config.keys.suite.key_length() == suite.key_length(),
        "the keys",
        "as long as those of the model's suite: 16 octets, or 32 in suite 2",
    )?;
    // Private keys are kept under it.
    setting(
        suite.curve().is_none() || config.keys.master.is_some(),
        "the keys of suites 1 and 2",
        "given with a key encrypting key",
    )?;
    setting((0.0..=1e6).contains(&config.speed), "the speed", "from 0 to a million")?;
    setting((32..=2030).contains(&config.hdlc.information), "the HDLC information field", "from 32 to 2030 octets")?;
    setting((1..=7).contains(&config.hdlc.window), "the HDLC window", "from 1 to 7")?;
    setting(
        (128..=65_000).contains(&config.limits.response_octets),
        "the longest response",
        "from 128 to 65000 octets",
    )?;
    setting(config.limits.connections_per_port > 0, "the number of connections per port", "at least 1")?;
    setting(config.limits.udp_clients_per_port > 0, "the number of UDP clients per port", "at least 1")
}

/// Makes all meters, each group of them one physical device.
fn physical_devices(config: &FleetConfig, timeline: Timeline) -> Result<Vec<Vec<Meter>>, FleetError> {
    let wall = wall_clock();
    let seeds = Noise::new(config.seed).stream(2_000);
    let meter = |number: u32, server: ServerSap, neighbours: &Arc<[(ServerSap, String)]>| {
        let seed = seeds.bits(i64::from(number));
        let identity = identity(config, number, server);
        let (keys, folder) = (Arc::clone(&config.keys), config.state.as_deref());
        let security = Security::open(keys, &config.model, folder, &identity, wall);
        let security = security
            .map_err(|error| FleetError::State { serial: identity.serial.clone(), reason: error.to_string() })?;
        Ok(Meter::new(Arc::clone(&config.model), identity, Arc::clone(neighbours), seed, timeline.start(), security))
    };
    let named = |number: u32, server: ServerSap| (server, identity(config, number, server).logical_device_name);
    if config.logical_devices {
        let sap = |number: u32| ServerSap(u16::try_from(number + 1).unwrap_or(u16::MAX));
        let neighbours: Arc<[_]> = (0..config.meters).map(|number| named(number, sap(number))).collect();
        let meters: Result<Vec<_>, _> =
            (0..config.meters).map(|number| meter(number, sap(number), &neighbours)).collect();
        Ok(vec![meters?])
    } else {
        let sap = ServerSap::MANAGEMENT;
        (0..config.meters)
            .map(|number| {
                let neighbours: Arc<[_]> = Arc::new([named(number, sap)]);
                Ok(vec![meter(number, sap, &neighbours)?])
            })
            .collect()
    }
}

/// Who meter `number` (from 0) is.
fn identity(config: &FleetConfig, number: u32, server: ServerSap) -> MeterIdentity {
    let model = &config.model;
    let serial = model.first_serial.saturating_add(u64::from(number));
    let first = config.system_title.unwrap_or_else(|| {
        let mut title = [0; 8];
        let [_, _, _, tail @ ..] = model.first_serial.to_be_bytes();
        title[..3].copy_from_slice(&model.manufacturer.as_bytes()[..3]);
        title[3..].copy_from_slice(&tail);
        SystemTitle(title)
    });
    MeterIdentity {
        server,
        serial: format!("{serial:08}"),
        // Sixteen octets are the most that a logical device name may have (Blue Book).
        logical_device_name: format!("{}{}{:010}", model.manufacturer, model.device_type, serial % 10_000_000_000),
        system_title: counted_up(first, number),
    }
}

/// The title `number` after `first`: the manufacturer stays, the other five octets count.
fn counted_up(first: SystemTitle, number: u32) -> SystemTitle {
    let [a, b, c, tail @ ..] = first.0;
    let mut wide = [0; 8];
    wide[3..].copy_from_slice(&tail);
    let [_, _, _, tail @ ..] = u64::from_be_bytes(wide).wrapping_add(u64::from(number)).to_be_bytes();
    let [d, e, f, g, h] = tail;
    SystemTitle([a, b, c, d, e, f, g, h])
}

/// Opens the ports of one device.
async fn open(
    config: &FleetConfig,
    number: u32,
    port: &Port,
    serial: Option<&SerialConfig>,
) -> Result<Ports, FleetError> {
    let mut ports = Ports::default();
    if let Some(first) = config.tcp {
        ports.tcp = Some(net::tcp::listen_wrapper(port, counted_address(first, number)?).await?);
    }
    if let Some(first) = config.hdlc_tcp {
        ports.hdlc_tcp = Some(net::tcp::listen_hdlc(port, counted_address(first, number)?).await?);
    }
    if let Some(first) = config.udp {
        ports.udp = Some(net::udp::listen(port, counted_address(first, number)?).await?);
    }
    if let Some(serial) = serial {
        net::serial::open(port, serial)?;
        ports.serial = Some(serial.path.clone());
    }
    Ok(ports)
}

/// The address of device `number`: the port counts up, port 0 stays.
fn counted_address(first: SocketAddr, number: u32) -> Result<SocketAddr, FleetError> {
    if first.port() == 0 {
        return Ok(first);
    }
    let port = u32::from(first.port()).checked_add(number).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or(FleetError::Ports { first: first.port(), meter: number })?;
    Ok(SocketAddr::new(first.ip(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_titles_and_ports_count_up() {
        let first = SystemTitle(*b"SIM\0\0\0\0\xFF");
        assert_eq!(counted_up(first, 1), SystemTitle(*b"SIM\0\0\0\x01\0"));
        let address: SocketAddr = "127.0.0.1:65534".parse().unwrap();
        assert_eq!(counted_address(address, 1).unwrap().port(), 65535);
        assert!(matches!(counted_address(address, 2), Err(FleetError::Ports { first: 65534, meter: 2 })));
        assert_eq!(counted_address("127.0.0.1:0".parse().unwrap(), 9).unwrap().port(), 0);
    }

    #[test]
    fn meters_of_a_fleet_are_all_different() {
        let config = FleetConfig { meters: 3, logical_devices: true, ..FleetConfig::default() };
        let devices = physical_devices(&config, Timeline::real()).unwrap();
        let identities: Vec<_> = devices[0].iter().map(|meter| meter.identity().clone()).collect();
        assert_eq!(identities[0].logical_device_name, "SIM3PH0010000001");
        assert_eq!(identities[2].serial, "10000003");
        assert_eq!(identities.iter().map(|identity| identity.server.0).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(identities[1].system_title, SystemTitle([b'S', b'I', b'M', 0, 0, 0x98, 0x96, 0x82]));
    }
}
