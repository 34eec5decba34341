//! What the tests share: a fleet without ports, and a client that asks its devices directly.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod client;

use dlms::acse::Mechanism;
use dlms::apdu::{ActionResult, AttributeDescriptor, Conformance, DataAccessResult, MethodDescriptor, Selection};
use dlms::association::server::{Access, Cursor, Device, Progress};
use dlms::axdr::{Data, Value, Writer};
use dlms::id::{AttributeId, ClassId, ClientSap, MethodId, ServerSap, SystemTitle};
use dlms::obis::ObisCode;
use dlms::security::Protection;
use dlms_meter_server::Moment;
use dlms_meter_server::simulator::{DeviceHandle, Fleet, FleetConfig, FleetError, Ports};

/// 2026-03-15 12:07:30 UTC, a Sunday in winter time.
pub(crate) const NOW: i64 = 1_773_576_450;

/// A fleet whose time stands still.
pub(crate) fn stopped(seed: u64, now: i64) -> FleetConfig {
    FleetConfig { seed, start: Some(Moment::from_seconds(now)), speed: 0.0, ..FleetConfig::default() }
}

/// Starts a fleet without ports.
pub(crate) fn start(config: FleetConfig) -> Fleet {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(Fleet::start(config)).unwrap()
}

/// A fleet behind sockets, on threads of its own.
pub(crate) struct Server {
    runtime: tokio::runtime::Runtime,
    fleet: Fleet,
}

impl Server {
    pub(crate) fn try_start(config: FleetConfig) -> Result<Self, FleetError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let fleet = runtime.block_on(Fleet::start(config))?;
        Ok(Self { runtime, fleet })
    }

    pub(crate) fn start(config: FleetConfig) -> Self {
        Self::try_start(config).unwrap()
    }

    pub(crate) const fn from_parts(runtime: tokio::runtime::Runtime, fleet: Fleet) -> Self {
        Self { runtime, fleet }
    }

    pub(crate) fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    pub(crate) const fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }

    pub(crate) fn ports(&self, device: usize) -> &Ports {
        self.fleet.devices()[device].ports()
    }

    /// A meter behind TCP whose time stands still at a local time of winter or summer, as `2026-03-16T05:50:00+01:00`.
    pub(crate) fn standing_at(time: &str) -> Self {
        Self::standing(FleetConfig::default(), time)
    }

    /// The same with other settings.
    pub(crate) fn standing(config: FleetConfig, time: &str) -> Self {
        let tcp = Some("127.0.0.1:0".parse().unwrap());
        Self::start(FleetConfig { tcp, start: Some(moment(time)), speed: 0.0, ..config })
    }

    /// Lets the meters' time go on to this moment.
    pub(crate) fn jump(&self, time: &str) {
        self.fleet.jump(moment(time));
    }

    /// The management client, associated, with ciphering.
    pub(crate) fn management(&self) -> client::Management {
        client::tcp(self.ports(0).tcp.unwrap(), client::management(), 1).associate().unwrap()
    }

    pub(crate) fn shutdown(self) {
        self.runtime.block_on(self.fleet.shutdown());
    }
}

/// A moment from text.
pub(crate) fn moment(text: &str) -> Moment {
    Moment::from_seconds(text.parse::<dlms::time::DateTime>().unwrap().to_unix_seconds().unwrap())
}

/// One client of a device, as the association above would ask for it.
pub(crate) struct Client {
    pub(crate) device: DeviceHandle,
    pub(crate) access: Access,
}

impl Client {
    fn new(device: &DeviceHandle, client: u16, mechanism: Mechanism, request: Protection) -> Self {
        let access = Access {
            referencing: dlms::association::Referencing::LogicalName,
            client: ClientSap(client),
            server: ServerSap(1),
            mechanism,
            ciphered_context: request != Protection::NONE,
            request,
            broadcast: false,
            conformance: Conformance::GET | Conformance::SET,
            client_max_pdu: 500,
            server_max_pdu: 1024,
            client_title: Some(SystemTitle(*b"TSTCLNT1")),
        };
        Self { device: device.clone(), access }
    }

    pub(crate) fn public(fleet: &Fleet) -> Self {
        Self::new(&fleet.devices()[0], 16, Mechanism::Lowest, Protection::NONE)
    }

    pub(crate) fn reader(fleet: &Fleet) -> Self {
        Self::new(&fleet.devices()[0], 17, Mechanism::Lls, Protection::NONE)
    }

    pub(crate) fn management(fleet: &Fleet) -> Self {
        Self::new(&fleet.devices()[0], 1, Mechanism::Gmac, Protection::AUTHENTICATED_ENCRYPTED)
    }

    pub(crate) fn all(fleet: &Fleet) -> [Self; 3] {
        [Self::public(fleet), Self::reader(fleet), Self::management(fleet)]
    }

    /// The parts of an attribute, each as octets.
    pub(crate) fn parts(
        &self,
        class: u16,
        instance: &str,
        attribute: i8,
        selection: Option<Selection<'_>>,
    ) -> Result<Vec<Vec<u8>>, DataAccessResult> {
        let attribute = attribute_of(class, instance, attribute);
        let mut cursor = Cursor::default();
        let mut parts = Vec::new();
        loop {
            let mut once = [0; 4096];
            let mut again = [0; 4096];
            let mut read = |buffer: &mut [u8]| {
                let mut out = Writer::new(buffer);
                let progress = self
                    .device
                    .with(|device| device.read(&self.access, attribute, selection, &mut cursor, &mut out))?;
                Ok::<_, DataAccessResult>((out.len(), progress))
            };
            let (length, progress) = read(&mut once)?;
            // A part that did not fit into a block is asked for again: it must be the same.
            let repeated = read(&mut again)?;
            assert_eq!((length, progress), repeated);
            assert_eq!(once[..length], again[..length]);
            parts.push(once[..length].to_vec());
            if progress == Progress::Done {
                return Ok(parts);
            }
            cursor.part += 1;
        }
    }

    /// An attribute's value.
    pub(crate) fn read_selected(
        &self,
        class: u16,
        instance: &str,
        attribute: i8,
        selection: Option<Selection<'_>>,
    ) -> Result<Value, DataAccessResult> {
        let octets = self.parts(class, instance, attribute, selection)?.concat();
        Ok(Value::from(Data::from_slice(&octets).unwrap_or_else(|error| panic!("{instance}: {error}: {octets:02X?}"))))
    }

    pub(crate) fn read(&self, class: u16, instance: &str, attribute: i8) -> Result<Value, DataAccessResult> {
        self.read_selected(class, instance, attribute, None)
    }

    /// A number.
    pub(crate) fn number(&self, class: u16, instance: &str, attribute: i8) -> i64 {
        number(&self.read(class, instance, attribute).unwrap())
    }

    pub(crate) fn write(
        &self,
        class: u16,
        instance: &str,
        attribute: i8,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        let attribute = attribute_of(class, instance, attribute);
        self.device.with(|device| device.write(&self.access, attribute, None, value))
    }

    pub(crate) fn invoke(
        &self,
        class: u16,
        instance: &str,
        method: i8,
        parameter: Data<'_>,
    ) -> Result<(), ActionResult> {
        let instance: ObisCode = instance.parse().unwrap();
        let method = MethodDescriptor { class: ClassId(class), instance, method: MethodId(method) };
        let mut buffer = [0; 256];
        let mut out = Writer::new(&mut buffer);
        self.device.with(|device| device.invoke(&self.access, method, Some(parameter), &mut out))
    }

    /// The rows of a profile.
    pub(crate) fn rows(&self, instance: &str, selection: Option<Selection<'_>>) -> Vec<Vec<Value>> {
        rows(&self.read_selected(7, instance, 2, selection).unwrap())
    }
}

pub(crate) fn attribute_of(class: u16, instance: &str, attribute: i8) -> AttributeDescriptor {
    AttributeDescriptor::new(ClassId(class), instance.parse().unwrap(), AttributeId(attribute))
}

/// A value as octets.
pub(crate) fn encoded(write: impl FnOnce(&mut Writer<'_>) -> Result<(), dlms::axdr::BufferFull>) -> Vec<u8> {
    let mut buffer = [0; 2_048];
    let mut out = Writer::new(&mut buffer);
    write(&mut out).unwrap();
    out.written().to_vec()
}

/// The elements of an array or structure.
pub(crate) fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) | Value::Structure(elements) => elements,
        other => panic!("neither array nor structure: {other:?}"),
    }
}

pub(crate) fn rows(buffer: &Value) -> Vec<Vec<Value>> {
    elements(buffer).iter().map(|row| elements(row).to_vec()).collect()
}

/// Any integer.
pub(crate) fn number(value: &Value) -> i64 {
    match *value {
        Value::Integer(value) => value.into(),
        Value::Long(value) => value.into(),
        Value::DoubleLong(value) => value.into(),
        Value::Long64(value) => value,
        Value::Unsigned(value) | Value::Enum(value) => value.into(),
        Value::LongUnsigned(value) => value.into(),
        Value::DoubleLongUnsigned(value) => value.into(),
        ref other => panic!("not a number: {other:?}"),
    }
}

pub(crate) fn octets(value: &Value) -> &[u8] {
    match value {
        Value::OctetString(octets) => octets,
        other => panic!("not an octet-string: {other:?}"),
    }
}

/// The moment of a date-time column, in seconds since 1970.
pub(crate) fn seconds(value: &Value) -> i64 {
    dlms::time::DateTime::decode(octets(value)).unwrap().to_unix_seconds().unwrap()
}
