//! The side of the reading device.

use super::line::{LENGTH_MAX, Line};
use super::readout::{Block, Progress};
use super::{
    ACK, Baud, DeviceAddress, INITIAL_BAUD, Identification, Mode, Parity, STX, SignOnError, Transmit, line_time_ms,
};
use crate::Instant;
use crate::link::{Events, Storage};

/// What is wanted of the meter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// HDLC: mode E and nothing else.
    #[default]
    Hdlc,
    /// HDLC where it is offered, else the readout.
    HdlcOrReadout,
    /// The readout of text.
    Readout,
}

/// How a sign-on is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which device on the line; [`DeviceAddress::ANY`] where there is one.
    pub address: DeviceAddress,
    /// What is wanted.
    pub purpose: Purpose,
    /// The highest rate to be selected.
    pub baud_max: Baud,
    /// Who makes the parity.
    pub parity: Parity,
    /// Silence after which a message is given up, in milliseconds, beside the time of the characters: the standard has 1500.
    pub response_timeout_ms: u32,
    /// How often the identification is asked for again.
    pub retries: u8,
    /// Pause between the last character of the acknowledgement and the change of the rate, in milliseconds. Heads that
    /// buffer want up to 1000.
    pub settle_ms: u32,
}

impl Config {
    /// HDLC with whoever is on the line, at the highest rate offered.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            address: DeviceAddress::ANY,
            purpose: Purpose::Hdlc,
            baud_max: Baud::HIGHEST,
            parity: Parity::Emulated,
            response_timeout_ms: 2_000,
            retries: 2,
            settle_ms: 50,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// What a sign-on has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The port is to be set to this rate now, in bit/s, before anything more is read.
    SetBaud(u32),
    /// A meter answered.
    Identified(Identification),
    /// The line speaks HDLC now, with eight data bits and no parity; what is read from here on belongs to the link.
    Opened {
        /// The rate in bit/s, which is set already.
        baud: u32,
        /// Whether the meter confirmed the option. Some do not.
        confirmed: bool,
    },
    /// The readout is complete: see [`SignOn::readout`].
    Readout,
    /// It came to nothing; the meter falls back to 300 baud by itself.
    Failed(SignOnError),
}

/// One sign-on with one meter.
///
/// ```text
///          start            identification                         settled            confirmed, or silence
///   Idle ───────▶ Requesting ─────────────▶ Reacting ─▶ Settling ─────────▶ Confirming ────────▶ Done
///                     │ silence                            `─── option 0 ──▶ Reading ── block ───▶ Done
///                     `───────▶ Failed
/// ```
///
/// `B` holds the text of a readout; of no octets where none is wanted.
#[derive(Debug)]
pub struct SignOn<B> {
    config: Config,
    state: State,
    line: Line,
    block: Block<B>,
    events: Events<Event>,
    attempts: u8,
    /// A message waits to be sent.
    pending: bool,
    /// The rate now.
    baud: u32,
    /// The rate selected.
    selected: Baud,
    /// HDLC was selected, not the readout.
    hdlc: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Requesting {
        deadline: Instant,
        /// However much noise there is.
        latest: Instant,
    },
    /// The meter needs a moment before it listens again.
    Reacting {
        until: Instant,
    },
    /// The acknowledgement is leaving.
    Settling {
        until: Instant,
    },
    Confirming {
        deadline: Instant,
        /// However much noise there is.
        latest: Instant,
    },
    Reading {
        deadline: Instant,
    },
    Done,
}

impl<B: Storage> SignOn<B> {
    /// Silence between two characters of one message that ends it, in milliseconds (IEC 62056-21: 1500).
    const CHARACTER_TIMEOUT_MS: u64 = 1_500;
    /// Octets of the longest message sent.
    pub const TRANSMIT_MAX: usize = DeviceAddress::LENGTH_MAX + 5;

    /// A sign-on that has not begun.
    pub const fn new(config: Config, readout: B) -> Self {
        Self {
            config,
            state: State::Idle,
            line: Line::new(),
            block: Block::new(readout),
            events: Events::new(),
            attempts: 0,
            pending: false,
            baud: INITIAL_BAUD,
            selected: Baud::INITIAL,
            hdlc: false,
        }
    }

    /// Begins, or begins anew.
    pub fn start(&mut self, now: Instant) {
        self.events.clear();
        self.block.clear();
        self.attempts = 0;
        self.set_baud(INITIAL_BAUD);
        self.request(now);
    }

    /// The text of a complete readout, from behind STX to ETX; see [`data_sets`](super::data_sets).
    pub fn readout(&self) -> &[u8] {
        self.block.text()
    }

    fn request(&mut self, now: Instant) {
        self.line.clear();
        self.attempts = self.attempts.saturating_add(1);
        self.pending = true;
        let octets = self.config.address.as_bytes().len().saturating_add(5);
        let deadline = self.answer_by(octets, now);
        self.state = State::Requesting { deadline, latest: Self::complete_by(deadline) };
    }

    /// When an answer must have begun, after `octets` characters that are to be sent.
    fn answer_by(&self, octets: usize, now: Instant) -> Instant {
        now.after_ms(line_time_ms(octets, self.baud)).after_ms(u64::from(self.config.response_timeout_ms))
    }

    /// When a line must be complete that begins at the last moment and takes the longest pause before each character.
    const fn complete_by(begins: Instant) -> Instant {
        begins.after_ms(Self::CHARACTER_TIMEOUT_MS.saturating_mul(LENGTH_MAX as u64))
    }

    fn set_baud(&mut self, baud: u32) {
        self.baud = baud;
        self.events.push(Event::SetBaud(baud));
    }

    fn end(&mut self, event: Event) {
        self.state = State::Done;
        self.pending = false;
        self.events.push(event);
    }

    fn fail(&mut self, error: SignOnError) {
        self.end(Event::Failed(error));
    }

    /// Octets of the line. Returns how many were taken: none once the sign-on is done, and none while an event waits that
    /// sets the rate.
    pub fn handle_input(&mut self, bytes: &[u8], now: Instant) -> usize {
        let mut taken = 0_usize;
        for octet in bytes {
            if matches!(self.state, State::Idle | State::Done) || !self.events.is_empty() {
                break;
            }
            taken = taken.saturating_add(1);
            self.handle_octet(*octet, now);
        }
        taken
    }

    fn handle_octet(&mut self, octet: u8, now: Instant) {
        let parity = self.config.parity;
        match &mut self.state {
            State::Requesting { deadline, latest } => {
                let complete = self.line.push(octet, parity, b"/");
                if !self.line.is_empty() {
                    *deadline = (*deadline).max(now.after_ms(Self::CHARACTER_TIMEOUT_MS)).min(*latest);
                }
                if complete {
                    // The own request that an optical head returns is no identification either.
                    let found = Identification::parse(self.line.characters(), true);
                    self.line.clear();
                    if let Some(identification) = found {
                        self.identified(&identification, now);
                    }
                }
            }
            State::Confirming { deadline, latest } => {
                if self.line.is_empty() && parity.receive(octet) == Some(STX) {
                    return self.fail(SignOnError::ReadoutInstead);
                }
                if self.line.push(octet, parity, &[ACK]) {
                    let expected = [ACK, b'2', self.selected.character(), b'2'];
                    match self.line.characters() == expected {
                        true => self.opened(true),
                        false => self.fail(SignOnError::OtherOption),
                    }
                } else {
                    *deadline = (*deadline).max(now.after_ms(Self::CHARACTER_TIMEOUT_MS)).min(*latest);
                }
            }
            State::Reading { deadline } => {
                *deadline = now.after_ms(Self::CHARACTER_TIMEOUT_MS);
                match self.block.push(octet, parity) {
                    Progress::More => {}
                    Progress::Complete => self.end(Event::Readout),
                    Progress::Damaged => self.fail(SignOnError::ReadoutCheck),
                    Progress::TooLong => self.fail(SignOnError::ReadoutTooLong { limit: self.block.limit() }),
                }
            }
            // What an optical head returns of the acknowledgement.
            State::Idle | State::Reacting { .. } | State::Settling { .. } | State::Done => {}
        }
    }

    fn identified(&mut self, identification: &Identification, now: Instant) {
        self.events.push(Event::Identified(*identification));
        let purpose = self.config.purpose;
        self.hdlc = identification.mode == Mode::E && purpose != Purpose::Readout;
        if !self.hdlc && purpose == Purpose::Hdlc {
            return self.fail(SignOnError::NotModeE(identification.mode));
        }
        if let Some(baud) = identification.readout_baud() {
            self.read(baud, now);
            return;
        }
        let offered = identification.baud().unwrap_or(Baud::INITIAL);
        self.selected = offered.min(self.config.baud_max);
        self.state = State::Reacting { until: now.after_ms(identification.reaction_ms()) };
    }

    fn read(&mut self, baud: u32, now: Instant) {
        self.block.clear();
        self.set_baud(baud);
        self.state = State::Reading { deadline: self.answer_by(0, now) };
    }

    fn opened(&mut self, confirmed: bool) {
        self.end(Event::Opened { baud: self.baud, confirmed });
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Requesting { deadline, .. } if now >= deadline => {
                if self.attempts <= self.config.retries {
                    self.request(now);
                } else {
                    self.fail(SignOnError::NoIdentification { attempts: self.attempts });
                }
            }
            State::Reacting { until } if now >= until => {
                self.pending = true;
                let leaving = line_time_ms(6, self.baud).saturating_add(u64::from(self.config.settle_ms));
                self.state = State::Settling { until: now.after_ms(leaving) };
            }
            State::Settling { until } if now >= until && !self.pending => {
                let baud = self.selected.bits_per_second();
                if self.hdlc {
                    self.line.clear();
                    self.set_baud(baud);
                    let deadline = self.answer_by(6, now);
                    self.state = State::Confirming { deadline, latest: Self::complete_by(deadline) };
                } else {
                    self.read(baud, now);
                }
            }
            State::Confirming { deadline, .. } if now >= deadline => self.opened(false),
            State::Reading { deadline } if now >= deadline => {
                self.fail(SignOnError::ReadoutIncomplete { octets: self.block.len() });
            }
            _ => {}
        }
    }

    /// Octets for the line, written into `out`, and the rate they need. Nothing while `out` holds fewer than
    /// [`TRANSMIT_MAX`](Self::TRANSMIT_MAX) octets, or an event waits.
    pub fn poll_transmit(&mut self, out: &mut [u8]) -> Option<Transmit> {
        if !self.pending || !self.events.is_empty() || out.len() < Self::TRANSMIT_MAX {
            return None;
        }
        let (protocol, mode) = if self.hdlc { (b'2', b'2') } else { (b'0', b'0') };
        let select = [ACK, protocol, self.selected.character(), mode, b'\r', b'\n'];
        let parts: [&[u8]; 3] = match self.state {
            State::Requesting { .. } => [b"/?", self.config.address.as_bytes(), b"!\r\n"],
            _ => [&select, b"", b""],
        };
        let mut len = 0_usize;
        for (to, from) in out.iter_mut().zip(parts.into_iter().flatten()) {
            *to = self.config.parity.send(*from);
            len = len.saturating_add(1);
        }
        self.pending = false;
        Some(Transmit { len, baud: self.baud })
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None`: not needed.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Idle | State::Done => None,
            State::Requesting { deadline, .. } | State::Confirming { deadline, .. } | State::Reading { deadline } => {
                Some(deadline)
            }
            State::Reacting { until } | State::Settling { until } => Some(until),
        }
    }
}
