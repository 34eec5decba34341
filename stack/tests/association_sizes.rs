//! Every long service over every size of PDU, information field and window, with a server that has one PDU buffer.

mod pair;

use dlms::Instant;
use dlms::apdu::*;
use dlms::association::client::{self, AccessItem, AccessOptions, Config, GeneralBlocks};
use dlms::association::server::{Connection, ServerLink};
use dlms::axdr::{Data, Value};
use dlms::hdlc;
use dlms::hdlc::server::Station;
use dlms::hdlc::{Address, FRAME_MAX, Parameters, Width};
use dlms::id::ClientSap;
use dlms::link::Link;
use dlms::security::{HEADROOM, InvocationCounter, RustCrypto, TAG_LENGTH};
use dlms::wrapper;
use pair::*;
use proptest::prelude::*;

/// Sizes of one run.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// PDUs towards the client, and towards the server.
    client: u16,
    server: u16,
    /// Information field and window of HDLC; `None`: the wrapper.
    hdlc: Option<(u16, u8)>,
    ciphered: bool,
    /// Window of general block transfer; `None`: the services' own.
    general: Option<u8>,
}

const ROWS: u32 = 60;
const LONG: usize = 2_500;
/// What the server keeps of requests that come in blocks, and of answers that need it.
const STORAGE: usize = 8_192;

struct Both<L: Link, S> {
    client: client::Connection<L, RustCrypto, Counting, Vec<u8>>,
    server: Connection<S, RustCrypto, Vec<u8>, 1>,
    meter: Meter,
    random: Counting,
    now: Instant,
    /// Octets in which the server makes a plain answer.
    out: usize,
    up: Vec<u8>,
    down: Vec<u8>,
}

impl<L: Link, S: ServerLink> Both<L, S> {
    fn new(sizes: Sizes, client: L, server: S) -> Self {
        let config = if sizes.ciphered { management() } else { reader(PASSWORD) };
        let mut conformance = config.conformance;
        if sizes.general.is_some() {
            conformance = conformance
                .union(Conformance::GENERAL_BLOCK_TRANSFER)
                .without(Conformance::BLOCK_TRANSFER_WITH_GET)
                .without(Conformance::BLOCK_TRANSFER_WITH_SET)
                .without(Conformance::BLOCK_TRANSFER_WITH_ACTION);
        }
        let general_blocks = GeneralBlocks { window: sizes.general.unwrap_or(1), retries: 0 };
        let config = Config { conformance, max_pdu: sizes.client, general_blocks, ..config };
        let meter = Meter { max_pdu: sizes.server, rows: ROWS, row_octets: 30, ..Meter::default() };
        let counter = InvocationCounter::new(1, 100_000);
        // One PDU, unless an answer has to be ciphered whole before it is cut.
        let whole = sizes.general.is_some() && sizes.ciphered;
        let out = HEADROOM + TAG_LENGTH + if whole { STORAGE } else { usize::from(sizes.client.min(8_192)) };
        Self {
            client: client::Connection::new(client, config, Counting(0), counter, vec![0; 4_096], vec![0; STORAGE]),
            server: Connection::new(server, || vec![0; STORAGE], vec![0; out]),
            meter,
            random: Counting(1 << 40),
            now: Instant::from_millis(0),
            out: usize::from(sizes.client.min(8_192)),
            up: Vec::new(),
            down: Vec::new(),
        }
    }

    /// Carries octets until something has come of it.
    fn run(&mut self) -> Happened {
        let mut blocks = Vec::new();
        let mut line = vec![0; 70_000];
        for _ in 0..200_000 {
            while let Some(event) = self.client.poll_event() {
                if let Some(happened) = own(event, &mut blocks) {
                    return happened;
                }
            }
            while let Some(length) = self.client.poll_transmit(&mut line) {
                self.up.extend_from_slice(&line[..length]);
            }
            let taken =
                self.server.handle_input(&self.up, self.now, &mut self.meter, &mut self.random).expect("a line");
            self.up.drain(..taken);
            let mut moved = taken > 0;
            while let Some(length) = self.server.poll_transmit(&mut line) {
                self.down.extend_from_slice(&line[..length]);
                moved = true;
            }
            let taken = self.client.handle_input(&self.down, self.now);
            self.down.drain(..taken);
            if moved || taken > 0 {
                continue;
            }
            let due = [self.client.poll_timeout(), self.server.poll_timeout()].into_iter().flatten().min();
            self.now = self.now.max(due.expect("something is waited for"));
            self.client.handle_timeout(self.now);
            self.server.handle_timeout(self.now, &mut self.meter, &mut self.random).expect("a line");
        }
        panic!("no end");
    }

    fn exercise(&mut self, general: bool) {
        let started = self.now;
        self.client.associate(self.now).unwrap();
        assert_eq!(self.run(), Happened::Associated);
        let row = |part: u32| {
            Value::Structure(vec![Value::DoubleLongUnsigned(part), Value::OctetString(vec![part as u8; 30])])
        };
        self.client.get(AttributeRequest::whole(PROFILE), self.now).unwrap();
        assert_eq!(self.run(), Happened::Value(Value::Array((1..=ROWS).map(row).collect())));

        let long: Vec<u8> = (0..LONG).map(|octet| octet as u8).collect();
        let text = AttributeRequest::whole(TEXT);
        self.client.set(text, Data::OctetString(&long), self.now).unwrap();
        assert_eq!(self.run(), Happened::Set(DataAccessResult::Success));
        assert_eq!(self.meter.text, long);
        self.client.get_list(&[text, AttributeRequest::whole(REGISTER)], self.now).unwrap();
        let values = vec![Ok(Value::OctetString(long.clone())), Ok(Value::DoubleLongUnsigned(913))];
        assert_eq!(self.run(), Happened::Values(values));

        // A method's result is written whole before it is cut: it has to fit the buffer.
        for (invoked, length) in [(1, 70), (2, LONG)] {
            self.client.action(ECHO, Some(Data::OctetString(&long[..length])), self.now).unwrap();
            match self.run() {
                Happened::Action(ActionResult::Success, Some(Value::OctetString(echoed))) => {
                    assert_eq!(echoed, long[..length]);
                }
                // The buffer has one PDU, which may be less than that with what is around it.
                Happened::Action(ActionResult::OtherReason, None) if length + 10 > self.out => {}
                other => panic!("{other:?}"),
            }
            assert_eq!(self.meter.invoked, invoked);
        }

        let short = &long[..20];
        let items = [
            AccessItem::Set(text, Data::OctetString(if general { &long } else { short })),
            AccessItem::Get(AttributeRequest::whole(REGISTER)),
        ];
        self.client.access(&items, AccessOptions::default(), self.now).unwrap();
        let items = vec![
            (AccessResult::Set(DataAccessResult::Success), Value::Null),
            (AccessResult::Get(DataAccessResult::Success), Value::DoubleLongUnsigned(913)),
        ];
        assert_eq!(self.run(), Happened::Access(items));

        self.client.release(self.now).unwrap();
        assert_eq!(self.run(), Happened::Released);
        // Nothing was waited for in vain: no time-out had a part in it.
        assert!(self.now.since_ms(started) < 1_000, "{} ms", self.now.since_ms(started));
    }
}

fn run(sizes: Sizes) {
    let config = if sizes.ciphered { management() } else { reader(PASSWORD) };
    // Ciphered AARQ and AARE are longer than the shortest PDU.
    let (up, down) = (usize::from(sizes.server.max(256)), usize::from(sizes.client.max(256)));
    let general = sizes.general.is_some();
    match sizes.hdlc {
        None => {
            let client =
                wrapper::client::Wrapper::new(config.client, config.server, vec![0; down + 8], vec![0; up + 8], 1_000);
            let server = wrapper::server::Wrapper::new(vec![0; up + 8], vec![0; down + 8], 1_000);
            Both::new(sizes, client, server).exercise(general);
        }
        Some((information, window)) => {
            let own = Address::client(config.client.0).unwrap();
            let server = Address::new(config.server.0, 0, Width::One).unwrap();
            let parameters = Parameters::symmetric(information, window);
            let link = hdlc::client::Config { parameters, ..hdlc::client::Config::new(own, server) };
            let client = hdlc::client::Session::new(link, vec![0; FRAME_MAX], vec![0; down + 3], vec![0; up + 3]);
            let config = hdlc::server::Config { parameters, ..hdlc::server::Config::default() };
            let session = hdlc::server::Session::new(config, vec![0; up + 3], vec![0; down + 3]);
            let everyone: fn(ClientSap, Address) -> bool = |_, _| true;
            let station = Station::new(vec![0; FRAME_MAX], 1_000, vec![session], everyone);
            Both::new(sizes, client, station).exercise(general);
        }
    }
}

/// In less than this there is no room for a list of two attributes, or pass 3 of HLS, with ciphering around it.
const LEAST_CIPHERED: u16 = 128;

#[test]
fn lesson_35_the_corners_of_all_sizes() {
    let sizes = [(128, 128), (128, 0xFFFF), (0xFFFF, 128), (0xFFFF, 0xFFFF), (1_024, 300)];
    // Shorter than anybody should propose, but nothing forbids it.
    let short = [(64, 64), (64, 0xFFFF), (0xFFFF, 64), (70, 128)];
    for (client, server) in sizes.into_iter().chain(short) {
        for hdlc in [None, Some((32, 1)), Some((32, 7)), Some((128, 1)), Some((2_030, 7))] {
            for ciphered in [false, true] {
                if ciphered && (client < LEAST_CIPHERED || server < LEAST_CIPHERED) {
                    continue;
                }
                for general in [None, Some(1), Some(63)] {
                    let sizes = Sizes { client, server, hdlc, ciphered, general };
                    println!("{sizes:?}");
                    run(sizes);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sizes_carry_everything(
        client in 64..=u16::MAX,
        server in 64..=u16::MAX,
        narrow_client: bool,
        narrow_server: bool,
        hdlc in proptest::option::of((32..=2_030_u16, 1..=7_u8)),
        ciphered: bool,
        general in proptest::option::of(1..=63_u8),
    ) {
        let least = if ciphered { LEAST_CIPHERED } else { 64 };
        let client = if narrow_client { least + client % 512 } else { client.max(least) };
        let server = if narrow_server { least + server % 512 } else { server.max(least) };
        run(Sizes { client, server, hdlc, ciphered, general });
    }
}
