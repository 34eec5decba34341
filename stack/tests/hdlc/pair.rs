//! Both stations, joined by a line, stepped through virtual time.

use dlms::Instant;
use dlms::hdlc::server::{Event, Station};
use dlms::hdlc::{Address, FRAME_MAX, Parameters, Width, client, server};
use dlms::id::ClientSap;
use dlms::link::{Link, LinkEvent};

use crate::line::{Direction, Faults};

pub(crate) type Everyone = fn(ClientSap, Address) -> bool;
pub(crate) type Server = Station<Vec<u8>, Vec<server::Session<Vec<u8>>>, Everyone>;

/// What the client's side saw, with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Event(LinkEvent),
    Apdu(Vec<u8>),
}

pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) client: client::Session<Vec<u8>>,
    pub(crate) server: Server,
    pub(crate) up: Direction,
    pub(crate) down: Direction,
    /// What the server answers to a request; `None`: nothing.
    pub(crate) answer: fn(&[u8]) -> Option<Vec<u8>>,
    /// Requests in the order the server got them.
    pub(crate) served: Vec<Vec<u8>>,
    pub(crate) server_events: Vec<Event>,
    pub(crate) seen: Vec<Seen>,
    /// Whether the client's line returns what it sends.
    pub(crate) echo: bool,
    /// Every frame that left a station: from the client or not, and its octets.
    pub(crate) frames: Vec<(bool, Vec<u8>)>,
}

pub(crate) struct Setup {
    pub(crate) width: Width,
    pub(crate) client: Parameters,
    pub(crate) server: Parameters,
    pub(crate) storage: usize,
    pub(crate) up: Faults,
    pub(crate) down: Faults,
    pub(crate) seed: u64,
    pub(crate) retries: u8,
    /// Whether both ask for a lost frame with REJ.
    pub(crate) reject: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            width: Width::One,
            client: Parameters::DEFAULT,
            server: Parameters::DEFAULT,
            storage: 4_096,
            up: Faults::default(),
            down: Faults::default(),
            seed: 1,
            retries: 3,
            reject: false,
        }
    }
}

pub(crate) fn address(width: Width) -> Address {
    Address::new(1, if width == Width::One { 0 } else { 17 }, width).unwrap()
}

pub(crate) fn client_address() -> Address {
    Address::client(16).unwrap()
}

impl Pair {
    pub(crate) fn new(setup: Setup) -> Self {
        let mut config = client::Config::new(client_address(), address(setup.width));
        config.parameters = setup.client;
        config.response_timeout_ms = 1_000;
        config.inter_octet_timeout_ms = 100;
        config.poll_interval_ms = 50;
        config.answer_timeout_ms = 20_000;
        (config.retries, config.reject) = (setup.retries, setup.reject);
        let storage = || vec![0; setup.storage];
        let session_config =
            server::Config { parameters: setup.server, reject: setup.reject, ..server::Config::default() };
        let sessions = vec![server::Session::new(session_config, storage(), storage())];
        let everyone: Everyone = |_, _| true;
        Self {
            now: Instant::from_millis(5_000),
            client: client::Session::new(config, vec![0; FRAME_MAX], storage(), storage()),
            server: Station::new(vec![0; FRAME_MAX], 100, sessions, everyone),
            up: Direction::new(setup.up, setup.seed),
            down: Direction::new(setup.down, setup.seed ^ 0xD0),
            answer: |request| Some(request.to_vec()),
            served: Vec::new(),
            server_events: Vec::new(),
            seen: Vec::new(),
            echo: false,
            frames: Vec::new(),
        }
    }

    fn client_turn(&mut self) -> bool {
        let mut moved = false;
        let mut out = [0; FRAME_MAX];
        while let Some(length) = self.client.poll_transmit(&mut out) {
            self.frames.push((true, out[..length].to_vec()));
            self.up.send(&out[..length], self.now);
            if self.echo {
                assert_eq!(self.client.handle_input(&out[..length], self.now), length);
            }
            moved = true;
        }
        while let Some(event) = self.client.poll_event() {
            self.seen.push(match event {
                LinkEvent::Apdu => Seen::Apdu(self.client.apdu().to_vec()),
                event => Seen::Event(event),
            });
            if event == LinkEvent::Apdu {
                self.client.release_apdu();
            }
            moved = true;
        }
        moved
    }

    fn server_turn(&mut self) -> bool {
        let mut moved = false;
        while let Some((index, event)) = self.server.poll_event() {
            self.server_events.push(event);
            moved = true;
            if let Event::Apdu(delivery) = event {
                let session = self.server.session(index).unwrap();
                let request = session.apdu().to_vec();
                if let Some(answer) = (self.answer)(&request)
                    && delivery == server::Delivery::Connected
                {
                    session.send(&answer).unwrap();
                }
                session.release_apdu();
                self.served.push(request);
            }
        }
        let mut out = [0; FRAME_MAX];
        while let Some(length) = self.server.poll_transmit(&mut out) {
            self.frames.push((false, out[..length].to_vec()));
            self.down.send(&out[..length], self.now);
            moved = true;
        }
        moved
    }

    /// Does everything that happens at this moment.
    pub(crate) fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut moved = self.client_turn() | self.server_turn();
            if let Some(octets) = self.up.receive(self.now) {
                let mut rest = octets.as_slice();
                while !rest.is_empty() {
                    let used = self.server.handle_input(rest, self.now);
                    rest = &rest[used..];
                    self.server_turn();
                }
                moved = true;
            }
            if let Some(octets) = self.down.receive(self.now) {
                let mut rest = octets.as_slice();
                while !rest.is_empty() {
                    let used = self.client.handle_input(rest, self.now);
                    rest = &rest[used..];
                    self.client_turn();
                }
                moved = true;
            }
            if !moved {
                return;
            }
        }
        panic!("never settles at {}", self.now);
    }

    /// Runs until `done` or `limit_ms` have passed; returns whether it was done.
    pub(crate) fn run(&mut self, limit_ms: u64, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now.after_ms(limit_ms);
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            let wakes = [
                self.up.next_arrival(),
                self.down.next_arrival(),
                self.client.poll_timeout(),
                self.server.poll_timeout(),
            ];
            let Some(next) = wakes.into_iter().flatten().min() else { return false };
            if next > end {
                self.now = end;
                return false;
            }
            assert!(next >= self.now || self.client.poll_timeout().is_some_and(|at| at <= self.now));
            self.now = self.now.max(next);
            self.client.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
        }
    }

    pub(crate) fn failure(&self) -> Option<LinkEvent> {
        self.seen.iter().find_map(|seen| match seen {
            Seen::Event(event @ LinkEvent::Failed(_)) => Some(*event),
            _ => None,
        })
    }

    pub(crate) fn opened(&self) -> bool {
        self.seen.contains(&Seen::Event(LinkEvent::Opened))
    }

    pub(crate) fn apdus(&self) -> Vec<&[u8]> {
        self.seen
            .iter()
            .filter_map(|seen| if let Seen::Apdu(apdu) = seen { Some(apdu.as_slice()) } else { None })
            .collect()
    }

    pub(crate) fn open(&mut self) {
        let now = self.now;
        self.client.open(now);
        assert!(self.run(20_000, |pair| pair.opened() || pair.failure().is_some()), "open has no end");
    }

    /// Sends a request and waits for the answer or a failure.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let before = self.apdus().len();
        let now = self.now;
        self.client.send(request, now).unwrap();
        let ended = self.run(120_000, |pair| pair.apdus().len() > before || pair.failure().is_some());
        assert!(ended, "exchange has no end");
        self.apdus().get(before).map(|apdu| apdu.to_vec())
    }

    pub(crate) fn close(&mut self) {
        let now = self.now;
        self.client.close(now);
        let ended = |pair: &Self| pair.seen.contains(&Seen::Event(LinkEvent::Closed)) || pair.failure().is_some();
        assert!(self.run(20_000, ended), "close has no end");
    }
}
