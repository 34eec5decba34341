//! Simulated meters without ports, whose time jumps: clients ask their devices directly.

pub(super) mod calendar;
pub(super) mod fleet;
pub(super) mod tokens;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use dlms::acse::Mechanism;
use dlms::apdu::{ActionResult, AttributeDescriptor, Conformance, DataAccessResult, MethodDescriptor};
use dlms::association::Referencing;
use dlms::association::server::{Access, Cursor, Device, Progress};
use dlms::axdr::{Data, Value, Writer};
use dlms::id::{AttributeId, ClassId, ClientSap, MethodId, ServerSap, SystemTitle};
use dlms::obis::ObisCode;
use dlms::security::Protection;
use dlms_meter_server::Moment;
use dlms_meter_server::simulator::{BuiltInModel, DeviceHandle, Fleet, FleetConfig, Group, Model};

/// 2026-03-15 12:07:30 UTC, two weeks before the clocks go forward.
const START: i64 = 1_773_576_450;
/// Parts of a value: more than any that is read whole here has.
const PARTS_MAX: u32 = 2_000;

/// A model of the program, compiled once.
fn model(name: &'static str) -> Arc<Model> {
    static MODELS: Mutex<Vec<(&str, Arc<Model>)>> = Mutex::new(Vec::new());
    let mut models = MODELS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = models.iter().find(|(known, _)| *known == name) {
        return Arc::clone(known);
    }
    let model = Arc::new(BuiltInModel::find(name).expect("a model").model().expect("a model that compiles"));
    models.push((name, Arc::clone(&model)));
    model
}

/// A fleet whose time goes on when it is told.
struct Simulation {
    fleet: Fleet,
    at: Moment,
}

impl Simulation {
    /// Meters of these models, each a device of its own.
    fn new(models: &[&'static str]) -> Self {
        let start = Some(Moment::from_seconds(START));
        let config = |name| FleetConfig { model: model(name), start, speed: 0.0, ..FleetConfig::default() };
        let group = |(number, name): (u8, &&'static str)| Group {
            // Each has its own, although the makers be the same.
            system_title: Some(SystemTitle([b'S', b'I', b'M', number, 0, 0, 0, 1])),
            ..config(name).group()
        };
        let groups = (0..).zip(models).map(group).collect();
        let common = config(models.first().expect("a model"));
        let fleet = runtime().block_on(Fleet::start_groups(common, groups)).expect("a fleet");
        Self { fleet, at: Moment::from_seconds(START) }
    }

    fn device(&self, number: usize) -> &DeviceHandle {
        let devices = self.fleet.devices();
        &devices[number % devices.len()]
    }

    /// Time goes on.
    fn pass(&mut self, minutes: u16) {
        self.at = self.at.plus_millis(i64::from(minutes) * 60_000);
        self.fleet.jump(self.at);
    }

    /// The client that manages a device.
    fn manager(&self, number: usize) -> Manager {
        let access = Access {
            referencing: Referencing::LogicalName,
            client: ClientSap::MANAGEMENT,
            server: ServerSap::MANAGEMENT,
            mechanism: Mechanism::Gmac,
            ciphered_context: true,
            request: Protection::AUTHENTICATED_ENCRYPTED,
            broadcast: false,
            conformance: Conformance::GET | Conformance::SET | Conformance::ACTION,
            client_max_pdu: 1_024,
            server_max_pdu: 1_024,
            client_title: Some(SystemTitle(*b"TSTCLNT1")),
        };
        Manager { device: self.device(number).clone(), access }
    }

    /// Ends it.
    fn end(self) {
        runtime().block_on(self.fleet.shutdown());
    }
}

fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"))
}

/// The management client of a device, as its association would ask for it.
struct Manager {
    device: DeviceHandle,
    access: Access,
}

impl Manager {
    /// An attribute as octets.
    fn octets(&self, class: u16, instance: ObisCode, attribute: i8) -> Result<Vec<u8>, DataAccessResult> {
        let attribute = AttributeDescriptor::new(ClassId(class), instance, AttributeId(attribute));
        let (mut octets, mut cursor, mut buffer) = (Vec::new(), Cursor::default(), vec![0; 16_384]);
        while cursor.part < PARTS_MAX {
            let mut out = Writer::new(&mut buffer);
            let progress =
                self.device.with(|device| device.read(&self.access, attribute, None, &mut cursor, &mut out))?;
            octets.extend_from_slice(out.written());
            if progress == Progress::Done {
                return Ok(octets);
            }
            cursor.part += 1;
        }
        panic!("{attribute:?} has no end");
    }

    /// An attribute that can be read.
    fn read(&self, class: u16, instance: ObisCode, attribute: i8) -> Value {
        let octets = self.octets(class, instance, attribute);
        let octets = octets.unwrap_or_else(|error| panic!("{class} {instance} {attribute}: {error}"));
        Value::from_slice(&octets).unwrap_or_else(|error| panic!("{class} {instance} {attribute}: {error}"))
    }

    fn number(&self, class: u16, instance: ObisCode, attribute: i8) -> i64 {
        let value = self.read(class, instance, attribute);
        value.as_data().and_then(|data| data.as_i64()).unwrap_or_else(|| panic!("{instance}: {value:?}"))
    }

    fn write(&self, class: u16, instance: ObisCode, attribute: i8, value: Data<'_>) -> Result<(), DataAccessResult> {
        let attribute = AttributeDescriptor::new(ClassId(class), instance, AttributeId(attribute));
        self.device.with(|device| device.write(&self.access, attribute, None, value))
    }

    fn invoke(&self, class: u16, instance: ObisCode, method: i8, parameter: Data<'_>) -> Result<(), ActionResult> {
        let method = MethodDescriptor::new(ClassId(class), instance, MethodId(method));
        let mut buffer = vec![0; 4_096];
        let mut out = Writer::new(&mut buffer);
        self.device.with(|device| device.invoke(&self.access, method, Some(parameter), &mut out))
    }

    /// Reads what the list of objects shows of these classes: all of it can be read, and is what its class says. Rows of
    /// profiles are left out: there are too many.
    fn read_all(&self, classes: &[u16]) {
        let list = self.read(15, ObisCode::new(0, 0, 40, 0, 0, 255), 2);
        for entry in list.elements().expect("an array") {
            let Some([class, version, instance, rights]) = entry.elements() else { panic!("{entry:?}") };
            let whole = |value: &Value| value.as_data().and_then(|data| data.as_i64()).expect("a number");
            let class = u16::try_from(whole(class)).expect("a class");
            if !classes.contains(&class) {
                continue;
            }
            let version = u8::try_from(whole(version)).expect("a version");
            let instance = instance.as_data().and_then(|data| data.as_obis()).expect("a logical name");
            let described = dlms::cosem::class_version(ClassId(class), version).expect("a class that is known");
            let attributes = rights.elements().and_then(|rights| rights[0].elements()).expect("rights");
            for right in attributes {
                let Some([id, mode, _]) = right.elements() else { panic!("{right:?}") };
                let id = i8::try_from(whole(id)).expect("an attribute");
                if !matches!(whole(mode), 1 | 3) || (class, id) == (7, 2) {
                    continue;
                }
                let value = self.read(class, instance, id).to_vec();
                let data = Data::from_slice(&value).expect("a value");
                let known = described.attribute(AttributeId(id)).map(|info| info.check(data));
                assert!(matches!(known, None | Some(Ok(()))), "{class} {instance} {id}: {known:?} {data:?}");
            }
        }
    }
}
