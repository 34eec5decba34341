//! The server's side of a line: clients with and without keys, octets, and time, in any order. Once with a device
//! that has a bit of everything, once with the objects of meter-server as the firmware has them.

use arbitrary::{Arbitrary, Unstructured};
use dlms::Instant;
use dlms::apdu::{AttributeDescriptor, AttributeRequest};
use dlms::association::client::{self, Config, Event};
use dlms::association::server::{Connection, Device};
use dlms::id::{AttributeId, ClassId, ServerSap};
use dlms::obis::ObisCode;
use dlms::security::{InvocationCounter, RustCrypto};
use dlms::wrapper::{client as wrapper_client, server as wrapper_server};
use firmware_meter::minimal::{Meter as FirmwareMeter, PDU_OCTETS};

use super::pair::{CLIENT_TITLE, Counting, GAK, GUEK, Meter, PASSWORD, management, reader};
use super::sealed::{keys, sealed};

#[derive(Arbitrary, Debug)]
pub(super) enum Op<'a> {
    /// A client opens its association, properly.
    Open {
        who: u8,
    },
    /// A client says something, properly protected or not.
    Say {
        who: u8,
        wrapping: u8,
        apdu: &'a [u8],
    },
    /// Octets of the line.
    Octets(&'a [u8]),
    /// The first part of an APDU only.
    Part {
        who: u8,
        length: u8,
        apdu: &'a [u8],
    },
    Time {
        ms: u16,
    },
    /// The line is lost.
    Hangup,
}

type Client = client::Connection<wrapper_client::Wrapper<Vec<u8>>, RustCrypto, Counting, Vec<u8>>;
type Server = Connection<wrapper_server::Wrapper<Vec<u8>>, RustCrypto, Vec<u8>, 2>;

/// Public, with a password, with keys.
const CLIENTS: [u16; 3] = [16, 17, 1];

/// A line to a device, which is lent for each step.
pub(super) struct Line {
    server: Server,
    random: Counting,
    now: Instant,
    /// Longest APDU that each client takes.
    limits: [usize; 3],
    /// Transmit counter of the client with keys.
    counter: u32,
    /// Longest answer that may leave.
    room: usize,
}

fn config(who: usize) -> Config {
    match who {
        0 => Config::public(ServerSap::MANAGEMENT),
        1 => reader(PASSWORD),
        _ => management(),
    }
}

fn line(room: usize) -> Server {
    let link = wrapper_server::Wrapper::new(vec![0; room], vec![0; room], 5_000);
    Connection::new(link, || vec![0; room], vec![0; room])
}

impl Line {
    /// A line whose device has `room` octets for each answer, to clients that take APDUs as long as `limits` picks.
    pub(super) fn new(room: usize, limits: [u8; 3]) -> Self {
        let limits = limits.map(|limit| [0xFFFF, 128, 200, 300][usize::from(limit) % 4]);
        Self {
            server: line(room),
            random: Counting(1 << 40),
            now: Instant::from_millis(1_000),
            limits,
            counter: 1,
            room,
        }
    }

    /// Hands in octets and returns what comes back; `None` when the line must be closed.
    fn hand_in(&mut self, octets: &[u8], device: &mut impl Device) -> Option<Vec<u8>> {
        let mut rest = octets;
        let mut answers = Vec::new();
        for _ in 0..octets.len() + 8 {
            let taken = self.server.handle_input(rest, self.now, device, &mut self.random).ok()?;
            rest = &rest[taken..];
            let mut buffer = vec![0; self.room + 64];
            let mut sent = false;
            while let Some(length) = self.server.poll_transmit(&mut buffer) {
                sent = true;
                answers.extend_from_slice(&buffer[..length]);
            }
            if rest.is_empty() && !sent {
                return Some(answers);
            }
        }
        panic!("octets are never taken");
    }

    /// A line that is lost is opened anew.
    fn carry(&mut self, octets: &[u8], device: &mut impl Device) -> Vec<u8> {
        let answers = self.hand_in(octets, device);
        if answers.is_none() {
            self.hang_up(device);
        }
        let answers = answers.unwrap_or_default();
        let mut rest = &answers[..];
        while let Some((header, after)) = rest.split_first_chunk::<8>() {
            let field = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
            let length = field(6);
            assert!(length > 0 && length <= after.len(), "whole APDUs leave");
            if let Some(who) = CLIENTS.iter().position(|client| usize::from(*client) == field(4)) {
                assert!(
                    length <= self.limits[who],
                    "lesson 35: {length} octets for a client that takes {:?}",
                    self.limits
                );
            }
            rest = &after[length..];
        }
        assert!(rest.is_empty());
        answers
    }

    pub(super) fn hang_up(&mut self, device: &mut impl Device) {
        self.server.close(device);
        self.server = line(self.room);
        assert!(!self.server.is_associated());
    }

    /// The association as a client of ours opens it.
    fn open(&mut self, who: usize, device: &mut impl Device) -> Option<Client> {
        let mut config = config(who);
        config.max_pdu = u16::try_from(self.limits[who]).unwrap_or(u16::MAX);
        let link = wrapper_client::Wrapper::new(config.client, config.server, vec![0; 70_000], vec![0; 70_000], 1_000);
        let counter = InvocationCounter::new(self.counter, u32::MAX);
        let random = Counting(u64::from(self.counter) << 20);
        let mut client = Client::new(link, config, random, counter, vec![0; 4_096], vec![0; 4_096]);
        client.associate(self.now).expect("a new connection");
        let mut open = false;
        for _ in 0..8 {
            while let Some(event) = client.poll_event() {
                open |= matches!(event, Event::Associated(_));
            }
            let mut octets = vec![0; 70_000];
            while let Some(length) = client.poll_transmit(&mut octets) {
                let answers = self.carry(&octets[..length], device);
                assert_eq!(client.handle_input(&answers, self.now), answers.len());
            }
        }
        self.counter = client.counter_mut().next();
        open.then_some(client)
    }

    fn wpdu(&mut self, who: usize, wrapping: u8, apdu: &[u8]) -> Vec<u8> {
        let apdu = if who == 2 && wrapping & 0x80 == 0 {
            self.counter += 1;
            sealed(&keys(&GUEK, &GAK), CLIENT_TITLE, wrapping, self.counter - 1, apdu)
        } else {
            apdu.to_vec()
        };
        let length = u16::try_from(apdu.len()).unwrap_or(u16::MAX);
        [[1, CLIENTS[who], 1, length].map(u16::to_be_bytes).concat(), apdu].concat()
    }

    pub(super) fn act(&mut self, op: Op<'_>, device: &mut impl Device) {
        match op {
            Op::Open { who } => drop(self.open(usize::from(who) % 3, device)),
            Op::Say { who, wrapping, apdu } => {
                let octets = self.wpdu(usize::from(who) % 3, wrapping, apdu);
                self.carry(&octets, device);
            }
            Op::Part { who, length, apdu } => {
                let mut octets = self.wpdu(usize::from(who) % 3, 0, apdu);
                octets.truncate(usize::from(length));
                self.carry(&octets, device);
            }
            Op::Octets(octets) => drop(self.carry(octets, device)),
            Op::Time { ms } => {
                self.now = self.now.after_ms(u64::from(ms));
                if self.server.handle_timeout(self.now, device, &mut self.random).is_err() {
                    self.hang_up(device);
                }
            }
            Op::Hangup => self.hang_up(device),
        }
    }

    /// Sees that the client `who` can open an association, and is answered when it reads `known`.
    pub(super) fn is_served(&mut self, who: usize, known: AttributeDescriptor, device: &mut impl Device) {
        let mut client = self.open(who, device).expect("an association as ever");
        client.get(AttributeRequest::whole(known), self.now).expect("associated");
        let mut octets = vec![0; 70_000];
        let length = client.poll_transmit(&mut octets).expect("a request");
        let answers = self.carry(&octets[..length], device);
        assert!(!answers.is_empty(), "client {who} is answered");
        // A client of the same device that comes later counts on.
        self.counter = client.counter_mut().next();
    }
}

/// Plays the operations, then sees that clients are still served; `who` can open an association, and reads `known`.
fn play(input: &mut Unstructured<'_>, mut device: impl Device, room: usize, who: &[usize], known: AttributeDescriptor) {
    let Ok(limits) = input.arbitrary::<[u8; 3]>() else { return };
    let mut line = Line::new(room, limits);
    for _ in 0..48 {
        if input.is_empty() {
            break;
        }
        let Ok(op) = input.arbitrary() else { break };
        line.act(op, &mut device);
    }
    line.hang_up(&mut device);
    who.iter().for_each(|who| line.is_served(*who, known, &mut device));
}

pub(super) fn run(octets: &[u8]) {
    let mut input = Unstructured::new(octets);
    let max_pdu = [512, 128, 0xFFFF, 256][usize::from(input.arbitrary::<u8>().unwrap_or_default()) % 4];
    let device = Meter { rows: 40, row_octets: 20, max_pdu, ..Meter::default() };
    play(&mut input, device, 2_048, &[0, 1, 2], super::pair::REGISTER);
}

/// The objects of meter-server with the memory of the firmware example.
pub(super) fn run_meter(octets: &[u8]) {
    let mut meter = FirmwareMeter::new();
    meter.set_time(1_773_576_450);
    let name = AttributeDescriptor::new(ClassId(1), ObisCode([0, 0, 42, 0, 0, 255]), AttributeId(2));
    play(&mut Unstructured::new(octets), meter, usize::from(PDU_OCTETS) + 64, &[0, 2], name);
}
