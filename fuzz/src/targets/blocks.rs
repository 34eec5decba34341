//! General block transfer on a line that loses, doubles, delays and changes APDUs in both directions, with blocks that
//! nobody sent in between, and every kind of protection inside.

use std::collections::VecDeque;

use arbitrary::{Arbitrary, Unstructured};
use dlms::apdu::{ActionResult, AttributeRequest, BlockControl, Conformance, DataAccessResult, GeneralBlockTransfer};
use dlms::association::client::{Config, General, GeneralBlocks};
use dlms::axdr::{Data, Value};
use dlms::security::general::{KeyChoice, TransactionMemory};
use dlms::security::public_key::{Curve, Curves};
use dlms::security::{KeyEncryptionKey, PrivateKey, Protection, RustCrypto, Suite};

use super::pair::{
    ECHO, GAK, GUEK, Happened, Meter, MeterKeys, PASSWORD, PROFILE, Pair, REGISTER, TEXT, management, own, reader,
};

/// What happens next. `up`: on the way to the server.
#[derive(Arbitrary, Debug)]
enum Op<'a> {
    Ask {
        which: u8,
        length: u16,
    },
    /// Everything goes its way until nobody has anything to say.
    Flow,
    /// The next APDU arrives.
    Carry {
        up: bool,
    },
    Lose {
        up: bool,
    },
    Double {
        up: bool,
    },
    /// The next APDU comes after all others.
    Delay {
        up: bool,
    },
    /// The next block says something else of itself; the numbers are relative to what it said.
    Edit {
        up: bool,
        control: u8,
        number: i8,
        acknowledged: i8,
    },
    /// Octets of the next APDU are changed, or it is cut.
    Damage {
        up: bool,
        at: u16,
        mask: u8,
    },
    Cut {
        up: bool,
        length: u16,
    },
    /// A block of nobody's; the numbers are relative to the last that went this way.
    Forge {
        up: bool,
        control: u8,
        number: i8,
        acknowledged: i8,
        data: &'a [u8],
    },
    Time {
        ms: u16,
    },
}

/// Octets of the meter's text and rows of its profile: some blocks each.
const ROWS: u32 = 12;
const ROW_OCTETS: usize = 30;

struct Line {
    pair: Pair,
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
    /// Last numbers that went each way: number and acknowledgement.
    numbers: [(u16, u16); 2],
    /// Nothing was changed, made up, or left over from an earlier request.
    genuine: bool,
    ciphered: bool,
    /// What must come of the request that waits, unless it fails.
    expected: Option<Happened>,
    /// Methods and writes that were asked for.
    asked: u32,
    shown: Vec<u8>,
    limits: [usize; 2],
}

fn rows() -> Value {
    let row = |part: u32| {
        Value::Structure(vec![Value::DoubleLongUnsigned(part), Value::OctetString(vec![part as u8; ROW_OCTETS])])
    };
    Value::Array((1..=ROWS).map(row).collect())
}

/// What both sides wrap a key in.
fn kek() -> KeyEncryptionKey {
    KeyEncryptionKey::from_slice(Suite::Suite0, &[0x60; 16]).expect("a length")
}

/// Keys for general-ciphering of suite 0, which has no key pairs: those are there because a meter's record has them.
fn meter_keys() -> Box<MeterKeys> {
    let private = || PrivateKey::from_slice(Curve::P256, &[0x11; 32]).expect("a length");
    let public = || RustCrypto::public_key(&private()).expect("a key");
    Box::new(MeterKeys {
        suite: Suite::Suite0,
        unicast: GUEK.to_vec(),
        authentication: GAK.to_vec(),
        kek: kek(),
        signing: private(),
        agreement: private(),
        client_signature: public(),
        client_agreement: public(),
        transactions: TransactionMemory::new(0),
        next_transaction: None,
        push_policy: Protection::NONE,
    })
}

fn line(shape: u8, window: u8, sizes: u8) -> Line {
    let size = |choice: u8| [128, 200, 300, 1_024][usize::from(choice) % 4];
    let (kind, other_blocks) = (shape % 5, shape & 0x80 != 0);
    let mut config = if kind == 0 { reader(PASSWORD) } else { management() };
    if let Some(security) = &mut config.security {
        security.general = kind == 2;
    }
    let mut conformance = config.conformance.union(Conformance::GENERAL_BLOCK_TRANSFER);
    if !other_blocks {
        conformance = conformance
            .without(Conformance::BLOCK_TRANSFER_WITH_GET)
            .without(Conformance::BLOCK_TRANSFER_WITH_SET)
            .without(Conformance::BLOCK_TRANSFER_WITH_ACTION);
    }
    let general_blocks = GeneralBlocks { window: 1 + window % 63, retries: window >> 6 };
    let (towards_client, towards_server) = (size(sizes), size(sizes >> 2));
    let config = Config { conformance, general_blocks, max_pdu: towards_client, ..config };
    let ciphered = config.security.is_some();
    let mut meter = Meter {
        rows: ROWS,
        row_octets: ROW_OCTETS,
        max_pdu: towards_server,
        text: vec![0x5A; 700],
        ..Meter::default()
    };
    let choice = [KeyChoice::Wrapped, KeyChoice::Unicast].into_iter().nth(usize::from(kind.wrapping_sub(3)));
    if choice.is_some() {
        meter.keys = Some(meter_keys());
    }
    let mut pair = Pair::new(config, meter);
    if choice.is_some() {
        let mut general = General::new(7_000);
        (general.kek, general.cipher) = (Some(kek()), choice);
        pair.client = pair.client.with_general(general);
    }
    pair.client.associate(pair.now).expect("a new connection");
    assert_eq!(pair.drive(), [Happened::Associated]);
    pair.out = 4_096;
    Line {
        pair,
        up: VecDeque::new(),
        down: VecDeque::new(),
        numbers: [(0, 0); 2],
        genuine: true,
        ciphered,
        expected: None,
        asked: 0,
        shown: Vec::new(),
        limits: [towards_client, towards_server].map(usize::from),
    }
}

impl Line {
    fn way(&mut self, up: bool) -> &mut VecDeque<Vec<u8>> {
        if up { &mut self.up } else { &mut self.down }
    }

    /// An APDU sets out.
    fn depart(&mut self, apdu: Vec<u8>, up: bool) {
        if let Ok(block) = GeneralBlockTransfer::decode(&apdu) {
            assert!(apdu.len() <= self.limits[usize::from(up)], "lesson 35: {} octets, up: {up}", apdu.len());
            self.numbers[usize::from(up)] = (block.number, block.acknowledged);
        }
        self.way(up).push_back(apdu);
    }

    /// Takes what the client has to say and to tell.
    fn client(&mut self) {
        for _ in 0..1_000 {
            let Some(event) = self.pair.client.poll_event() else { break };
            if !self.genuine && !self.ciphered {
                // Without a tag, anybody's octets may be an answer.
                continue;
            }
            let Some(happened) = own(event, &mut self.shown) else { continue };
            match happened {
                Happened::Notification => {}
                Happened::Failed(_) | Happened::Closed(_) => self.expected = None,
                other => assert_eq!(Some(other), self.expected.take(), "nothing else was asked for"),
            }
        }
        assert!(self.pair.client.poll_event().is_none(), "events without end");
        let mut octets = vec![0; 4_096];
        for _ in 0..64 {
            let Some(length) = self.pair.client.poll_transmit(&mut octets) else { return };
            self.depart(octets[8..length].to_vec(), true);
        }
        panic!("the client streams without end");
    }

    /// The next APDU of a direction arrives.
    fn carry(&mut self, up: bool) {
        let Some(mut apdu) = self.way(up).pop_front() else { return };
        if !up {
            if !apdu.is_empty() {
                self.pair.receive(&apdu);
            }
            return self.client();
        }
        let mut out = vec![0; self.pair.out];
        let pair = &mut self.pair;
        let mut place = pair.server.handle(&mut apdu, pair.now, &mut pair.meter, &mut pair.random, &mut out);
        for _ in 0..64 {
            let Some(found) = place else { return };
            let answer = out[found].to_vec();
            self.depart(answer, false);
            let pair = &mut self.pair;
            place = if pair.server.has_block() { pair.server.next_block(&mut pair.meter, &mut out) } else { None };
        }
        panic!("more blocks than the largest window");
    }

    /// Carries everything, and time, until nobody waits for anything.
    fn flow(&mut self) {
        for _ in 0..20_000 {
            self.client();
            if !self.up.is_empty() {
                self.carry(true);
            } else if !self.down.is_empty() {
                self.carry(false);
            } else if let Some(due) = self.pair.client.poll_timeout() {
                self.pair.now = self.pair.now.max(due);
                self.pair.client.handle_timeout(self.pair.now);
            } else {
                return;
            }
        }
        panic!("no end");
    }

    /// A request, if the client is free for one.
    fn ask(&mut self, which: u8, length: u16) {
        let text = vec![length as u8; usize::from(length) % 1_500];
        let (now, octets) = (self.pair.now, Data::OctetString(&text));
        let client = &mut self.pair.client;
        let whole = AttributeRequest::whole;
        let mut executes = 0;
        let (taken, expected) = match which % 5 {
            0 => (client.get(whole(PROFILE), now), Happened::Value(rows())),
            1 => (client.get(whole(REGISTER), now), Happened::Value(Value::DoubleLongUnsigned(913))),
            2 => {
                executes = 1;
                (client.set(whole(TEXT), octets, now), Happened::Set(DataAccessResult::Success))
            }
            3 => {
                executes = 1;
                let echoed = Happened::Action(ActionResult::Success, Some(Value::OctetString(text.clone())));
                (client.action(ECHO, Some(octets), now), echoed)
            }
            _ => {
                let values = vec![Ok(rows()), Ok(Value::DoubleLongUnsigned(913))];
                (client.get_list(&[whole(PROFILE), whole(REGISTER)], now), Happened::Values(values))
            }
        };
        if taken.is_ok() {
            // Blocks in clear do not say of which exchange they are: what is still under way may be taken for this one.
            self.genuine &= self.up.is_empty() && self.down.is_empty();
            self.asked += executes;
            self.expected = Some(expected);
            self.shown.clear();
        }
        self.client();
    }

    fn forge(&mut self, up: bool, control: u8, number: i8, acknowledged: i8, data: &[u8]) {
        self.genuine = false;
        let (last, last_acknowledged) = self.numbers[usize::from(up)];
        let block = GeneralBlockTransfer {
            control: BlockControl(control),
            number: last.wrapping_add_signed(number.into()),
            acknowledged: last_acknowledged.wrapping_add_signed(acknowledged.into()),
            data,
        };
        let octets = super::encoded(|writer| block.encode(writer));
        self.way(up).push_front(octets);
    }

    fn change(&mut self, up: bool, change: impl FnOnce(&mut Vec<u8>)) {
        let Some(apdu) = self.way(up).front_mut() else { return };
        change(apdu);
        self.genuine = false;
    }

    fn act(&mut self, op: &Op<'_>) {
        match *op {
            Op::Ask { which, length } => self.ask(which, length),
            Op::Flow => self.flow(),
            Op::Carry { up } => self.carry(up),
            Op::Lose { up } => drop(self.way(up).pop_front()),
            Op::Double { up } => {
                let way = self.way(up);
                if let Some(apdu) = way.front().cloned() {
                    way.push_front(apdu);
                }
            }
            Op::Delay { up } => {
                if !self.way(up).is_empty() {
                    self.way(up).rotate_left(1);
                }
            }
            Op::Edit { up, control, number, acknowledged } => self.change(up, |apdu| {
                let Ok(block) = GeneralBlockTransfer::decode(apdu) else { return };
                let edited = GeneralBlockTransfer {
                    control: BlockControl(block.control.0 ^ control),
                    number: block.number.wrapping_add_signed(number.into()),
                    acknowledged: block.acknowledged.wrapping_add_signed(acknowledged.into()),
                    data: block.data,
                };
                *apdu = super::encoded(|writer| edited.encode(writer));
            }),
            Op::Damage { up, at, mask } => self.change(up, |apdu| {
                let length = apdu.len();
                if let Some(octet) = apdu.get_mut(usize::from(at) % length.max(1)) {
                    *octet ^= mask;
                }
            }),
            Op::Cut { up, length } => self.change(up, |apdu| apdu.truncate(usize::from(length))),
            Op::Forge { up, control, number, acknowledged, data } => {
                self.forge(up, control, number, acknowledged, data);
            }
            Op::Time { ms } => {
                self.pair.now = self.pair.now.after_ms(u64::from(ms));
                self.pair.client.handle_timeout(self.pair.now);
                self.client();
            }
        }
    }
}

pub(super) fn run(octets: &[u8]) {
    let mut input = Unstructured::new(octets);
    let Ok([shape, window, sizes]) = input.arbitrary::<[u8; 3]>() else { return };
    let mut line = line(shape, window, sizes);
    for _ in 0..64 {
        if input.is_empty() {
            break;
        }
        let Ok(op) = input.arbitrary() else { break };
        line.act(&op);
    }
    line.flow();
    assert!(line.expected.is_none() || !(line.genuine || line.ciphered), "each request ends");
    if line.ciphered {
        let executed = line.pair.meter.invoked + line.pair.meter.written;
        assert!(executed <= line.asked, "{executed} of {} were executed", line.asked);
    }

    // And without faults all is well again, in blocks both ways.
    let mut pair = line.pair;
    pair.client.close(pair.now);
    pair.drive();
    pair.client.associate(pair.now).expect("a closed connection can be opened");
    assert_eq!(pair.drive(), [Happened::Associated]);
    let long = vec![0x77; 900];
    pair.client.action(ECHO, Some(Data::OctetString(&long)), pair.now).expect("associated");
    assert_eq!(pair.drive(), [Happened::Action(ActionResult::Success, Some(Value::OctetString(long)))]);
}
