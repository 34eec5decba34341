//! The server's side of an HDLC line: clients with links of their own that say what they like, clients that open
//! associations as they should, frames that nobody's link sent, lost and damaged ones, and time, in any order.

use arbitrary::{Arbitrary, Unstructured};
use dlms::Instant;
use dlms::apdu::AttributeRequest;
use dlms::association::client::{self, Config, Event};
use dlms::association::server::Connection;
use dlms::axdr::Writer;
use dlms::hdlc::server::{self, Station};
use dlms::hdlc::{Address, Control, FRAME_MAX, Parameters, Repr, Width, client as hdlc};
use dlms::id::{ClientSap, ServerSap};
use dlms::link::{Link, LinkEvent};
use dlms::security::{InvocationCounter, RustCrypto};

use super::pair::{CLIENT_TITLE, Counting, GAK, GUEK, Meter, PASSWORD, REGISTER, management, reader};
use super::sealed::{keys, sealed};

#[derive(Arbitrary, Debug)]
enum Op<'a> {
    /// A client sets up its link.
    Link {
        who: u8,
    },
    Disconnect {
        who: u8,
    },
    /// A client says something over its link, properly protected or not.
    Say {
        who: u8,
        wrapping: u8,
        apdu: &'a [u8],
    },
    /// The same without a link (UI), to the meter or to everybody.
    Unnumbered {
        who: u8,
        wrapping: u8,
        broadcast: bool,
        apdu: &'a [u8],
    },
    /// A client opens its association, properly, over a link of its own.
    Open {
        who: u8,
    },
    /// A frame with a right check sequence.
    Frame {
        upper: u8,
        client: u8,
        control: u8,
        segmented: bool,
        information: &'a [u8],
    },
    /// What happens to the next frame of a client.
    Lose,
    Flip {
        at: u16,
    },
    Octets(&'a [u8]),
    Time {
        ms: u16,
    },
}

/// Public, with a password, with keys; the line has links for two of them.
const CLIENTS: [u16; 3] = [16, 17, 1];
const STORAGE: usize = 1_024;
/// Of the server's links, in milliseconds.
const INACTIVITY: u32 = 5_000;

type Everyone = fn(ClientSap, Address) -> bool;
type Lines = Station<Vec<u8>, Vec<server::Session<Vec<u8>>>, Everyone>;
type Client = client::Connection<hdlc::Session<Vec<u8>>, RustCrypto, Counting, Vec<u8>>;

#[derive(Clone, Copy)]
enum Fault {
    Lose,
    Flip(u16),
}

struct Line {
    server: Connection<Lines, RustCrypto, Vec<u8>, 2>,
    meter: Meter,
    random: Counting,
    links: Vec<hdlc::Session<Vec<u8>>>,
    fault: Option<Fault>,
    now: Instant,
    counter: u32,
}

fn config(who: usize) -> Config {
    match who {
        0 => Config::public(ServerSap::MANAGEMENT),
        1 => reader(PASSWORD),
        _ => management(),
    }
}

fn meter_address() -> Address {
    Address::new(1, 0, Width::One).expect("an address")
}

fn link(who: usize, parameters: Parameters) -> hdlc::Session<Vec<u8>> {
    let own = Address::client(CLIENTS[who]).expect("an address");
    let config = hdlc::Config { parameters, ..hdlc::Config::new(own, meter_address()) };
    hdlc::Session::new(config, vec![0; FRAME_MAX], vec![0; STORAGE], vec![0; STORAGE])
}

fn station(parameters: Parameters, full_duplex: bool, reject: bool) -> Lines {
    let config = server::Config { parameters, inactivity_timeout_ms: INACTIVITY, full_duplex, reject };
    let session = || server::Session::new(config, vec![0; STORAGE], vec![0; STORAGE]);
    let everyone: Everyone = |client, server| CLIENTS.contains(&client.0) && server.upper() == 1;
    Station::new(vec![0; FRAME_MAX], 100, vec![session(), session()], everyone)
}

impl Line {
    /// The server takes octets, as many at a time as it likes.
    fn hand_in(&mut self, octets: &[u8]) {
        let mut rest = octets;
        for _ in 0..octets.len() + 8 {
            let taken = self.server.handle_input(rest, self.now, &mut self.meter, &mut self.random);
            rest = &rest[taken.expect("an HDLC line lives on, whatever comes")..];
            if rest.is_empty() {
                return;
            }
        }
        panic!("octets are never taken");
    }

    /// What the server has to say.
    fn said(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        let mut frame = [0; FRAME_MAX + 2];
        for _ in 0..10_000 {
            let Some(length) = self.server.poll_transmit(&mut frame) else { return octets };
            octets.extend_from_slice(&frame[..length]);
        }
        panic!("the server never falls silent");
    }

    fn spoilt(&mut self, mut frame: Vec<u8>) -> Vec<u8> {
        match self.fault.take() {
            Some(Fault::Lose) => frame.clear(),
            Some(Fault::Flip(at)) => {
                let at = usize::from(at) % (frame.len() * 8);
                frame[at / 8] ^= 1 << (at % 8);
            }
            None => {}
        }
        frame
    }

    /// Carries frames of all links until nobody says anything.
    fn carry(&mut self) {
        for _ in 0..10_000 {
            let mut up = Vec::new();
            for who in 0..CLIENTS.len() {
                let mut frame = [0; FRAME_MAX + 2];
                while let Some(length) = self.links[who].poll_transmit(&mut frame) {
                    up.extend(self.spoilt(frame[..length].to_vec()));
                }
            }
            self.hand_in(&up);
            let down = self.said();
            for link in &mut self.links {
                let mut rest = &down[..];
                while !rest.is_empty() {
                    let taken = link.handle_input(rest, self.now);
                    rest = &rest[taken..];
                    while let Some(event) = link.poll_event() {
                        if event == LinkEvent::Apdu {
                            link.release_apdu();
                        }
                    }
                }
            }
            if up.is_empty() && down.is_empty() {
                return;
            }
        }
        panic!("the line never falls silent");
    }

    fn pass(&mut self, at: Instant) {
        self.now = self.now.max(at);
        self.links.iter_mut().for_each(|link| link.handle_timeout(self.now));
        self.server.handle_timeout(self.now, &mut self.meter, &mut self.random).expect("an HDLC line lives on");
    }

    /// An APDU of a client, with its keys if it has any.
    fn apdu(&mut self, who: usize, wrapping: u8, apdu: &[u8]) -> Vec<u8> {
        if who != 2 || wrapping & 0x80 != 0 {
            return apdu.to_vec();
        }
        self.counter += 1;
        sealed(&keys(&GUEK, &GAK), CLIENT_TITLE, wrapping, self.counter - 1, apdu)
    }

    /// The association as a client of ours opens it, over a link that its storage has to itself, and what it reads.
    fn open(&mut self, who: usize) -> bool {
        let config = Config { max_pdu: 300, response_timeout_ms: 3_000, ..config(who) };
        let counter = InvocationCounter::new(self.counter, u32::MAX);
        let random = Counting(u64::from(self.counter) << 20);
        let link = link(who, Parameters::symmetric(128, 3));
        let mut client = Client::new(link, config, random, counter, vec![0; 1_024], vec![0; 1_024]);
        client.associate(self.now).expect("a new connection");
        let (mut open, mut read) = (false, false);
        for _ in 0..200 {
            while let Some(event) = client.poll_event() {
                if matches!(event, Event::Associated(_)) {
                    open = true;
                } else {
                    read |= open && matches!(event, Event::Response(_));
                }
            }
            if open && !read {
                // Until it is asked; then this is refused.
                let _ = client.get(AttributeRequest::whole(REGISTER), self.now);
            }
            let mut frame = [0; FRAME_MAX + 2];
            let mut quiet = true;
            while let Some(length) = client.poll_transmit(&mut frame) {
                quiet = false;
                let frame = self.spoilt(frame[..length].to_vec());
                self.hand_in(&frame);
            }
            let down = self.said();
            let mut rest = &down[..];
            while !rest.is_empty() {
                quiet = false;
                let taken = client.handle_input(rest, self.now);
                rest = &rest[taken..];
                if taken == 0 {
                    break;
                }
            }
            if read || (quiet && client.poll_timeout().is_none()) {
                break;
            }
            if let Some(due) = client.poll_timeout().filter(|_| quiet) {
                self.now = self.now.max(due);
                client.handle_timeout(self.now);
            }
        }
        self.counter = client.counter_mut().next();
        read
    }

    fn act(&mut self, op: Op<'_>) {
        match op {
            Op::Link { who } => self.links[usize::from(who) % 3].open(self.now),
            Op::Disconnect { who } => self.links[usize::from(who) % 3].close(self.now),
            Op::Say { who, wrapping, apdu } => {
                let who = usize::from(who) % 3;
                let apdu = self.apdu(who, wrapping, apdu);
                let _ = self.links[who].send(&apdu, self.now);
            }
            Op::Unnumbered { who, wrapping, broadcast, apdu } => {
                let who = usize::from(who) % 3;
                let apdu = self.apdu(who, wrapping, apdu);
                let everybody = Address::new(Width::One.all_station(), 0, Width::One);
                let to = if broadcast { everybody.unwrap_or(meter_address()) } else { meter_address() };
                let _ = self.links[who].send_unnumbered(to, &apdu);
            }
            Op::Open { who } => drop(self.open(usize::from(who) % 3)),
            Op::Frame { upper, client, control, segmented, information } => {
                let client = CLIENTS.get(usize::from(client) % 4).copied().unwrap_or(u16::from(client));
                let upper = if upper % 4 == 0 { u16::from(upper) } else { 1 };
                let (Some(destination), Some(source)) = (Address::new(upper, 0, Width::One), Address::client(client))
                else {
                    return;
                };
                let repr = Repr { destination, source, control: Control::from_byte(control), segmented, information };
                let mut buffer = [0; FRAME_MAX + 2];
                let mut writer = Writer::new(&mut buffer);
                if repr.emit(&mut writer).is_ok() {
                    let frame = writer.written().to_vec();
                    self.hand_in(&frame);
                }
            }
            Op::Lose => self.fault = Some(Fault::Lose),
            Op::Flip { at } => self.fault = Some(Fault::Flip(at)),
            Op::Octets(octets) => self.hand_in(octets),
            Op::Time { ms } => self.pass(self.now.after_ms(u64::from(ms))),
        }
        self.carry();
    }
}

pub(super) fn run(octets: &[u8]) {
    let mut input = Unstructured::new(octets);
    let Ok([information, window, shape]) = input.arbitrary::<[u8; 3]>() else { return };
    let information = [32, 128, 512][usize::from(information) % 3];
    let parameters = Parameters::symmetric(information, 1 + window % 7);
    let max_pdu = [512, 128, 256][usize::from(shape) % 3];
    let mut line = Line {
        server: Connection::new(
            station(parameters, shape & 0x80 != 0, shape & 0x40 != 0),
            || vec![0; STORAGE],
            vec![0; STORAGE],
        ),
        meter: Meter { rows: 40, row_octets: 20, max_pdu, ..Meter::default() },
        random: Counting(1 << 40),
        links: (0..3).map(|who| link(who, parameters)).collect(),
        fault: None,
        now: Instant::from_millis(1_000),
        counter: 1,
    };
    for _ in 0..48 {
        if input.is_empty() {
            break;
        }
        let Ok(op) = input.arbitrary() else { break };
        line.act(op);
    }
    // After a silence the same line serves everybody, one after the other.
    line.fault = None;
    for who in 0..CLIENTS.len() {
        for _ in 0..4 {
            let rest = line.now.after_ms(u64::from(INACTIVITY) + 1_000);
            line.server.handle_timeout(rest, &mut line.meter, &mut line.random).expect("an HDLC line lives on");
            line.now = rest;
            line.said();
        }
        line.meter.attempts.clear();
        assert!(line.open(who), "client {who} is served as ever");
    }
}
