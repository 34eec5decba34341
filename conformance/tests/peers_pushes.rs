//! What simulated meters push, read by the PyPI packages `gurux-dlms` and `dlms-cosem`: over TCP, UDP and HDLC, plain and
//! ciphered. Needs the Python environment that `./test peers` makes, named by `DLMS_PEERS_PYTHON`.

use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dlms::apdu::Apdu;
use dlms::association::push::{Receiver, Sender};
use dlms::id::SystemTitle;
use dlms::security::{Context, KeySet, Protection, RustCrypto, Suite};
use dlms_conformance::tree::{Place, data::data};
use dlms_conformance::values::plain;
use dlms_meter_server::Moment;
use dlms_meter_server::simulator::{DEFAULT_MODEL, Fleet, FleetConfig, Keys, Model};
use serde_json::{Value, json};

const METER: SystemTitle = SystemTitle([b'S', b'I', b'M', 0, 0, 0x98, 0x96, 0x81]);
/// 2026-03-14 23:04:50 UTC, ten seconds before each meter pushes the last row of its daily profile.
const START: i64 = 1_773_529_490;
const PATIENCE: Duration = Duration::from_secs(60);
/// Push setups whose notifications are waited for: both at the start, energies each hour, rows of both profiles.
const SETUPS: [u8; 5] = [0, 7, 1, 2, 3];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    Tcp,
    Udp,
    Hdlc,
}

/// Where pushes arrive.
enum Listener {
    Stream(TcpListener),
    Datagrams(UdpSocket),
}

impl Listener {
    fn bind(carrier: Carrier) -> Self {
        if carrier == Carrier::Udp {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            socket.set_read_timeout(Some(PATIENCE)).expect("a deadline");
            return Self::Datagrams(socket);
        }
        Self::Stream(TcpListener::bind("127.0.0.1:0").expect("a listener"))
    }

    fn address(&self) -> String {
        let address = match self {
            Self::Stream(listener) => listener.local_addr(),
            Self::Datagrams(socket) => socket.local_addr(),
        };
        address.expect("an address").to_string()
    }

    /// All octets of the next push.
    fn next(&self) -> Vec<u8> {
        match self {
            Self::Stream(listener) => {
                let (mut stream, _) = listener.accept().expect("a push");
                stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
                let mut octets = Vec::new();
                stream.read_to_end(&mut octets).expect("the whole push");
                octets
            }
            Self::Datagrams(socket) => {
                let mut octets = vec![0; 65_536];
                let length = socket.recv(&mut octets).expect("a push");
                octets.truncate(length);
                octets
            }
        }
    }
}

/// The built-in model pushing over another carrier, and plain or not.
fn model(carrier: Carrier, ciphered: bool) -> Model {
    let service = match carrier {
        Carrier::Tcp => "enum(0), octet-string(), enum(0)",
        Carrier::Udp => "enum(1), octet-string(), enum(0)",
        Carrier::Hdlc => "enum(5), octet-string(), enum(0)",
    };
    let text = DEFAULT_MODEL.replace("enum(0), octet-string(), enum(0)", service);
    // The policy demands protection of pushes as it does of answers.
    let plain = ["protection", "policy"].iter().fold(text.clone(), |text, key| {
        text.replace(&format!("{key} = \"authenticated-encrypted\""), &format!("{key} = \"none\""))
    });
    Model::from_toml(if ciphered { &text } else { &plain }).expect("the model")
}

/// The APDU in the frames that came.
fn apdu(carrier: Carrier, octets: &[u8]) -> Vec<u8> {
    if carrier != Carrier::Hdlc {
        return octets.get(8..).expect("a header").to_vec();
    }
    let mut listener = dlms::hdlc::Listener::new(vec![0; 4_096], vec![0; 8_192], 1_000, false);
    let mut rest = octets;
    while !rest.is_empty() {
        let taken = listener.handle_input(rest, dlms::Instant::from_millis(1));
        rest = rest.get(taken..).unwrap_or_default();
        if listener.poll_event().is_some() {
            return listener.apdu().to_vec();
        }
    }
    panic!("no notification in {}", hex::encode(octets));
}

/// The body, as this implementation reads it.
fn body(mut apdu: Vec<u8>, ciphered: bool) -> Value {
    let required = if ciphered { Protection::AUTHENTICATED_ENCRYPTED } else { Protection::NONE };
    let keys = KeySet::new(Suite::Suite0, &Keys::DEMONSTRATION_ENCRYPTION, &Keys::DEMONSTRATION_AUTHENTICATION);
    let context =
        Context::<RustCrypto>::new(SystemTitle(*b"HES\0\0\0\0\x01"), &keys.expect("keys")).expect("a context");
    let mut receiver = Receiver::new([Sender::new(METER, context, required, 0)]);
    let received = receiver.open(&mut apdu, Some(METER)).expect("a notification");
    assert_eq!(received.protection, required);
    let Apdu::DataNotification(notification) = received.apdu else { panic!("{:?}", received.apdu) };
    plain(&data(&notification.body, Place::new(&[], 0)).to_json())
}

/// Lets a meter push, and returns what came and what it says.
fn pushed(carrier: Carrier, ciphered: bool) -> Vec<(Value, Value)> {
    let listener = Listener::bind(carrier);
    let config = FleetConfig {
        model: Arc::new(model(carrier, ciphered)),
        start: Some(Moment::from_seconds(START)),
        speed: 1_000.0,
        push_to: Some(listener.address()),
        ..FleetConfig::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let fleet = runtime.block_on(Fleet::start(config)).expect("a fleet");
    let mut pushes: Vec<(u8, (Value, Value))> = Vec::new();
    let until = Instant::now() + PATIENCE;
    while !SETUPS.iter().all(|setup| pushes.iter().any(|(known, _)| known == setup)) {
        assert!(
            Instant::now() < until,
            "not all came: {:?}",
            pushes.iter().map(|(setup, _)| setup).collect::<Vec<_>>()
        );
        let octets = listener.next();
        let body = body(apdu(carrier, &octets), ciphered);
        let instance = body[1].as_str().and_then(|text| hex::decode(text).ok()).expect("the name of the push setup");
        let setup = *instance.get(1).expect("six octets");
        let link = if carrier == Carrier::Hdlc { "hdlc" } else { "wrapper" };
        let push = json!({
            "link": link, "client": 1, "server": 1, "ciphered": ciphered, "octets": hex::encode(&octets),
        });
        if pushes.iter().all(|(known, _)| *known != setup) {
            pushes.push((setup, (push, body)));
        }
    }
    runtime.block_on(fleet.shutdown());
    pushes.into_iter().map(|(_, push)| push).collect()
}

#[test]
#[ignore = "needs a Python environment: ./test peers"]
fn both_packages_read_what_a_meter_pushes() {
    let python = std::env::var("DLMS_PEERS_PYTHON").expect("DLMS_PEERS_PYTHON names a Python with the peers");
    let folder = tempfile::tempdir().expect("a folder");
    for carrier in [Carrier::Tcp, Carrier::Udp, Carrier::Hdlc] {
        for ciphered in [false, true] {
            let pushes = pushed(carrier, ciphered);
            let plan = json!({
                "encryption_key": hex::encode(Keys::DEMONSTRATION_ENCRYPTION),
                "authentication_key": hex::encode(Keys::DEMONSTRATION_AUTHENTICATION),
                "pushes": pushes.iter().map(|(push, _)| push).collect::<Vec<_>>(),
            });
            let (plan_path, report_path) = (folder.path().join("plan.json"), folder.path().join("report.json"));
            std::fs::write(&plan_path, plan.to_string()).expect("a plan");
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/pushes.py");
            let output = Command::new(&python).arg(script).arg(&plan_path).arg(&report_path).output().expect("Python");
            let report = std::fs::read(&report_path);
            let report = report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
            let report: Value = serde_json::from_slice(&report).expect("a report");
            let expected: Vec<&Value> = pushes.iter().map(|(_, body)| body).collect();
            for package in ["gurux-dlms", "dlms-cosem"] {
                let found: Vec<&Value> = report[package].as_array().expect("a list").iter().collect();
                assert_eq!(found, expected, "{package}, {carrier:?}, ciphered: {ciphered}");
                println!(
                    "{package:<11} {carrier:?} {} {:>3} pushes",
                    if ciphered { "ciphered" } else { "plain   " },
                    found.len()
                );
            }
        }
    }
}
