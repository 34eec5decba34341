//! Some hundred meters in each way of addressing them, each read by the stack's own client.

mod support;

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use dlms::hdlc::Parameters;
use dlms::id::ServerSap;
use dlms::link::Link;
use dlms_meter_server::simulator::{Addressing, DialConfig, FleetConfig, Limits};
use support::client::{Dialogue, Octets, connect, hdlc, public, tcp, udp, wrapper};
use support::{NOW, Server, octets, stopped};

const METERS: u32 = 300;
/// The short HDLC address of everybody, so that logical device 127 has a longer one only.
const ALL_STATION: ServerSap = ServerSap(127);
const NAME: &str = "0.0.42.0.0.255";

fn at(first: &str) -> Option<SocketAddr> {
    Some(first.parse().unwrap())
}

fn fleet(addressing: Addressing, first: &str) -> FleetConfig {
    let (tcp, hdlc_tcp, udp) = (at(first), at(first), at(first));
    FleetConfig { meters: METERS, addressing, tcp, hdlc_tcp, udp, ..stopped(7, NOW) }
}

fn name_of<L: Link, T: Octets>(client: &mut Dialogue<L, T>) -> String {
    String::from_utf8(octets(&client.get(1, NAME, 2)).to_vec()).unwrap()
}

/// Reads every meter's name over every socket that it has.
fn read_all(server: &Server) {
    let (mut names, mut lines) = (BTreeSet::new(), u64::from(METERS));
    for device in server.fleet().devices() {
        let ports = device.ports();
        for meter in device.meters() {
            let config = || dlms::association::client::Config { server: meter.server, ..public() };
            let mut client = tcp(ports.tcp.unwrap(), config(), 0).associate().unwrap();
            assert_eq!(name_of(&mut client), meter.logical_device_name);
            client.release().unwrap();
            let mut client = udp(ports.udp.unwrap(), config(), 0).associate().unwrap();
            assert_eq!(name_of(&mut client), meter.logical_device_name);
            client.release().unwrap();
            names.insert(meter.logical_device_name.clone());
            if meter.server == ALL_STATION {
                continue;
            }
            let line = hdlc(connect(ports.hdlc_tcp.unwrap()), config(), 0, Parameters::DEFAULT);
            let mut client = line.associate().unwrap_or_else(|error| panic!("{}: {error:?}", meter.server.0));
            assert_eq!(name_of(&mut client), meter.logical_device_name);
            lines += 1;
        }
    }
    assert_eq!(names.len(), METERS as usize);
    let counts = server.fleet().counts();
    assert_eq!(counts.meters_made, u64::from(METERS));
    assert_eq!(counts.connections_opened, lines);
    assert_eq!((counts.refused_destination, counts.refused_descriptors, counts.datagrams_dropped), (0, 0, 0));
}

#[test]
fn a_port_each() {
    read_all(&Server::start(fleet(Addressing::Ports, "127.0.0.1:0")));
}

#[test]
fn logical_devices_behind_one_port() {
    let server = Server::start(fleet(Addressing::LogicalDevices, "127.0.0.1:0"));
    assert_eq!(server.fleet().devices().len(), 1);
    read_all(&server);
    let beyond = dlms::association::client::Config { server: ServerSap(301), ..public() };
    assert!(tcp(server.ports(0).tcp.unwrap(), beyond, 0).associate().is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn an_address_each_behind_one_socket_for_each_protocol() {
    let server = Server::start(fleet(Addressing::Addresses, "127.9.0.200:0"));
    let last = server.ports(299).tcp.unwrap();
    assert_eq!(last.ip().to_string(), "127.9.1.243");
    assert_eq!(last.port(), server.ports(0).tcp.unwrap().port());
    read_all(&server);
    // Neighbours of the range are nobody.
    for outside in ["127.9.0.199", "127.9.1.244"] {
        let outside = |port: Option<SocketAddr>| SocketAddr::new(outside.parse().unwrap(), port.unwrap().port());
        assert!(tcp(outside(server.ports(0).tcp), public(), 0).associate().is_err());
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let wpdu = [0, 1, 0, 16, 0, 1, 0, 1, 0xC0];
        socket.send_to(&wpdu, outside(server.ports(0).udp)).unwrap();
    }
    // The datagrams have been looked at when one that came later is answered.
    udp(server.ports(0).udp.unwrap(), public(), 0).associate().unwrap();
    assert_eq!(server.fleet().counts().refused_destination, 4);
}

/// One client socket that speaks to many meters is another client to each of them.
#[cfg(target_os = "linux")]
#[test]
fn one_client_socket_reaches_every_meter_and_is_answered_from_its_address() {
    let server = Server::start(fleet(Addressing::Addresses, "127.10.0.1:0"));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // An AARQ of the public client, and a GET of the logical device name.
    let aarq = hex::decode(
        "00010010000100 1F601DA109060760857405080101BE10040E01000000065F1F0400000010 0400".replace(' ', ""),
    )
    .unwrap();
    let get = hex::decode("000100100001000DC001C100010000 2A0000FF0200".replace(' ', "")).unwrap();
    let mut answer = [0; 512];
    for request in [&aarq, &get] {
        let mut names = BTreeSet::new();
        for device in server.fleet().devices() {
            let address = device.ports().udp.unwrap();
            socket.send_to(request, address).unwrap();
            let (length, from) = socket.recv_from(&mut answer).unwrap();
            assert_eq!(from, address);
            names.insert(answer[..length].to_vec());
        }
        assert_eq!(names.len(), if request == &aarq { 1 } else { METERS as usize });
    }
}

#[test]
fn what_needs_more_descriptors_than_there_are_does_not_start() {
    let limits = Limits { descriptors: Some(500), ..Limits::default() };
    let refused = Server::try_start(FleetConfig { limits, ..fleet(Addressing::Ports, "127.0.0.1:0") });
    let message = refused.err().unwrap().to_string();
    assert!(message.starts_with("900 listening sockets and 64 more do not fit into the 500 descriptors"), "{message}");
    // One socket for all needs no more than that.
    Server::start(FleetConfig { limits, ..fleet(Addressing::LogicalDevices, "127.0.0.1:0") });
}

#[test]
fn a_connection_beyond_the_descriptors_is_refused_and_the_others_go_on() {
    let limits = Limits { descriptors: Some(64 + 3 + 5), ..Limits::default() };
    let server = Server::start(FleetConfig { limits, ..fleet(Addressing::LogicalDevices, "127.0.0.1:0") });
    assert_eq!(server.fleet().descriptors(), (Some(72), 5));
    let address = server.ports(0).tcp.unwrap();
    let mut clients: Vec<_> = (0..5).map(|_| tcp(address, public(), 0).associate().unwrap()).collect();
    for _ in 0..3 {
        let mut refused = connect(address);
        assert!(matches!(refused.read(&mut [0; 1]), Ok(0) | Err(_)));
    }
    assert_eq!(server.fleet().counts().refused_descriptors, 3);
    assert!(clients.iter_mut().all(|client| !name_of(client).is_empty()));
    clients.pop().unwrap().release().unwrap();
    let free_again = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        tcp(address, public(), 0).associate().is_ok()
    });
    assert!(free_again);
}

/// A client that has an association is not driven out by addresses that only send datagrams.
#[test]
fn associations_over_udp_outlive_clients_without_one() {
    let limits = Limits { udp_clients_per_port: 4, ..Limits::default() };
    let server = Server::start(FleetConfig { meters: 1, limits, ..fleet(Addressing::Ports, "127.0.0.1:0") });
    let address = server.ports(0).udp.unwrap();
    let mut client = udp(address, public(), 0).associate().unwrap();
    for _ in 0..20 {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&[0, 1, 0, 16, 0, 1, 0, 1, 0xC0], address).unwrap();
    }
    assert_eq!(name_of(&mut client), "SIM3PH0010000001");
    assert_eq!(server.fleet().counts().clients_forgotten, 17);
}

#[test]
fn meters_connect_to_the_head_end_and_come_back() {
    let head_end = TcpListener::bind("127.0.0.1:0").unwrap();
    let dial = DialConfig {
        spread: Duration::from_millis(200),
        pause: (Duration::from_millis(50), Duration::from_millis(500)),
        connections: 8,
        attempts: 2,
        banner: true,
        from: (cfg!(target_os = "linux")).then(|| "127.11.0.1".parse().unwrap()),
        ..DialConfig::new(head_end.local_addr().unwrap())
    };
    let server = Server::start(FleetConfig { meters: 20, dial: Some(dial), ..stopped(7, NOW) });
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    // Each stays connected until the head-end hangs up, so others have their turn, and then the first ones again.
    while seen.len() < 20 || seen.values().sum::<u32>() < 60 {
        let (mut stream, peer) = head_end.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut banner = [0; 17];
        stream.read_exact(&mut banner).unwrap();
        let mut client = wrapper(stream, public(), 0).associate().unwrap();
        let name = name_of(&mut client);
        assert_eq!(banner, *format!("{name}\n").as_bytes());
        if cfg!(target_os = "linux") {
            let number: u8 = name[14..].parse().unwrap();
            assert_eq!(peer.ip().to_string(), format!("127.11.0.{number}"));
        }
        *seen.entry(name).or_default() += 1;
    }
    assert!(server.fleet().counts().connections_opened >= 60);
    // Without a head-end they try again, less and less often.
    let failures = |server: &Server| server.fleet().counts().dial_failures;
    drop(head_end);
    while failures(&server) < 30 {
        std::thread::sleep(Duration::from_millis(10));
    }
    server.shutdown();
}
