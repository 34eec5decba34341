//! Firmware of a simulated meter, updated block by block over an association.

mod support;

use std::net::TcpStream;

use dlms::apdu::ActionResult;
use dlms::axdr::{Data, Value, Writer};
use dlms::wrapper::client::Wrapper;
use dlms_meter_server::simulator::{FleetConfig, make_image};
use support::client::{Dialogue, management, tcp};
use support::{NOW, Server, octets, stopped};

const IMAGES: &str = "0.0.44.0.0.255";
const VERSION: &str = "1.1.0.2.0.255";
const BLOCK: usize = 200;

type Client = Dialogue<Wrapper<Vec<u8>>, TcpStream>;

fn with(defects: &[&str]) -> (Server, Client) {
    let localhost = Some("127.0.0.1:0".parse().unwrap());
    let defects = defects.iter().map(|defect| defect.parse().unwrap()).collect();
    let server = Server::start(FleetConfig { tcp: localhost, defects, ..stopped(7, NOW) });
    let client = tcp(server.ports(0).tcp.unwrap(), management(), 1).associate().unwrap();
    (server, client)
}

/// Invokes a method of the image transfer with a parameter.
fn invoke(client: &mut Client, method: i8, parameter: &[u8]) -> ActionResult {
    client.action_with(18, IMAGES, method, Data::from_slice(parameter).unwrap())
}

/// A structure of an octet-string or number and another.
fn initiate(client: &mut Client, name: &str, size: usize) -> ActionResult {
    let mut octets = [0; 64];
    let mut out = Writer::new(&mut octets);
    out.structure(2).unwrap();
    out.octets(name.as_bytes()).unwrap();
    out.double_long_unsigned(u32::try_from(size).unwrap()).unwrap();
    invoke(client, 1, out.written())
}

fn block(client: &mut Client, number: usize, value: &[u8]) -> ActionResult {
    let mut octets = [0; 300];
    let mut out = Writer::new(&mut octets);
    out.structure(2).unwrap();
    out.double_long_unsigned(u32::try_from(number).unwrap()).unwrap();
    out.octets(value).unwrap();
    invoke(client, 2, out.written())
}

/// Transfers a whole image.
fn transfer(client: &mut Client, image: &[u8]) {
    assert_eq!(initiate(client, "new", image.len()), ActionResult::Success);
    for (number, value) in image.chunks(BLOCK).enumerate() {
        assert_eq!(block(client, number, value), ActionResult::Success, "{number}");
    }
}

fn enable(client: &mut Client) {
    client.set(18, IMAGES, 5, Data::from_slice(&[0x03, 0x01]).unwrap()).unwrap();
}

fn status(client: &mut Client) -> Value {
    client.get(18, IMAGES, 6)
}

fn version(client: &mut Client) -> Vec<u8> {
    octets(&client.get(1, VERSION, 2)).to_vec()
}

/// `verify` and `activate` take the integer 0.
const ZERO: [u8; 2] = [0x0F, 0x00];

fn newest_event(client: &mut Client) -> i64 {
    client.number(1, "0.0.96.11.0.255", 2)
}

#[test]
fn an_image_is_taken_verified_and_put_in_use() {
    let (_server, mut client) = with(&[]);
    let image = make_image("SIM3PH", "SIM-A-3.1.0", &[0xA5; 2_000], None).unwrap();
    assert_ne!(initiate(&mut client, "new", image.len()), ActionResult::Success, "not enabled yet");
    enable(&mut client);
    assert_eq!(version(&mut client), b"SIM-A-3.0.7");
    assert_eq!(initiate(&mut client, "new", image.len()), ActionResult::Success);
    // The first block is lost on the way; the meter says so, and takes no image with a hole.
    for (number, value) in image.chunks(BLOCK).enumerate().skip(1) {
        assert_eq!(block(&mut client, number, value), ActionResult::Success, "{number}");
    }
    assert_eq!(client.number(18, IMAGES, 4), 0);
    assert_ne!(invoke(&mut client, 3, &ZERO), ActionResult::Success);
    assert_eq!(block(&mut client, 0, &image[..BLOCK]), ActionResult::Success);
    assert_eq!(client.number(18, IMAGES, 4), 11, "no block is missing of eleven");
    assert_eq!(invoke(&mut client, 3, &ZERO), ActionResult::Success);
    assert_eq!(status(&mut client), Value::Enum(3));
    assert_eq!(newest_event(&mut client), 17, "ready for activation");
    assert_eq!(version(&mut client), b"SIM-A-3.0.7", "verified is not in use");
    assert_eq!(invoke(&mut client, 4, &ZERO), ActionResult::Success);
    assert_eq!(status(&mut client), Value::Enum(6));
    assert_eq!(version(&mut client), b"SIM-A-3.1.0");
    assert_eq!(newest_event(&mut client), 18, "activated");
    assert_ne!(invoke(&mut client, 4, &ZERO), ActionResult::Success, "once");
}

#[test]
fn what_is_damaged_or_for_others_is_never_put_in_use() {
    let (_server, mut client) = with(&[]);
    enable(&mut client);
    let mut damaged = make_image("SIM3PH", "SIM-A-3.1.0", &[0xA5; 700], None).unwrap();
    damaged[100] ^= 1;
    let foreign = make_image("SIM1PH", "SIM-A-3.1.0", &[0xA5; 700], None).unwrap();
    for image in [damaged, foreign, vec![0; 500]] {
        transfer(&mut client, &image);
        assert_ne!(invoke(&mut client, 3, &ZERO), ActionResult::Success);
        assert_eq!(status(&mut client), Value::Enum(4));
        assert_eq!(newest_event(&mut client), 51, "verification failed");
        assert_ne!(invoke(&mut client, 4, &ZERO), ActionResult::Success);
        assert_eq!(version(&mut client), b"SIM-A-3.0.7");
    }
    assert_ne!(initiate(&mut client, "new", 300_000), ActionResult::Success, "longer than the meter's memory");
}

#[test]
fn a_meter_that_cannot_falls_back() {
    let image = make_image("SIM3PH", "SIM-A-3.1.0", &[0xA5; 700], None).unwrap();
    let (_server, mut client) = with(&["bad-image:1"]);
    enable(&mut client);
    transfer(&mut client, &image);
    assert_ne!(invoke(&mut client, 3, &ZERO), ActionResult::Success);

    let (_server, mut client) = with(&["failed-activation:1"]);
    enable(&mut client);
    transfer(&mut client, &image);
    assert_eq!(invoke(&mut client, 3, &ZERO), ActionResult::Success);
    assert_ne!(invoke(&mut client, 4, &ZERO), ActionResult::Success);
    assert_eq!(status(&mut client), Value::Enum(7));
    assert_eq!(version(&mut client), b"SIM-A-3.0.7");
}
