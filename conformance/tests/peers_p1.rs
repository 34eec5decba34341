//! Telegrams of `meter-server`'s customer port, read by the PyPI package `dsmr-parser`: what it finds must be what the
//! stack's own parser finds. Ciphered ones are opened with the PyPI package `cryptography` first. Needs the Python
//! environment that `./test peers` makes, named by `DLMS_PEERS_PYTHON`.

use std::io::Read;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use dlms::p1::{CrcRule, Decipherer, Event, Framer, LUXEMBOURG_AUTHENTICATION_KEY, TELEGRAM_OCTETS_MAX, Telegram};
use dlms::security::{KeySet, ReceiveFloor, RustCrypto, Suite};
use dlms_meter_server::Moment;
use dlms_meter_server::simulator::{Fleet, FleetConfig, P1Config, P1Dialect, P1Keys};
use serde_json::Value;

/// What the package calls the values that are compared, and their codes.
const NAMES: [(&str, &str); 14] = [
    ("ELECTRICITY_USED_TARIFF_1", "1-0:1.8.1"),
    ("ELECTRICITY_USED_TARIFF_2", "1-0:1.8.2"),
    ("ELECTRICITY_DELIVERED_TARIFF_1", "1-0:2.8.1"),
    ("ELECTRICITY_DELIVERED_TARIFF_2", "1-0:2.8.2"),
    ("ELECTRICITY_ACTIVE_TARIFF", "0-0:96.14.0"),
    ("CURRENT_ELECTRICITY_USAGE", "1-0:1.7.0"),
    ("CURRENT_ELECTRICITY_DELIVERY", "1-0:2.7.0"),
    ("INSTANTANEOUS_VOLTAGE_L1", "1-0:32.7.0"),
    ("INSTANTANEOUS_VOLTAGE_L3", "1-0:72.7.0"),
    ("INSTANTANEOUS_CURRENT_L2", "1-0:51.7.0"),
    ("INSTANTANEOUS_ACTIVE_POWER_L1_POSITIVE", "1-0:21.7.0"),
    ("LONG_POWER_FAILURE_COUNT", "0-0:96.7.9"),
    ("BELGIUM_CURRENT_AVERAGE_DEMAND", "1-0:1.4.0"),
    ("EQUIPMENT_IDENTIFIER", "0-0:96.1.1"),
];

/// A telegram as the port sends it.
fn received(dialect: P1Dialect) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
    // 2026-03-15 12:07:30 UTC, twenty times as fast as it passes.
    let start = Some(Moment::from_seconds(1_773_576_450));
    let config = FleetConfig { seed: 7, start, speed: 20.0, ..FleetConfig::default() };
    let fleet = runtime.block_on(Fleet::start(config)).expect("a fleet");
    let tcp = Some("127.0.0.1:0".parse().expect("an address"));
    let addresses = runtime.block_on(fleet.open_p1(&P1Config { tcp, ..P1Config::new(dialect) })).expect("a port");
    let mut stream = TcpStream::connect(addresses[0]).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
    let mut framer = Framer::new(vec![0; TELEGRAM_OCTETS_MAX], 60_000);
    let mut octet = [0];
    loop {
        stream.read_exact(&mut octet).expect("an octet");
        framer.handle_input(&octet, dlms::Instant::from_millis(0));
        match framer.poll_event() {
            Some(Event::Telegram | Event::Ciphered) => break,
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
    let octets = framer.octets().to_vec();
    runtime.block_on(fleet.shutdown());
    octets
}

#[test]
#[ignore = "needs a Python environment: ./test peers"]
fn another_parser_reads_the_telegrams() {
    let python = std::env::var("DLMS_PEERS_PYTHON").expect("DLMS_PEERS_PYTHON names a Python with the peers");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("telegram");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/p1_peer.py");
    for (dialect, kind, least) in [
        (P1Dialect::Dsmr5, "V5", 12),
        (P1Dialect::Emucs, "BELGIUM_FLUVIUS", 9),
        // The package knows their texts under names that it deciphers itself; the lines are those of this one, too.
        (P1Dialect::Luxembourg, "V5", 5),
        (P1Dialect::Austria, "V5", 2),
    ] {
        let octets = received(dialect);
        std::fs::write(&path, &octets).expect("a file");
        let mut command = Command::new(&python);
        command.arg(script).arg(kind).arg(&path);
        if dialect.is_ciphered() {
            let keys = [P1Keys::DEMONSTRATION_ENCRYPTION, LUXEMBOURG_AUTHENTICATION_KEY];
            command.args(keys.map(hex::encode));
        }
        let output = command.output().expect("Python starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{dialect:?}: {said}");
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");

        let mut octets = octets;
        let keys = KeySet::new(Suite::Suite0, &P1Keys::DEMONSTRATION_ENCRYPTION, &LUXEMBOURG_AUTHENTICATION_KEY);
        let keys = keys.expect("keys");
        let mut decipherer = Decipherer::<RustCrypto>::new(&keys, ReceiveFloor::new(0)).expect("keys");
        let telegram = match dialect.is_ciphered() {
            true => decipherer.open(&mut octets).expect("a telegram"),
            false => Telegram::parse(&octets, CrcRule::Required).expect("a telegram"),
        };
        let mut compared = 0;
        for (name, code) in NAMES {
            let Some(value) = found.get(name).and_then(Value::as_str) else { continue };
            let object = telegram.objects().find(|object| object.printed_code() == code).expect(code);
            let text = object.field(0).expect("a value").text();
            let printed = text.split('*').next().unwrap_or_default();
            let same = match (value.parse::<f64>(), printed.parse::<f64>()) {
                (Ok(value), Ok(printed)) => (value - printed).abs() < 1e-9,
                _ => value == printed,
            };
            assert!(same, "{dialect:?} {name}: {value}, printed {text}");
            compared += 1;
        }
        assert!(compared >= least, "{dialect:?}: {compared} in {found}");
        println!("dsmr-parser  {:<11} {compared} values", dialect.name());
    }
}
