//! Faults on demand, as a client sees them.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use dlms_meter_server::simulator::FleetConfig;
use support::client::{Trouble, connect, hdlc, public, tcp};
use support::{NOW, Server, octets, stopped};

/// Wrapper header and AARQ without authentication, conformance GET only.
const PUBLIC_AARQ: [u8; 39] = [
    0x00, 0x01, 0x00, 0x10, 0x00, 0x01, 0x00, 0x1F, 0x60, 0x1D, 0xA1, 0x09, 0x06, 0x07, 0x60, 0x85, 0x74, 0x05, 0x08,
    0x01, 0x01, 0xBE, 0x10, 0x04, 0x0E, 0x01, 0x00, 0x00, 0x00, 0x06, 0x5F, 0x1F, 0x04, 0x00, 0x00, 0x00, 0x10, 0x04,
    0x00,
];

fn with(faults: &[&str]) -> Server {
    let localhost = Some("127.0.0.1:0".parse().unwrap());
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    Server::start(FleetConfig { tcp: localhost, hdlc_tcp: localhost, faults, ..stopped(7, NOW) })
}

fn kind(trouble: Trouble) -> Option<ErrorKind> {
    match trouble {
        Trouble::Io(error) => Some(error.kind()),
        Trouble::Closed(_) | Trouble::Failed(_) => None,
    }
}

#[test]
fn closing_and_resetting_at_a_step() {
    for (fault, expected) in [("close", ErrorKind::UnexpectedEof), ("reset", ErrorKind::ConnectionReset)] {
        let server = with(&[&format!("{fault}@1:1")]);
        let refused = tcp(server.ports(0).tcp.unwrap(), public(), 0).associate().err().unwrap();
        assert_eq!(kind(refused), Some(expected), "{fault}@1");
        let server = with(&[&format!("{fault}@2:1")]);
        let mut client = tcp(server.ports(0).tcp.unwrap(), public(), 0).associate().unwrap();
        let lost = client.get_blocks(1, "0.0.42.0.0.255", 2, None).err().unwrap();
        assert_eq!(kind(lost), Some(expected), "{fault}@2");
    }
}

#[test]
fn silence_lasts_and_garbage_and_half_an_answer_are_not_taken_for_one() {
    let server = with(&["silence@1:1"]);
    let mut stream = connect(server.ports(0).tcp.unwrap());
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    // An AARQ of the public client in a wrapper from 16 to 1, sent twice: neither is answered.
    for _ in 0..2 {
        stream.write_all(&PUBLIC_AARQ).unwrap();
        let kind = stream.read(&mut [0; 1]).unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{kind}");
    }
    for fault in ["garbage@1:1", "truncate@1:1"] {
        let server = with(&[fault]);
        assert!(tcp(server.ports(0).tcp.unwrap(), public(), 0).associate().is_err(), "{fault}");
    }
}

#[test]
fn a_delay_is_a_delay_and_a_rate_of_zero_is_nothing() {
    let server = with(&["delay=300@1:1", "close:0"]);
    let start = Instant::now();
    let mut client = tcp(server.ports(0).tcp.unwrap(), public(), 0).associate().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(octets(&client.get(1, "0.0.96.1.0.255", 2)), b"10000001");
}

#[test]
fn a_station_survives_a_frame_of_garbage() {
    let server = with(&["garbage@3:1"]);
    let stream = connect(server.ports(0).hdlc_tcp.unwrap());
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut client = hdlc(stream, public(), 0, dlms::hdlc::Parameters::DEFAULT).associate().unwrap();
    assert_eq!(octets(&client.get(1, "0.0.96.1.0.255", 2)), b"10000001");
}

#[test]
fn faults_of_one_meter_do_not_touch_another_and_can_be_taken_back() {
    let localhost = Some("127.0.0.1:0".parse().unwrap());
    let server = Server::start(FleetConfig { tcp: localhost, meters: 2, ..stopped(7, NOW) });
    let [first, second] = [0, 1].map(|number| server.ports(number).tcp.unwrap());
    server.fleet().devices()[0].set_faults(vec!["close:1".parse().unwrap()]);
    assert!(tcp(first, public(), 0).associate().is_err());
    tcp(second, public(), 0).associate().unwrap();
    server.fleet().devices()[0].set_faults(Vec::new());
    tcp(first, public(), 0).associate().unwrap();
}

#[test]
fn half_closed_slow_and_doubled_answers() {
    // The answer comes, then the end of the stream, and nothing that is sent later is answered.
    let server = with(&["half-close@1:1"]);
    let mut stream = connect(server.ports(0).tcp.unwrap());
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&PUBLIC_AARQ).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert_eq!(all.get(8), Some(&0x61), "{all:02X?}");
    stream.write_all(&PUBLIC_AARQ).unwrap();

    let server = with(&["duplicate@1:1"]);
    let mut stream = connect(server.ports(0).tcp.unwrap());
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&PUBLIC_AARQ).unwrap();
    let mut twice = vec![0; all.len() * 2];
    stream.read_exact(&mut twice).unwrap();
    assert_eq!(twice, [all.clone(), all.clone()].concat());

    // 60 octets at 200 a second.
    let server = with(&["slow=200@1:1"]);
    let start = Instant::now();
    let mut client = tcp(server.ports(0).tcp.unwrap(), public(), 0).associate().unwrap();
    let least = Duration::from_secs_f64(all.len() as f64 / 200.0);
    assert!(start.elapsed() >= least, "{:?} of {least:?}", start.elapsed());
    assert_eq!(octets(&client.get(1, "0.0.96.1.0.255", 2)), b"10000001");
}

#[test]
fn a_lost_octet_and_a_flipped_bit_are_mended_by_the_link() {
    for fault in ["lose@3:1", "flip@3:1", "duplicate@3:1", "push@3:1"] {
        let server = with(&[fault]);
        let stream = connect(server.ports(0).hdlc_tcp.unwrap());
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut client = hdlc(stream, public(), 0, dlms::hdlc::Parameters::DEFAULT).associate().unwrap();
        assert_eq!(octets(&client.get(1, "0.0.96.1.0.255", 2)), b"10000001", "{fault}");
    }
}

#[test]
fn a_push_comes_in_the_middle_of_an_exchange() {
    let server = with(&["push@1:1"]);
    let mut stream = connect(server.ports(0).tcp.unwrap());
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&PUBLIC_AARQ).unwrap();
    let mut first = [0; 16];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(first, [0, 1, 0, 1, 0, 16, 0, 8, 0x0F, 0, 0, 0, 1, 0, 2, 0]);
    stream.read_exact(&mut first[..9]).unwrap();
    assert_eq!(first[8], 0x61);
}

#[test]
fn a_meter_that_starts_anew_cuts_off_everybody() {
    let server = with(&[]);
    let mut client = tcp(server.ports(0).tcp.unwrap(), public(), 0).associate().unwrap();
    assert_eq!(octets(&client.get(1, "0.0.96.1.0.255", 2)), b"10000001");
    server.fleet().devices()[0].reboot();
    let lost = client.get_blocks(1, "0.0.42.0.0.255", 2, None).err().unwrap();
    assert!(matches!(kind(lost), Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)));
    let mut again = tcp(server.ports(0).tcp.unwrap(), public(), 0).associate().unwrap();
    assert_eq!(octets(&again.get(1, "0.0.96.1.0.255", 2)), b"10000001");
}
