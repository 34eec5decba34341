//! Meters that are broken, as a client with keys finds them.

mod support;

use std::net::SocketAddr;

use dlms::axdr::Value;
use dlms_meter_server::simulator::FleetConfig;
use support::client::{management, tcp};
use support::{NOW, Server, octets, stopped};

fn with(defects: &[&str]) -> (Server, SocketAddr) {
    let localhost = Some("127.0.0.1:0".parse().unwrap());
    let defects = defects.iter().map(|defect| defect.parse().unwrap()).collect();
    let server = Server::start(FleetConfig { tcp: localhost, defects, ..stopped(7, NOW) });
    let meter = server.ports(0).tcp.unwrap();
    (server, meter)
}

#[test]
fn keys_that_nobody_was_told_end_the_authentication() {
    let (server, meter) = with(&["wrong-keys:1"]);
    assert!(tcp(meter, management(), 1).associate().is_err());
    server.fleet().devices()[0].with(|device| device.mend(dlms::id::ServerSap(1)));
    tcp(meter, management(), 2).associate().unwrap();
}

#[test]
fn a_repeated_counter_is_noticed_by_the_client() {
    let (_server, meter) = with(&["repeat-counter:1"]);
    // The second protected answer has the counter of the first.
    let client = tcp(meter, management(), 1).associate();
    let refused = client.and_then(|mut client| client.get_blocks(1, "0.0.42.0.0.255", 2, None).map(drop));
    assert!(refused.is_err());
}

#[test]
fn a_counter_that_begins_anew_is_lower_than_it_was() {
    let (server, meter) = with(&[]);
    let before = tcp(meter, management(), 1).associate().unwrap().connection.receive_floor().unwrap();
    server.fleet().devices()[0].with(|device| device.suffer(dlms::id::ServerSap(1), "reset-counter".parse().unwrap()));
    let after = tcp(meter, management(), 0).associate().unwrap().connection.receive_floor().unwrap();
    assert!(after < 1_000 && after < before, "{before} {after}");
}

#[test]
fn a_clock_that_was_put_and_logs_that_are_full() {
    let (_right, right) = with(&[]);
    let (_wrong, wrong) = with(&["clock=3600:1", "full-log:1"]);
    let [right, wrong] = [right, wrong].map(|meter| {
        let mut client = tcp(meter, management(), 1).associate().unwrap();
        let clock = octets(&client.get(8, "0.0.1.0.0.255", 2)).to_vec();
        let number = |value: Value| match value {
            Value::DoubleLongUnsigned(number) => number,
            other => panic!("{other:?}"),
        };
        let held = number(client.get(7, "0.0.99.98.1.255", 7));
        let room = number(client.get(7, "0.0.99.98.1.255", 8));
        (clock[5], held, room)
    });
    assert_eq!(wrong.0, (right.0 + 1) % 24, "an hour ahead");
    assert!(right.1 < right.2);
    assert_eq!(wrong.1, wrong.2);
}
