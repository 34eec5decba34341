//! The server's stations: each answers one client for one logical device.

use super::LLC_RESPONSE;
use super::address::Address;
use super::control::{Control, Kind};
use super::frame::{Frame, Repr};
use super::parameters::Parameters;
use super::receiver::{Outcome, Receiver};
use super::sender::{Acknowledged, Sender};
use crate::Instant;
use crate::axdr::Writer;
use crate::id::{ClientSap, ServerSap};
use crate::link::{Events, LinkError, Storage};

pub use super::station::{Addresses, Station};

/// How a server's station is to behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The most it agrees to.
    pub parameters: Parameters,
    /// Silence after which the link is dropped, in milliseconds; 0: never. 120 s is the default of the IEC HDLC setup class.
    pub inactivity_timeout_ms: u32,
    /// Whether the line carries both directions at once (TCP), so that a notification need not wait for the client to
    /// hand over the right to send.
    pub full_duplex: bool,
    /// Whether a frame that was lost inside a window is asked for with REJ. RR with the same number does it too, and there
    /// are clients that take REJ for an error.
    pub reject: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { parameters: Parameters::DEFAULT, inactivity_timeout_ms: 120_000, full_duplex: false, reject: false }
    }
}

/// What a server's station has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A client has set the link up. On a link that was up already [`Closed`](Self::Closed) comes first.
    Opened,
    /// The link is down, and with it the association.
    Closed,
    /// An APDU has arrived and waits in [`Session::apdu`] until [`Session::release_apdu`].
    Apdu(Delivery),
}

/// How an APDU came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In sequence, over the link.
    Connected,
    /// Without a link (UI); it cannot be answered in sequence.
    Connectionless,
    /// To all stations (UI); it must not be answered at all.
    Broadcast,
}

/// The server's end of one link, between one client address and one server address.
///
/// A [`Station`] hands it the frames that are for it. After an [`Event::Apdu`] the application reads
/// [`apdu`](Self::apdu), calls [`send`](Self::send) if there is an answer, and then
/// [`release_apdu`](Self::release_apdu). As long as it holds the APDU the link says nothing, except that it answers
/// polls; released without an answer it is acknowledged.
#[derive(Debug)]
pub struct Session<B> {
    config: Config,
    /// What was agreed with the client.
    agreed: Parameters,
    pair: Option<(Address, Address)>,
    sender: Sender<B>,
    receiver: Receiver<B>,
    events: Events<Event>,
    state: State,
    turn: Turn,
    reply: Option<Reply>,
    /// The client said RNR.
    peer_busy: bool,
    /// A frame was not taken because an APDU is still held.
    refused: bool,
    /// A frame before the ones that came is missing.
    gap: bool,
    last_frame: Instant,
}

/// ```text
///                SNRM                    frame against the rules
///   Disconnected ----> Connected (NRM) ------------------------> Rejected
///       ^                 |    ^                                    |
///       |   DISC, silence |    `------------ SNRM ------------------|
///       `-----------------'-------------- DISC, silence ------------'
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Disconnected,
    Connected,
    /// FRMR was sent; every frame but SNRM and DISC is answered with it again.
    Rejected(Option<[u8; 3]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The client may send.
    Theirs,
    /// The client waits for the application's answer.
    Answer,
    /// This station sends, and ends with F.
    Ours,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    Agreement,
    Disconnected,
    NotConnected,
    Reject(Option<[u8; 3]>),
}

/// Reasons in an FRMR. The bit positions come from one implementation and one capture, and are not verified further.
mod reason {
    pub(super) const CONTROL: u8 = 0x80;
    pub(super) const TOO_LONG: u8 = 0x20;
    pub(super) const RECEIVE: u8 = 0x10;
}

impl<B: Storage> Session<B> {
    /// How long the segments of an unnumbered APDU may be apart, in milliseconds. No source states one; it keeps a
    /// session from being held for ever by a segment that was lost.
    const UNNUMBERED_TIMEOUT_MS: u64 = 10_000;

    /// A station without a client. `receive` and `transmit` each hold one APDU and 3 octets; a notification to be sent
    /// shares `transmit` with the answer before it.
    pub const fn new(config: Config, receive: B, transmit: B) -> Self {
        Self {
            config,
            agreed: Parameters::DEFAULT,
            pair: None,
            sender: Sender::new(transmit),
            receiver: Receiver::new(receive),
            events: Events::new(),
            state: State::Disconnected,
            turn: Turn::Theirs,
            reply: None,
            peer_busy: false,
            refused: false,
            gap: false,
            last_frame: Instant::from_millis(0),
        }
    }

    /// Client and server address, the latter in the width the client uses; `None` before the first frame.
    pub const fn pair(&self) -> Option<(Address, Address)> {
        self.pair
    }

    /// The client's service access point.
    pub fn client(&self) -> Option<ClientSap> {
        self.pair.map(|(client, _)| ClientSap(client.upper()))
    }

    /// The logical device.
    pub fn server(&self) -> Option<ServerSap> {
        self.pair.map(|(_, server)| ServerSap(server.upper()))
    }

    /// Whether the link is up.
    pub fn is_open(&self) -> bool {
        self.state == State::Connected
    }

    /// What was agreed with the client.
    pub const fn agreed(&self) -> &Parameters {
        &self.agreed
    }

    /// Whether the station can be given to another client: no link, nothing to say and nothing held.
    pub fn is_free(&self) -> bool {
        self.state == State::Disconnected
            && self.reply.is_none()
            && self.events.is_empty()
            && !self.receiver.is_held()
            && !self.receiver.is_unnumbered_partial()
            && !self.sender.is_unnumbered_pending()
    }

    /// Gives the station to a client. Does nothing unless it is free or theirs already.
    pub fn bind(&mut self, client: Address, server: Address) {
        if self.is_free() || self.is_for(&client, &server) {
            self.pair = Some((client, server));
        }
    }

    /// Whether frames from `client` to `server` are for this station.
    pub fn is_for(&self, client: &Address, server: &Address) -> bool {
        self.pair.is_some_and(|(own_client, own_server)| {
            own_client == *client
                && own_server.upper() == server.upper()
                && own_server.lower().unwrap_or_default() == server.lower().unwrap_or_default()
        })
    }

    pub(super) fn limit_information(&mut self, octets: u16) {
        self.config.parameters.information_receive = self.config.parameters.information_receive.min(octets);
    }

    /// Sends an APDU in sequence: the answer to the one received, in place of one that the client has not taken.
    ///
    /// # Errors
    /// `NotOpen` or `ApduTooLong`.
    pub fn send(&mut self, apdu: &[u8]) -> Result<(), LinkError> {
        if self.state != State::Connected {
            return Err(LinkError::NotOpen);
        }
        self.sender.load(LLC_RESPONSE, apdu)?;
        if self.turn == Turn::Answer {
            self.begin_turn();
        }
        Ok(())
    }

    /// Whether the link is up, and the client has received all that was sent.
    pub fn can_send(&self) -> bool {
        self.state == State::Connected && !self.sender.is_pending()
    }

    /// Sends an APDU outside the sequence (UI), unacknowledged: a notification. On a half-duplex line with a link it
    /// waits until the client hands over the right to send.
    ///
    /// # Errors
    /// `NotOpen` when no client is known; `Busy` while an earlier one waits; `ApduTooLong`, also when the
    /// answer before it takes too much of the storage.
    pub fn send_unnumbered(&mut self, apdu: &[u8]) -> Result<(), LinkError> {
        if self.pair.is_none() {
            return Err(LinkError::NotOpen);
        }
        self.sender.load_unnumbered(LLC_RESPONSE, apdu)
    }

    /// Refuses what the client sent because nothing can be made of it (FRMR); the client must set the link up anew.
    pub fn reject(&mut self) {
        if self.state == State::Connected {
            self.state = State::Rejected(None);
            self.reply = Some(Reply::Reject(None));
            self.turn = Turn::Theirs;
        }
    }

    /// Drops the link without telling the client, which learns it (DM) when it next polls.
    pub fn disconnect(&mut self) {
        if self.state != State::Disconnected {
            self.events.push(Event::Closed);
        }
        self.reset(&Parameters::DEFAULT);
        self.state = State::Disconnected;
    }

    /// The received APDU, which may be changed in place; empty when none waits.
    pub fn apdu(&mut self) -> &mut [u8] {
        self.receiver.apdu()
    }

    /// Gives the received APDU's storage back. If nothing was sent meanwhile, the client is told that it has arrived.
    pub fn release_apdu(&mut self) {
        self.receiver.release();
        self.refused = false;
        if self.turn == Turn::Answer {
            self.begin_turn();
        }
    }

    /// Whether an APDU waits to be released.
    pub fn is_held(&self) -> bool {
        self.receiver.is_held()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None`: not needed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.inactive(), self.abandoned()].into_iter().flatten().min()
    }

    /// When the link is dropped.
    fn inactive(&self) -> Option<Instant> {
        let ms = u64::from(self.config.inactivity_timeout_ms);
        (ms > 0 && self.state != State::Disconnected).then(|| self.last_frame.after_ms(ms))
    }

    /// When an unnumbered APDU whose end does not come is given up.
    fn abandoned(&self) -> Option<Instant> {
        self.receiver.is_unnumbered_partial().then(|| self.last_frame.after_ms(Self::UNNUMBERED_TIMEOUT_MS))
    }

    /// Drops the link when the client was silent for too long, and what came of an unnumbered APDU without its end.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.abandoned().is_some_and(|deadline| now >= deadline) {
            self.receiver.drop_unnumbered();
        }
        if self.inactive().is_some_and(|deadline| now >= deadline) {
            self.disconnect();
        }
    }

    fn reset(&mut self, parameters: &Parameters) {
        self.agreed = *parameters;
        self.sender.reset(parameters);
        self.receiver.reset();
        (self.peer_busy, self.refused, self.gap) = (false, false, false);
        self.turn = Turn::Theirs;
        self.reply = None;
    }

    fn begin_turn(&mut self) {
        self.sender.rewind();
        self.turn = Turn::Ours;
    }

    fn frame_reject(&mut self, control: Control, reason: u8) {
        let numbers = (self.receiver.next().get() << 5) | (self.sender.next_send().get() << 1);
        let information = Some([control.to_byte(), numbers, reason]);
        self.state = State::Rejected(information);
        self.reply = Some(Reply::Reject(information));
        self.turn = Turn::Theirs;
    }

    /// Handles a frame from this station's client to its server address, or to all stations.
    pub fn handle_frame(&mut self, frame: &Frame<'_>, now: Instant) {
        self.last_frame = now;
        let control = frame.control();
        let broadcast = frame.destination().is_broadcast();
        if control.kind == Kind::Ui {
            if self.receiver.unnumbered(frame.source(), frame.is_segmented(), frame.information()) {
                let delivery = if broadcast { Delivery::Broadcast } else { Delivery::Connectionless };
                self.events.push(Event::Apdu(delivery));
            }
            return;
        }
        if broadcast {
            return;
        }
        // The answer goes out in the width the client used last.
        self.pair = Some((frame.source(), frame.destination()));
        match (self.state, control.kind) {
            (_, Kind::Snrm) => self.handle_snrm(frame),
            (State::Disconnected, Kind::Disc) => self.reply = Some(Reply::NotConnected),
            (_, Kind::Disc) => {
                self.disconnect();
                self.reply = Some(Reply::Disconnected);
            }
            (_, Kind::Ua | Kind::Dm | Kind::Frmr) => {}
            (State::Disconnected, _) => {
                if control.poll_final {
                    self.reply = Some(Reply::NotConnected);
                }
            }
            (State::Rejected(information), _) => {
                if control.poll_final {
                    self.reply = Some(Reply::Reject(information));
                }
            }
            (State::Connected, _) => self.handle_connected(frame, control),
        }
    }

    fn handle_snrm(&mut self, frame: &Frame<'_>) {
        self.receiver.release();
        // What waited to be told is void, but that the link was closed must be told: an association may be open over it.
        let mut closed = false;
        while let Some(event) = self.events.pop() {
            closed |= event == Event::Closed;
        }
        match Parameters::parse(frame.information()) {
            Ok(proposal) => {
                if closed || self.state != State::Disconnected {
                    self.events.push(Event::Closed);
                }
                self.reset(&self.config.parameters.agreed(&proposal));
                self.state = State::Connected;
                self.events.push(Event::Opened);
                self.reply = Some(Reply::Agreement);
            }
            Err(_) => {
                if closed {
                    self.events.push(Event::Closed);
                }
                self.disconnect();
                self.reply = Some(Reply::NotConnected);
            }
        }
    }

    fn handle_connected(&mut self, frame: &Frame<'_>, control: Control) {
        let receive = match control.kind {
            Kind::I { receive, .. } if frame.information().len() <= usize::from(self.agreed.information_receive) => {
                receive
            }
            Kind::I { .. } => return self.frame_reject(control, reason::TOO_LONG),
            Kind::Rr { receive } | Kind::Rej { receive } | Kind::Rnr { receive } => receive,
            _ => return self.frame_reject(control, reason::CONTROL),
        };
        if self.sender.acknowledge(receive) == Acknowledged::Invalid {
            return self.frame_reject(control, reason::RECEIVE);
        }
        self.peer_busy = matches!(control.kind, Kind::Rnr { .. });
        let outcome = match control.kind {
            Kind::I { send, .. } => {
                let expected = self.receiver.next();
                let outcome = self.receiver.numbered(send, frame.is_segmented(), frame.information());
                self.gap = match outcome {
                    // A copy of an earlier frame is behind, not ahead.
                    Outcome::OutOfSequence => self.gap || send.ahead_of(expected) < self.agreed.window_receive,
                    _ => false,
                };
                outcome
            }
            _ => Outcome::Accepted,
        };
        match outcome {
            Outcome::Complete => {
                self.events.push(Event::Apdu(Delivery::Connected));
                if control.poll_final {
                    self.turn = Turn::Answer;
                }
                return;
            }
            Outcome::Busy => self.refused = true,
            Outcome::Oversize(_) => return self.frame_reject(control, reason::TOO_LONG),
            Outcome::Accepted | Outcome::OutOfSequence => {}
        }
        if control.poll_final {
            self.begin_turn();
        }
    }

    /// The next frame for the line, with its flags, written into `out`; returns how many octets that are. A frame that
    /// does not fit is not sent and stays.
    #[cfg_attr(feature = "small", inline(never))]
    pub fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        let (client, server) = self.pair?;
        let mut parameters = [0; Parameters::ENCODED_MAX];
        let mut repr = Repr {
            destination: client,
            source: server,
            control: Control::with_poll_final(Kind::Ua),
            segmented: false,
            information: &[],
        };
        let mut writer = Writer::new(out);
        if let Some(reply) = self.reply {
            repr.control.kind = match reply {
                Reply::Agreement | Reply::Disconnected => Kind::Ua,
                Reply::NotConnected => Kind::Dm,
                Reply::Reject(_) => Kind::Frmr,
            };
            if reply == Reply::Agreement {
                let mut content = Writer::new(&mut parameters);
                self.agreed.emit(&mut content).ok()?;
                repr.information = content.into_written();
            } else if let Reply::Reject(Some(information)) = &reply {
                repr.information = information;
            }
            repr.emit(&mut writer).ok()?;
            self.reply = None;
            return Some(writer.len());
        }
        let free = self.state == State::Disconnected || self.config.full_duplex;
        if (free || self.turn == Turn::Ours)
            && let Some((information, segmented)) = self.sender.peek_unnumbered()
        {
            // F would hand the right to send back before the answer that is still to come.
            repr.control = Control { kind: Kind::Ui, poll_final: free && !segmented };
            (repr.segmented, repr.information) = (segmented, information);
            repr.emit(&mut writer).ok()?;
            self.sender.advance_unnumbered();
            return Some(writer.len());
        }
        if self.turn != Turn::Ours {
            return None;
        }
        let receive = self.receiver.next();
        match self.sender.peek().filter(|_| !self.peer_busy) {
            Some(segment) => {
                let kind = Kind::I { send: segment.send, receive };
                repr.control = Control { kind, poll_final: segment.last };
                (repr.segmented, repr.information) = (segment.segmented, segment.information);
                repr.emit(&mut writer).ok()?;
                if segment.last {
                    self.turn = Turn::Theirs;
                }
                self.sender.advance();
            }
            None => {
                repr.control.kind = match (self.refused, self.gap && self.config.reject) {
                    (true, _) => Kind::Rnr { receive },
                    (_, true) => Kind::Rej { receive },
                    _ => Kind::Rr { receive },
                };
                repr.emit(&mut writer).ok()?;
                // Asked for once; a poll that finds it still missing is answered by the number in RR.
                self.gap = false;
                self.turn = Turn::Theirs;
            }
        }
        Some(writer.len())
    }
}
