//! The client's connection: what its user does, what the line brings, and time, in any order. The server is the real
//! one; what it answers is changed, replaced by what a meter with the keys might say, or lost.

use arbitrary::{Arbitrary, Unstructured};
use dlms::apdu::{AttributeRequest, MethodDescriptor, MethodRequest, VariableAccess};
use dlms::association::client::{AccessItem, AccessOptions, Config, Event, Response};
use dlms::axdr::{Data, Value};
use dlms::id::ServerSap;

use super::pair::{
    DENIED, ECHO, GAK, GUEK, Meter, PASSWORD, PROFILE, Pair, REGISTER, SERVER_TITLE, TEXT, management, reader,
};
use super::sealed::{keys, sealed};

#[derive(Arbitrary, Debug)]
enum Op<'a> {
    Associate,
    Release,
    Close,
    Get(u8),
    GetList(u8),
    Set(u16),
    SetList(u8, u16),
    Action(u16),
    ActionList(u8, u16),
    Access {
        items: u8,
        length: u16,
        on_error: bool,
    },
    Unconfirmed(u16),
    Read(u8),
    Write(u8, u16),
    /// What the client has to say goes to the server, and the answer comes back.
    Exchange,
    /// The answer is changed on the way.
    Damaged {
        at: u16,
        mask: u8,
    },
    Cut {
        length: u16,
    },
    Lost,
    Doubled,
    /// The server says something else.
    Instead {
        wrapping: u8,
        apdu: &'a [u8],
    },
    /// The server says something unasked.
    Pushed {
        wrapping: u8,
        apdu: &'a [u8],
    },
    /// Octets without a frame.
    Octets(&'a [u8]),
    Time {
        ms: u16,
    },
    /// Events are left waiting for a while.
    Events(bool),
}

/// Short names, for associations that go by them.
const NAMES: [VariableAccess<'static>; 4] = [
    VariableAccess::Name(0x1000),
    VariableAccess::Name(0x1008),
    VariableAccess::Name(-0x0600),
    VariableAccess::BlockNumber(1),
];

struct Session {
    pair: Pair,
    /// What has left the client and was not looked at.
    outbox: Vec<u8>,
    /// Values can only come from the meter.
    genuine: bool,
    ciphered: bool,
    take_events: bool,
}

impl Session {
    /// Takes what the client has to tell.
    fn events(&mut self) {
        for _ in 0..1_000 {
            let Some(event) = self.pair.client.poll_event() else { return };
            if let Event::Response(Response::Get(result)) = event
                && let Ok(Data::DoubleLongUnsigned(value)) = result.into_result()
            {
                assert!(value == 913 || !(self.genuine && self.ciphered), "{value} was never the meter's");
            }
        }
        panic!("events without end");
    }

    /// The next APDU that the client has to say.
    fn sent(&mut self) -> Option<Vec<u8>> {
        let mut line = vec![0; 70_000];
        while let Some(length) = self.pair.client.poll_transmit(&mut line) {
            self.outbox.extend_from_slice(&line[..length]);
        }
        let length = 8 + usize::from(u16::from_be_bytes(*self.outbox.get(6..)?.first_chunk()?));
        let apdu = self.outbox.drain(..length).skip(8).collect();
        Some(apdu)
    }

    fn answer(&mut self) -> Option<Vec<u8>> {
        let mut apdu = self.sent()?;
        let mut out = vec![0; 66_000];
        let pair = &mut self.pair;
        let place = pair.server.handle(&mut apdu, pair.now, &mut pair.meter, &mut pair.random, &mut out)?;
        Some(out[place].to_vec())
    }

    fn deliver(&mut self, octets: &[u8]) {
        let mut rest = octets;
        for _ in 0..1_000 {
            let taken = self.pair.client.handle_input(rest, self.pair.now);
            rest = &rest[taken..];
            if rest.is_empty() {
                break;
            }
            self.events();
        }
        if self.take_events {
            self.events();
        }
    }

    fn deliver_apdu(&mut self, apdu: &[u8]) {
        let Ok(length) = u16::try_from(apdu.len()) else { return };
        let client = if self.ciphered { 1_u16 } else { self.pair.client.link().client().0 };
        let header = [1, 1, client, length].map(u16::to_be_bytes).concat();
        self.deliver(&[header, apdu.to_vec()].concat());
    }

    /// As the meter would say it; it goes on counting behind.
    fn sealed(&mut self, wrapping: u8, apdu: &[u8]) -> Vec<u8> {
        self.genuine = false;
        self.pair.meter.counter += 1;
        sealed(&keys(&GUEK, &GAK), SERVER_TITLE, wrapping, self.pair.meter.counter, apdu)
    }

    fn act(&mut self, op: Op<'_>) {
        let now = self.pair.now;
        let client = &mut self.pair.client;
        let attributes = [REGISTER, TEXT, PROFILE, DENIED].map(AttributeRequest::whole);
        let long = |length: u16| vec![0x5A; usize::from(length) % 3_000];
        let count = |count: u8| 1 + usize::from(count) % 4;
        match op {
            Op::Associate => drop(client.associate(now)),
            Op::Release => drop(client.release(now)),
            Op::Close => client.close(now),
            Op::Get(which) => drop(client.get(attributes[usize::from(which) % 4], now)),
            Op::GetList(many) => drop(client.get_list(&attributes[..count(many)], now)),
            Op::Set(length) => drop(client.set(attributes[1], Data::OctetString(&long(length)), now)),
            Op::SetList(many, length) => {
                let (many, text) = (count(many), long(length));
                let _ = client.set_list(&[attributes[1]; 4][..many], &[Data::OctetString(&text); 4][..many], now);
            }
            Op::Action(length) => drop(client.action(ECHO, Some(Data::OctetString(&long(length))), now)),
            Op::ActionList(many, length) => {
                let (many, text) = (count(many), long(length));
                let methods: [MethodDescriptor; 4] = [ECHO; 4];
                let _ = client.action_list(&methods[..many], &[Data::OctetString(&text); 4][..many], now);
            }
            Op::Access { items, length, on_error } => {
                let text = long(length);
                let all = [
                    AccessItem::Get(attributes[0]),
                    AccessItem::Set(attributes[1], Data::OctetString(&text)),
                    AccessItem::Action(MethodRequest { method: ECHO, parameter: Some(Data::OctetString(&text)) }),
                    AccessItem::Get(attributes[3]),
                ];
                let options = AccessOptions { break_on_error: on_error, self_descriptive: on_error };
                let _ = client.access(&all[..count(items)], options, now);
            }
            Op::Unconfirmed(length) => {
                let _ = client.set_unconfirmed(attributes[1], Data::OctetString(&long(length)), now);
                let _ = client.action_unconfirmed(ECHO, None, now);
            }
            Op::Read(many) => drop(client.read(&NAMES[..count(many)], now)),
            Op::Write(many, length) => {
                let (many, text) = (count(many), long(length));
                let _ = client.write(&NAMES[..many], &[Data::OctetString(&text); 4][..many], now);
            }
            Op::Exchange => {
                if let Some(apdu) = self.answer() {
                    self.deliver_apdu(&apdu);
                }
            }
            Op::Damaged { at, mask } => {
                if let Some(mut apdu) = self.answer() {
                    let length = apdu.len();
                    apdu[usize::from(at) % length] ^= mask;
                    self.deliver_apdu(&apdu);
                }
            }
            Op::Cut { length } => {
                if let Some(mut apdu) = self.answer() {
                    apdu.truncate(usize::from(length));
                    self.deliver_apdu(&apdu);
                }
            }
            Op::Lost => drop(self.answer()),
            Op::Doubled => {
                if let Some(apdu) = self.answer() {
                    self.deliver_apdu(&apdu);
                    self.deliver_apdu(&apdu);
                }
            }
            Op::Instead { wrapping, apdu } => {
                if self.sent().is_some() {
                    let apdu = self.sealed(wrapping, apdu);
                    self.deliver_apdu(&apdu);
                }
            }
            Op::Pushed { wrapping, apdu } => {
                let apdu = self.sealed(wrapping, apdu);
                self.deliver_apdu(&apdu);
            }
            Op::Octets(octets) => {
                self.genuine = false;
                self.deliver(octets);
            }
            Op::Time { ms } => {
                self.pair.now = now.after_ms(u64::from(ms));
                self.pair.client.handle_timeout(self.pair.now);
            }
            Op::Events(take) => self.take_events = take,
        }
        if self.take_events {
            self.events();
        }
    }
}

fn config(octet: u8) -> Config {
    let mut config = match octet % 3 {
        0 => Config::public(ServerSap::MANAGEMENT),
        1 => reader(PASSWORD),
        _ => management(),
    };
    config.max_pdu = [0xFFFF, 128, 200, 1024][usize::from(octet / 3) % 4];
    if let Some(security) = &mut config.security {
        security.general = octet & 0x40 != 0;
        security.dedicated_key =
            (octet & 0x80 != 0).then(|| dlms::association::Secret::new(&[0xD4; 16]).expect("short"));
    }
    config
}

pub(super) fn run(octets: &[u8]) {
    let mut input = Unstructured::new(octets);
    let Ok([shape, pdu]) = input.arbitrary::<[u8; 2]>() else { return };
    let max_pdu = [512, 128, 0xFFFF, 256][usize::from(pdu) % 4];
    let meter = Meter { rows: 40, row_octets: 20, max_pdu, ..Meter::default() };
    let config = config(shape);
    let ciphered = config.security.is_some();
    let mut session =
        Session { pair: Pair::new(config, meter), outbox: Vec::new(), genuine: true, ciphered, take_events: true };
    for _ in 0..64 {
        if input.is_empty() {
            break;
        }
        let Ok(op) = input.arbitrary() else { break };
        session.act(op);
    }

    // And without faults all is well again.
    session.events();
    let mut pair = session.pair;
    pair.client.close(pair.now);
    pair.drive();
    pair.client.associate(pair.now).expect("a closed connection can be opened");
    let happened = format!("{:?}", pair.drive());
    assert_eq!(happened, "[Associated]");
    pair.client.get(AttributeRequest::whole(REGISTER), pair.now).expect("associated");
    let happened = format!("{:?}", pair.drive());
    assert_eq!(happened, format!("[Value({:?})]", Value::DoubleLongUnsigned(913)));
}
