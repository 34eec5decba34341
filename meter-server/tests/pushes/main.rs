//! Pushes of simulated meters as they arrive at a listener: over TCP, UDP and HDLC, plain and ciphered, on schedule, on
//! alarm, when a client asks for it, again when nobody listened, and confirmed.

#[path = "../support/mod.rs"]
mod support;

mod listener;

use std::time::Duration;

use dlms::apdu::{Apdu, DataNotification, GeneralBlockTransfer};
use dlms::association::server::{AuditEvent, Device};
use dlms::axdr::{Data, Value};
use dlms::cosem::{Tagged, ToData};
use dlms::id::{ClientSap, ServerSap};
use dlms::security::Protection;
use dlms::time::DateTime;
use dlms_meter_server::Moment;
use dlms_meter_server::simulator::{DEFAULT_MODEL, FleetConfig, Model, SerialConfig};
use listener::{HdlcListener, Incoming, PtyListener, TcpReceiver, UdpReceiver};
use support::{Client, Server, elements, number, octets, seconds};

/// 2026-03-15 12:00 UTC.
const NOON: i64 = 1_773_576_000;
/// Fourteen minutes before: no load profile captures anything until noon.
const BEFORE_NOON: i64 = NOON - 840;

/// The built-in model with one more push setup, 0.5.25.9.0, and no others that start by themselves.
fn model(version: u8, service: u8, more: &str) -> Model {
    let quiet = DEFAULT_MODEL
        .replace("at-start = true, ", "")
        .replace("enum(0), octet-string(), enum(0)", "enum(4), octet-string(), enum(0)");
    let access = "[access.push-test]\nmanagement = \"all:RWae m1,m2:Xae\"\n\n";
    let quiet = quiet.replacen("[access.push]", &format!("{access}[access.push]"), 1);
    let restriction = match version {
        0 => "",
        1 => ", structure(enum(0), null-data)",
        _ => ", structure(enum(0), null-data), array()",
    };
    let entry = |text: &str| format!("structure({text}{restriction})");
    let list = [
        entry("long-unsigned(40), logical-name(0.5.25.9.0), integer(1), long-unsigned(0)"),
        entry("long-unsigned(1), logical-name(0.0.42.0.0), integer(2), long-unsigned(0)"),
        entry("long-unsigned(8), logical-name(0.0.1.0.0), integer(2), long-unsigned(0)"),
        entry("long-unsigned(3), logical-name(1.0.1.8.0), integer(0), long-unsigned(0)"),
        entry("long-unsigned(3), logical-name(1.0.1.8.0), integer(3), long-unsigned(2)"),
        entry("long-unsigned(7), logical-name(1.0.99.1.0), integer(2), long-unsigned(4098)"),
        entry("long-unsigned(3), logical-name(9.9.9.9.9), integer(2), long-unsigned(0)"),
    ]
    .join(", ");
    let delay = match version {
        0 | 1 => "repetition_delay = 60".to_owned(),
        _ => "repetition_delay = \"structure(long-unsigned(60), long-unsigned(100), long-unsigned(60))\"".to_owned(),
    };
    let object = format!(
        "\n[[object]]\nobis = \"0.5.25.9.0\"\nclass = 40\nversion = {version}\naccess = \"push-test\"\n{}[object.attributes]\n\
         push_object_list = \"array({list})\"\n\
         send_destination_and_method = \"structure(enum({service}), octet-string(), enum(0))\"\n\
         communication_window = \"array()\"\nrandomisation_start_interval = 0\nnumber_of_retries = 3\n{delay}\n{}",
        if version == 0 { more } else { "" },
        if version == 0 { "" } else { more },
    );
    Model::from_toml(&format!("{quiet}{object}")).unwrap_or_else(|error| panic!("{error}"))
}

const VERSION_0_CIPHERED: &str = "push-setup = { client = 1, protection = \"authenticated-encrypted\" }\n";
const PROTECTED: &str = "push_protection_parameters = \"array(structure(enum(2), structure(octet-string(), octet-string(), \
                         octet-string(), octet-string(), structure(enum(0), enum(0)))))\"\n";
const UNPROTECTED: &str = "push_protection_parameters = \"array()\"\n";

fn version_1(protection: &str) -> String {
    format!("port_reference = \"logical-name(0.0.25.0.0)\"\npush_client_SAP = 102\n{protection}")
}

fn version_2(protection: &str, operation: u8) -> String {
    let confirmation =
        "confirmation_parameters = \"structure(date-time(FFFFFFFFFFFFFFFFFF8000FF), double-long-unsigned(0))\"";
    format!("{}push_operation_method = {operation}\n{confirmation}\n", version_1(protection))
}

fn fleet(model: Model, push_to: String, speed: f64) -> Server {
    let start = Some(Moment::from_seconds(BEFORE_NOON));
    Server::start(FleetConfig { model: model.into(), start, speed, push_to: Some(push_to), ..FleetConfig::default() })
}

fn push_now(server: &Server) {
    Client::management(server.fleet()).invoke(40, "0.5.25.9.0", 1, Data::Integer(0)).unwrap();
}

fn notification(incoming: &mut Incoming, required: Protection) -> (DataNotificationParts, Vec<Value>) {
    let received = incoming.open(required);
    let Apdu::DataNotification(DataNotification { invoke, time, body }) = received else { panic!("{received:?}") };
    let parts = DataNotificationParts { id: invoke.id(), time: time.and_then(|time| time.to_unix_seconds()) };
    (parts, elements(&Value::from(body)).to_vec())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DataNotificationParts {
    id: u32,
    time: Option<i64>,
}

/// What the test's push setup sends.
fn check_body(values: &[Value]) {
    assert_eq!(values.len(), 7);
    assert_eq!(octets(&values[0]), [0, 5, 25, 9, 0, 255]);
    assert_eq!(octets(&values[1]), b"SIM3PH0010000001");
    // The meter's clock is off by a second and a half at most.
    assert!((BEFORE_NOON - 2..NOON).contains(&seconds(&values[2])));
    // All attributes of a register: logical name, value, scaler and unit.
    let register = elements(&values[3]);
    assert_eq!(octets(&register[0]), [1, 0, 1, 8, 0, 255]);
    assert!(number(&register[1]) > 1_000_000);
    assert_eq!(register[2], Value::Structure(vec![Value::Integer(0), Value::Enum(30)]));
    assert_eq!(values[4], Value::Enum(30), "the second element of attribute 3");
    let rows = support::rows(&values[5]);
    assert_eq!(rows.iter().map(|row| seconds(&row[0])).collect::<Vec<_>>(), [NOON - 1_800, NOON - 900]);
    assert_eq!(values[6], Value::Null, "an object that does not exist");
}

#[test]
fn what_is_longer_than_the_client_takes_goes_out_in_blocks() {
    for (limit, ciphered) in [(100, false), (64, true), (4_000, false)] {
        let receiver = TcpReceiver::bind();
        let more = match ciphered {
            true => {
                format!("push-setup = {{ client = 1, protection = \"authenticated-encrypted\", max-pdu = {limit} }}\n")
            }
            false => format!("push-setup = {{ max-pdu = {limit} }}\n"),
        };
        let server = fleet(model(0, 0, &more), receiver.address(), 1.0);
        push_now(&server);
        let apdus = receiver.accept_all();
        let whole = if limit > 1_000 {
            assert_eq!(apdus.len(), 1);
            apdus[0].clone()
        } else {
            let mut whole = Vec::new();
            for (number, apdu) in (1..).zip(&apdus) {
                assert!(apdu.len() <= limit, "{} octets", apdu.len());
                let block = GeneralBlockTransfer::decode(apdu).unwrap();
                assert_eq!((block.number, block.control.is_last()), (number, apdu == apdus.last().unwrap()));
                whole.extend_from_slice(block.data);
            }
            assert!(apdus.len() > 1);
            whole
        };
        let mut incoming = Incoming::whole(whole);
        let protection = if ciphered { Protection::AUTHENTICATED_ENCRYPTED } else { Protection::NONE };
        check_body(&notification(&mut incoming, protection).1);
        server.shutdown();
    }
}

#[test]
fn a_client_lets_the_meter_push_over_tcp_plain_and_ciphered_in_every_version() {
    let cases = [
        (0, String::new(), Protection::NONE, 16),
        (0, VERSION_0_CIPHERED.to_owned(), Protection::AUTHENTICATED_ENCRYPTED, 1),
        (1, version_1(UNPROTECTED), Protection::NONE, 102),
        (1, version_1(PROTECTED), Protection::AUTHENTICATED_ENCRYPTED, 102),
        (2, version_2(PROTECTED, 0), Protection::AUTHENTICATED_ENCRYPTED, 102),
        (3, version_2(UNPROTECTED, 1), Protection::NONE, 102),
    ];
    for (version, more, protection, client) in cases {
        let receiver = TcpReceiver::bind();
        let server = fleet(model(version, 0, &more), receiver.address(), 1.0);
        push_now(&server);
        let mut incoming = receiver.accept();
        assert_eq!((incoming.source, incoming.destination), (1, client), "version {version}");
        let (_, values) = notification(&mut incoming, protection);
        check_body(&values);
        server.shutdown();
    }
}

#[test]
fn a_push_travels_in_a_datagram() {
    for (more, protection) in [("", Protection::NONE), (VERSION_0_CIPHERED, Protection::AUTHENTICATED_ENCRYPTED)] {
        let receiver = UdpReceiver::bind();
        let server = fleet(model(0, 1, more), receiver.address(), 1.0);
        push_now(&server);
        let mut incoming = receiver.receive();
        assert_eq!(incoming.source, 1);
        let (_, values) = notification(&mut incoming, protection);
        check_body(&values);
        server.shutdown();
    }
}

#[test]
fn a_push_travels_in_hdlc_frames_that_belong_to_no_link() {
    for (more, protection, client) in
        [("", Protection::NONE, 16), (VERSION_0_CIPHERED, Protection::AUTHENTICATED_ENCRYPTED, 1)]
    {
        let receiver = HdlcListener::bind();
        let server = fleet(model(0, 5, more), receiver.address(), 1.0);
        push_now(&server);
        let mut incoming = receiver.receive();
        assert_eq!((incoming.source, incoming.destination), (1, client));
        let (_, values) = notification(&mut incoming, protection);
        check_body(&values);
        server.shutdown();
    }
}

#[test]
fn a_push_goes_out_on_the_serial_line_of_the_meter_between_its_answers() {
    let (pty, path) = support::client::Pty::pair();
    let config = FleetConfig {
        model: model(0, 5, "push-setup = { body = \"array\", time = false }\n").into(),
        start: Some(Moment::from_seconds(BEFORE_NOON)),
        serial: vec![SerialConfig { path, baud: 115_200, mode_e: false }],
        ..FleetConfig::default()
    };
    let server = Server::start(config);
    push_now(&server);
    let mut receiver = PtyListener::new(pty);
    let mut incoming = receiver.receive();
    assert_eq!((incoming.source, incoming.destination), (1, 16));
    let Apdu::DataNotification(DataNotification { time, body, .. }) = incoming.open(Protection::NONE) else {
        panic!("no notification");
    };
    assert_eq!(time, None);
    let body = Value::from(body);
    assert!(matches!(body, Value::Array(_)));
    check_body(elements(&body));
    // A link is set up on the same line, and pushes go on.
    receiver.transmit(&[0x7E, 0xA0, 0x07, 0x03, 0x21, 0x93, 0x0F, 0x01, 0x7E]);
    assert_eq!(receiver.frame()[..6], [0x7E, 0xA0, 0x1E, 0x21, 0x03, 0x73], "UA");
    push_now(&server);
    receiver.receive();
    server.shutdown();
}

#[test]
fn nobody_confirms_on_a_serial_line() {
    let (pty, path) = support::client::Pty::pair();
    let server = Server::start(FleetConfig {
        model: model(2, 5, &version_2(UNPROTECTED, 2)).into(),
        start: Some(Moment::from_seconds(BEFORE_NOON)),
        serial: vec![SerialConfig { path, baud: 115_200, mode_e: false }],
        ..FleetConfig::default()
    });
    let mut receiver = PtyListener::new(pty);
    // The second one is sent when the first one has ended.
    for _ in 0..2 {
        push_now(&server);
        receiver.receive();
    }
    let last = Client::management(server.fleet()).read(40, "0.5.25.9.0", 13);
    let Ok(Value::DateTime(never)) = last else { panic!("{last:?}") };
    assert_eq!(never.year(), None);
    server.shutdown();
}

#[test]
fn a_push_process_that_is_reset_sends_one_thing_at_a_time() {
    let receiver = TcpReceiver::bind();
    let server = fleet(model(2, 0, &version_2(UNPROTECTED, 2)), receiver.address(), 1.0);
    let client = Client::management(server.fleet());
    push_now(&server);
    let mut incoming = receiver.accept();
    let (first, _) = notification(&mut incoming, Protection::NONE);
    for _ in 0..20 {
        client.invoke(40, "0.5.25.9.0", 2, Data::Integer(0)).unwrap();
        push_now(&server);
    }
    receiver.assert_silent(Duration::from_millis(500));
    // Not confirmed, but not repeated either: the next one is that of the last trigger.
    drop(incoming);
    let mut incoming = receiver.accept();
    let (second, _) = notification(&mut incoming, Protection::NONE);
    assert_eq!(second.id, first.id + 1);
    incoming.confirm(Protection::NONE);
    receiver.assert_silent(Duration::from_millis(300));
    server.shutdown();
}

#[test]
fn a_push_that_nobody_took_is_sent_again_unchanged() {
    let receiver = TcpReceiver::bind();
    let address = receiver.address();
    drop(receiver);
    // A minute between attempts takes a quarter of a second.
    let server = fleet(model(0, 0, VERSION_0_CIPHERED), address.clone(), 240.0);
    Client::management(server.fleet()).write(40, "0.5.25.9.0", 6, Data::Unsigned(250)).unwrap();
    push_now(&server);
    std::thread::sleep(Duration::from_millis(300));
    let bound = server.fleet().timeline().now().as_seconds();
    let receiver = TcpReceiver::bind_to(&address);
    let (parts, values) = notification(&mut receiver.accept(), Protection::AUTHENTICATED_ENCRYPTED);
    assert!(parts.time.unwrap() < bound, "made when it was triggered, not when it was sent");
    assert!((seconds(&values[2]) - parts.time.unwrap()).abs() <= 2);
    receiver.assert_silent(Duration::from_millis(700));
    server.shutdown();
}

#[test]
fn a_push_that_nobody_ever_takes_is_given_up_and_entered() {
    let receiver = TcpReceiver::bind();
    let address = receiver.address();
    drop(receiver);
    let server = fleet(model(0, 0, ""), address.clone(), 600.0);
    push_now(&server);
    let client = Client::management(server.fleet());
    let given_up = |client: &Client| {
        let rows = client.rows("0.0.99.98.5.255", None);
        rows.iter().filter(|row| number(&row[1]) == 140).map(|row| seconds(&row[0])).collect::<Vec<_>>()
    };
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while given_up(&client).is_empty() {
        assert!(std::time::Instant::now() < until, "never given up");
        std::thread::sleep(Duration::from_millis(20));
    }
    let [at] = given_up(&client)[..] else { panic!("more than once") };
    assert!(at - BEFORE_NOON >= 180, "three repetitions, a minute apart: {}", at - BEFORE_NOON);
    let receiver = TcpReceiver::bind_to(&address);
    receiver.assert_silent(Duration::from_millis(500));
    server.shutdown();
}

#[test]
fn a_confirmed_push_is_repeated_until_it_is_confirmed() {
    for (version, protection) in [(2, Protection::AUTHENTICATED_ENCRYPTED), (3, Protection::NONE)] {
        let receiver = TcpReceiver::bind();
        let more = version_2(if protection.is_none() { UNPROTECTED } else { PROTECTED }, 2);
        let server = fleet(model(version, 0, &more), receiver.address(), 240.0);
        let client = Client::management(server.fleet());
        push_now(&server);
        // Closed without a confirmation: as if it had been lost.
        let mut incoming = receiver.accept();
        let (first, _) = notification(&mut incoming, protection);
        drop(incoming);
        let mut incoming = receiver.accept();
        let (second, _) = notification(&mut incoming, protection);
        assert_eq!(first, second, "the same notification again");
        let Value::DateTime(never) = client.read(40, "0.5.25.9.0", 13).unwrap() else { panic!("no date-time") };
        assert_eq!(never.year(), None);
        incoming.confirm(protection);
        receiver.assert_silent(Duration::from_millis(700));
        let Value::DateTime(confirmed) = client.read(40, "0.5.25.9.0", 13).unwrap() else { panic!("no date-time") };
        assert!(confirmed.to_unix_seconds().unwrap() >= BEFORE_NOON);
        server.shutdown();
    }
}

/// What a start and an interval of confirmations mean is not known here: nothing is kept that has no effect.
#[test]
fn parameters_of_confirmation_that_would_have_no_effect_are_refused() {
    let server = fleet(model(2, 0, &version_2(UNPROTECTED, 2)), "127.0.0.1:9".to_owned(), 0.0);
    let client = Client::management(server.fleet());
    let initial = client.read(40, "0.5.25.9.0", 12).unwrap();
    let write = |start: DateTime, interval: u32| {
        let octets = support::encoded(|out| {
            out.structure(2)?;
            Tagged(start).to_data(out)?;
            out.double_long_unsigned(interval)
        });
        client.write(40, "0.5.25.9.0", 12, Data::from_slice(&octets).unwrap())
    };
    assert!(write(DateTime::UNSPECIFIED, 3_600).is_err());
    assert!(write("2026-03-16T10:07:00+01:00".parse().unwrap(), 0).is_err());
    assert_eq!(client.read(40, "0.5.25.9.0", 12).unwrap(), initial);
    write(DateTime::UNSPECIFIED, 0).unwrap();
    server.shutdown();
}

#[test]
fn triggers_in_a_row_are_sent_once_each() {
    let receiver = TcpReceiver::bind();
    let server = fleet(model(0, 0, ""), receiver.address(), 1.0);
    (0..3).for_each(|_| push_now(&server));
    let ids: Vec<u32> = (0..3).map(|_| notification(&mut receiver.accept(), Protection::NONE).0.id).collect();
    assert_eq!(ids, [1, 2, 3]);
    receiver.assert_silent(Duration::from_millis(300));
    server.shutdown();
}

#[test]
fn schedules_wake_a_meter_without_a_client_and_the_start_is_told() {
    let receiver = TcpReceiver::bind();
    let server = fleet(Model::built_in(), receiver.address(), 600.0);
    let mut setups = Vec::new();
    while setups.len() < 6 {
        let (parts, values) = notification(&mut receiver.accept(), Protection::AUTHENTICATED_ENCRYPTED);
        let [0, setup, 25, 9, 0, 255] = *octets(&values[1]) else { panic!("{values:?}") };
        assert_eq!(octets(&values[0]), b"SIM3PH0010000001");
        let made = parts.time.unwrap();
        match setup {
            0 | 7 => assert!((BEFORE_NOON..=BEFORE_NOON + 31).contains(&made), "setup {setup} at {made}"),
            1 => {
                assert!((NOON..=NOON + 62).contains(&made), "within the random delay: {made}");
                assert!((seconds(&values[2]) - made).abs() <= 2);
                assert!(number(&values[3]) > 1_000_000);
            }
            2 => {
                let rows = support::rows(&values[3]);
                let quarter = made - made.rem_euclid(900);
                assert_eq!(rows.iter().map(|row| seconds(&row[0])).collect::<Vec<_>>(), [quarter]);
            }
            // What the seed lets happen may raise an alarm.
            4 => {}
            other => panic!("push setup {other}"),
        }
        setups.push(setup);
    }
    for setup in [0, 7, 1] {
        assert_eq!(setups.iter().filter(|known| **known == setup).count(), 1, "{setups:?}");
    }
    assert!(setups.iter().filter(|known| **known == 2).count() >= 2, "{setups:?}");
    server.shutdown();
}

#[test]
fn an_alarm_is_pushed_once_until_it_is_acknowledged() {
    let receiver = TcpReceiver::bind();
    let text = DEFAULT_MODEL.replace("at-start = true, ", "");
    let server = fleet(Model::from_toml(&text).unwrap(), receiver.address(), 1.0);
    let client = Client::management(server.fleet());
    let fail = || {
        let event = AuditEvent::AuthenticationFailed { client: ClientSap(1), server: ServerSap(1) };
        client.device.with(|device| device.audit(event));
    };
    let pushed = || {
        let (_, values) = notification(&mut receiver.accept(), Protection::AUTHENTICATED_ENCRYPTED);
        assert_eq!(octets(&values[1]), [0, 4, 25, 9, 0, 255]);
        [number(&values[3]), number(&values[4])]
    };
    let fraud = 1 << 13;
    fail();
    assert_eq!(pushed(), [fraud, 0]);
    fail();
    receiver.assert_silent(Duration::from_millis(300));
    for code in [0, 20] {
        assert_eq!(client.number(1, &format!("0.0.97.98.{code}.255"), 2), fraud);
    }
    assert_eq!(client.number(1, "0.0.97.97.0.255", 2), fraud);
    let none = Data::DoubleLongUnsigned(0);
    client.write(1, "0.0.97.98.20.255", 2, none).unwrap();
    client.write(1, "0.0.97.98.0.255", 2, none).unwrap();
    assert_eq!(client.number(1, "0.0.97.98.20.255", 2), 0);
    fail();
    assert_eq!(pushed(), [fraud, 0]);
    // Filtered out, it is entered all the same.
    client.write(1, "0.0.97.98.10.255", 2, none).unwrap();
    client.write(1, "0.0.97.98.20.255", 2, none).unwrap();
    fail();
    receiver.assert_silent(Duration::from_millis(300));
    let fraud_log = client.rows("0.0.99.98.1.255", None);
    assert_eq!(fraud_log.iter().filter(|row| number(&row[1]) == 46).count(), 4);
    assert_eq!(client.number(1, "0.0.96.11.1.255", 2), 46);
    server.shutdown();
}

#[test]
fn schedules_and_scripts_act_on_other_objects() {
    let receiver = TcpReceiver::bind();
    let text = DEFAULT_MODEL.replace("at-start = true, ", "");
    let server = fleet(Model::from_toml(&text).unwrap(), receiver.address(), 240.0);
    let client = Client::management(server.fleet());
    assert_eq!(client.read(70, "0.0.96.3.10.255", 2), Ok(Value::Boolean(true)));
    // Today at noon, by the local clock: 13:00 in Central Europe. The schedule's type takes one entry.
    let times = [
        Data::from_slice(&[2, 2, 9, 4, 13, 0, 0, 0, 9, 5, 0x07, 0xEA, 3, 15, 0xFF]).unwrap(),
        Data::from_slice(&[2, 2, 9, 4, 14, 0, 0, 0, 9, 5, 0x07, 0xEA, 3, 15, 0xFF]).unwrap(),
    ];
    let list = |times: &[Data<'_>]| {
        let mut octets = vec![1, u8::try_from(times.len()).unwrap()];
        times.iter().for_each(|time| octets.extend(Value::from(*time).to_vec()));
        octets
    };
    let write = |octets: &[u8]| client.write(22, "0.0.15.0.1.255", 4, Data::from_slice(octets).unwrap());
    assert!(write(&list(&times)).is_err());
    write(&list(&times[..1])).unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(30);
    let log = loop {
        // Nobody asks the meter for anything meanwhile but for the log.
        std::thread::sleep(Duration::from_millis(200));
        let log = client.rows("0.0.99.98.2.255", None);
        if let Some(row) = log.iter().find(|row| number(&row[1]) == 62) {
            break seconds(&row[0]);
        }
        assert!(std::time::Instant::now() < until, "never disconnected");
    };
    // As the meter's clock shows it, which is off by a second and a half at most.
    assert!((log - NOON).abs() <= 3, "{log}");
    assert_eq!(client.read(70, "0.0.96.3.10.255", 2), Ok(Value::Boolean(false)));
    // Scripts are executed by clients that may: those of the switch by none.
    assert!(client.invoke(9, "0.0.10.0.106.255", 1, Data::LongUnsigned(2)).is_err());
    assert!(client.invoke(9, "0.0.10.0.108.255", 1, Data::LongUnsigned(99)).is_err());
    client.invoke(9, "0.0.10.0.108.255", 1, Data::LongUnsigned(0)).unwrap();
    client.invoke(9, "0.0.10.0.108.255", 1, Data::LongUnsigned(6)).unwrap();
    loop {
        let (_, values) = notification(&mut receiver.accept(), Protection::AUTHENTICATED_ENCRYPTED);
        if octets(&values[1]) == [0, 7, 25, 9, 0, 255] {
            break;
        }
    }
    server.shutdown();
}
