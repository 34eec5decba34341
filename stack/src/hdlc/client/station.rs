//! The state machine of a client's station: frames and time in, frames and events out.

use super::Config;
use crate::Instant;
use crate::axdr::Writer;
use crate::deviation::{Deviation, Deviations};
use crate::hdlc::address::Address;
use crate::hdlc::control::{Control, Kind, Sequence};
use crate::hdlc::echo::Echo;
use crate::hdlc::frame::{Frame, Repr};
use crate::hdlc::parameters::Parameters;
use crate::hdlc::receiver::{Outcome, Receiver};
use crate::hdlc::sender::{Acknowledged, Sender};
use crate::hdlc::{LLC_COMMAND, LLC_RESPONSE, Width};
use crate::link::{Events, LinkError, LinkEvent, Storage};

#[derive(Debug)]
pub(super) struct Station<B> {
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
    /// Whom the APDU outside the sequence is for.
    unnumbered_to: Address,
    foreign: u32,
    repeated: u32,
    met: Deviations,
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
    /// A frame before the ones that came is missing.
    gap: bool,
}

/// What goes out next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Nothing,
    Snrm,
    Disc,
    Information,
    /// RR, or RNR while an APDU is held here.
    Poll,
    /// REJ: a frame is missing.
    Reject,
}

impl<B: Storage> Station<B> {
    pub(super) const fn new(config: Config, receive: B, transmit: B) -> Self {
        Self {
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
            heard: Heard { fresh: false, progress: false, data: false, gap: false },
            answer_deadline: None,
            notification_deadline: None,
            echo: Echo::new(),
            unnumbered_to: config.server,
            foreign: 0,
            repeated: 0,
            met: Deviations::NONE,
        }
    }

    pub(super) const fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    pub(super) fn is_held(&self) -> bool {
        self.receiver.is_held()
    }

    pub(super) const fn take_deviations(&mut self) -> Deviations {
        core::mem::replace(&mut self.met, Deviations::NONE)
    }

    pub(super) const fn set_octet_time_us(&mut self, octet_time_us: u32) {
        self.config.octet_time_us = octet_time_us;
    }

    /// Notes what the first segment of an APDU shows.
    fn note_first(&mut self, information: &[u8]) {
        if information.starts_with(&LLC_COMMAND) {
            self.met.insert(Deviation::LlcDirection);
        } else if !information.starts_with(&LLC_RESPONSE) {
            self.met.insert(Deviation::MissingLlc);
        }
    }

    pub(super) const fn foreign(&self) -> u32 {
        self.foreign
    }

    pub(super) const fn repeated(&self) -> u32 {
        self.repeated
    }

    pub(super) fn apdu(&mut self) -> &mut [u8] {
        self.receiver.apdu()
    }

    pub(super) fn release_apdu(&mut self) {
        self.receiver.release();
    }

    pub(super) fn poll_event(&mut self) -> Option<LinkEvent> {
        self.events.pop()
    }

    /// The next deadline, the end of a frame that is `arriving` among them: until then the server is not asked again.
    pub(super) fn poll_timeout(&self, arriving: Option<Instant>) -> Option<Instant> {
        let turn = match self.turn {
            _ if self.state == State::Closed => None,
            Turn::Ours { wake } => wake,
            Turn::Theirs { deadline } => Some(arriving.map_or(deadline, |end| deadline.max(end))),
        };
        [arriving, turn, self.notification_deadline].into_iter().flatten().min()
    }

    pub(super) fn open(&mut self, now: Instant) {
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

    pub(super) fn close(&mut self, now: Instant) {
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

    pub(super) fn send(&mut self, apdu: &[u8], answered: bool, now: Instant) -> Result<(), LinkError> {
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

    pub(super) fn send_unnumbered(&mut self, destination: Address, apdu: &[u8]) -> Result<(), LinkError> {
        self.sender.load_unnumbered(LLC_COMMAND, apdu)?;
        self.unnumbered_to = destination;
        Ok(())
    }

    pub(super) fn can_send(&self) -> bool {
        self.state == State::Connected && !self.closing && !self.sender.is_pending()
    }

    /// Another APDU is to come without being asked for: it is polled for, as the server may only send when it is.
    pub(super) fn expect(&mut self, now: Instant) {
        if self.state != State::Connected {
            return;
        }
        self.expecting = true;
        self.extend_answer(now);
        if let Turn::Ours { .. } = self.turn {
            self.take_turn(now);
        }
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
            let asked = if self.heard.gap && self.config.reject { Pending::Reject } else { Pending::Poll };
            self.hand_over(asked, now);
        } else if waiting {
            self.turn = later(self.config.poll_interval_ms);
        } else {
            self.answer_deadline = None;
            if self.config.keep_alive_ms > 0 {
                self.turn = later(self.config.keep_alive_ms);
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, arriving: bool) {
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

    pub(super) fn handle_frame(&mut self, frame: &Frame<'_>, now: Instant) {
        let Control { kind, poll_final } = frame.control();
        let Config { client, server, local_echo, .. } = self.config;
        if local_echo && self.echo.take(frame) {
            self.foreign = self.foreign.saturating_add(1);
            return;
        }
        let unlinked = !self.is_connected() && self.config.information_push;
        if kind == Kind::Ui || (unlinked && matches!(kind, Kind::I { .. })) {
            return self.handle_unnumbered(frame, now);
        }
        if frame.destination() != client || !frame.source().is_same_station(&server) {
            self.foreign = self.foreign.saturating_add(1);
            return;
        }
        if frame.source().width() != server.width() {
            self.met.insert(Deviation::AddressWidth);
        }
        match (self.state, kind) {
            (State::Connecting { .. }, Kind::Ua) => self.handle_agreement(frame, now),
            (State::Connecting { plain: false }, Kind::Dm | Kind::Frmr) => {
                // There are meters that refuse parameters, but not a link.
                self.met.insert(Deviation::RefusedParameters);
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
                let expected = self.receiver.next();
                if send == expected && !self.receiver.is_partial() && !frame.information().is_empty() {
                    self.note_first(frame.information());
                }
                match self.receiver.numbered(send, frame.is_segmented(), frame.information()) {
                    Outcome::Accepted => self.heard.fresh = true,
                    Outcome::Complete => {
                        self.heard.fresh = true;
                        self.expecting = false;
                        self.events.push(LinkEvent::Apdu);
                    }
                    // A copy of an earlier frame is behind, not ahead.
                    Outcome::OutOfSequence => {
                        self.heard.gap |= send.ahead_of(expected) < self.config.parameters.window_receive;
                    }
                    Outcome::Busy => {}
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
        // Meters that push in I frames address nobody, or any client.
        let meant = destination == self.config.client || all || frame.control().kind != Kind::Ui;
        if own || !meant {
            self.foreign = self.foreign.saturating_add(1);
            return;
        }
        if frame.control().kind != Kind::Ui {
            self.met.insert(Deviation::InformationPush);
        }
        if !self.receiver.is_unnumbered_partial() {
            self.note_first(frame.information());
        }
        if self.receiver.unnumbered(frame.source(), frame.is_segmented(), frame.information()) {
            self.events.push(LinkEvent::Apdu);
        }
        self.notification_deadline =
            self.receiver.is_unnumbered_partial().then(|| now.after_ms(u64::from(self.config.response_timeout_ms)));
    }

    pub(super) fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        let mut parameters = [0; Parameters::ENCODED_MAX];
        let mut repr = Repr {
            destination: self.config.server,
            source: self.config.client,
            control: Control::with_poll_final(Kind::Rr { receive: self.receiver.next() }),
            segmented: false,
            information: &[],
        };
        let free = self.state == State::Closed || matches!(self.turn, Turn::Ours { .. });
        if self.pending == Pending::Nothing
            && free
            && let Some((information, segmented)) = self.sender.peek_unnumbered()
        {
            let poll_final = self.state == State::Closed && !segmented;
            repr.control = Control { kind: Kind::Ui, poll_final };
            (repr.destination, repr.segmented, repr.information) = (self.unnumbered_to, segmented, information);
            let mut writer = Writer::new(out);
            // One that does not fit stays, as every frame does.
            repr.emit(&mut writer).ok()?;
            if self.config.local_echo {
                self.echo.note(writer.written());
            }
            self.sender.advance_unnumbered();
            return Some(writer.len());
        }
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
            Pending::Poll => {
                if self.receiver.is_held() {
                    repr.control.kind = Kind::Rnr { receive: self.receiver.next() };
                }
            }
            Pending::Reject => repr.control.kind = Kind::Rej { receive: self.receiver.next() },
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
