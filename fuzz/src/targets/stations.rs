//! Both stations of an HDLC link, joined by a line that loses, doubles and damages frames while users act and time
//! goes on: every APDU arrives once, in order, or the link says that it failed.

use std::collections::VecDeque;

use arbitrary::{Arbitrary, Unstructured};
use dlms::Instant;
use dlms::hdlc::server::{self, Delivery, Event, Station};
use dlms::hdlc::{Address, FRAME_MAX, Parameters, client};
use dlms::id::ClientSap;
use dlms::link::{Link, LinkEvent};

/// Longest APDU: several windows of the smallest information field.
const APDU_MAX: usize = 1_500;
const STORAGE: usize = APDU_MAX + 16;

#[derive(Arbitrary, Debug)]
enum Op {
    Open,
    Close,
    Send { length: u16, answer: u16 },
    Carry,
    Time { ms: u16 },
    Fault { up: bool, fault: Fault },
}

/// What happens to the next frame of a direction.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Fault {
    Lose,
    Double,
    Flip { at: u16 },
    Cut { at: u16 },
    Drop { at: u16 },
    Noise { octets: [u8; 4] },
}

impl Fault {
    fn apply(self, frame: &mut Vec<u8>) {
        let place = |at: u16| usize::from(at) % frame.len();
        match self {
            Self::Lose => frame.clear(),
            Self::Double => frame.extend(frame.clone()),
            Self::Flip { at } => {
                let (octet, bit) = (place(at / 8), at % 8);
                frame[octet] ^= 1 << bit;
            }
            Self::Cut { at } => frame.truncate(place(at)),
            Self::Drop { at } => {
                frame.remove(place(at));
            }
            Self::Noise { octets } => drop(frame.splice(0..0, octets)),
        }
    }
}

type Everyone = fn(ClientSap, Address) -> bool;

struct Line {
    now: Instant,
    client: client::Session<Vec<u8>>,
    server: Station<Vec<u8>, Vec<server::Session<Vec<u8>>>, Everyone>,
    up: VecDeque<Fault>,
    down: VecDeque<Fault>,
    /// Length of the next answers.
    answer: usize,
    sent: u32,
    served: u32,
    answered: u32,
    /// What the link said last.
    last: Option<LinkEvent>,
}

/// An APDU with its number in front.
fn apdu(number: u32, length: usize) -> Vec<u8> {
    let mut octets = number.to_be_bytes().to_vec();
    octets.resize(length.clamp(4, APDU_MAX), number as u8);
    octets
}

/// The number of an APDU, all of which must be as it was sent.
fn number(octets: &[u8]) -> u32 {
    let number = u32::from_be_bytes(*octets.first_chunk().expect("a number"));
    assert_eq!(octets, apdu(number, octets.len()), "an APDU arrives as it was sent");
    number
}

impl Line {
    fn new(shape: [u8; 4]) -> Self {
        let parameters = |information: u8, window: u8| {
            Parameters::symmetric([32, 64, 128, 512][usize::from(information) % 4], 1 + window % 7)
        };
        let mut config = client::Config::new(
            Address::client(16).expect("an address"),
            Address::shortest(1, (shape[0] & 0x80 != 0).then_some(17)).expect("an address"),
        );
        config.parameters = parameters(shape[0], shape[1]);
        (config.response_timeout_ms, config.inter_octet_timeout_ms) = (1_000, 100);
        (config.poll_interval_ms, config.answer_timeout_ms) = (50, 20_000);
        let storage = || vec![0; STORAGE];
        let sessions = server::Config { parameters: parameters(shape[2], shape[3]), ..server::Config::default() };
        let everyone: Everyone = |_, _| true;
        Self {
            now: Instant::from_millis(1_000),
            client: client::Session::new(config, vec![0; FRAME_MAX], storage(), storage()),
            server: Station::new(
                vec![0; FRAME_MAX],
                100,
                vec![server::Session::new(sessions, storage(), storage())],
                everyone,
            ),
            up: VecDeque::new(),
            down: VecDeque::new(),
            answer: 4,
            sent: 0,
            served: 0,
            answered: 0,
            last: None,
        }
    }

    fn client_events(&mut self) {
        while let Some(event) = self.client.poll_event() {
            if event == LinkEvent::Apdu {
                let number = number(self.client.apdu());
                assert!(number > self.answered && number <= self.sent, "answer {number} after {}", self.answered);
                self.answered = number;
                self.client.release_apdu();
            }
            self.last = Some(event);
        }
    }

    fn server_events(&mut self) {
        while let Some((index, event)) = self.server.poll_event() {
            let Event::Apdu(delivery) = event else { continue };
            let session = self.server.session(index).expect("a session");
            let number = number(session.apdu());
            assert!(number > self.served && number <= self.sent, "request {number} after {}", self.served);
            self.served = number;
            if delivery == Delivery::Connected {
                session.send(&apdu(number, self.answer)).expect("an answer to each request");
            }
            session.release_apdu();
        }
    }

    /// Carries frames until both are silent.
    fn carry(&mut self) {
        for _ in 0..10_000 {
            let mut buffer = [0; FRAME_MAX + 2];
            let mut quiet = true;
            self.client_events();
            while let Some(length) = self.client.poll_transmit(&mut buffer) {
                quiet = false;
                let mut frame = buffer[..length].to_vec();
                if let Some(fault) = self.up.pop_front() {
                    fault.apply(&mut frame);
                }
                let mut rest = &frame[..];
                while !rest.is_empty() {
                    let taken = self.server.handle_input(rest, self.now);
                    rest = &rest[taken..];
                    self.server_events();
                }
            }
            self.server_events();
            while let Some(length) = self.server.poll_transmit(&mut buffer) {
                quiet = false;
                let mut frame = buffer[..length].to_vec();
                if let Some(fault) = self.down.pop_front() {
                    fault.apply(&mut frame);
                }
                let mut rest = &frame[..];
                while !rest.is_empty() {
                    let taken = self.client.handle_input(rest, self.now);
                    rest = &rest[taken..];
                    self.client_events();
                }
            }
            if quiet {
                return;
            }
        }
        panic!("the line never falls silent");
    }

    fn timeout(&mut self, at: Instant) {
        self.now = self.now.max(at);
        self.client.handle_timeout(self.now);
        self.server.handle_timeout(self.now);
    }

    /// Lets things happen until `done`, at most until both have nothing more to wait for.
    fn run(&mut self, done: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..2_000 {
            self.carry();
            if done(self) {
                return true;
            }
            let Some(next) = self.client.poll_timeout() else { return false };
            self.timeout(next);
        }
        false
    }
}

pub(super) fn run(octets: &[u8]) {
    let mut input = Unstructured::new(octets);
    let Ok(shape) = input.arbitrary() else { return };
    let mut line = Line::new(shape);
    for _ in 0..64 {
        if input.is_empty() {
            break;
        }
        let Ok(op) = input.arbitrary() else { break };
        match op {
            Op::Open => line.client.open(line.now),
            Op::Close => line.client.close(line.now),
            Op::Carry => line.carry(),
            Op::Time { ms } => line.timeout(line.now.after_ms(u64::from(ms))),
            Op::Fault { up: true, fault } => line.up.push_back(fault),
            Op::Fault { up: false, fault } => line.down.push_back(fault),
            Op::Send { length, answer } => {
                line.answer = usize::from(answer);
                let number = line.sent + 1;
                if line.client.send(&apdu(number, usize::from(length)), line.now).is_ok() {
                    line.sent = number;
                }
            }
        }
    }
    // Whatever was: on a line without faults a new link does its work.
    (line.up, line.down) = (VecDeque::new(), VecDeque::new());
    line.client.close(line.now);
    line.last = None;
    line.run(|line| line.client.poll_timeout().is_none());
    line.client.open(line.now);
    assert!(line.run(|line| line.client.is_open()), "the link opens again: {:?}", line.last);
    line.sent += 1;
    line.client.send(&apdu(line.sent, 200), line.now).expect("an open link takes a request");
    assert!(line.run(|line| line.answered == line.sent), "an answer comes: {:?}", line.last);
}
