//! The firmware's meter behind a UART at 9600 baud: an interrupt for every octet, a main loop that comes round now and
//! then, HDLC with several clients at once. Time is simulated, octet by octet.

use std::collections::VecDeque;

use dlms::Instant;
use dlms::acse::Mechanism;
use dlms::apdu::{AttributeDescriptor, AttributeRequest, DataAccessResult};
use dlms::association::client::{Config, Connection, Event, Response, Security};
use dlms::association::server;
use dlms::axdr::{Data, Value};
use dlms::hdlc::server::{Config as Serving, Session, Station};
use dlms::hdlc::{Address, FRAME_MAX, client};
use dlms::id::{AttributeId, ClassId, ClientSap, ServerSap, SystemTitle};
use dlms::obis::ObisCode;
use dlms::security::{InvocationCounter, KeySet, Protection, Random, SmallCrypto, Suite};
use dlms_meter_server::uart::Uart;

// The same files as the program without `std`, which is linked in another test.
#[allow(dead_code, unreachable_pub, unused_qualifications)]
#[path = "../firmware/src/image.rs"]
mod image;
#[allow(dead_code, unreachable_pub, unused_qualifications)]
#[path = "../firmware/src/meter.rs"]
mod meter;

use meter::Meter;

/// As the firmware has it.
const PDU_OCTETS: u16 = 256;
/// An octet at 9600 baud with start and stop bit, in microseconds.
const OCTET_US: u64 = 1_042;
const ENERGY: [u8; 6] = [1, 0, 1, 8, 0, 255];
const PROFILE: [u8; 6] = [1, 0, 99, 1, 0, 255];

struct Entropy(u64);

impl Random for Entropy {
    fn fill(&mut self, octets: &mut [u8]) {
        for chunk in octets.chunks_mut(8) {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            chunk.copy_from_slice(&self.0.to_be_bytes()[..chunk.len()]);
        }
    }
}

type Everyone = fn(ClientSap, Address) -> bool;
type Line = server::Connection<Station<Vec<u8>, [Session<Vec<u8>>; 2], Everyone>, SmallCrypto, Vec<u8>, 2>;
type Client = Connection<client::Session<Vec<u8>>, SmallCrypto, Entropy, Vec<u8>>;

/// A meter, its UART, and the clients on the line.
struct Board<const RECEIVE: usize> {
    now_us: u64,
    uart: Uart<RECEIVE, 256>,
    line: Line,
    meter: Meter,
    entropy: Entropy,
    /// Octets on the wire to the meter, and those from it that each client has not taken yet.
    up: VecDeque<u8>,
    down: [VecDeque<u8>; 3],
    clients: Vec<Client>,
    /// Octet times between two turns of the main loop.
    pause: u64,
    /// Every so many octet times the main loop is busy for another 40 of them; 0: never.
    busy_every: u64,
    octets: u64,
}

impl<const RECEIVE: usize> Board<RECEIVE> {
    fn new(pause: u64, busy_every: u64) -> Self {
        let storage = || vec![0; 512];
        let session = || Session::new(Serving::default(), storage(), storage());
        let everyone: Everyone = |_, _| true;
        let station = Station::new(vec![0; FRAME_MAX], 100, [session(), session()], everyone);
        let line = server::Connection::new(station, || vec![0; 128], storage());
        let (uart, meter) = (Uart::new(), Meter::new());
        let (up, down, clients, entropy) = (VecDeque::new(), Default::default(), Vec::new(), Entropy(1));
        Self { now_us: 0, uart, line, meter, entropy, up, down, clients, pause, busy_every, octets: 0 }
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.now_us / 1_000)
    }

    /// The next octet time: both wires carry one octet, and the main loop comes round when it is due.
    fn step(&mut self) {
        self.now_us += OCTET_US;
        self.octets += 1;
        let now = self.now();
        if let Some(octet) = self.up.pop_front() {
            self.uart.on_received(octet);
        }
        if let Some(octet) = self.uart.next_to_send() {
            self.down.iter_mut().for_each(|down| down.push_back(octet));
        }
        // A client that has something to say first takes its octets later.
        for (client, down) in self.clients.iter_mut().zip(&mut self.down) {
            while let Some(octet) = down.front() {
                if client.handle_input(&[*octet], now) == 0 {
                    break;
                }
                down.pop_front();
            }
        }
        let mut out = [0; 256];
        for client in &mut self.clients {
            client.handle_timeout(now);
            while let Some(length) = client.poll_transmit(&mut out) {
                self.up.extend(&out[..length]);
            }
        }
        let busy = self.busy_every != 0 && self.octets % self.busy_every < 40;
        if self.octets.is_multiple_of(self.pause) && !busy {
            self.meter.set_time(1_790_000_000 + i64::try_from(self.now_us / 1_000_000).unwrap());
            self.uart.turn(&mut self.line, now, &mut self.meter, &mut self.entropy, &mut [0; 160]).unwrap();
        }
    }

    /// Goes on until client number `index` has its answer.
    fn until_answered(&mut self, index: usize) -> Result<Value, DataAccessResult> {
        let mut joined = Vec::new();
        for _ in 0..200_000 {
            while let Some(event) = self.clients[index].poll_event() {
                match event {
                    Event::Associated(_) => return Ok(Value::Null),
                    Event::Response(Response::Get(result)) => return result.into_result().map(Value::from),
                    Event::Response(Response::GetBlock { raw, last }) => {
                        joined.extend_from_slice(raw);
                        if last {
                            return Ok(Data::from_slice(&joined).unwrap().into());
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
            self.step();
        }
        panic!("no answer in {} s", self.now_us / 1_000_000);
    }

    fn associate(&mut self, config: Config) -> usize {
        let own = Address::client(config.client.0).unwrap();
        let station = client::Config {
            response_timeout_ms: 2_000,
            ..client::Config::new(own, Address::shortest(config.server.0, None).unwrap())
        };
        let link = client::Session::new(station, vec![0; FRAME_MAX], vec![0; 2_048], vec![0; 512]);
        let counter = InvocationCounter::new(1, 10_000);
        let client = Connection::new(link, config, Entropy(7), counter, vec![0; 512], vec![0; 512]);
        self.clients.push(client);
        let index = self.clients.len() - 1;
        let now = self.now();
        self.clients[index].associate(now).unwrap();
        self.until_answered(index).unwrap();
        index
    }

    fn get(&mut self, index: usize, class: u16, instance: [u8; 6]) -> Result<Value, DataAccessResult> {
        let attribute = AttributeDescriptor::new(ClassId(class), ObisCode(instance), AttributeId(2));
        let now = self.now();
        self.clients[index].get(AttributeRequest::whole(attribute), now).unwrap();
        self.until_answered(index)
    }
}

fn public() -> Config {
    Config { max_pdu: 256, ..Config::public(ServerSap::MANAGEMENT) }
}

fn management() -> Config {
    let encryption: Vec<u8> = (0..16).collect();
    let authentication: Vec<u8> = (0xD0..=0xDF).collect();
    Config {
        client: ClientSap::MANAGEMENT,
        mechanism: Mechanism::Gmac,
        security: Some(Security {
            suite: Suite::Suite0,
            keys: KeySet::new(Suite::Suite0, &encryption, &authentication).unwrap(),
            dedicated_key: None,
            system_title: SystemTitle(*b"DLM\0\0\0\0\x02"),
            peer_title: Some(SystemTitle(*b"DLM\0\0\0\0\x01")),
            protection: Protection::AUTHENTICATED_ENCRYPTED,
            general: false,
            receive_floor: 0,
        }),
        ..public()
    }
}

fn reads_everything<const RECEIVE: usize>(board: &mut Board<RECEIVE>) {
    let management = board.associate(management());
    assert!(matches!(board.get(management, 3, ENERGY), Ok(Value::DoubleLongUnsigned(_))));
    let Ok(Value::Array(rows)) = board.get(management, 7, PROFILE) else { panic!("rows") };
    assert_eq!(rows.len(), 960);
    assert!(board.now_us > 20_000_000, "ten days of rows take their time at 9600 baud");
}

#[test]
fn a_main_loop_that_comes_round_for_every_octet_or_seldom_reads_the_same() {
    for pause in [1, 7, 50] {
        let mut board = Board::<256>::new(pause, 0);
        reads_everything(&mut board);
        assert_eq!(board.uart.overruns(), 0);
    }
}

/// A ring that is too short for a main loop that is busy at times: octets are lost, frames with them, and HDLC asks for
/// them again.
#[test]
fn octets_that_are_lost_are_asked_for_again() {
    let mut board = Board::<32>::new(3, 997);
    reads_everything(&mut board);
    assert!(board.uart.overruns() > 0, "nothing was lost");
}

/// Two associations at once on one line, each with its own rights and ciphering, and no third one.
#[test]
fn several_associations_share_a_line_and_are_bounded() {
    let mut board = Board::<256>::new(5, 0);
    let visitor = board.associate(public());
    let manager = board.associate(management());
    for _ in 0..3 {
        assert!(matches!(board.get(manager, 3, ENERGY), Ok(Value::DoubleLongUnsigned(_))));
        assert_eq!(board.get(visitor, 3, ENERGY), Err(DataAccessResult::ObjectUndefined));
        assert!(matches!(board.get(visitor, 1, [0, 0, 42, 0, 0, 255]), Ok(Value::OctetString(_))));
    }
    // Both sessions are taken: a third client is not even heard.
    let third = Config { client: ClientSap(5), ..public() };
    let own = Address::client(5).unwrap();
    let station = client::Config { retries: 0, ..client::Config::new(own, Address::shortest(1, None).unwrap()) };
    let link = client::Session::new(station, vec![0; FRAME_MAX], vec![0; 512], vec![0; 512]);
    let counter = InvocationCounter::new(1, 2);
    board.clients.push(Connection::new(link, third, Entropy(9), counter, vec![0; 512], vec![0; 512]));
    let now = board.now();
    board.clients[2].associate(now).unwrap();
    let refused = (0..20_000).any(|_| {
        board.step();
        matches!(board.clients[2].poll_event(), Some(Event::Closed(_) | Event::Failed(_)))
    });
    assert!(refused);
    assert!(matches!(board.get(manager, 3, ENERGY), Ok(Value::DoubleLongUnsigned(_))));
    assert_eq!(board.get(visitor, 3, ENERGY), Err(DataAccessResult::ObjectUndefined));
}
