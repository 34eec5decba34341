//! Meters that share a line behind a gateway or a data concentrator, over real sockets.

mod support;

use std::io::{Read, Write};
use std::net::SocketAddr;

use dlms::apdu::Conformance;
use dlms::association::client::{CLIENT_CONFORMANCE, Config};
use dlms::axdr::Data;
use dlms::gateway::Route;
use dlms::hdlc::Parameters;
use dlms::id::ServerSap;
use dlms_meter_server::simulator::{Addressing, FleetConfig, FleetError, LineAddress};
use support::client::{behind, behind_hdlc, connect, hdlc, management, public, tcp};
use support::{NOW, Server, octets, stopped};

/// Fast, so that nobody waits.
const BAUD: u32 = 10_000_000;
const NAME: &str = "0.0.42.0.0.255";

fn config(addressing: Addressing) -> FleetConfig {
    let any = Some("127.0.0.1:0".parse().unwrap());
    FleetConfig { meters: 3, addressing, tcp: any, hdlc_tcp: any, ..stopped(7, NOW) }
}

fn gateway() -> (Server, SocketAddr) {
    let server = Server::start(config(Addressing::Gateway { baud: BAUD }));
    let address = server.ports(0).tcp.unwrap();
    (server, address)
}

fn route(server: &Server, device: usize) -> Route {
    let Some(LineAddress::Gateway { network, device }) = server.ports(device).behind else { panic!("no gateway") };
    Route::new(network, &device).unwrap()
}

fn name(server: &Server, device: usize) -> String {
    server.fleet().devices()[device].meters()[0].logical_device_name.clone()
}

#[test]
fn two_slaves_are_spoken_to_in_turn_each_as_if_it_were_alone() {
    let (server, address) = gateway();
    let mut clients =
        [0, 2].map(|device| behind(address, route(&server, device), management(), 1).associate().unwrap());
    for _ in 0..3 {
        for (client, device) in clients.iter_mut().zip([0, 2]) {
            assert_eq!(octets(&client.get(1, NAME, 2)), name(&server, device).as_bytes());
        }
    }
    // A profile in many blocks, each an exchange of its own on the line, while the other is read too.
    let [one, other] = &mut clients;
    let (profile, _) = one.get_blocks(7, "0.1.24.3.0.255", 2, None).unwrap();
    assert_eq!(support::rows(&profile.unwrap()).len(), 240, "by general block transfer");
    let write = other.set(1, "0.0.96.1.4.255", 2, Data::OctetString(b"Attic")).unwrap();
    assert_eq!(write, dlms::apdu::DataAccessResult::Success);
    assert_eq!(octets(&other.get(1, "0.0.96.1.4.255", 2)), b"Attic");
    assert_ne!(octets(&one.get(1, "0.0.96.1.4.255", 2)), b"Attic");
    for client in clients {
        client.release().unwrap();
    }
    let conformance = CLIENT_CONFORMANCE.without(Conformance::GENERAL_BLOCK_TRANSFER);
    let blocks_of_get = Config { conformance, ..management() };
    let mut client = behind(address, route(&server, 1), blocks_of_get, 10_000).associate().unwrap();
    let (profile, blocks) = client.get_blocks(7, "0.1.24.3.0.255", 2, None).unwrap();
    assert!(blocks > 1 && support::rows(&profile.unwrap()).len() == 240, "{blocks}");
    client.release().unwrap();
    let mut over_hdlc =
        behind_hdlc(server.ports(1).hdlc_tcp.unwrap(), route(&server, 1), management(), 20_000).associate().unwrap();
    assert_eq!(octets(&over_hdlc.get(1, NAME, 2)), name(&server, 1).as_bytes());
    over_hdlc.release().unwrap();
    server.shutdown();
}

/// One APDU with the wrapper on a connection, and the APDU that answers it.
fn ask(stream: &mut std::net::TcpStream, apdu: &str) -> String {
    let apdu = hex::decode(apdu).unwrap();
    let mut octets = vec![0, 1, 0, 16, 0, 1, 0, u8::try_from(apdu.len()).unwrap()];
    octets.extend(apdu);
    stream.write_all(&octets).unwrap();
    let mut head = [0; 8];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[..6], [0, 1, 0, 1, 0, 16]);
    let mut answer = vec![0; usize::from(head[7])];
    stream.read_exact(&mut answer).unwrap();
    hex::encode_upper(answer)
}

#[test]
fn both_slaves_answer_on_one_connection_and_nobody_else_does() {
    /// Published: the AARQ of a public client, and a request for the clock.
    const AARQ: &str = "601DA109060760857405080101BE10040E01000000065F1F0400007E1F04B0";
    const GET: &str = "C001C100080000010000FF0200";
    let (server, address) = gateway();
    let mut stream = connect(address);
    for device in ["0001", "0002"] {
        let answer = ask(&mut stream, &format!("E60002{device}{AARQ}"));
        assert!(answer.starts_with(&format!("E70002{device}61")), "{answer}");
    }
    for device in ["0002", "0001", "0002"] {
        let answer = ask(&mut stream, &format!("E60002{device}{GET}"));
        assert!(answer.starts_with(&format!("E70002{device}C401C100090C07EA030F07")), "{answer}");
    }
    // Not associated, but there.
    assert!(ask(&mut stream, &format!("E600020003{GET}")).starts_with("E700020003D8"));
    for (asked, answered) in
        [("E600020004", "E700020004D80101"), ("E601020001", "E701020001D80101"), ("E6000109", "E7000109D80101")]
    {
        assert_eq!(ask(&mut stream, &format!("{asked}{GET}")), answered);
    }
    assert_eq!(ask(&mut stream, AARQ), "D80101", "the gateway has no application of its own");
    drop(stream);
    server.shutdown();
}

#[test]
fn a_slave_that_falls_silent_is_told_of_and_does_not_hold_up_the_others_for_good() {
    let limits =
        dlms_meter_server::simulator::Limits { idle: std::time::Duration::from_millis(500), ..Default::default() };
    let server = Server::start(FleetConfig { limits, ..config(Addressing::Gateway { baud: BAUD }) });
    let address = server.ports(0).tcp.unwrap();
    server.fleet().devices()[1].set_faults(vec!["silence:1".parse().unwrap()]);
    assert!(behind(address, route(&server, 1), public(), 1).associate().is_err());
    let mut client = behind(address, route(&server, 0), public(), 1).associate().unwrap();
    assert_eq!(octets(&client.get(1, NAME, 2)), name(&server, 0).as_bytes());
    // Started anew, it has forgotten its clients.
    server.fleet().devices()[0].reboot();
    let (read, _) = match client.get_blocks(1, NAME, 2, None) {
        Ok(read) => read,
        Err(_) => (Err(dlms::apdu::DataAccessResult::OtherReason), 0),
    };
    assert!(read.is_err());
    server.shutdown();
}

#[test]
fn a_concentrator_has_a_meter_behind_each_port_number() {
    let server = Server::start(config(Addressing::Concentrator { baud: BAUD }));
    let (address, over_hdlc) = (server.ports(0).tcp.unwrap(), server.ports(0).hdlc_tcp.unwrap());
    for device in 0..3 {
        let Some(LineAddress::Concentrator(sap)) = server.ports(device).behind else { panic!("no concentrator") };
        let config = || Config { server: sap, ..management() };
        let mut client = tcp(address, config(), 1).associate().unwrap();
        assert_eq!(octets(&client.get(1, NAME, 2)), name(&server, device).as_bytes());
        client.release().unwrap();
        let mut client = hdlc(connect(over_hdlc), config(), 1_000, Parameters::DEFAULT).associate().unwrap();
        assert_eq!(octets(&client.get(1, NAME, 2)), name(&server, device).as_bytes());
        // Each is a physical device of its own, with one logical device.
        assert_eq!(support::elements(&client.get(17, "0.0.41.0.0.255", 2)).len(), 1);
        client.release().unwrap();
    }
    assert_eq!(server.ports(2).behind, Some(LineAddress::Concentrator(ServerSap(3))));
    server.shutdown();
}

#[test]
fn a_shared_line_has_a_rate_and_is_reached_over_tcp() {
    let refused = |config| matches!(Server::try_start(config), Err(FleetError::Setting { .. }));
    assert!(refused(config(Addressing::Gateway { baud: 100 })));
    let udp = Some("127.0.0.1:0".parse().unwrap());
    assert!(refused(FleetConfig { udp, ..config(Addressing::Concentrator { baud: BAUD }) }));
}
