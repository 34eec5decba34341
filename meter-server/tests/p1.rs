//! Telegrams of the customer port: their lines are those of captured telegrams, their values those of the meter.

mod support;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use dlms::obis::ObisCode;
use dlms::p1::{
    CipheredError, CrcRule, Decipherer, Event, Framer, LUXEMBOURG_AUTHENTICATION_KEY, MonthlyPeaks, PowerFailures,
    Telegram, Value,
};
use dlms::security::{KeySet, ReceiveFloor, RustCrypto, Suite};
use dlms_meter_server::simulator::{
    BuiltInModel, FleetConfig, FleetError, P1_BAUD, P1Config, P1Dialect, P1Keys, SerialConfig,
};
use support::client::{Octets, Pty, management, tcp};
use support::{NOW, Server, number, stopped};

/// The codes of a captured telegram of an Iskraemeco meter (DSMR 5), M-Bus devices left out; a gas meter comes behind it.
const DSMR_5: &str = "1-3:0.2.8 0-0:1.0.0 0-0:96.1.1 1-0:1.8.1 1-0:1.8.2 1-0:2.8.1 1-0:2.8.2 0-0:96.14.0 1-0:1.7.0 \
    1-0:2.7.0 0-0:96.7.21 0-0:96.7.9 1-0:99.97.0 1-0:32.32.0 1-0:52.32.0 1-0:72.32.0 1-0:32.36.0 1-0:52.36.0 \
    1-0:72.36.0 0-0:96.13.0 1-0:32.7.0 1-0:52.7.0 1-0:72.7.0 1-0:31.7.0 1-0:51.7.0 1-0:71.7.0 1-0:21.7.0 1-0:41.7.0 \
    1-0:61.7.0 1-0:22.7.0 1-0:42.7.0 1-0:62.7.0";
const DSMR_5_GAS: &str = "0-1:24.1.0 0-1:96.1.0 0-1:24.2.1";
/// Those of a captured telegram of a Sagemcom meter of Fluvius (e-MUCS 1.7.1).
const EMUCS: &str = "0-0:96.1.4 0-0:96.1.1 0-0:1.0.0 1-0:1.8.1 1-0:1.8.2 1-0:2.8.1 1-0:2.8.2 1-0:1.4.0 1-0:1.6.0 \
    0-0:98.1.0 0-0:96.14.0 1-0:1.7.0 1-0:2.7.0 1-0:21.7.0 1-0:41.7.0 1-0:61.7.0 1-0:22.7.0 1-0:42.7.0 1-0:62.7.0 \
    1-0:32.7.0 1-0:52.7.0 1-0:72.7.0 1-0:31.7.0 1-0:51.7.0 1-0:71.7.0 0-0:96.3.10 0-0:17.0.0 1-0:31.4.0 0-0:96.13.0 \
    0-1:24.1.0 0-1:96.1.1 0-1:24.4.0 0-1:24.2.3";
/// Those of the telegram of Luxembourg's specification, without the limits of the fuse and the relays.
const LUXEMBOURG: &str = "1-3:0.2.8 0-0:1.0.0 0-0:42.0.0 1-0:1.8.0 1-0:2.8.0 1-0:3.8.0 1-0:4.8.0 1-0:1.7.0 1-0:2.7.0 \
    1-0:3.7.0 1-0:4.7.0 0-0:17.0.0 1-0:9.7.0 1-0:10.7.0 0-0:96.3.10 0-0:96.7.21 1-0:32.32.0 1-0:52.32.0 1-0:72.32.0 \
    1-0:32.36.0 1-0:52.36.0 1-0:72.36.0 0-0:96.13.0 0-0:96.13.2 0-0:96.13.3 0-0:96.13.4 0-0:96.13.5 1-0:32.7.0 \
    1-0:52.7.0 1-0:72.7.0 1-0:31.7.0 1-0:51.7.0 1-0:71.7.0 1-0:21.7.0 1-0:41.7.0 1-0:61.7.0 1-0:22.7.0 1-0:42.7.0 \
    1-0:62.7.0 1-0:23.7.0 1-0:43.7.0 1-0:63.7.0 1-0:24.7.0 1-0:44.7.0 1-0:64.7.0 \
    0-1:24.1.0 0-1:96.1.0 0-1:24.4.0 0-1:24.2.1";
/// Those of a captured telegram of a Sagemcom T210-D-r.
const AUSTRIA: &str = "1-3:0.2.8 0-0:1.0.0 1-0:1.8.0 1-0:1.8.1 1-0:1.8.2 1-0:1.7.0 1-0:2.8.0 1-0:2.8.1 1-0:2.8.2 \
    1-0:2.7.0 1-0:3.8.0 1-0:3.8.1 1-0:3.8.2 1-0:3.7.0 1-0:4.8.0 1-0:4.8.1 1-0:4.8.2 1-0:4.7.0";

fn server(model: &str, speed: f64) -> Server {
    let model = Arc::new(BuiltInModel::find(model).unwrap().model().unwrap());
    let localhost = Some("127.0.0.1:0".parse().unwrap());
    Server::start(FleetConfig { tcp: localhost, model, speed, ..stopped(7, NOW) })
}

fn open(server: &Server, config: P1Config) -> Result<Vec<SocketAddr>, FleetError> {
    server.runtime().block_on(server.fleet().open_p1(&config))
}

fn open_tcp(server: &Server, dialect: P1Dialect) -> SocketAddr {
    let tcp = Some("127.0.0.1:0".parse().unwrap());
    open(server, P1Config { tcp, interval_seconds: Some(10), ..P1Config::new(dialect) }).unwrap()[0]
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// The next telegram, and whether it is ciphered.
fn next(framer: &mut Framer<Vec<u8>>, read: &mut impl FnMut(&mut [u8]) -> usize) -> (Vec<u8>, bool) {
    let mut buffer = [0; 64];
    loop {
        let count = read(&mut buffer);
        assert_ne!(count, 0, "the port was closed");
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let taken = framer.handle_input(rest, dlms::Instant::from_millis(0));
            rest = &rest[taken..];
            match framer.poll_event() {
                Some(Event::Telegram) => return (framer.octets().to_vec(), false),
                Some(Event::Ciphered) => return (framer.octets().to_vec(), true),
                Some(other) => panic!("{other:?}"),
                None => {}
            }
        }
    }
}

fn framer() -> Framer<Vec<u8>> {
    Framer::new(vec![0; dlms::p1::TELEGRAM_OCTETS_MAX], 60_000)
}

/// A telegram over TCP.
fn one(address: SocketAddr) -> (Vec<u8>, bool) {
    let mut stream = connect(address);
    next(&mut framer(), &mut |buffer| stream.read(buffer).unwrap())
}

fn codes(telegram: &Telegram<'_>) -> Vec<String> {
    telegram.objects().map(|object| object.printed_code().to_owned()).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn telegrams_have_the_lines_of_captured_ones() {
    let server = server("smr5", 200.0);
    let dsmr = format!("{DSMR_5} {DSMR_5_GAS}");
    for (dialect, expected) in [(P1Dialect::Dsmr5, dsmr.as_str()), (P1Dialect::Emucs, EMUCS)] {
        let (octets, ciphered) = one(open_tcp(&server, dialect));
        assert!(!ciphered);
        let telegram = Telegram::parse(&octets, CrcRule::Required).unwrap();
        assert_eq!(codes(&telegram), words(expected), "{dialect:?}");
        assert_eq!(telegram.version(), Some(if dialect == P1Dialect::Dsmr5 { "50" } else { "50217" }));
        // Numbers have the unit and the digits of the companion.
        let text = String::from_utf8(octets.clone()).unwrap();
        let value = |code: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("{code}("))).unwrap();
            line[code.len()..].chars().map(|sign| if sign.is_ascii_digit() { '9' } else { sign }).collect::<String>()
        };
        assert_eq!(value("1-0:1.8.1"), "(999999.999*kWh)");
        assert_eq!(value("1-0:1.7.0"), "(99.999*kW)");
        assert_eq!(value("1-0:32.7.0"), "(999.9*V)");
        assert_eq!(value("0-0:96.14.0"), "(9999)");
        // As captured: 0-1:24.1.0(003), 0-1:24.2.1(161129200000W)(00981.443*m3).
        let [gas, ..] = telegram.mbus_devices();
        let reading = gas.reading.unwrap();
        assert_eq!(gas.device_type, Some(3));
        assert_eq!(value(&format!("0-1:24.2.{}", reading.code.0[4])), "(999999999999W)(99999.999*m9)");
        assert_eq!(reading.time.date_time(-60).unwrap().to_unix_seconds().unwrap() % 3_600, 0, "read each hour");
        if dialect == P1Dialect::Dsmr5 {
            assert_eq!(value("1-0:31.7.0"), "(999*A)");
            assert_eq!(value("0-0:96.7.21"), "(99999)");
            // As many of the latest failures as there are, at most ten.
            let failures = PowerFailures::of(&telegram).unwrap().unwrap().count();
            assert!((1..=10).contains(&failures), "{failures} failures");
            let digits = "9".repeat(failures.to_string().len());
            let each = "(999999999999W)(9999999999*s)".repeat(failures);
            assert_eq!(value("1-0:99.97.0").replace('S', "W"), format!("({digits})(9-9:99.9.99){each}"));
        } else {
            assert_eq!(value("1-0:31.7.0"), "(999.99*A)");
            assert_eq!(value("1-0:1.6.0"), "(999999999999W)(99.999*kW)");
            let peaks: Vec<_> = MonthlyPeaks::of(&telegram).unwrap().unwrap().collect();
            assert_eq!(peaks.len(), 13);
        }
    }
    server.shutdown();
}

#[test]
fn a_meter_with_one_phase_prints_one() {
    let server = server("minimal-public", 200.0);
    let (octets, _) = one(open_tcp(&server, P1Dialect::Dsmr5));
    let telegram = Telegram::parse(&octets, CrcRule::Required).unwrap();
    let of_other_phases = |code: &String| code[4..].starts_with(['4', '5', '6', '7']);
    let expected: Vec<_> = words(DSMR_5).into_iter().filter(|code| !of_other_phases(code)).collect();
    assert_eq!(codes(&telegram), expected);
    server.shutdown();
}

#[test]
fn values_are_those_of_the_registers() {
    let server = server("smr5", 500.0);
    let address = open_tcp(&server, P1Dialect::Dsmr5);
    let mut client = tcp(server.ports(0).tcp.unwrap(), management(), 1).associate().unwrap();
    let mut stream = connect(address);
    let mut framer = framer();
    let mut read = |buffer: &mut [u8]| stream.read(buffer).unwrap();
    // The first may have been under way; the time of the last is behind what is read before it.
    next(&mut framer, &mut read);
    let mut register = |code: &str| number(&client.get(3, code, 2));
    let before = ["1.0.1.8.1.255", "1.0.1.8.2.255"].map(&mut register);
    let mut last = None;
    let mut energies = Vec::new();
    for _ in 0..5 {
        let (octets, _) = next(&mut framer, &mut read);
        let telegram = Telegram::parse(&octets, CrcRule::Required).unwrap();
        let energy = |code: &str| {
            let quantity = telegram.object(code.parse().unwrap()).unwrap().quantity().unwrap();
            quantity.value.to_string().parse::<i64>().unwrap()
        };
        energies.push(["1.0.1.8.1.255", "1.0.1.8.2.255"].map(energy));
        // Ten seconds of simulated time lie between two telegrams, or a multiple where the machine was slow.
        let time = telegram.time().unwrap().date_time(-60).unwrap().to_unix_seconds().unwrap();
        assert_eq!(time % 10, 0);
        assert!(last.is_none_or(|last| last < time));
        last = Some(time);
        let serial = telegram.object(ObisCode::new(0, 0, 96, 1, 1, 255)).unwrap().field(0).unwrap();
        assert!(matches!(serial.value(), Value::Octets(hex) if hex.octets().eq(*b"60000001")), "{:?}", serial.value());
    }
    let after = ["1.0.1.8.1.255", "1.0.1.8.2.255"].map(&mut register);
    let (octets, _) = next(&mut framer, &mut read);
    let [gas, ..] = Telegram::parse(&octets, CrcRule::Required).unwrap().mbus_devices();
    let shown: i64 = gas.reading.unwrap().quantity.value.digits.try_into().unwrap();
    let gas = number(&client.get(4, "0.1.24.2.1.255", 2));
    assert!(shown > 0 && (shown..shown + 2_000).contains(&gas), "{shown} {gas}");
    for (rate, (before, after)) in before.into_iter().zip(after).enumerate() {
        let values: Vec<_> = energies.iter().map(|energies| energies[rate]).collect();
        assert!(values.is_sorted() && values[0] > 0, "{values:?}");
        assert!(before <= values[4] && values[4] <= after, "{before} {values:?} {after}");
    }
    client.release().unwrap();
    server.shutdown();
}

#[test]
fn ciphered_telegrams_open_with_the_customers_keys_only() {
    let server = server("smr5", 200.0);
    for (dialect, expected) in [(P1Dialect::Luxembourg, LUXEMBOURG), (P1Dialect::Austria, AUSTRIA)] {
        let mut stream = connect(open_tcp(&server, dialect));
        let mut framer = framer();
        let mut read = |buffer: &mut [u8]| stream.read(buffer).unwrap();
        let keys = |encryption| KeySet::new(Suite::Suite0, encryption, &LUXEMBOURG_AUTHENTICATION_KEY).unwrap();
        let (right, wrong) = (keys(&P1Keys::DEMONSTRATION_ENCRYPTION), keys(&[0; 16]));
        let mut decipherer = Decipherer::<RustCrypto>::new(&right, ReceiveFloor::new(0)).unwrap();
        let mut stranger = Decipherer::<RustCrypto>::new(&wrong, ReceiveFloor::new(0)).unwrap();
        let mut counters = Vec::new();
        for _ in 0..3 {
            let (mut octets, ciphered) = next(&mut framer, &mut read);
            assert!(ciphered);
            assert_eq!(octets[..5], [0xDB, 8, b'S', b'I', b'M']);
            assert_eq!((octets[10], octets[13]), (0x82, 0x30));
            counters.push(u32::from_be_bytes(octets[14..18].try_into().unwrap()));
            assert!(matches!(stranger.open(&mut octets.clone()), Err(CipheredError::Security(_))));
            let mut copy = octets.clone();
            let telegram = decipherer.open(&mut copy).unwrap();
            assert!(Telegram::parse(&opened(&mut octets, &right), CrcRule::Required).is_ok());
            assert_eq!(codes(&telegram), words(expected), "{dialect:?}");
        }
        assert!(counters.windows(2).all(|pair| pair[0] < pair[1]), "{counters:?}");
    }
    server.shutdown();
}

#[test]
fn no_frame_counter_comes_twice_whatever_simulated_time_does() {
    let counter = |stream: &mut TcpStream| {
        let (octets, ciphered) = next(&mut framer(), &mut |buffer| stream.read(&mut buffer[..1]).unwrap());
        assert!(ciphered);
        u32::from_be_bytes(octets[14..18].try_into().unwrap())
    };
    let mut all = Vec::new();
    // The same simulated time again and again, as with a fixed start, at two ports of a meter that have one key.
    for _ in 0..3 {
        let server = server("smr5", 200.0);
        let mut ports = [P1Dialect::Luxembourg, P1Dialect::Austria].map(|dialect| connect(open_tcp(&server, dialect)));
        let taken: Vec<u32> = (0..4).flat_map(|_| ports.each_mut().map(counter)).collect();
        let last = all.iter().max().copied().unwrap_or(0);
        assert!(taken.iter().all(|counter| *counter > last), "{taken:?} after {all:?}");
        all.extend(taken);
        server.shutdown();
    }
    // Not ahead of the wall clock, so that the next process goes on behind.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(all.iter().all(|counter| u64::from(*counter) <= (now.as_secs() + 1 - 1_767_225_600) * 16));
    all.sort_unstable();
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
}

/// The text of a ciphered telegram, with its own check sum.
fn opened(octets: &mut [u8], keys: &KeySet) -> Vec<u8> {
    let mut context = dlms::security::Context::<RustCrypto>::new(dlms::id::SystemTitle([0; 8]), keys).unwrap();
    context.set_required(dlms::security::Protection::AUTHENTICATED_ENCRYPTED);
    let plain = context.unprotect(octets, |_| ReceiveFloor::new(0)).unwrap().plain;
    octets[plain].to_vec()
}

#[test]
fn a_serial_port_carries_telegrams_too_and_bad_settings_are_told() {
    let server = server("smr5", 200.0);
    let (mut pty, path) = Pty::pair();
    let serial = vec![SerialConfig { path, baud: P1_BAUD, mode_e: false }];
    let config = P1Config { serial, interval_seconds: Some(10), ..P1Config::new(P1Dialect::Dsmr5) };
    assert_eq!(open(&server, config.clone()).unwrap(), []);
    let mut framer = framer();
    for _ in 0..2 {
        let (octets, _) = next(&mut framer, &mut |buffer| pty.receive(buffer).unwrap());
        assert!(Telegram::parse(&octets, CrcRule::Required).is_ok());
    }
    let too_many = P1Config { serial: vec![config.serial[0].clone(); 2], ..config.clone() };
    assert!(matches!(open(&server, too_many), Err(FleetError::SerialPorts { ports: 2, devices: 1 })));
    let never = P1Config { interval_seconds: Some(0), ..config };
    assert!(matches!(open(&server, never), Err(FleetError::Setting { .. })));
    server.shutdown();
}
