//! Who receives pushes: frames of a line that is only listened to, notifications of senders with keys and without, the
//! same ones again, and changed ones. Nothing passes as a sender's that the sender did not protect, and nothing twice.

use std::collections::BTreeSet;

use arbitrary::{Arbitrary, Unstructured};
use dlms::Instant;
use dlms::association::push::{Receiver, Sender};
use dlms::axdr::Writer;
use dlms::hdlc::{Address, Control, FRAME_MAX, Kind, Listener, Repr};
use dlms::id::SystemTitle;
use dlms::security::{Context, Protection, RustCrypto};

use super::pair::{CLIENT_TITLE, GAK, GUEK, PUSH_KEY, SERVER_TITLE};
use super::sealed::{keys, sealed};

#[derive(Arbitrary, Debug)]
enum Op<'a> {
    /// A sender pushes: one with keys, one that may push in clear, or one that nobody knows.
    Push {
        who: u8,
        wrapping: u8,
        back: u8,
        confirmed: bool,
        body: &'a [u8],
    },
    /// Any APDU, protected as a sender would.
    Say {
        who: u8,
        wrapping: u8,
        apdu: &'a [u8],
    },
    Again,
    Damage {
        at: u16,
        mask: u8,
    },
    Raw(&'a [u8]),
    /// Octets of the line, outside any frame.
    Octets(&'a [u8]),
    /// A frame is lost of the next push.
    Lose,
    Time {
        ms: u16,
    },
}

/// Known with keys, known without, and unknown.
const SENDERS: [SystemTitle; 3] = [SERVER_TITLE, SystemTitle(*b"CLR\0\0\0\0\x01"), SystemTitle(*b"WHO\0\0\0\0\x01")];
const LLC: [u8; 3] = [0xE6, 0xE7, 0x00];
const SEGMENT: usize = 60;

struct Line {
    listener: Listener<Vec<u8>>,
    receiver: Receiver<Vec<Sender<RustCrypto>>>,
    now: Instant,
    counter: u32,
    last: Vec<u8>,
    /// What the sender with keys has protected, and nobody has opened.
    fresh: BTreeSet<Vec<u8>>,
    lose: bool,
}

fn sender(title: SystemTitle, required: Protection) -> Sender<RustCrypto> {
    let context = Context::new(CLIENT_TITLE, &keys(&PUSH_KEY, &GAK)).expect("keys");
    Sender::new(title, context, required, 5)
}

impl Line {
    /// The frames of an APDU, in segments.
    fn frames(apdu: &[u8]) -> Vec<Vec<u8>> {
        let information = [&LLC[..], apdu].concat();
        let count = information.len().div_ceil(SEGMENT);
        let frame = |(number, segment): (usize, &[u8])| {
            let repr = Repr {
                destination: Address::client(16).expect("an address"),
                source: Address::shortest(1, Some(17)).expect("an address"),
                control: Control::with_poll_final(Kind::Ui),
                segmented: number + 1 < count,
                information: segment,
            };
            let mut buffer = [0; FRAME_MAX + 2];
            let mut writer = Writer::new(&mut buffer);
            repr.emit(&mut writer).expect("a short segment");
            writer.written().to_vec()
        };
        information.chunks(SEGMENT).enumerate().map(frame).collect()
    }

    fn send(&mut self, apdu: &[u8]) {
        self.last = apdu.to_vec();
        let mut frames = Self::frames(apdu);
        if std::mem::take(&mut self.lose) {
            frames.remove(apdu.len() % frames.len());
        }
        self.line(&frames.concat());
    }

    fn line(&mut self, octets: &[u8]) {
        let mut rest = octets;
        loop {
            let taken = self.listener.handle_input(rest, self.now);
            rest = &rest[taken..];
            if self.listener.poll_event().is_some() {
                let apdu = self.listener.apdu().to_vec();
                self.listener.release_apdu();
                self.arrived(&apdu);
            } else if rest.is_empty() {
                return;
            } else {
                assert!(taken > 0, "octets are never taken");
            }
        }
    }

    fn arrived(&mut self, apdu: &[u8]) {
        for from in [None, Some(SENDERS[0]), Some(SENDERS[1])] {
            let mut octets = apdu.to_vec();
            let Ok(received) = self.receiver.open(&mut octets, from) else { continue };
            match received.sender {
                Some(title) if title == SENDERS[0] => {
                    assert_eq!(received.protection, Protection::AUTHENTICATED_ENCRYPTED);
                    assert!(self.fresh.remove(apdu), "forged or had before: {apdu:02X?}");
                }
                Some(title) => assert_eq!(title, SENDERS[1], "nobody else is known"),
                None => assert_eq!(from, Some(SENDERS[1]), "only one may push in clear"),
            }
            let mut out = [0; 64];
            if received.to_confirm().is_some() {
                self.counter += 1;
                self.receiver.confirm(&received, self.counter, &mut out).expect("what passed can be confirmed");
            }
        }
    }

    /// As the sender protects it, `back` counters behind its last.
    fn protect(&mut self, who: u8, wrapping: u8, back: u8, plain: &[u8]) -> Vec<u8> {
        let who = usize::from(who) % SENDERS.len();
        self.counter += 1;
        let counter = self.counter.saturating_sub(u32::from(back));
        let key = if who == 2 { &GUEK } else { &PUSH_KEY };
        let apdu = sealed(&keys(key, &GAK), SENDERS[who], wrapping, counter, plain);
        if who == 0 && apdu != plain {
            self.fresh.insert(apdu.clone());
        }
        apdu
    }

    fn act(&mut self, op: Op<'_>) {
        match op {
            Op::Push { who, wrapping, back, confirmed, body } => {
                let invoke = [if confirmed { 0x40 } else { 0 }, 0, 0, 7];
                let plain = [&[0x0F][..], &invoke, &[0], body].concat();
                let apdu = self.protect(who, wrapping, back, &plain);
                self.send(&apdu);
            }
            Op::Say { who, wrapping, apdu } => {
                let apdu = self.protect(who, wrapping, 0, apdu);
                self.send(&apdu);
            }
            Op::Again => {
                let last = self.last.clone();
                self.send(&last);
            }
            Op::Damage { at, mask } => {
                let mut damaged = self.last.clone();
                let length = damaged.len().max(1);
                if let Some(octet) = damaged.get_mut(usize::from(at) % length) {
                    *octet ^= mask;
                }
                self.send(&damaged);
            }
            Op::Raw(apdu) => self.send(apdu),
            Op::Octets(octets) => self.line(octets),
            Op::Lose => self.lose = true,
            Op::Time { ms } => {
                self.now = self.now.after_ms(u64::from(ms));
                self.listener.handle_timeout(self.now);
                self.line(&[]);
            }
        }
    }
}

pub(super) fn run(octets: &[u8]) {
    let mut input = Unstructured::new(octets);
    let senders = vec![sender(SENDERS[0], Protection::AUTHENTICATED_ENCRYPTED), sender(SENDERS[1], Protection::NONE)];
    let mut line = Line {
        listener: Listener::new(vec![0; FRAME_MAX], vec![0; 1_024], 100, false),
        receiver: Receiver::new(senders),
        now: Instant::from_millis(1_000),
        counter: 10,
        last: Vec::new(),
        fresh: BTreeSet::new(),
        lose: false,
    };
    for _ in 0..48 {
        if input.is_empty() {
            break;
        }
        let Ok(op) = input.arbitrary() else { break };
        line.act(op);
    }
    // After a silence a push arrives as ever.
    line.lose = false;
    line.act(Op::Time { ms: u16::MAX });
    line.fresh.clear();
    line.act(Op::Push { who: 0, wrapping: 1, back: 0, confirmed: true, body: &[0x11, 5] });
    assert!(line.fresh.is_empty(), "an honest push is opened");
}
