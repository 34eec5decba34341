//! The firmware's board without its processor: flash memory whose power can fail, a UART with an interrupt for every
//! octet, a main loop that comes round now and then, and clients at the other end of the wires. Time is simulated.

// The same files as the program without `std`, which is linked in another test.
#[allow(dead_code, unreachable_pub, unused_qualifications, clippy::indexing_slicing)]
#[path = "../../firmware/src/common.rs"]
mod common;
#[allow(dead_code, unreachable_pub, unused_qualifications)]
#[path = "../../firmware/src/board/mod.rs"]
mod firmware;
#[allow(dead_code)]
#[path = "../../src/flash/tests/nor.rs"]
mod nor;

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};

use dlms::Instant;
use dlms::acse::Mechanism;
use dlms::apdu::{ActionResult, AttributeDescriptor, AttributeRequest, DataAccessResult, MethodDescriptor, Selection};
use dlms::association::Secret;
use dlms::association::client::{Config, Connection, Event, Response, Security};
use dlms::association::server::{Access, AssociationConfig, Cursor, Device, Offer, Progress};
use dlms::axdr::{BufferFull, Data, Value, Writer};
use dlms::hdlc::{Address, FRAME_MAX, client};
use dlms::id::{AttributeId, ClassId, ClientSap, MethodId, ServerSap, SystemTitle};
use dlms::obis::ObisCode;
use dlms::security::{InvocationCounter, KeyEncryptionKey, KeySet, Protection, Random, SmallCrypto, Suite, wrap_key};
use dlms_meter_server::flash::Partition;
use dlms_meter_server::uart::Uart;

pub(crate) use common::counted;
pub(crate) use firmware::{IMAGE_OCTETS, Lost};
use firmware::{Line, Memory, Meter, Places, ROOM, line};
use nor::Nor;

/// An octet at 9600 baud with start and stop bit, in microseconds.
const OCTET_US: u64 = 1_042;
/// When the simulation begins, in seconds since 1970, UTC.
pub(crate) const START: i64 = 1_790_000_100;
const QUARTER_SECONDS: i64 = 900;
/// Octets that are erased at once. A short block is full soon, so that more is erased.
const ERASE: usize = 1_024;

pub(crate) const ENERGY: [u8; 6] = common::ENERGY.0;
pub(crate) const PROFILE: [u8; 6] = common::PROFILE.0;
pub(crate) const CLOCK: [u8; 6] = common::CLOCK.0;
pub(crate) const SECURITY: [u8; 6] = [0, 0, 43, 0, 0, 255];

type Flash = Nor<8, ERASE>;
type Part = Partition<'static, Flash>;

pub(crate) struct Entropy(pub(crate) u64);

impl Random for Entropy {
    fn fill(&mut self, octets: &mut [u8]) {
        for chunk in octets.chunks_mut(8) {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            chunk.copy_from_slice(&self.0.to_be_bytes()[..chunk.len()]);
        }
    }
}

pub(crate) type Client = Connection<client::Session<Vec<u8>>, SmallCrypto, Entropy, Vec<u8>>;

/// Invocation counters by key, over all lives of a meter.
#[derive(Clone, Default)]
pub(crate) struct Counters {
    sent: BTreeSet<(Vec<u8>, u32)>,
    accepted: BTreeSet<(Vec<u8>, u32)>,
}

/// A meter whose counters are watched: none may leave, or be obeyed, a second time.
struct Watched<'a> {
    meter: &'a mut Meter<Part>,
    counters: &'a mut Counters,
}

impl Watched<'_> {
    fn key(&self) -> Vec<u8> {
        let config = self.meter.association(ClientSap::MANAGEMENT, ServerSap::MANAGEMENT).unwrap();
        config.security.unwrap().encryption_key.to_vec()
    }
}

impl Device for Watched<'_> {
    const OFFER: Offer = <Meter<Part> as Device>::OFFER;

    fn association(&self, client: ClientSap, server: ServerSap) -> Option<AssociationConfig<'_>> {
        self.meter.association(client, server)
    }

    fn read(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        self.meter.read(access, attribute, selection, cursor, out)
    }

    fn write(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        self.meter.write(access, attribute, selection, value)
    }

    fn invoke(
        &mut self,
        access: &Access,
        method: MethodDescriptor,
        parameter: Option<Data<'_>>,
        out: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        self.meter.invoke(access, method, parameter, out)
    }

    fn take_counter(&mut self, server: ServerSap, setup: u8) -> Option<u32> {
        let counter = self.meter.take_counter(server, setup)?;
        assert!(self.counters.sent.insert((self.key(), counter)), "counter {counter} leaves a second time");
        Some(counter)
    }

    fn floor(&self, server: ServerSap, setup: u8, peer: SystemTitle) -> u32 {
        self.meter.floor(server, setup, peer)
    }

    fn accept_counter(&mut self, server: ServerSap, setup: u8, peer: SystemTitle, counter: u32) {
        self.meter.accept_counter(server, setup, peer, counter);
        // With the memory failed nothing is obeyed.
        if self.meter.floor(server, setup, peer) != u32::MAX {
            assert!(self.counters.accepted.insert((self.key(), counter)), "counter {counter} is obeyed a second time");
        }
    }

    fn key_generation(&self, server: ServerSap, setup: u8) -> u32 {
        self.meter.key_generation(server, setup)
    }

    fn answered(&mut self, server: ServerSap) {
        self.meter.answered(server);
    }
}

/// What a client got.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Associated,
    Released,
    /// The association was refused, or no answer came.
    Refused,
    Value(Result<Value, DataAccessResult>),
    Set(DataAccessResult),
    Invoked(ActionResult),
    /// The power of the meter has failed.
    Dark,
}

/// A meter, its UART, and the clients on the line.
pub(crate) struct Board<const RECEIVE: usize> {
    pub(crate) now_us: u64,
    pub(crate) uart: Uart<RECEIVE, 256>,
    flash: Flash,
    line: Line,
    meter: Meter<Part>,
    pub(crate) counters: Counters,
    entropy: Entropy,
    /// Octets on the wire to the meter, and those from it that each client has not taken yet.
    up: VecDeque<u8>,
    down: [VecDeque<u8>; 3],
    pub(crate) clients: Vec<Client>,
    /// Octet times between two turns of the main loop.
    pause: u64,
    /// Every so many octet times the main loop is busy for another 40 of them; 0: never.
    busy_every: u64,
    octets: u64,
    /// Octets on each wire in an octet time: one, or more where time does not matter.
    burst: usize,
    /// Of the client that comes next.
    client_counter: u32,
}

/// The meter that a memory holds, as after a reset.
fn start(flash: &Flash) -> Result<Meter<Part>, Lost> {
    // A handle, which is lost with the meter.
    let flash = Box::leak(Box::new(RefCell::new(flash.clone())));
    let part = |first, blocks| Partition::new(flash, first, blocks).unwrap();
    let places = Places {
        settings: part(0, 2),
        counters: part(2, 2),
        transfer: part(4, 2),
        rows: part(6, 26),
        image: part(32, 68),
    };
    Meter::open(places)
}

impl<const RECEIVE: usize> Board<RECEIVE> {
    /// A meter as it leaves the factory.
    pub(crate) fn new(pause: u64, busy_every: u64) -> Self {
        let flash = Flash::new(100);
        flash.0.borrow_mut().again = true;
        let meter = start(&flash).unwrap();
        let line = line(Box::leak(Box::new(Memory::new())));
        let (uart, counters) = (Uart::new(), Counters::default());
        let (up, down, clients, entropy) = (VecDeque::new(), Default::default(), Vec::new(), Entropy(1));
        let (now_us, octets, client_counter) = (0, 0, 1);
        Self {
            now_us,
            uart,
            flash,
            line,
            meter,
            counters,
            entropy,
            up,
            down,
            clients,
            pause,
            busy_every,
            octets,
            burst: 1,
            client_counter,
        }
    }

    /// One that has been in use for so many quarter-hours.
    pub(crate) fn used(pause: u64, busy_every: u64, quarters: i64) -> Self {
        let mut board = Self::new(pause, busy_every);
        (0..=quarters).for_each(|quarter| board.meter.tick(START - (quarters - quarter) * QUARTER_SECONDS));
        board
    }

    /// Power will fail after so many steps of the memory, in the last of which some of the bits of an octet are changed.
    pub(crate) fn fail_after(&mut self, steps: usize, torn: u8) {
        let mut memory = self.flash.0.borrow_mut();
        (memory.power, memory.torn) = (Some(steps), torn);
    }

    /// Steps of the memory so far.
    pub(crate) fn steps(&self) -> usize {
        self.flash.0.borrow().steps
    }

    fn is_dark(&self) -> bool {
        self.flash.0.borrow().dark
    }

    /// The memory takes no settings any more.
    pub(crate) fn break_settings(&mut self) {
        self.flash.0.borrow_mut().broken = 0..2 * ERASE;
    }

    /// Another meter with the same memory, just reset, whose wires carry `burst` octets at once.
    pub(crate) fn copy(&self, burst: usize) -> Self {
        let mut copy = Self { burst, counters: self.counters.clone(), now_us: self.now_us, ..Self::new(1, 0) };
        copy.flash.0.borrow_mut().octets.clone_from(&self.flash.0.borrow().octets);
        copy.client_counter = self.client_counter;
        copy.restart().unwrap();
        copy
    }

    /// Power is back: only what the flash memory holds is left. The clients are others.
    pub(crate) fn restart(&mut self) -> Result<(), Lost> {
        let mut memory = self.flash.0.borrow_mut();
        (memory.power, memory.dark) = (None, false);
        drop(memory);
        self.meter = start(&self.flash)?;
        self.line = line(Box::leak(Box::new(Memory::new())));
        self.uart = Uart::new();
        self.clients.clear();
        self.up.clear();
        self.down.iter_mut().for_each(VecDeque::clear);
        // Long enough for a client's counter to be beyond any that it has used.
        self.client_counter += 10_000;
        Ok(())
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(self.now_us / 1_000)
    }

    /// What the board's own clock shows.
    pub(crate) fn seconds(&self) -> i64 {
        START + i64::try_from(self.now_us / 1_000_000).unwrap()
    }

    /// The next octet time: both wires carry one octet, and the main loop comes round when it is due.
    pub(crate) fn step(&mut self) {
        self.now_us += OCTET_US;
        self.octets += 1;
        let now = self.now();
        for _ in 0..self.burst {
            if let Some(octet) = self.up.pop_front() {
                self.uart.on_received(octet);
            }
            if let Some(octet) = self.uart.next_to_send() {
                self.down.iter_mut().for_each(|down| down.push_back(octet));
            }
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
        if self.octets.is_multiple_of(self.pause) && !busy && !self.is_dark() {
            let seconds = self.seconds();
            self.meter.tick(seconds);
            let mut device = Watched { meter: &mut self.meter, counters: &mut self.counters };
            self.uart.turn(&mut self.line, now, &mut device, &mut self.entropy, &mut [0; ROOM]).unwrap();
        }
    }

    /// Goes on until client number `index` has its answer, or power fails.
    pub(crate) fn until_answered(&mut self, index: usize) -> Answer {
        let mut joined = Vec::new();
        for _ in 0..400_000 {
            if self.is_dark() {
                return Answer::Dark;
            }
            while let Some(event) = self.clients[index].poll_event() {
                match event {
                    Event::Associated(_) => return Answer::Associated,
                    Event::Released => return Answer::Released,
                    Event::Closed(_) | Event::Failed(_) => return Answer::Refused,
                    Event::Response(Response::Get(result)) => {
                        return Answer::Value(result.into_result().map(Value::from));
                    }
                    Event::Response(Response::GetBlock { raw, last }) => {
                        joined.extend_from_slice(raw);
                        if last {
                            return Answer::Value(Ok(Data::from_slice(&joined).unwrap().into()));
                        }
                    }
                    Event::Response(Response::Set(result)) => return Answer::Set(result),
                    Event::Response(Response::Action(result)) => return Answer::Invoked(result.result),
                    other => panic!("{other:?}"),
                }
            }
            self.step();
        }
        panic!("no answer in {} s", self.now_us / 1_000_000);
    }

    /// A client comes and asks for an association.
    pub(crate) fn propose(&mut self, config: Config) -> (usize, Answer) {
        let own = Address::client(config.client.0).unwrap();
        let station = client::Config {
            response_timeout_ms: 2_000,
            ..client::Config::new(own, Address::shortest(config.server.0, None).unwrap())
        };
        let link = client::Session::new(station, vec![0; FRAME_MAX], vec![0; 2_048], vec![0; 512]);
        let counter = InvocationCounter::new(self.client_counter, self.client_counter + 10_000);
        self.client_counter += 10_000;
        let client = Connection::new(link, config, Entropy(7), counter, vec![0; 512], vec![0; 512]);
        self.clients.push(client);
        let index = self.clients.len() - 1;
        // What was on the wire before is not for it.
        self.down[index].clear();
        let now = self.now();
        self.clients[index].associate(now).unwrap();
        (index, self.until_answered(index))
    }

    pub(crate) fn associate(&mut self, config: Config) -> usize {
        let (index, answer) = self.propose(config);
        assert_eq!(answer, Answer::Associated);
        index
    }

    /// Whether a client is let in; it leaves at once.
    pub(crate) fn lets_in(&mut self, config: Config) -> bool {
        let (index, answer) = self.propose(config);
        if answer == Answer::Associated {
            self.leave(index);
        } else {
            self.clients.remove(index);
        }
        answer == Answer::Associated
    }

    pub(crate) fn leave(&mut self, index: usize) {
        let now = self.now();
        self.clients[index].release(now).unwrap();
        assert_eq!(self.until_answered(index), Answer::Released);
        self.clients.remove(index);
    }

    pub(crate) fn get(
        &mut self,
        index: usize,
        class: u16,
        instance: [u8; 6],
        id: i8,
    ) -> Result<Value, DataAccessResult> {
        let attribute = AttributeDescriptor::new(ClassId(class), ObisCode(instance), AttributeId(id));
        let now = self.now();
        self.clients[index].get(AttributeRequest::whole(attribute), now).unwrap();
        match self.until_answered(index) {
            Answer::Value(value) => value,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn set(&mut self, index: usize, class: u16, instance: [u8; 6], id: i8, value: Data<'_>) -> Answer {
        let attribute = AttributeDescriptor::new(ClassId(class), ObisCode(instance), AttributeId(id));
        let now = self.now();
        self.clients[index].set(AttributeRequest::whole(attribute), value, now).unwrap();
        self.until_answered(index)
    }

    pub(crate) fn invoke(&mut self, index: usize, class: u16, instance: [u8; 6], id: i8, value: &[u8]) -> Answer {
        let method = MethodDescriptor { class: ClassId(class), instance: ObisCode(instance), method: MethodId(id) };
        let now = self.now();
        self.clients[index].action(method, Some(Data::from_slice(value).unwrap()), now).unwrap();
        self.until_answered(index)
    }
}

pub(crate) fn encoded(write: impl FnOnce(&mut Writer<'_>) -> Result<(), BufferFull>) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut out = Writer::new(&mut buffer);
    write(&mut out).unwrap();
    out.written().to_vec()
}

/// The parameter of `key_transfer`: keys by number, wrapped with a master key.
pub(crate) fn transfer(master: &[u8; 16], keys: &[(u8, [u8; 16])]) -> Vec<u8> {
    let master = KeyEncryptionKey::from_slice(Suite::Suite0, master).unwrap();
    encoded(|out| {
        out.array(keys.len())?;
        keys.iter().try_for_each(|(number, key)| {
            let wrapped = wrap_key::<SmallCrypto>(Suite::Suite0, &master, key).unwrap();
            out.structure(2)?;
            out.enumerated(*number)?;
            out.octets(wrapped.as_bytes())
        })
    })
}

pub(crate) fn public() -> Config {
    Config { max_pdu: 256, ..Config::public(ServerSap::MANAGEMENT) }
}

pub(crate) fn reading(password: &[u8]) -> Config {
    Config { client: common::READING, mechanism: Mechanism::Lls, secret: Secret::new(password).unwrap(), ..public() }
}

/// The management client with these keys.
pub(crate) fn managing(encryption: &[u8; 16], authentication: &[u8; 16]) -> Config {
    Config {
        client: ClientSap::MANAGEMENT,
        mechanism: Mechanism::Gmac,
        security: Some(Security {
            suite: Suite::Suite0,
            keys: KeySet::new(Suite::Suite0, encryption, authentication).unwrap(),
            dedicated_key: None,
            system_title: SystemTitle(*b"DLM\0\0\0\0\x02"),
            peer_title: Some(common::SYSTEM_TITLE),
            protection: Protection::AUTHENTICATED_ENCRYPTED,
            general: false,
            receive_floor: 0,
        }),
        ..public()
    }
}

/// With the keys that the meter has from the factory.
pub(crate) fn management() -> Config {
    managing(&counted(0), &counted(0xD0))
}
