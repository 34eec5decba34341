//! RR, RNR and REJ as this stack sends them, and what comes of them.

use dlms::Instant;
use dlms::hdlc::server::{Config, Event, Session, Station};
use dlms::hdlc::{Address, FRAME_MAX, Parameters};
use dlms::id::ClientSap;
use dlms::link::{Link, LinkEvent};
use hex_literal::hex;

use crate::script::{Client, frame, sap, short};

/// An agreement to windows of three.
const WINDOW_3: [u8; 15] = hex!("81800C 070400000003 080400000003");

fn opened() -> Client {
    let mut client = Client::new(|config| {
        (config.parameters, config.reject) = (Parameters::symmetric(128, 3), true);
    });
    client.session.open(client.now);
    client.sent();
    client.receive(0x73, false, &WINDOW_3);
    assert_eq!(client.session.poll_event(), Some(LinkEvent::Opened));
    client.send(&[0xC0]);
    assert_eq!(client.controls(), [0x10]);
    client
}

#[test]
fn a_client_asks_for_a_lost_segment_with_rej() {
    let mut client = opened();
    client.receive(0x20, true, &hex!("E6E700 01"));
    client.receive(0x34, false, &[3]);
    assert_eq!(client.controls(), [0x39], "REJ, the second of three is missing");
    client.receive(0x22, true, &[2]);
    client.receive(0x34, false, &[3]);
    assert_eq!(client.apdu(), Some(vec![1, 2, 3]));
}

#[test]
fn a_copy_of_a_segment_is_no_reason_for_rej() {
    let mut client = opened();
    client.receive(0x30, true, &hex!("E6E700 01"));
    assert_eq!(client.controls(), [0x31]);
    client.receive(0x30, true, &hex!("E6E700 01"));
    client.wait();
    assert_eq!(client.controls(), [0x31]);
}

/// A notification that the application keeps: the server must not send on before there is room.
#[test]
fn a_client_that_holds_an_apdu_says_rnr() {
    let mut client = Client::opened(|_| ());
    client.send(&[0xC0]);
    assert_eq!(client.controls(), [0x10]);
    client.receive(0x03, false, &hex!("E6E700 0F 01"));
    client.wait();
    assert_eq!(client.controls(), [0x15], "RNR, still expecting 0");
    assert_eq!(client.apdu(), Some(vec![0x0F, 1]));
    client.receive(0x31, false, &[]);
    client.wait();
    assert_eq!(client.controls(), [0x11]);
    client.receive(0x30, false, &hex!("E6E700 C4"));
    assert_eq!(client.apdu(), Some(vec![0xC4]));
}

#[test]
fn a_server_asks_for_a_lost_segment_with_rej_once() {
    let config = Config { parameters: Parameters::symmetric(128, 3), reject: true, ..Config::default() };
    let ours: fn(ClientSap, Address) -> bool = |_, _| true;
    let sessions = vec![Session::new(config, vec![0; 512], vec![0; 512])];
    let mut station = Station::new(vec![0; FRAME_MAX], 100, sessions, ours);
    let mut exchange = |control, segmented, information: &[u8]| -> Vec<u8> {
        let octets = frame(sap(1), sap(16), control, segmented, information);
        assert_eq!(station.handle_input(&octets, Instant::from_millis(0)), octets.len());
        let mut out = [0; FRAME_MAX];
        std::iter::from_fn(|| station.poll_transmit(&mut out).map(|length| short(&out[..length]).0)).collect()
    };
    assert_eq!(exchange(0x93, false, &WINDOW_3), [0x73]);
    assert_eq!(exchange(0x00, true, &[1]), [0_u8; 0]);
    assert_eq!(exchange(0x14, false, &[3]), [0x39], "REJ: the second is missing");
    assert_eq!(exchange(0x11, false, &[]), [0x31], "a poll is answered by RR");
    assert_eq!(exchange(0x10, true, &[1]), [0x31], "a copy is no gap");
    assert_eq!(exchange(0x02, true, &[2]), [0_u8; 0]);
    assert_eq!(exchange(0x14, false, &[3]), [0_u8; 0]);
    assert_eq!(station.poll_event(), Some((0, Event::Opened)));
    assert!(matches!(station.poll_event(), Some((0, Event::Apdu(_)))));
    assert_eq!(station.apdu(), [1, 2, 3]);
}
