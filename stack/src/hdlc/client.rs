//! The client's station: it opens the link, and owns the right to send.

use super::address::Address;
use super::control::{Control, Kind, Sequence};
use super::deframer::Deframer;
use super::echo::Echo;
use super::frame::{Frame, OVERHEAD_MAX, Repr};
use super::parameters::Parameters;
use super::receiver::{Outcome, Receiver};
use super::sender::{Acknowledged, Sender};
use super::{LLC_COMMAND, Width};
use crate::Instant;
use crate::axdr::Writer;
use crate::link::{Events, Link, LinkError, LinkEvent, Storage};

/// How a client's station is to behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The client's own address, of one octet.
    pub client: Address,
    /// The server's address, in the width it is to be sent.
    pub server: Address,
    /// What to propose. With the profile's defaults the SNRM carries no parameters.
    pub parameters: Parameters,
    /// Silence after which the server is asked again, in milliseconds. 1.5 to 5 s on a direct serial line, 10 to 60 s over
    /// power line carrier or mobile networks. The time that frames take on the line comes on top: `octet_time_us`.
    pub response_timeout_ms: u32,
    /// How often it is asked again before the link fails.
    pub retries: u8,
    /// Gap inside a frame that ends it, in milliseconds: 25 on a serial line (the default of the IEC HDLC setup class),
    /// 100 to 500 over networks and USB.
    pub inter_octet_timeout_ms: u32,
    /// Pause before a server that is busy, or has no answer yet, is polled again, in milliseconds.
    pub poll_interval_ms: u32,
    /// How long a server may take to get on with an answer while it keeps the link alive, in milliseconds.
    pub answer_timeout_ms: u32,
    /// Idle time after which the link is kept alive by a poll, in milliseconds; 0: never. Servers drop an idle link, often
    /// after 120 s.
    pub keep_alive_ms: u32,
    /// Time of one octet on the line, in microseconds: 1042 at 9600 baud with 8 data bits and no parity; 0 where the
    /// line takes no time that matters.
    pub octet_time_us: u32,
    /// Whether everything sent comes back. Needs to be stated only where client and server have the same address: else
    /// an echo is known by its addresses.
    pub local_echo: bool,
}

impl Config {
    /// A station for a link over a network, with the profile's default parameters.
    #[must_use]
    pub const fn new(client: Address, server: Address) -> Self {
        Self {
            client,
            server,
            parameters: Parameters::DEFAULT,
            response_timeout_ms: 5_000,
            retries: 3,
            inter_octet_timeout_ms: 500,
            poll_interval_ms: 200,
            answer_timeout_ms: 60_000,
            keep_alive_ms: 0,
            octet_time_us: 0,
            local_echo: false,
        }
    }
}

/// Client side of one HDLC link.
///
/// ```text
///            open               UA
///   Closed -------> Connecting ------> Connected --close--> Disconnecting --UA, DM--> Closed
///                       |                  |
///                       `-- DM, silence    `-- DM, FRMR, silence --> Closed (Failed)
/// ```
///
/// While connected the right to send is either here or with the server. It is handed over with P and comes
/// back with F, or is taken back when the server is silent for too long: then the server is polled (RR), and its
/// N(R) tells whether it or this station has to send the same octets again. Both are bounded by `retries`.
#[derive(Debug)]
pub struct Session<B> {
    deframer: Deframer<B>,
    station: Station<B>,
}

#[derive(Debug)]
struct Station<B> {
    config: Config,
    sender: Sender<B>,
    receiver: Receiver<B>,
    events: Events<LinkEvent>,
    state: State,
    turn: Turn,
    pending: Pending,
    /// The link is to be taken down when the right to send is back.
    closing: bool,
    /// An answer to the last APDU is expected.
    expecting: bool,
    /// The server said RNR.
    peer_busy: bool,
    /// How often the server was silent since something last moved.
    attempts: u8,
    /// Frames with P whose answer was not seen. Late answers to repeated polls must not be taken for new ones.
    owed: u8,
    /// I frames of the last turn; 0 when it was a poll.
    burst: u8,
    heard: Heard,
    /// When the server must have got on with the answer.
    answer_deadline: Option<Instant>,
    /// When an incomplete notification is given up.
    notification_deadline: Option<Instant>,
    echo: Echo,
    foreign: u32,
    repeated: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    /// `plain`: the SNRM goes without parameters, since one with them was refused.
    Connecting {
        plain: bool,
    },
    Connected,
    Disconnecting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// This station may send; at `wake` it polls.
    Ours { wake: Option<Instant> },
    /// The server may send, until `deadline`.
    Theirs { deadline: Instant },
}

/// What the server's turn has brought so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Heard {
    /// The frame at hand acknowledged something, or was taken.
    fresh: bool,
    /// Some frame did.
    progress: bool,
    /// There were I frames, in sequence or not.
    data: bool,
}

/// What goes out next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Nothing,
    Snrm,
    Disc,
    Information,
    Poll,
}

impl<B: Storage> Session<B> {
    /// A closed link. `frame` holds one received frame without flags: 15 octets more than the information field to be
    /// received; a smaller one lowers what is proposed. `receive` and `transmit` each hold one APDU and 3 octets.
    pub fn new(mut config: Config, frame: B, receive: B, transmit: B) -> Self {
        let fits = u16::try_from(frame.as_ref().len().saturating_sub(OVERHEAD_MAX)).unwrap_or(u16::MAX);
        config.parameters.information_receive = config.parameters.information_receive.min(fits);
        Self {
            deframer: Deframer::new(frame, config.inter_octet_timeout_ms),
            station: Station {
                config,
                sender: Sender::new(transmit),
                receiver: Receiver::new(receive),
                events: Events::new(),
                state: State::Closed,
                turn: Turn::Ours { wake: None },
                pending: Pending::Nothing,
                closing: false,
                expecting: false,
                peer_busy: false,
                attempts: 0,
                owed: 0,
                burst: 0,
                heard: Heard::default(),
                answer_deadline: None,
                notification_deadline: None,
                echo: Echo::default(),
                foreign: 0,
                repeated: 0,
            },
        }
    }

    /// How the station behaves.
    pub const fn config(&self) -> &Config {
        &self.station.config
    }

    /// Whether the link is up.
    pub fn is_open(&self) -> bool {
        self.station.state == State::Connected
    }

    /// Broken frames received so far.
    pub const fn frame_errors(&self) -> u32 {
        self.deframer.errors()
    }

    /// Right frames from or for others so far, own echoes among them.
    pub const fn foreign_frames(&self) -> u32 {
        self.station.foreign
    }

    /// How often the server was silent or a frame had to be sent again so far.
    pub const fn repetitions(&self) -> u32 {
        self.station.repeated
    }

    /// Handles the frames in `bytes` up to one that completes an APDU; returns how many octets that were.
    fn pump(&mut self, bytes: &[u8], now: Instant) -> usize {
        let mut rest = bytes;
        while !self.station.receiver.is_held() {
            let (used, frame) = self.deframer.push(rest, now);
            rest = rest.get(used..).unwrap_or_default();
            match frame {
                Some(Ok(frame)) => self.station.handle_frame(&frame, now),
                Some(Err(_)) => {}
                None => break,
            }
        }
        bytes.len().saturating_sub(rest.len())
    }
}

impl<B: Storage> Link for Session<B> {
    fn open(&mut self, now: Instant) {
        self.deframer.reset();
        self.station.open(now);
    }

    fn close(&mut self, now: Instant) {
        self.station.close(now);
    }

    fn send(&mut self, apdu: &[u8], now: Instant) -> Result<(), LinkError> {
        self.station.send(apdu, true, now)
    }

    fn send_unconfirmed(&mut self, apdu: &[u8], now: Instant) -> Result<(), LinkError> {
        self.station.send(apdu, false, now)
    }

    fn handle_input(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.pump(bytes, now)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.pump(&[], now);
        // A frame that is arriving is an answer: it is not asked for again before it has come to its end.
        let arriving = self.deframer.poll_timeout().is_some_and(|deadline| now < deadline);
        self.station.handle_timeout(now, arriving);
    }

    fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        self.station.poll_transmit(out)
    }

    fn poll_event(&mut self) -> Option<LinkEvent> {
        self.station.events.pop()
    }

    fn apdu(&mut self) -> &mut [u8] {
        self.station.receiver.apdu()
    }

    fn release_apdu(&mut self) {
        self.station.receiver.release();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let arriving = self.deframer.poll_timeout();
        let turn = match self.station.turn {
            _ if self.station.state == State::Closed => None,
            Turn::Ours { wake } => wake,
            Turn::Theirs { deadline } => Some(arriving.map_or(deadline, |end| deadline.max(end))),
        };
        [arriving, turn, self.station.notification_deadline].into_iter().flatten().min()
    }
}

impl<B: Storage> Station<B> {
    fn open(&mut self, now: Instant) {
        self.events.clear();
        self.receiver.release();
        self.reset(&Parameters::DEFAULT);
        self.state = State::Connecting { plain: self.config.parameters == Parameters::DEFAULT };
        self.hand_over(Pending::Snrm, now);
    }

    /// Sequence numbers and all that depends on them start anew: nothing of an earlier link is left.
    fn reset(&mut self, parameters: &Parameters) {
        self.sender.reset(parameters);
        self.receiver.reset();
        (self.closing, self.expecting, self.peer_busy) = (false, false, false);
        (self.attempts, self.owed, self.burst) = (0, 0, 0);
        self.answer_deadline = None;
        self.turn = Turn::Ours { wake: None };
        self.pending = Pending::Nothing;
    }

    fn close(&mut self, now: Instant) {
        match (self.state, self.turn) {
            (State::Closed | State::Disconnecting, _) => {}
            (State::Connected, Turn::Theirs { .. }) => self.closing = true,
            (State::Connected | State::Connecting { .. }, _) => self.disconnect(now),
        }
    }

    fn disconnect(&mut self, now: Instant) {
        self.state = State::Disconnecting;
        self.attempts = 0;
        self.hand_over(Pending::Disc, now);
    }

    fn end(&mut self, event: LinkEvent) {
        self.reset(&Parameters::DEFAULT);
        self.state = State::Closed;
        self.events.push(event);
    }

    fn fail(&mut self, error: LinkError) {
        self.end(LinkEvent::Failed(error));
    }

    fn send(&mut self, apdu: &[u8], answered: bool, now: Instant) -> Result<(), LinkError> {
        if self.state != State::Connected || self.closing {
            return Err(LinkError::NotOpen);
        }
        if self.sender.is_pending() {
            return Err(LinkError::Busy);
        }
        self.sender.load(LLC_COMMAND, apdu)?;
        self.expecting = answered;
        self.extend_answer(now);
        if let Turn::Ours { .. } = self.turn {
            self.take_turn(now);
        }
        Ok(())
    }

    fn extend_answer(&mut self, now: Instant) {
        self.answer_deadline = Some(now.after_ms(u64::from(self.config.answer_timeout_ms)));
    }

    /// Sends what `pending` says, ending with P.
    fn hand_over(&mut self, pending: Pending, now: Instant) {
        self.pending = pending;
        self.burst = if pending == Pending::Information { self.sender.burst() } else { 0 };
        self.owed = self.owed.saturating_add(1);
        self.echo.clear();
        self.heard = Heard::default();
        self.turn = Turn::Theirs { deadline: now.after_ms(u64::from(self.config.response_timeout_ms)) };
    }

    /// Uses the right to send.
    fn take_turn(&mut self, now: Instant) {
        self.turn = Turn::Ours { wake: None };
        if self.closing {
            return self.disconnect(now);
        }
        let waiting = self.sender.is_pending() || self.receiver.is_partial() || self.expecting;
        if waiting && self.answer_deadline.is_some_and(|deadline| now >= deadline) {
            return self.fail(LinkError::NoAnswer);
        }
        let later = |ms: u32| Turn::Ours { wake: Some(now.after_ms(u64::from(ms))) };
        if self.sender.is_pending() && !self.peer_busy {
            self.sender.rewind();
            self.hand_over(Pending::Information, now);
        } else if waiting && self.heard.data {
            // The server is in the middle of its answer: it is acknowledged, or asked for again, at once.
            self.hand_over(Pending::Poll, now);
        } else if waiting {
            self.turn = later(self.config.poll_interval_ms);
        } else {
            self.answer_deadline = None;
            if self.config.keep_alive_ms > 0 {
                self.turn = later(self.config.keep_alive_ms);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant, arriving: bool) {
        if self.notification_deadline.is_some_and(|deadline| now >= deadline) {
            self.notification_deadline = None;
            self.receiver.drop_unnumbered();
        }
        match self.turn {
            _ if self.state == State::Closed => {}
            Turn::Ours { wake: Some(wake) } if now >= wake => self.hand_over(Pending::Poll, now),
            Turn::Theirs { deadline } if now >= deadline && !arriving => self.handle_silence(now),
            _ => {}
        }
    }

    fn handle_silence(&mut self, now: Instant) {
        self.owed = 0;
        if !self.count_attempt() {
            return;
        }
        match self.state {
            State::Closed => {}
            State::Connecting { .. } => self.hand_over(Pending::Snrm, now),
            State::Disconnecting => self.hand_over(Pending::Disc, now),
            State::Connected if self.closing => self.disconnect(now),
            State::Connected => self.hand_over(Pending::Poll, now),
        }
    }

    /// Whether there may be another attempt; if not, the link is closed.
    fn count_attempt(&mut self) -> bool {
        self.attempts = self.attempts.saturating_add(1);
        self.repeated = self.repeated.saturating_add(1);
        if self.attempts <= self.config.retries {
            return true;
        }
        match self.state {
            State::Disconnecting => self.end(LinkEvent::Closed),
            _ => self.fail(LinkError::NoResponse { attempts: self.attempts }),
        }
        false
    }

    fn handle_frame(&mut self, frame: &Frame<'_>, now: Instant) {
        let Control { kind, poll_final } = frame.control();
        let Config { client, server, local_echo, .. } = self.config;
        if local_echo && self.echo.take(frame) {
            self.foreign = self.foreign.saturating_add(1);
            return;
        }
        if kind == Kind::Ui {
            return self.handle_unnumbered(frame, now);
        }
        if frame.destination() != client || !frame.source().is_same_station(&server) {
            self.foreign = self.foreign.saturating_add(1);
            return;
        }
        match (self.state, kind) {
            (State::Connecting { .. }, Kind::Ua) => self.handle_agreement(frame, now),
            (State::Connecting { plain: false }, Kind::Dm | Kind::Frmr) => {
                // There are meters that refuse parameters, but not a link.
                self.state = State::Connecting { plain: true };
                self.hand_over(Pending::Snrm, now);
            }
            (State::Connecting { plain: true }, Kind::Dm) => self.fail(LinkError::Refused),
            (State::Connecting { plain: true } | State::Connected, Kind::Frmr) => {
                let reason = frame.information().get(2).copied().unwrap_or_default();
                self.fail(LinkError::FrameRejected { reason });
            }
            (State::Disconnecting, Kind::Ua | Kind::Dm) => self.end(LinkEvent::Closed),
            (State::Connected, Kind::Dm) => self.fail(LinkError::Disconnected),
            (State::Connected, Kind::I { send, receive }) => {
                self.acknowledge(receive);
                self.heard.data = true;
                match self.receiver.numbered(send, frame.is_segmented(), frame.information()) {
                    Outcome::Accepted => self.heard.fresh = true,
                    Outcome::Complete => {
                        self.heard.fresh = true;
                        self.expecting = false;
                        self.events.push(LinkEvent::Apdu);
                    }
                    Outcome::OutOfSequence | Outcome::Busy => {}
                    Outcome::Oversize(length) => {
                        return self.fail(LinkError::Oversize { length, limit: self.receiver.limit() });
                    }
                }
                self.handle_answer(poll_final, false, now);
            }
            (State::Connected, Kind::Rr { receive }) => {
                self.peer_busy = false;
                self.acknowledge(receive);
                self.handle_answer(poll_final, false, now);
            }
            (State::Connected, Kind::Rnr { receive } | Kind::Rej { receive }) => {
                self.peer_busy = matches!(kind, Kind::Rnr { .. });
                self.acknowledge(receive);
                self.handle_answer(poll_final, true, now);
            }
            // A second UA answers an SNRM that was sent again; commands come from clients; the rest is unknown.
            _ => {}
        }
    }

    fn handle_agreement(&mut self, frame: &Frame<'_>, now: Instant) {
        let Ok(parameters) = Parameters::parse(frame.information()) else {
            return self.fail(LinkError::BadParameters);
        };
        self.reset(&self.config.parameters.agreed(&parameters));
        self.state = State::Connected;
        self.events.push(LinkEvent::Opened);
        self.take_turn(now);
    }

    fn acknowledge(&mut self, receive: Sequence) {
        if self.sender.acknowledge(receive) == Acknowledged::Some {
            self.heard.fresh = true;
        }
    }

    /// After a frame of the server's turn; `asked`: it asks for a repetition or a pause.
    fn handle_answer(&mut self, r#final: bool, asked: bool, now: Instant) {
        let fresh = core::mem::take(&mut self.heard.fresh);
        self.heard.progress |= fresh;
        let Heard { progress, data, .. } = self.heard;
        if fresh {
            self.attempts = 0;
            self.extend_answer(now);
        }
        let Turn::Theirs { .. } = self.turn else { return };
        if !r#final {
            if fresh {
                self.turn = Turn::Theirs { deadline: now.after_ms(u64::from(self.config.response_timeout_ms)) };
            }
            return;
        }
        self.owed = self.owed.saturating_sub(1);
        if !progress && !asked {
            // A server that did not get a single I frame is silent. If it answers without acknowledging that frame, the
            // answer is to an earlier poll. The same holds while more answers are owed than one.
            if self.owed > 0 || (self.burst == 1 && self.sender.is_pending()) {
                self.heard = Heard::default();
                return;
            }
            if (self.burst > 1 || data) && !self.count_attempt() {
                return;
            }
            if self.burst == 0 && !data {
                self.attempts = 0;
            }
        }
        self.take_turn(now);
    }

    /// A notification. It may be for another client, or come from another address of the meter.
    fn handle_unnumbered(&mut self, frame: &Frame<'_>, now: Instant) {
        let destination = frame.destination();
        let own = frame.source() == self.config.client && destination.is_same_station(&self.config.server);
        let all = destination.width() == Width::One && destination.is_broadcast();
        if own || !(destination == self.config.client || all) {
            self.foreign = self.foreign.saturating_add(1);
            return;
        }
        if self.receiver.unnumbered(frame.source(), frame.is_segmented(), frame.information()) {
            self.events.push(LinkEvent::Apdu);
        }
        self.notification_deadline =
            self.receiver.is_unnumbered_partial().then(|| now.after_ms(u64::from(self.config.response_timeout_ms)));
    }

    fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        let mut parameters = [0; Parameters::ENCODED_MAX];
        let mut repr = Repr {
            destination: self.config.server,
            source: self.config.client,
            control: Control::with_poll_final(Kind::Rr { receive: self.receiver.next() }),
            segmented: false,
            information: &[],
        };
        let mut last = true;
        match self.pending {
            Pending::Nothing => return None,
            Pending::Snrm => {
                repr.control.kind = Kind::Snrm;
                if self.state == (State::Connecting { plain: false }) {
                    let mut writer = Writer::new(&mut parameters);
                    self.config.parameters.emit(&mut writer).ok()?;
                    repr.information = writer.into_written();
                }
            }
            Pending::Disc => repr.control.kind = Kind::Disc,
            Pending::Poll => {}
            // Was the window acknowledged meanwhile, nothing is left but to hand the turn over with a poll.
            Pending::Information => {
                if let Some(segment) = self.sender.peek() {
                    last = segment.last;
                    let kind = Kind::I { send: segment.send, receive: self.receiver.next() };
                    repr.control = Control { kind, poll_final: last };
                    (repr.segmented, repr.information) = (segment.segmented, segment.information);
                }
            }
        }
        let information = matches!(repr.control.kind, Kind::I { .. });
        let mut writer = Writer::new(out);
        if repr.emit(&mut writer).is_err() {
            let needed = repr.encoded_len();
            self.fail(LinkError::TransmitBufferTooSmall { needed });
            return None;
        }
        let octets = writer.len();
        if self.config.local_echo {
            self.echo.note(writer.written());
        }
        if information {
            self.sender.advance();
        }
        if last {
            self.pending = Pending::Nothing;
        }
        if let Turn::Theirs { deadline } = &mut self.turn {
            let time_us = u64::from(self.config.octet_time_us).saturating_mul(octets as u64);
            *deadline = deadline.after_ms(time_us.div_ceil(1_000));
        }
        Some(octets)
    }
}
