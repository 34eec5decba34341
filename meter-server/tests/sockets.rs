//! Meters behind real sockets, asked by the stack's own client.

mod support;

use std::io::{Read, Write};
use std::time::Duration;

use dlms::apdu::{ActionResult, DataAccessResult, Selection};
use dlms::axdr::{Data, Value};
use dlms::hdlc::Parameters;
use dlms::id::ServerSap;
use dlms_meter_server::simulator::{Addressing, FleetConfig, Limits, SerialConfig};
use support::client::{Dialogue, Octets, Pty, connect, hdlc, management, public, reader, tcp, udp};
use support::{NOW, Server, elements, number, octets, rows, seconds, stopped};

const IMPORT: &str = "1.0.1.8.0.255";
const LOAD_PROFILE: &str = "1.0.99.1.0.255";
const LOCALHOST: &str = "127.0.0.1:0";

fn on_all_sockets() -> FleetConfig {
    let localhost = Some(LOCALHOST.parse().unwrap());
    FleetConfig { tcp: localhost, hdlc_tcp: localhost, udp: localhost, ..stopped(7, NOW) }
}

/// Entries `from` to `to` of a profile, all columns.
fn entries(from: u32, to: u32) -> Vec<u8> {
    let mut octets = vec![2, 4];
    for number in [from, to] {
        octets.push(6);
        octets.extend(number.to_be_bytes());
    }
    octets.extend([0x12, 0, 1, 0x12, 0, 0]);
    octets
}

/// Reads what every client may read: identification, the object list, the counter.
fn read_as_public<L: dlms::link::Link, T: Octets>(client: &mut Dialogue<L, T>) {
    assert_eq!(octets(&client.get(1, "0.0.42.0.0.255", 2)), b"SIM3PH0010000001");
    let list = client.get(15, "0.0.40.0.0.255", 2);
    assert!(elements(&list).len() > 5);
    assert_eq!(client.get(1, "0.0.43.1.0.255", 2), Value::DoubleLongUnsigned(0));
    let hidden = client.get_blocks(3, IMPORT, 2, None).unwrap().0;
    assert_eq!(hidden, Err(DataAccessResult::ObjectUndefined));
}

/// Reads a week of the load profile, which takes many blocks.
fn read_a_week<L: dlms::link::Link, T: Octets>(client: &mut Dialogue<L, T>) {
    let parameters = entries(7_969, 0);
    let selection = Selection { selector: 2, parameters: Data::from_slice(&parameters).unwrap() };
    let (value, blocks) = client.get_blocks(7, LOAD_PROFILE, 2, Some(selection)).unwrap();
    let rows = rows(&value.unwrap());
    assert_eq!(rows.len(), 7 * 96);
    assert!(blocks > 3, "{blocks}");
    assert!(rows.windows(2).all(|pair| seconds(&pair[1][0]) - seconds(&pair[0][0]) == 900));
    assert!(rows.windows(2).all(|pair| number(&pair[1][2]) >= number(&pair[0][2])));
}

#[test]
fn the_public_client_over_every_socket() {
    let server = Server::start(on_all_sockets());
    let ports = server.ports(0);
    read_as_public(&mut tcp(ports.tcp.unwrap(), public(), 0).associate().unwrap());
    read_as_public(&mut udp(ports.udp.unwrap(), public(), 0).associate().unwrap());
    let line = hdlc(connect(ports.hdlc_tcp.unwrap()), public(), 0, Parameters::DEFAULT);
    read_as_public(&mut line.associate().unwrap());
}

#[test]
fn low_level_security_over_wrapper_and_hdlc_with_blocks_in_segments() {
    let server = Server::start(on_all_sockets());
    let ports = server.ports(0);
    let mut client = tcp(ports.tcp.unwrap(), reader(b"12345678"), 0).associate().unwrap();
    assert!(number(&client.get(3, IMPORT, 2)) > 1_000_000);
    read_a_week(&mut client);
    client.release().unwrap();
    // Segments of 128 octets one by one, and large ones several at a time.
    for parameters in [Parameters::DEFAULT, Parameters::symmetric(512, 5)] {
        let line = hdlc(connect(ports.hdlc_tcp.unwrap()), reader(b"12345678"), 0, parameters);
        let mut client = line.associate().unwrap();
        read_a_week(&mut client);
        client.release().unwrap();
    }
    assert!(tcp(ports.tcp.unwrap(), reader(b"87654321"), 0).associate().is_err());
}

#[test]
fn hls_gmac_with_authenticated_encryption_reads_sets_and_acts() {
    let server = Server::start(on_all_sockets());
    let ports = server.ports(0);
    let mut client = tcp(ports.tcp.unwrap(), management(), 1).associate().unwrap();
    read_a_week(&mut client);
    let location = "0.0.96.1.4.255";
    let set = client.set(1, location, 2, Data::OctetString(b"Cellar")).unwrap();
    assert_eq!(set, DataAccessResult::Success);
    assert_eq!(octets(&client.get(1, location, 2)), b"Cellar");
    assert_eq!(client.set(3, IMPORT, 2, Data::DoubleLongUnsigned(0)).unwrap(), DataAccessResult::ReadWriteDenied);
    assert_eq!(client.action(70, "0.0.96.3.10.255", 1), ActionResult::Success);
    assert_eq!(client.get(70, "0.0.96.3.10.255", 2), Value::Boolean(false));
    assert_eq!(client.get(15, "0.0.40.0.3.255", 8), Value::Enum(2));
    client.release().unwrap();
    let line = hdlc(connect(ports.hdlc_tcp.unwrap()), management(), 1_000, Parameters::symmetric(248, 1));
    let mut client = line.associate().unwrap();
    assert_eq!(octets(&client.get(1, location, 2)), b"Cellar");
    read_a_week(&mut client);
}

#[test]
fn the_counter_object_shows_the_lowest_acceptable_counter() {
    let server = Server::start(on_all_sockets());
    let address = server.ports(0).tcp.unwrap();
    let shown = || {
        let mut client = tcp(address, public(), 0).associate().unwrap();
        u32::try_from(number(&client.get(1, "0.0.43.1.0.255", 2))).unwrap()
    };
    tcp(address, management(), 500).associate().unwrap().release().unwrap();
    let lowest = shown();
    assert!(lowest > 500);
    assert!(tcp(address, management(), 500).associate().is_err(), "a counter that was used");
    assert!(tcp(address, management(), lowest - 1).associate().is_err());
    assert!(shown() <= lowest, "refused APDUs do not move the floor");
    tcp(address, management(), shown()).associate().unwrap();
}

#[test]
fn a_wrong_key_is_refused_and_noted_in_the_fraud_log() {
    let server = Server::start(on_all_sockets());
    let address = server.ports(0).tcp.unwrap();
    let stranger = support::client::with_keys(&[9; 16], b"TSTCLNT1");
    assert!(tcp(address, stranger, 1).associate().is_err());
    assert!(tcp(address, reader(b"wrong"), 1).associate().is_err());
    let mut client = tcp(address, management(), 1).associate().unwrap();
    let log = rows(&client.get(7, "0.0.99.98.1.255", 2));
    let last: Vec<_> = log.iter().rev().take(2).map(|row| number(&row[1])).collect();
    assert_eq!(last, [46, 49]);
}

#[test]
fn lesson_20_clients_do_not_wait_for_each_other_or_for_one_that_hangs() {
    let server = Server::start(on_all_sockets());
    let address = server.ports(0).tcp.unwrap();
    // One says half a header and no more, one is gone without a word, one only closes its sending side.
    let mut hanging = connect(address);
    hanging.write_all(&[0, 1, 0]).unwrap();
    drop(connect(address));
    let half = connect(address);
    half.shutdown(std::net::Shutdown::Write).unwrap();
    let mut first = tcp(address, reader(b"12345678"), 0).associate().unwrap();
    let mut second = tcp(address, management(), 1).associate().unwrap();
    let mut third = tcp(address, public(), 0).associate().unwrap();
    for _ in 0..3 {
        let reading = first.get(3, IMPORT, 2);
        assert_eq!(second.get(3, IMPORT, 2), reading);
        read_as_public_again(&mut third);
    }
    let mut closed = half;
    assert_eq!(closed.read(&mut [0; 1]).unwrap(), 0);
}

fn read_as_public_again<L: dlms::link::Link, T: Octets>(client: &mut Dialogue<L, T>) {
    assert_eq!(octets(&client.get(1, "0.0.96.1.0.255", 2)), b"10000001");
}

#[test]
fn lesson_21_a_second_association_on_one_connection_is_answered() {
    let server = Server::start(on_all_sockets());
    let address = server.ports(0).tcp.unwrap();
    let first = tcp(address, public(), 0).associate().unwrap();
    // The public association stays open; another client opens one over the same octet stream.
    let second = support::client::wrapper(first.io, reader(b"12345678"), 0);
    let mut second = second.associate().unwrap();
    assert!(number(&second.get(3, IMPORT, 2)) > 0);
}

#[test]
fn logical_devices_share_one_port() {
    let config = FleetConfig { meters: 3, addressing: Addressing::LogicalDevices, ..on_all_sockets() };
    let server = Server::start(config);
    let ports = server.ports(0);
    for number in 1..=3_u16 {
        let config = || dlms::association::client::Config { server: ServerSap(number), ..public() };
        let name = format!("SIM3PH001000000{number}");
        let mut client = tcp(ports.tcp.unwrap(), config(), 0).associate().unwrap();
        assert_eq!(octets(&client.get(1, "0.0.42.0.0.255", 2)), name.as_bytes());
        let line = hdlc(connect(ports.hdlc_tcp.unwrap()), config(), 0, Parameters::DEFAULT);
        let mut client = line.associate().unwrap();
        assert_eq!(octets(&client.get(1, "0.0.42.0.0.255", 2)), name.as_bytes());
    }
}

#[test]
fn each_meter_has_its_own_port_and_system_title() {
    let server = Server::start(FleetConfig { meters: 5, ..on_all_sockets() });
    let mut names = Vec::new();
    for number in 0..5 {
        let mut client = tcp(server.ports(number).tcp.unwrap(), management(), 1).associate().unwrap();
        let title = client.connection.negotiated().unwrap().server_title.unwrap();
        assert_eq!(title, server.fleet().devices()[number].meters()[0].system_title);
        names.push((octets(&client.get(1, "0.0.42.0.0.255", 2)).to_vec(), title));
    }
    names.dedup();
    assert_eq!(names.len(), 5);
}

#[test]
fn lesson_19_hundreds_of_connections_share_one_thread() {
    let limits = Limits { connections_per_port: 300, ..Limits::default() };
    let server = Server::start(FleetConfig { limits, ..on_all_sockets() });
    let address = server.ports(0).tcp.unwrap();
    let mut clients: Vec<_> = (0..300).map(|_| tcp(address, public(), 0).associate().unwrap()).collect();
    clients.iter_mut().rev().for_each(read_as_public_again);
}

#[test]
fn lesson_35_a_client_that_accepts_anything_gets_what_the_meter_can_hold() {
    let limits = Limits { response_octets: 200, ..Limits::default() };
    let server = Server::start(FleetConfig { limits, ..on_all_sockets() });
    let ports = server.ports(0);
    assert_eq!(reader(b"12345678").max_pdu, 0xFFFF);
    read_a_week(&mut tcp(ports.tcp.unwrap(), reader(b"12345678"), 0).associate().unwrap());
    read_a_week(&mut tcp(ports.tcp.unwrap(), management(), 1).associate().unwrap());
    let line = hdlc(connect(ports.hdlc_tcp.unwrap()), management(), 10_000, Parameters::DEFAULT);
    read_a_week(&mut line.associate().unwrap());
}

#[test]
fn connections_are_bounded_and_places_become_free_again() {
    let limits = Limits { connections_per_port: 2, ..Limits::default() };
    let server = Server::start(FleetConfig { limits, ..on_all_sockets() });
    let address = server.ports(0).tcp.unwrap();
    let first = tcp(address, public(), 0).associate().unwrap();
    let second = tcp(address, public(), 0).associate().unwrap();
    assert!(tcp(address, public(), 0).associate().is_err());
    drop((first, second));
    let free_again = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        tcp(address, public(), 0).associate().is_ok()
    });
    assert!(free_again);
}

#[test]
fn an_idle_connection_is_closed() {
    // Long enough for the pauses of a healthy exchange on a busy machine.
    let limits = Limits { idle: Duration::from_secs(2), ..Limits::default() };
    let server = Server::start(FleetConfig { limits, ..on_all_sockets() });
    let mut client = tcp(server.ports(0).tcp.unwrap(), public(), 0).associate().unwrap();
    read_as_public_again(&mut client);
    assert_eq!(client.io.read(&mut [0; 16]).unwrap(), 0);
}

#[test]
fn octets_that_mean_nothing_harm_nobody() {
    let limits = Limits { connections_per_port: 1_000, ..Limits::default() };
    let server = Server::start(FleetConfig { limits, ..on_all_sockets() });
    let ports = server.ports(0);
    let mut state = 0x1234_5678_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    for round in 0..60_usize {
        let mut octets: Vec<u8> = (0..round * 7).map(|_| random()).collect();
        // Some look like the beginning of something.
        match round % 3 {
            0 => octets.splice(0..0, [0, 1, 0, 16, 0, 1, 0, random()]).for_each(drop),
            1 => octets.insert(0, 0x7E),
            _ => {}
        }
        for address in [ports.tcp.unwrap(), ports.hdlc_tcp.unwrap()] {
            let mut stream = connect(address);
            // The meter may close before everything is written.
            let _ = stream.write_all(&octets);
        }
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&octets, ports.udp.unwrap()).unwrap();
    }
    read_as_public(&mut tcp(ports.tcp.unwrap(), public(), 0).associate().unwrap());
    read_as_public(&mut udp(ports.udp.unwrap(), public(), 0).associate().unwrap());
    let line = hdlc(connect(ports.hdlc_tcp.unwrap()), public(), 0, Parameters::DEFAULT);
    read_as_public(&mut line.associate().unwrap());
}

#[test]
fn hdlc_over_a_serial_line() {
    let (pty, path) = Pty::pair();
    let serial = vec![SerialConfig { path, baud: SerialConfig::DEFAULT_BAUD, mode_e: false }];
    let _server = Server::start(FleetConfig { serial, tcp: None, hdlc_tcp: None, udp: None, ..on_all_sockets() });
    let mut client = hdlc(pty, reader(b"12345678"), 0, Parameters::DEFAULT).associate().unwrap();
    assert!(number(&client.get(3, IMPORT, 2)) > 0);
    client.release().unwrap();
}

/// Twice in a row: after the link is down the meter listens at 300 baud again.
#[test]
fn hdlc_after_a_sign_on_at_a_serial_line() {
    let (pty, path) = Pty::pair();
    let serial = vec![SerialConfig { path, baud: SerialConfig::DEFAULT_BAUD, mode_e: true }];
    let _server = Server::start(FleetConfig { serial, tcp: None, hdlc_tcp: None, udp: None, ..on_all_sockets() });
    let mut pty = pty;
    for _ in 0..2 {
        let (identification, baud) = support::client::sign_on(&mut pty);
        assert_eq!(identification.to_string(), "SIM510000001 (mode E)");
        assert_eq!(baud, 9_600);
        let mut client = hdlc(pty, reader(b"12345678"), 0, Parameters::DEFAULT).associate().unwrap();
        assert!(number(&client.get(3, IMPORT, 2)) > 0);
        pty = client.release_line().unwrap();
    }
}

#[test]
fn shutting_down_closes_connections_and_ports() {
    let server = Server::start(on_all_sockets());
    let address = server.ports(0).tcp.unwrap();
    let mut client = tcp(address, public(), 0).associate().unwrap();
    server.shutdown();
    assert_eq!(client.io.read(&mut [0; 16]).unwrap(), 0);
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn ports_that_are_taken_and_settings_out_of_range_are_named() {
    let taken = std::net::TcpListener::bind(LOCALHOST).unwrap();
    let address = taken.local_addr().unwrap();
    let refused = |config| Server::try_start(config).err().unwrap().to_string();
    let message = refused(FleetConfig { tcp: Some(address), ..stopped(7, NOW) });
    assert!(message.starts_with(&format!("cannot listen on tcp {address}: ")), "{message}");
    assert_eq!(refused(FleetConfig { meters: 0, ..stopped(7, NOW) }), "0 meters: from 1 to 1000000 are possible");
    let message = refused(FleetConfig { speed: f64::NAN, ..stopped(7, NOW) });
    assert_eq!(message, "the speed must be from 0 to a million");
    let high = Some("127.0.0.1:65535".parse().unwrap());
    let message = refused(FleetConfig { meters: 2, tcp: high, ..stopped(7, NOW) });
    assert!(message.contains("65535"), "{message}");
}
