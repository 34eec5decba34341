//! Telegrams out of an octet stream.

use crate::Instant;
use crate::link::Storage;

/// Octets that a framer's storage should have: the longest telegrams known, with thirteen months of history and a
/// message of 1024 characters, need less.
pub const TELEGRAM_OCTETS_MAX: usize = 8192;

/// Cuts a stream into telegrams, plain or ciphered, however the stream itself is cut.
///
/// At most one telegram is held, in the storage given at the start. What is damaged is dropped and reported, and
/// reception begins anew at the next slash, or at the next header of a ciphered telegram. After
/// [`handle_input`](Self::handle_input) or [`handle_timeout`](Self::handle_timeout) take
/// [`poll_event`](Self::poll_event) until it is empty; while an event waits, no input is taken.
///
/// The check sum is not verified here: that is [`Telegram::parse`](super::Telegram::parse), under the rule that the
/// receiver chooses.
#[derive(Debug)]
pub struct Framer<B> {
    storage: B,
    length: usize,
    timeout_ms: u32,
    started: Instant,
    state: State,
    event: Option<Event>,
}

/// What a [`Framer`] has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A plain telegram waits in [`Framer::octets`].
    Telegram,
    /// A ciphered telegram waits in [`Framer::octets`], for a [`Decipherer`](super::Decipherer).
    Ciphered,
    /// The beginning of a telegram was dropped.
    Dropped(Dropped),
}

/// Why the beginning of a telegram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dropped {
    /// The storage is full.
    TooLong,
    /// The rest did not arrive in time, as when the request line is released.
    Timeout,
    /// Another telegram began.
    Restarted,
    /// An octet that is no character, or a header that is none.
    NotTelegram,
}

/// ```text
///            '/'            '!'          four digits, another octet, or the deadline
///   Idle ──────────▶ Text ──────▶ Check ─────────────────────────────────▶ telegram
///     │ DB                                              last octet
///     └────────────▶ Header ─────────────────▶ Body ─────────────────────▶ ciphered telegram
/// ```
#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    Text {
        bracket: Bracket,
    },
    Check {
        digits: u8,
    },
    Header,
    Body {
        left: usize,
    },
    /// A telegram waits until its event and its octets were taken.
    Complete,
}

/// Where in a line the text is: a slash begins a telegram unless it belongs to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bracket {
    Closed,
    Value,
    Unit,
}

const GENERAL_GLO_CIPHERING: u8 = 0xDB;
/// Security control and frame counter.
const SECURITY_HEADER: usize = 5;

impl<B: Storage> Framer<B> {
    /// A framer that refuses telegrams over the size of `storage` and lets one take `timeout_ms` milliseconds from its
    /// first octet to its last: 2000 suits all variants.
    pub const fn new(storage: B, timeout_ms: u32) -> Self {
        Self { storage, length: 0, timeout_ms, started: Instant::from_millis(0), state: State::Idle, event: None }
    }

    /// Takes octets of the line, up to the end of a telegram or to something else to tell; returns how many.
    pub fn handle_input(&mut self, input: &[u8], now: Instant) -> usize {
        self.handle_timeout(now);
        let mut taken: usize = 0;
        for octet in input {
            // What ends a telegram without a check sum may begin the next one, and is left for it.
            if matches!(self.state, State::Check { .. }) && !octet.is_ascii_hexdigit() && self.event.is_none() {
                self.complete(Event::Telegram);
            }
            if self.event.is_some() {
                break;
            }
            self.take(*octet, now);
            taken = taken.saturating_add(1);
        }
        taken
    }

    /// Drops what has been incomplete for too long, or completes a telegram that ended without an end of line.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.state {
            State::Check { .. } => self.complete(Event::Telegram),
            _ => self.drop_octets(Dropped::Timeout),
        }
    }

    /// When the telegram that is being received must be complete.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Idle | State::Complete => None,
            _ => Some(self.started.after_ms(self.timeout_ms.into())),
        }
    }

    /// The next thing to tell. A telegram keeps waiting in [`octets`](Self::octets) until the next input.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.event.take()
    }

    /// The telegram that was told of last; empty when there is none. A ciphered one is deciphered in place.
    pub fn octets(&mut self) -> &mut [u8] {
        let length = if matches!(self.state, State::Complete) { self.length } else { 0 };
        self.storage.as_mut().get_mut(..length).unwrap_or_default()
    }

    fn complete(&mut self, event: Event) {
        self.state = State::Complete;
        self.event = Some(event);
    }

    fn drop_octets(&mut self, reason: Dropped) {
        self.state = State::Idle;
        self.length = 0;
        self.event = Some(Event::Dropped(reason));
    }

    fn push(&mut self, octet: u8) -> bool {
        let Some(place) = self.storage.as_mut().get_mut(self.length) else {
            self.drop_octets(Dropped::TooLong);
            return false;
        };
        *place = octet;
        self.length = self.length.saturating_add(1);
        true
    }

    /// Begins a telegram if `octet` begins one.
    fn begin(&mut self, octet: u8, now: Instant) {
        let state = match octet {
            b'/' => State::Text { bracket: Bracket::Closed },
            GENERAL_GLO_CIPHERING => State::Header,
            _ => return,
        };
        self.length = 0;
        if self.push(octet) {
            self.state = state;
            self.started = now;
        }
    }

    fn take(&mut self, octet: u8, now: Instant) {
        match self.state {
            State::Idle | State::Complete => {
                self.state = State::Idle;
                self.length = 0;
                self.begin(octet, now);
            }
            State::Text { bracket } => self.take_text(bracket, octet, now),
            State::Check { digits } => {
                let digits = digits.saturating_add(1);
                self.state = State::Check { digits };
                if self.push(octet) && digits == 4 {
                    self.complete(Event::Telegram);
                }
            }
            State::Header => self.take_header(octet, now),
            State::Body { left } => {
                let left = left.saturating_sub(1);
                self.state = State::Body { left };
                if self.push(octet) && left == 0 {
                    self.complete(Event::Ciphered);
                }
            }
        }
    }

    fn take_text(&mut self, bracket: Bracket, octet: u8, now: Instant) {
        let bracket = match (octet, bracket) {
            (b'/', Bracket::Closed | Bracket::Value) => {
                self.drop_octets(Dropped::Restarted);
                self.begin(octet, now);
                return;
            }
            (0x80.., _) => {
                self.drop_octets(Dropped::NotTelegram);
                self.begin(octet, now);
                return;
            }
            (b'!', _) => {
                self.state = State::Check { digits: 0 };
                self.push(octet);
                return;
            }
            (b'(', _) => Bracket::Value,
            (b')' | b'\n' | b'\r', _) => Bracket::Closed,
            (b'*', Bracket::Value) => Bracket::Unit,
            _ => bracket,
        };
        self.state = State::Text { bracket };
        self.push(octet);
    }

    /// Takes an octet of the header of a ciphered telegram. When it turns out to be none, one of its own octets may
    /// begin one; the header has at most 14 octets, which bounds the work for each.
    fn take_header(&mut self, octet: u8, now: Instant) {
        if !self.push(octet) {
            return;
        }
        let limit = self.storage.as_ref().len();
        match header(self.storage.as_ref().get(..self.length).unwrap_or_default(), limit) {
            Header::Incomplete => {}
            Header::Complete { left } => self.state = State::Body { left },
            Header::None => {
                let mut again = [0; HEADER_OCTETS_MAX];
                let count = self.length.min(HEADER_OCTETS_MAX);
                let kept = self.storage.as_ref().get(..count).unwrap_or_default();
                again.iter_mut().zip(kept).for_each(|(to, from)| *to = *from);
                self.drop_octets(Dropped::NotTelegram);
                self.replay(again.get(1..count).unwrap_or_default(), now);
            }
        }
    }

    /// Looks for the beginning of a telegram in octets that were a header's.
    fn replay(&mut self, octets: &[u8], now: Instant) {
        for start in 0..octets.len() {
            let rest = octets.get(start..).unwrap_or_default();
            match rest.first() {
                Some(&GENERAL_GLO_CIPHERING) if !matches!(header(rest, self.storage.as_ref().len()), Header::None) => {}
                Some(&b'/') if !rest.iter().any(|octet| matches!(octet, 0x80.. | b'!')) => {}
                _ => continue,
            }
            let event = self.event.take();
            rest.iter().for_each(|octet| self.take(*octet, now));
            self.event = self.event.or(event);
            return;
        }
    }
}

/// What the first octets of a ciphered telegram say.
enum Header {
    Incomplete,
    Complete { left: usize },
    None,
}

/// Tag, length and title, a length of three octets at most, security control. No telegram is short enough for a length
/// of one octet, and not to take that for a header keeps text from looking like one.
const HEADER_OCTETS_MAX: usize = 1 + 1 + 8 + 3 + 1;

fn header(octets: &[u8], limit: usize) -> Header {
    let (title_length, rest) = match octets {
        [GENERAL_GLO_CIPHERING, length, rest @ ..] => (*length, rest),
        _ => return Header::Incomplete,
    };
    if title_length != 8 {
        return Header::None;
    }
    let Some(rest) = rest.get(8..) else { return Header::Incomplete };
    let (length, rest) = match rest {
        [] => return Header::Incomplete,
        [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [0x81 | 0x82, ..] => return Header::Incomplete,
        _ => return Header::None,
    };
    let Some(control) = rest.first() else { return Header::Incomplete };
    let room = limit.saturating_sub(octets.len().saturating_sub(rest.len()));
    // Encryption with or without a tag and with a known suite; nothing else is in use on this port.
    if length <= SECURITY_HEADER || length > room || !matches!(control, 0x20..=0x22 | 0x30..=0x32) {
        return Header::None;
    }
    Header::Complete { left: length.saturating_sub(rest.len()) }
}
