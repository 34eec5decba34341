//! `meter-server` as a process, and what its meter must answer according to the model.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use dlms::acse::Mechanism;
use dlms::apdu::{AttributeDescriptor, Conformance, DataAccessResult, Selection};
use dlms::association::server::{Access as Asked, Cursor, Device, Progress};
use dlms::axdr::{BufferFull, Data, Value as Owned, Writer};
use dlms::id::{AttributeId, ClassId, ClientSap, ServerSap, SystemTitle};
use dlms::obis::ObisCode;
use dlms::security::Protection;
use dlms_conformance::tree::{Place, data::data};
use dlms_conformance::values::plain;
use dlms_meter_server::Moment;
use dlms_meter_server::simulator::{DEFAULT_MODEL, Fleet, FleetConfig, Model};
use serde_json::Value;

use super::case;
use super::{Access, Framing, METER_TITLE};

/// The simulated time, which stands still: 2026-03-10T10:07:00Z.
pub(crate) const NOW: i64 = 1_773_137_220;
const START: &str = "2026-03-10T10:07:00Z";
const SEED: u64 = 7;

/// Secret of the mechanisms that have one, other than LLS. Sixteen octets: one of the clients sends it as its challenge,
/// and ciphers it as one block.
pub(crate) const SECRET: &str = "0123456789ABCDEF";

/// A meter whose clients with a password or with keys prove themselves by this mechanism, and what it holds.
pub(crate) fn with_mechanism(mechanism: case::Mechanism, folder: &Path) -> (MeterServer, Truth) {
    let name = mechanism.in_model();
    let text = DEFAULT_MODEL
        .replace("mechanism = \"lls\"", &format!("mechanism = \"{name}\""))
        .replace("mechanism = \"hls-gmac\"", &format!("mechanism = \"{name}\""));
    let path = folder.join(format!("{name}.toml"));
    std::fs::write(&path, &text).expect("a model");
    let server = MeterServer::start_with(&["--model", path.to_str().expect("text"), "--lls-password", SECRET]);
    let mut truth = Truth::of(Model::from_toml(&text).expect("the model"));
    truth.mechanism = Some(match mechanism {
        case::Mechanism::None => Mechanism::Lowest,
        case::Mechanism::Lls => Mechanism::Lls,
        case::Mechanism::Hls2 => Mechanism::Hls2,
        case::Mechanism::Md5 => Mechanism::Md5,
        case::Mechanism::Sha1 => Mechanism::Sha1,
        case::Mechanism::Gmac => Mechanism::Gmac,
        case::Mechanism::Sha256 => Mechanism::Sha256,
    });
    (server, truth)
}

/// A running `meter-server` with one meter; ends when dropped.
pub(crate) struct MeterServer {
    process: Child,
    pub(crate) wrapper: SocketAddr,
    pub(crate) udp: SocketAddr,
    pub(crate) hdlc: SocketAddr,
}

impl MeterServer {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let mut process = Command::new(program())
            .args([
                "run",
                "--tcp",
                "127.0.0.1:0",
                "--udp",
                "127.0.0.1:0",
                "--hdlc-tcp",
                "127.0.0.1:0",
                "--format",
                "json",
                "--speed",
                "0",
            ])
            .args(["--start", START, "--seed", &SEED.to_string(), "--system-title", &hex::encode(METER_TITLE)])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("meter-server starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("it prints its ports");
        let ports: Value = serde_json::from_str(&line).expect("JSON");
        let port = |name: &str| ports[name].as_str().and_then(|port| port.parse().ok()).expect("a port");
        Self { process, wrapper: port("tcp"), udp: port("udp"), hdlc: port("hdlc_tcp") }
    }

    /// Where it listens for this kind of frames.
    pub(crate) const fn address(&self, framing: Framing) -> SocketAddr {
        match framing {
            Framing::Wrapper => self.wrapper,
            Framing::Udp => self.udp,
            Framing::Hdlc => self.hdlc,
        }
    }
}

impl Drop for MeterServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The binary beside this test's; built first, since cargo builds it for its own package's tests only.
fn program() -> PathBuf {
    let mut folder = std::env::current_exe().expect("this program's path");
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let profile: &[&str] = if folder.ends_with("release") { &["--release"] } else { &[] };
    let status = Command::new(cargo)
        .args(["build", "--quiet", "-p", "dlms-meter-server"])
        .args(profile)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .expect("cargo starts");
    assert!(status.success(), "meter-server does not compile");
    folder.join("meter-server")
}

/// Who looks, and with which limit on answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) access: Access,
    pub(crate) max_pdu: u16,
}

/// The same meter without any port: what it holds, read past all protocol.
pub(crate) struct Truth {
    fleet: Fleet,
    /// How clients other than the public one prove themselves, when it is not as in the built-in model.
    mechanism: Option<Mechanism>,
    _runtime: tokio::runtime::Runtime,
}

impl Truth {
    pub(crate) fn new() -> Self {
        Self::of(Model::built_in())
    }

    /// That of a model.
    pub(crate) fn of(model: Model) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
        let config = FleetConfig {
            seed: SEED,
            model: Arc::new(model),
            system_title: Some(SystemTitle(METER_TITLE)),
            start: Some(Moment::from_seconds(NOW)),
            speed: 0.0,
            ..FleetConfig::default()
        };
        let fleet = runtime.block_on(Fleet::start(config)).expect("a fleet without ports");
        Self { fleet, mechanism: None, _runtime: runtime }
    }

    /// An attribute as it is shown to a client that proposes every service, without types.
    pub(crate) fn read(
        &self,
        view: View,
        class: u16,
        obis: ObisCode,
        attribute: i8,
        selection: Option<Selection<'_>>,
    ) -> Result<Value, DataAccessResult> {
        self.seen(view, class, obis, attribute, selection).map(|octets| without_types(&octets))
    }

    /// The same as A-XDR.
    pub(crate) fn seen(
        &self,
        view: View,
        class: u16,
        obis: ObisCode,
        attribute: i8,
        selection: Option<Selection<'_>>,
    ) -> Result<Vec<u8>, DataAccessResult> {
        let ciphered = matches!(view.access, Access::Ciphered { .. });
        let (client, server) = (ClientSap(view.access.client()), ServerSap(1));
        let device = self.fleet.devices().first().expect("one meter");
        let conformance = device.with(|device| device.association(client, server).map(|config| config.conformance));
        let asked = Asked {
            referencing: dlms::association::Referencing::LogicalName,
            client,
            server,
            mechanism: match view.access {
                Access::Public => Mechanism::Lowest,
                Access::Password => self.mechanism.unwrap_or(Mechanism::Lls),
                Access::Ciphered { .. } => self.mechanism.unwrap_or(Mechanism::Gmac),
            },
            ciphered_context: ciphered,
            request: if ciphered { Protection::AUTHENTICATED_ENCRYPTED } else { Protection::NONE },
            broadcast: false,
            // General block transfer is for clients that are told to propose it.
            conformance: conformance.expect("an association").without(Conformance::GENERAL_BLOCK_TRANSFER),
            client_max_pdu: view.max_pdu,
            server_max_pdu: 1024,
            client_title: None,
        };
        self.octets(&asked, class, obis, attribute, selection)
    }

    /// An attribute as A-XDR, as it is shown to anybody.
    pub(crate) fn octets(
        &self,
        asked: &Asked,
        class: u16,
        obis: ObisCode,
        attribute: i8,
        selection: Option<Selection<'_>>,
    ) -> Result<Vec<u8>, DataAccessResult> {
        let device = self.fleet.devices().first().expect("one meter");
        let descriptor = AttributeDescriptor::new(ClassId(class), obis, AttributeId(attribute));
        let mut octets = Vec::new();
        let mut scratch = vec![0; 0x1_0000];
        let mut cursor = Cursor::default();
        device.with(|device| {
            loop {
                let mut writer = Writer::new(&mut scratch);
                let progress = device.read(asked, descriptor, selection, &mut cursor, &mut writer)?;
                octets.extend_from_slice(writer.written());
                match progress {
                    Progress::Done => return Ok(octets),
                    Progress::More => cursor.part += 1,
                }
            }
        })
    }

    /// Rows of a profile by their position, from 1.
    pub(crate) fn entries(
        &self,
        view: View,
        profile: ObisCode,
        first: u32,
        last: u32,
    ) -> Result<Value, DataAccessResult> {
        let parameters = encoded(|writer| {
            writer.structure(4)?;
            writer.double_long_unsigned(first)?;
            writer.double_long_unsigned(last)?;
            writer.long_unsigned(1)?;
            writer.long_unsigned(0)
        });
        let parameters = Data::from_slice(&parameters).expect("a value");
        self.read(view, 7, profile, 2, Some(Selection { selector: 2, parameters }))
    }

    /// Class, logical name and attributes of every object that a client is shown.
    pub(crate) fn objects(&self, view: View) -> Vec<(u16, ObisCode, Vec<i8>)> {
        let association = ObisCode::new(0, 0, 40, 0, 0, 255);
        let list = self.read(view, 15, association, 2, None).expect("the object list");
        let object = |entry: &Value| {
            let class = u16::try_from(entry[0].as_u64()?).ok()?;
            let obis = ObisCode::from_slice(&hex::decode(entry[2].as_str()?).ok()?)?;
            let attributes = entry[3][0].as_array()?;
            let ids = attributes.iter().filter_map(|item| i8::try_from(item[0].as_i64()?).ok()).collect();
            Some((class, obis, ids))
        };
        list.as_array().expect("a list").iter().map(|entry| object(entry).expect("an object")).collect()
    }
}

/// Whether there is anything in a value that `dlms-cosem` does not decode: a bit-string, or an UTF-8 string.
pub(crate) fn is_beyond_dlms_cosem(value: &Owned) -> bool {
    match value {
        Owned::BitString(_) | Owned::Utf8String(_) => true,
        other => other.elements().unwrap_or_default().iter().any(is_beyond_dlms_cosem),
    }
}

/// A value as the reports of other implementations have it.
pub(crate) fn without_types(octets: &[u8]) -> Value {
    let value = Data::from_slice(octets).expect("the model writes A-XDR");
    plain(&data(&value, Place::new(&[], 0)).to_json())
}

/// The octets of a value.
pub(crate) fn encoded(write: impl FnOnce(&mut Writer<'_>) -> Result<(), BufferFull>) -> Vec<u8> {
    let mut scratch = [0; 128];
    let mut writer = Writer::new(&mut scratch);
    write(&mut writer).expect("room");
    writer.written().to_vec()
}
