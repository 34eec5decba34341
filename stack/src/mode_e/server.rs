//! The side of the meter.

use super::line::Line;
use super::readout::check_character;
use super::{ACK, Baud, DeviceAddress, ETX, INITIAL_BAUD, Identification, Parity, STX, Transmit, line_time_ms};
use crate::Instant;
use crate::link::Events;

/// What a meter says of itself, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The address it answers to, besides none.
    pub address: DeviceAddress,
    /// Three letters of the maker.
    pub maker: [u8; 3],
    text: [u8; Identification::TEXT_MAX],
    /// The highest rate it offers.
    pub baud: Baud,
    /// Who makes the parity.
    pub parity: Parity,
    /// Pause before each of its messages, in milliseconds: 200 to 1500, or from 20 where the maker's third letter is small.
    pub reaction_ms: u32,
    /// How long it waits for the selection of an option, in milliseconds.
    pub option_timeout_ms: u32,
}

impl Config {
    /// A meter without an address and a text of its own that offers up to `baud`.
    #[must_use]
    pub const fn new(maker: [u8; 3], baud: Baud) -> Self {
        Self {
            address: DeviceAddress::ANY,
            maker,
            text: [0; Identification::TEXT_MAX],
            baud,
            parity: Parity::Emulated,
            reaction_ms: 200,
            option_timeout_ms: 2_500,
        }
    }

    /// The same with the maker's own text: its first 16 characters, without `/`, `!` and control characters.
    #[must_use]
    pub fn with_text(mut self, text: &[u8]) -> Self {
        self.text = [0; Identification::TEXT_MAX];
        let legal = text.iter().filter(|octet| matches!(octet, b' '..=b'~') && !matches!(octet, b'/' | b'!'));
        self.text.iter_mut().zip(legal).for_each(|(to, from)| *to = *from);
        self
    }
}

/// What a meter's side has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The port is to be set to this rate, in bit/s, when all that was sent has left, and before anything more is read.
    SetBaud(u32),
    /// The line speaks HDLC now; call [`SignOn::reset`] when that link is down.
    Opened {
        /// The rate in bit/s, which is set already.
        baud: u32,
    },
    /// A client selected an option that is not there (protocol and mode characters); it waits for the next request.
    Refused(u8, u8),
}

/// A meter's side of sign-ons, one after the other.
///
/// ```text
///            request for it              ACK 2 Z 2
///   Waiting ────────────────▶ Selecting ───────────▶ Open (HDLC) ── reset ──▶ Waiting
///      ▲                          │ silence
///      `──────────────────────────'── ACK 0 Z 0 ───▶ readout ──────────────▶ Waiting
/// ```
///
/// `R` is the text of the readout of mode C, lines that end in CR LF; with an empty one that option is refused.
#[derive(Debug)]
pub struct SignOn<R> {
    config: Config,
    readout: R,
    state: State,
    line: Line,
    events: Events<Event>,
    baud: u32,
    /// Octets of the readout that were sent, framing included.
    sent: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// The identification is to be sent.
    Identifying {
        at: Instant,
    },
    Identification {
        due: Instant,
    },
    Selecting {
        deadline: Instant,
    },
    /// The rate is about to change for HDLC.
    Changing {
        at: Instant,
        baud: Baud,
    },
    Confirmation {
        baud: Baud,
    },
    /// The rate is about to change for the readout.
    ReadoutAt {
        at: Instant,
        baud: Baud,
    },
    Readout,
    /// The readout is leaving.
    Leaving {
        until: Instant,
    },
    Open,
}

impl<R: AsRef<[u8]>> SignOn<R> {
    /// Octets that a transmit buffer needs at least.
    pub const TRANSMIT_MIN: usize = 32;

    /// A meter that waits for a request.
    pub const fn new(config: Config, readout: R) -> Self {
        Self {
            config,
            readout,
            state: State::Waiting,
            line: Line::new(),
            events: Events::new(),
            baud: INITIAL_BAUD,
            sent: 0,
        }
    }

    /// The HDLC link is down, or nothing has come over it for too long: back to 300 baud.
    pub fn reset(&mut self) {
        self.line.clear();
        self.events.clear();
        self.wait();
    }

    fn wait(&mut self) {
        self.state = State::Waiting;
        self.set_baud(INITIAL_BAUD);
    }

    fn set_baud(&mut self, baud: u32) {
        if self.baud != baud {
            self.baud = baud;
            self.events.push(Event::SetBaud(baud));
        }
    }

    /// Octets of the line. Returns how many were taken: none while the line speaks HDLC or an event waits.
    pub fn handle_input(&mut self, bytes: &[u8], now: Instant) -> usize {
        let mut taken = 0_usize;
        for octet in bytes {
            if self.state == State::Open || !self.events.is_empty() {
                break;
            }
            taken = taken.saturating_add(1);
            let parity = self.config.parity;
            if self.line.push(*octet, parity, &[b'/', ACK]) {
                let line = self.line;
                self.line.clear();
                self.handle_line(line.characters(), now);
            }
        }
        taken
    }

    fn handle_line(&mut self, line: &[u8], now: Instant) {
        let reaction = |now: Instant| now.after_ms(u64::from(self.config.reaction_ms));
        match (self.state, line) {
            // A request is answered in any state before HDLC: the client has begun anew.
            (State::Waiting | State::Selecting { .. }, [b'/', b'?', asked @ .., b'!'])
                if self.config.address.is_meant_by(asked) =>
            {
                self.state = State::Identifying { at: reaction(now) };
            }
            (State::Selecting { .. }, [ACK, protocol, rate, mode]) => {
                let baud = Baud::from_character(*rate).filter(|baud| *baud <= self.config.baud);
                match (baud, protocol, mode) {
                    (Some(baud), b'2', b'2') => self.state = State::Changing { at: reaction(now), baud },
                    (Some(baud), b'0', b'0') if !self.readout.as_ref().is_empty() => {
                        self.state = State::ReadoutAt { at: reaction(now), baud };
                    }
                    _ => {
                        self.events.push(Event::Refused(*protocol, *mode));
                        self.wait();
                    }
                }
            }
            _ => {}
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Identifying { at } if now >= at => self.state = State::Identification { due: now },
            State::Selecting { deadline } if now >= deadline => self.wait(),
            State::Changing { at, baud } if now >= at => {
                self.set_baud(baud.bits_per_second());
                self.state = State::Confirmation { baud };
            }
            State::ReadoutAt { at, baud } if now >= at => {
                self.set_baud(baud.bits_per_second());
                (self.sent, self.state) = (0, State::Readout);
            }
            State::Leaving { until } if now >= until => self.wait(),
            _ => {}
        }
    }

    /// Octets for the line, written into `out`, and the rate they need. Nothing while `out` holds fewer than
    /// [`TRANSMIT_MIN`](Self::TRANSMIT_MIN) octets, or an event waits.
    pub fn poll_transmit(&mut self, out: &mut [u8]) -> Option<Transmit> {
        if out.len() < Self::TRANSMIT_MIN || !self.events.is_empty() {
            return None;
        }
        let (config, baud) = (self.config, self.baud);
        let end = config.text.iter().position(|octet| *octet == 0).unwrap_or(config.text.len());
        let text = config.text.get(..end).unwrap_or_default();
        match self.state {
            State::Identification { due } => {
                let rate = [config.baud.character()];
                let parts: [&[u8]; 6] = [b"/", &config.maker, &rate, b"\\2", text, b"\r\n"];
                let len = self.put(out, parts.into_iter().flatten().copied());
                let by = line_time_ms(len, baud).saturating_add(u64::from(config.option_timeout_ms));
                self.state = State::Selecting { deadline: due.after_ms(by) };
                Some(Transmit { len, baud })
            }
            State::Confirmation { baud: selected } => {
                let len = self.put(out, [ACK, b'2', selected.character(), b'2', b'\r', b'\n']);
                self.state = State::Open;
                self.events.push(Event::Opened { baud });
                Some(Transmit { len, baud })
            }
            State::Readout => {
                let readout = self.readout.as_ref();
                let end = b"!\r\n";
                let check = end.iter().fold(check_character(readout), |check, octet| check ^ octet);
                let whole = [STX].into_iter().chain(readout.iter().copied()).chain(*end).chain([ETX, check]);
                let len = self.put(out, whole.skip(self.sent));
                self.sent = self.sent.saturating_add(len);
                if self.sent >= readout.len().saturating_add(6) {
                    // The caller's port has its own buffer: the rate falls back when all has left at the latest.
                    self.state = State::Leaving { until: Instant::from_millis(0) };
                }
                Some(Transmit { len, baud })
            }
            _ => None,
        }
    }

    fn put(&self, out: &mut [u8], octets: impl IntoIterator<Item = u8>) -> usize {
        let mut len = 0_usize;
        for (to, from) in out.iter_mut().zip(octets) {
            *to = self.config.parity.send(from);
            len = len.saturating_add(1);
        }
        len
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None`: not needed.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Identifying { at } | State::Changing { at, .. } | State::ReadoutAt { at, .. } => Some(at),
            State::Selecting { deadline } => Some(deadline),
            State::Leaving { until } => Some(until),
            State::Waiting
            | State::Identification { .. }
            | State::Confirmation { .. }
            | State::Readout
            | State::Open => None,
        }
    }
}
