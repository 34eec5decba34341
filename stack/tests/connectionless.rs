//! Unconfirmed services in UI frames: to one meter, to all of a line, in clear and under the broadcast key.

mod pair;

use dlms::Instant;
use dlms::apdu::{AttributeRequest, Conformance};
use dlms::association::client::{Connection, Event, GeneralBlocks, PreEstablished};
use dlms::association::server::REFUSALS_MAX;
use dlms::association::{client::Config, server};
use dlms::axdr::{Data, Value, Writer};
use dlms::hdlc::client::Connectionless;
use dlms::hdlc::{self, Address, Width};
use dlms::id::{ClientSap, ServerSap};
use dlms::security::{InvocationCounter, KeySet, RustCrypto, Suite};
use hex_literal::hex;
use pair::*;

type Addresses = fn(ClientSap, Address) -> bool;
type Station = hdlc::server::Station<Vec<u8>, Vec<hdlc::server::Session<Vec<u8>>>, Addresses>;

struct Served {
    connection: server::Connection<Station, RustCrypto, Vec<u8>, 2>,
    meter: Meter,
    random: Counting,
}

/// A meter with physical address 16, 17 or other, and logical device 1.
fn meter(addresses: Addresses) -> Served {
    meter_with(hdlc::server::Config::default(), addresses)
}

fn meter_with(config: hdlc::server::Config, addresses: Addresses) -> Served {
    let session = || hdlc::server::Session::new(config, vec![0; 1_024], vec![0; 1_024]);
    let station = Station::new(vec![0; 1_024], 1_000, vec![session(), session()], addresses);
    let connection = server::Connection::new(station, || vec![0; 1_024], vec![0; 1_024]);
    Served { connection, meter: Meter::default(), random: Counting(7) }
}

fn client(config: Config, destination: Address) -> Connection<Connectionless<Vec<u8>>, RustCrypto, Counting, Vec<u8>> {
    let own = Address::client(config.client.0).unwrap();
    let session = hdlc::client::Config::new(own, Address::new(1, 16, Width::Two).unwrap());
    let session = hdlc::client::Session::new(session, vec![0; 1_024], vec![0; 1_024], vec![0; 1_024]);
    let link = Connectionless::new(session, destination);
    Connection::new(link, config, Counting(0), InvocationCounter::new(1, 1_000), vec![0; 1_024], vec![0; 1_024])
}

#[test]
fn a_broadcast_is_executed_by_all_and_answered_by_none() {
    let now = Instant::from_millis(0);
    for (lower, heard) in [(0x7F, [true, true]), (17, [false, true])] {
        let config = Config {
            client: STANDING,
            pre_established: Some(PreEstablished { server_max_pdu: 500 }),
            ..Config::public(ServerSap::MANAGEMENT)
        };
        let mut meters = [
            meter(|_, address| address.lower() == Some(16) && address.upper() == 1),
            meter(|_, address| address.lower() == Some(17) && address.upper() == 1),
        ];
        let mut client = client(config, Address::new(1, lower, Width::Two).unwrap());
        client.associate(now).unwrap();
        assert!(matches!(client.poll_event(), Some(Event::Associated(_))));
        client.set_unconfirmed(AttributeRequest::whole(TEXT), Data::OctetString(b"to all"), now).unwrap();
        client.poll_event();
        let mut octets = [0; 1_024];
        let mut frames = 0;
        while let Some(length) = client.poll_transmit(&mut octets) {
            frames += 1;
            for served in &mut meters {
                let frame = &octets[..length];
                served.connection.handle_input(frame, now, &mut served.meter, &mut served.random).unwrap();
                assert_eq!(served.connection.poll_transmit(&mut [0; 1_024]), None, "a broadcast was answered");
            }
        }
        assert_eq!(frames, 1);
        let told = meters.each_ref().map(|served| served.meter.text == b"to all");
        assert_eq!(told, heard);
        // Nothing is waited for.
        assert!(!client.is_pending());
        client.action_unconfirmed(ECHO, None, now).unwrap();
    }
}

#[test]
fn a_confirmed_request_in_a_ui_frame_is_not_answered_in_sequence() {
    let now = Instant::from_millis(0);
    let config = Config {
        client: STANDING,
        pre_established: Some(PreEstablished { server_max_pdu: 500 }),
        response_timeout_ms: 1_000,
        ..Config::public(ServerSap::MANAGEMENT)
    };
    let mut served = meter(|_, address| address.lower() == Some(16) && address.upper() == 1);
    let mut client = client(config, Address::new(1, 16, Width::Two).unwrap());
    client.associate(now).unwrap();
    assert!(matches!(client.poll_event(), Some(Event::Associated(_))));
    client.get(AttributeRequest::whole(REGISTER), now).unwrap();
    let mut octets = [0; 1_024];
    let length = client.poll_transmit(&mut octets).unwrap();
    served.connection.handle_input(&octets[..length], now, &mut served.meter, &mut served.random).unwrap();
    assert_eq!(served.connection.poll_transmit(&mut octets), None);
    client.handle_timeout(Instant::from_millis(1_000));
    assert!(matches!(client.poll_event(), Some(Event::Failed(_))));
}

/// Over an open link too a UI frame is not answered, nor is what would follow a first block that was dropped.
#[test]
fn a_request_in_a_ui_frame_over_an_open_link_begins_no_blocks() {
    let now = Instant::from_millis(0);
    let general = Conformance::GENERAL_BLOCK_TRANSFER;
    let config = Config {
        conformance: Config::public(ServerSap::MANAGEMENT)
            .conformance
            .union(general)
            .without(Conformance::BLOCK_TRANSFER_WITH_GET),
        max_pdu: 128,
        general_blocks: GeneralBlocks { window: 63, retries: 0 },
        ..reader(PASSWORD)
    };
    let address = Address::client(config.client.0).unwrap();
    let destination = Address::new(1, 16, Width::Two).unwrap();
    let link = hdlc::client::Config::new(address, destination);
    let link = hdlc::client::Session::new(link, vec![0; 1_024], vec![0; 1_024], vec![0; 1_024]);
    let counter = InvocationCounter::new(1, 1_000);
    let mut reading: Connection<_, RustCrypto, _, _> =
        Connection::new(link, config, Counting(0), counter, vec![0; 1_024], vec![0; 1_024]);
    let both_ways = hdlc::server::Config { full_duplex: true, ..hdlc::server::Config::default() };
    let mut served = meter_with(both_ways, |_, address| address.lower() == Some(16) && address.upper() == 1);
    (served.meter.rows, served.meter.row_octets) = (60, 30);
    let mut octets = [0; 1_024];
    let exchange = |served: &mut Served, reading: &mut Connection<_, RustCrypto, _, _>| {
        let (mut octets, mut happened) = ([0; 1_024], Vec::new());
        for _ in 0..1_000 {
            let mut blocks = Vec::new();
            while let Some(event) = reading.poll_event() {
                happened.extend(own(event, &mut blocks));
            }
            while let Some(length) = reading.poll_transmit(&mut octets) {
                served.connection.handle_input(&octets[..length], now, &mut served.meter, &mut served.random).unwrap();
            }
            while let Some(length) = served.connection.poll_transmit(&mut octets) {
                assert_eq!(reading.handle_input(&octets[..length], now), length);
            }
            served.connection.handle_timeout(now, &mut served.meter, &mut served.random).unwrap();
        }
        happened
    };
    reading.associate(now).unwrap();
    assert_eq!(exchange(&mut served, &mut reading), [Happened::Associated]);
    // The same client asks for the profile, outside the sequence, and takes 63 blocks at once.
    let request = hex!("E6E600 E0 BF 0001 0000 0D C001C1 0007 0100630100FF 02 00");
    // Behind it RR: the AARE has arrived, and the meter may send.
    for (control, information) in [(0x03, &request[..]), (0x31, &[])] {
        let control = hdlc::Control::from_byte(control);
        let frame = hdlc::Repr { destination, source: address, control, segmented: false, information };
        let mut out = Writer::new(&mut octets);
        frame.emit(&mut out).unwrap();
        served.connection.handle_input(out.written(), now, &mut served.meter, &mut served.random).unwrap();
    }
    served.connection.handle_timeout(now, &mut served.meter, &mut served.random).unwrap();
    while let Some(length) = served.connection.poll_transmit(&mut octets) {
        assert!(length < 16, "blocks without their first: {:02X?}", &octets[..length]);
    }
    reading.get(AttributeRequest::whole(REGISTER), now).unwrap();
    assert_eq!(exchange(&mut served, &mut reading), [Happened::Value(Value::DoubleLongUnsigned(913))]);
}

/// There is no link to take down, and so nobody who would notice that it is: what is pre-established comes back.
#[test]
fn forged_frames_do_not_switch_off_what_is_pre_established() {
    let now = Instant::from_millis(0);
    let mut served = meter(|_, address| address.lower() == Some(16) && address.upper() == 1);
    let set = |served: &mut Served, key: &[u8], times: u8, counter: u32| {
        let mut config = Config {
            client: STANDING_CIPHERED,
            mechanism: dlms::acse::Mechanism::Lowest,
            pre_established: Some(PreEstablished { server_max_pdu: 500 }),
            ..management()
        };
        let security = config.security.as_mut().unwrap();
        (security.peer_title, security.keys) = (Some(SERVER_TITLE), KeySet::new(Suite::Suite0, key, &GAK).unwrap());
        let own = Address::client(config.client.0).unwrap();
        let meter = Address::new(1, 16, Width::Two).unwrap();
        let session = hdlc::client::Config::new(own, meter);
        let session = hdlc::client::Session::new(session, vec![0; 1_024], vec![0; 1_024], vec![0; 1_024]);
        let (link, counter) = (Connectionless::new(session, meter), InvocationCounter::new(counter, 1_000));
        let mut client: Connection<_, RustCrypto, _, _> =
            Connection::new(link, config, Counting(0), counter, vec![0; 1_024], vec![0; 1_024]);
        client.associate(now).unwrap();
        for _ in 0..times {
            while client.poll_event().is_some() {}
            client.set_unconfirmed(AttributeRequest::whole(TEXT), Data::OctetString(b"genuine"), now).unwrap();
            let mut octets = [0; 1_024];
            let length = client.poll_transmit(&mut octets).unwrap();
            served.connection.handle_input(&octets[..length], now, &mut served.meter, &mut served.random).unwrap();
            while served.connection.poll_transmit(&mut octets).is_some() {}
        }
    };
    set(&mut served, &[0x66; 16], REFUSALS_MAX, 1);
    assert!(served.meter.text.is_empty() && !served.meter.audit.is_empty());
    set(&mut served, &GUEK, 1, 1);
    assert_eq!(served.meter.text, b"genuine");
}

/// Blocks of an answer follow one another by themselves; what another client sends meanwhile takes none of them away.
#[test]
fn blocks_go_on_when_another_client_has_sent_a_ui_frame() {
    let now = Instant::from_millis(0);
    let conformance = Config::public(ServerSap::MANAGEMENT).conformance;
    let config = Config {
        conformance: conformance
            .union(Conformance::GENERAL_BLOCK_TRANSFER)
            .without(Conformance::BLOCK_TRANSFER_WITH_GET),
        max_pdu: 128,
        general_blocks: GeneralBlocks { window: 63, retries: 0 },
        ..reader(PASSWORD)
    };
    let link =
        hdlc::client::Config::new(Address::client(config.client.0).unwrap(), Address::new(1, 16, Width::Two).unwrap());
    let link = hdlc::client::Session::new(link, vec![0; 1_024], vec![0; 1_024], vec![0; 1_024]);
    let counter = InvocationCounter::new(1, 1_000);
    let mut reading: Connection<_, RustCrypto, _, _> =
        Connection::new(link, config, Counting(0), counter, vec![0; 1_024], vec![0; 1_024]);
    let standing = Config {
        client: STANDING,
        pre_established: Some(PreEstablished { server_max_pdu: 500 }),
        ..Config::public(ServerSap::MANAGEMENT)
    };
    let mut other = client(standing, Address::new(1, 16, Width::Two).unwrap());
    other.associate(now).unwrap();
    other.poll_event();

    let mut served = meter(|_, address| address.lower() == Some(16) && address.upper() == 1);
    (served.meter.rows, served.meter.row_octets) = (60, 30);
    reading.associate(now).unwrap();
    let (mut octets, mut down, mut blocks, mut told) = ([0; 1_024], Vec::new(), Vec::new(), 0);
    let happened = loop {
        let event = reading.poll_event();
        let mut moved = event.is_some();
        match event.and_then(|event| own(event, &mut blocks)) {
            Some(Happened::Associated) => reading.get(AttributeRequest::whole(PROFILE), now).unwrap(),
            Some(happened) => break happened,
            None => {}
        }
        while let Some(length) = reading.poll_transmit(&mut octets) {
            moved = true;
            served.connection.handle_input(&octets[..length], now, &mut served.meter, &mut served.random).unwrap();
        }
        while let Some(length) = served.connection.poll_transmit(&mut octets) {
            moved = true;
            down.extend_from_slice(&octets[..length]);
            if !reading.is_pending() {
                continue;
            }
            other.set_unconfirmed(AttributeRequest::whole(TEXT), Data::OctetString(b"meanwhile"), now).unwrap();
            other.poll_event();
            while let Some(length) = other.poll_transmit(&mut octets) {
                told += 1;
                served.connection.handle_input(&octets[..length], now, &mut served.meter, &mut served.random).unwrap();
            }
        }
        let taken = reading.handle_input(&down, now);
        down.drain(..taken);
        moved |= taken > 0;
        served.connection.handle_timeout(now, &mut served.meter, &mut served.random).unwrap();
        if !moved && served.connection.poll_timeout() != Some(now) {
            panic!("a block is missing");
        }
    };
    assert!(matches!(happened, Happened::Value(Value::Array(rows)) if rows.len() == 60));
    assert!(told > 1, "{told} UI frames");
    assert_eq!(served.meter.text, b"meanwhile");
}
