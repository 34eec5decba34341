//! Finding a meter whose address is not known: addresses are asked one after the other, and what answers is told.

use super::address::{Address, Width};
use super::control::{Control, Kind};
use super::deframer::Deframer;
use super::frame::{Frame, Repr};
use super::parameters::Parameters;
use crate::Instant;
use crate::axdr::Writer;
use crate::link::{Events, Storage};

/// A pair of addresses to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The client's own address.
    pub client: Address,
    /// The server's address.
    pub server: Address,
}

/// How a candidate was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// UA: there is a meter, and it takes this client.
    Accepted {
        /// The address it answers from, which may have another width or lower part than the one asked.
        source: Address,
        /// What it sends and takes; `None` when that cannot be read.
        parameters: Option<Parameters>,
    },
    /// DM: there is a meter that does not take this client, this logical device, or anyone now.
    Refused {
        /// The address it answers from.
        source: Address,
    },
    /// FRMR: there is a meter that does not take this SNRM.
    Rejected {
        /// The address it answers from.
        source: Address,
    },
    /// Nothing that can be read came, but something did: a wrong rate, or several meters at once.
    Noise {
        /// Broken frames and octets outside frames.
        octets: u32,
    },
    /// Nothing came.
    Silence,
}

/// What a scan has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A candidate is done with.
    Answer(Candidate, Reply),
    /// So are all.
    Done,
}

/// How long, and how often, each candidate is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long an answer may take, in milliseconds: 500 on a serial line, seconds over networks.
    pub timeout_ms: u32,
    /// How often a candidate that is silent is asked again.
    pub retries: u8,
    /// Gap inside a frame that ends it, in milliseconds.
    pub inter_octet_timeout_ms: u32,
    /// Pause between two candidates, in milliseconds, so that a late answer is not taken for the next one's.
    pub pause_ms: u32,
    /// What is proposed; the profile's defaults go without an information field.
    pub parameters: Parameters,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout_ms: 1_000,
            retries: 0,
            inter_octet_timeout_ms: 100,
            pause_ms: 50,
            parameters: Parameters::DEFAULT,
        }
    }
}

/// Asks the candidates of `I` in order, each with SNRM, and takes down at once what that has set up.
///
/// Drive it like a link: drain [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event), sleep until
/// [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Scanner<B, I> {
    config: Config,
    deframer: Deframer<B>,
    candidates: I,
    current: Option<Candidate>,
    phase: Phase,
    pending: bool,
    attempts: u8,
    noise: u32,
    heard: bool,
    tried: u32,
    events: Events<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Asking {
        deadline: Instant,
    },
    /// The link that was set up is taken down, addressed as the meter answered.
    Closing {
        server: Address,
        deadline: Instant,
    },
    Pause {
        until: Instant,
    },
    Done,
}

impl<B: Storage, I: Iterator<Item = Candidate>> Scanner<B, I> {
    /// A scan that begins at `now`; `frame` holds one received frame without its flags, 64 octets are enough.
    pub fn new(config: Config, frame: B, candidates: I, now: Instant) -> Self {
        let mut scanner = Self {
            config,
            deframer: Deframer::new(frame, config.inter_octet_timeout_ms),
            candidates,
            current: None,
            phase: Phase::Done,
            pending: false,
            attempts: 0,
            noise: 0,
            heard: false,
            tried: 0,
            events: Events::new(),
        };
        scanner.advance(now);
        scanner
    }

    /// The candidate that is being asked.
    pub const fn current(&self) -> Option<Candidate> {
        self.current
    }

    /// How many candidates have been asked, the current one among them.
    pub const fn tried(&self) -> u32 {
        self.tried
    }

    fn advance(&mut self, now: Instant) {
        (self.attempts, self.noise, self.heard) = (0, 0, false);
        self.current = self.candidates.next();
        if self.current.is_some() {
            self.tried = self.tried.saturating_add(1);
            self.ask(now);
        } else {
            self.phase = Phase::Done;
            self.events.push(Event::Done);
        }
    }

    fn deadline(&self, now: Instant) -> Instant {
        now.after_ms(u64::from(self.config.timeout_ms))
    }

    fn ask(&mut self, now: Instant) {
        self.deframer.reset();
        self.attempts = self.attempts.saturating_add(1);
        self.pending = true;
        self.phase = Phase::Asking { deadline: self.deadline(now) };
    }

    fn answer(&mut self, reply: Reply) {
        if let Some(candidate) = self.current {
            self.events.push(Event::Answer(candidate, reply));
        }
    }

    fn pause(&mut self, now: Instant) {
        self.pending = false;
        self.phase = Phase::Pause { until: now.after_ms(u64::from(self.config.pause_ms)) };
    }

    /// Octets of the line; all are taken.
    pub fn handle_input(&mut self, bytes: &[u8], now: Instant) {
        let mut rest = bytes;
        self.heard |= !bytes.is_empty();
        self.noise = self.noise.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        loop {
            let (used, frame) = self.deframer.push(rest, now);
            rest = rest.get(used..).unwrap_or_default();
            let (kind, source, destination, parameters) = match frame {
                Some(Ok(frame)) => (frame.control().kind, frame.source(), frame.destination(), parse(&frame)),
                Some(Err(_)) => continue,
                None => return,
            };
            // The own frame that an optical head returns, and what meters say to others.
            let Some(candidate) = self.current else { continue };
            if destination != candidate.client || !matches!(kind, Kind::Ua | Kind::Dm | Kind::Frmr) {
                continue;
            }
            match (self.phase, kind) {
                (Phase::Asking { .. }, Kind::Ua) => {
                    self.answer(Reply::Accepted { source, parameters });
                    self.pending = true;
                    self.phase = Phase::Closing { server: source, deadline: self.deadline(now) };
                }
                (Phase::Asking { .. }, Kind::Dm) => {
                    self.answer(Reply::Refused { source });
                    self.pause(now);
                }
                (Phase::Asking { .. }, _) => {
                    self.answer(Reply::Rejected { source });
                    self.pause(now);
                }
                (Phase::Closing { .. }, _) => self.pause(now),
                (Phase::Pause { .. } | Phase::Done, _) => {}
            }
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Asking { deadline } if now >= deadline => {
                self.handle_input(&[], now);
                if !matches!(self.phase, Phase::Asking { .. }) {
                    return;
                }
                if self.attempts <= self.config.retries {
                    return self.ask(now);
                }
                let octets = self.noise;
                self.answer(if self.heard { Reply::Noise { octets } } else { Reply::Silence });
                self.pause(now);
            }
            // A meter that does not confirm drops the link by itself.
            Phase::Closing { deadline, .. } if now >= deadline => self.pause(now),
            Phase::Pause { until } if now >= until => self.advance(now),
            _ => {}
        }
    }

    /// The next frame for the line, written into `out`; returns how many octets that are.
    pub fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        let candidate = self.current.filter(|_| self.pending)?;
        let mut parameters = [0; Parameters::ENCODED_MAX];
        let mut repr = Repr {
            destination: candidate.server,
            source: candidate.client,
            control: Control::with_poll_final(Kind::Snrm),
            segmented: false,
            information: &[],
        };
        match self.phase {
            Phase::Closing { server, .. } => {
                (repr.destination, repr.control.kind) = (server, Kind::Disc);
            }
            _ if self.config.parameters != Parameters::DEFAULT => {
                let mut writer = Writer::new(&mut parameters);
                self.config.parameters.emit(&mut writer).ok()?;
                repr.information = writer.into_written();
            }
            _ => {}
        }
        let mut writer = Writer::new(out);
        repr.emit(&mut writer).ok()?;
        self.pending = false;
        Some(writer.len())
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None` once all is done.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Asking { deadline } | Phase::Closing { deadline, .. } => Some(deadline),
            Phase::Pause { until } => Some(until),
            Phase::Done => None,
        }
    }
}

fn parse(frame: &Frame<'_>) -> Option<Parameters> {
    Parameters::parse(frame.information()).ok()
}

/// A rule by which makers and profiles derive the lower address from a serial number: its last digits, and an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Formula {
    /// 100 for the last two digits, and so on.
    pub modulus: u32,
    /// Added to them.
    pub offset: u32,
}

impl Formula {
    /// The rules met most. They come from users' configurations and are not verified against the makers' documents.
    pub const COMMON: [Self; 6] = [
        Self { modulus: 10_000, offset: 1_000 },
        Self { modulus: 10_000, offset: 0 },
        Self { modulus: 100, offset: 16 },
        Self { modulus: 1_000, offset: 16 },
        Self { modulus: 10_000, offset: 16 },
        Self { modulus: 100, offset: 100 },
    ];

    /// The lower address of the meter with this serial number; `None` when the rule gives none.
    #[must_use]
    pub fn lower(self, serial: u64) -> Option<u16> {
        let digits = serial.checked_rem(u64::from(self.modulus))?;
        let lower = digits.checked_add(u64::from(self.offset))?;
        u16::try_from(lower).ok().filter(|lower| *lower < Width::Four.all_station())
    }
}

/// The candidates of a scan: each client with each server address, in one octet first, then two, then four; the lower
/// addresses of the formulas before the range. What does not fit a width is left out. A pair may come twice.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// Addresses of clients; 16, the public one, is taken by every meter that takes any.
    pub clients: &'a [u16],
    /// Upper addresses, the logical devices; 1 is in every meter.
    pub logical_devices: &'a [u16],
    /// Widths to be tried.
    pub widths: &'a [Width],
    /// Lower addresses, first and last.
    pub lower: (u16, u16),
    /// The meter's serial number, for the common formulas.
    pub serial: Option<u64>,
}

impl Plan<'static> {
    /// Public and management client, logical device 1, every width, lower addresses from 16 to 32.
    pub const COMMON: Self =
        Self { clients: &[16, 1], logical_devices: &[1], widths: &Width::ALL, lower: (16, 32), serial: None };
}

impl Plan<'_> {
    /// The candidates in order.
    pub fn candidates(&self) -> impl Iterator<Item = Candidate> {
        let formulas = Formula::COMMON.iter().filter_map(|formula| formula.lower(self.serial?));
        let servers = self.widths.iter().flat_map(move |width| {
            let lowers = formulas.clone().chain(self.lower.0..=self.lower.1);
            let one = (*width == Width::One).then_some(0);
            let lowers = one.into_iter().chain(lowers.filter(|_| *width != Width::One));
            let width = *width;
            lowers.flat_map(move |lower| {
                self.logical_devices.iter().filter_map(move |upper| Address::new(*upper, lower, width))
            })
        });
        servers.filter(|server| !server.is_broadcast()).flat_map(|server| {
            let client = move |sap: &u16| Some(Candidate { client: Address::client(*sap)?, server });
            self.clients.iter().filter_map(client)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_plan_tries_what_is_most_common_first() {
        let plan = Plan { clients: &[16], serial: Some(12_341_836), lower: (16, 17), ..Plan::COMMON };
        let servers: Vec<_> = plan.candidates().map(|candidate| candidate.server).collect();
        let two = |lower| Address::new(1, lower, Width::Two).unwrap();
        let four = |lower| Address::new(1, lower, Width::Four).unwrap();
        let mut expected = Vec::from([Address::client(1).unwrap(), two(52), two(16), two(17)]);
        expected.extend([2_836, 1_836, 52, 852, 1_852, 136, 16, 17].map(four));
        assert_eq!(servers, expected);
        let both = Plan::COMMON.candidates().take(2).map(|candidate| candidate.client.upper()).collect::<Vec<_>>();
        assert_eq!(both, [16, 1]);
        let all = Plan { lower: (0x7E, 0x7F), widths: &[Width::Two], ..Plan::COMMON };
        assert_eq!(all.candidates().count(), 2, "all-station is not asked");
        assert_eq!(Formula { modulus: 0, offset: 1 }.lower(5), None);
        assert_eq!(Formula { modulus: 100_000, offset: 0 }.lower(99_999), None);
    }
}
