//! The client's side of one application association over one link.

mod access;
mod config;
mod error;
mod event;
mod general;
mod notification;
mod open;
mod protection;
mod quirk;
mod receive;
mod request;
mod session;
mod short_name;
mod unconfirmed;

pub use access::{AccessItem, AccessOptions};
pub use config::{CLIENT_CONFORMANCE, Config, GeneralBlocks, PreEstablished, SHORT_NAME_CONFORMANCE, Security};
pub use error::{ConnectionError, ProtocolError, RequestError, UsageError};
pub use event::{Event, Negotiated, Response};
pub use protection::General;

use core::ops::Range;

use crate::Instant;
use crate::apdu::LongInvokeIdAndPriority;
use crate::association::blocks::Joiner;
use crate::deviation::DeviationCounts;
use crate::link::{Events, Link, Storage};
use crate::security::hls::Challenge;
use crate::security::{Crypto, InvocationCounter, KeySet, Protection, Random};

use general::Exchange;
use notification::CONFIRMATIONS;
use receive::decode_event;
use request::Pending;
use session::Session;

/// The client's side of one application association over one link.
///
/// Methods come in four kinds: getters; inputs (`handle_input`, `handle_timeout`); commands (`associate`,
/// `get`, `set`, `action`, `access`, `release`); outputs (`poll_*`). After any input or command drain in this order:
///
/// 1. [`poll_event`](Self::poll_event) until `None`, 2. [`poll_transmit`](Self::poll_transmit) until `None`,
/// 3. read [`poll_timeout`](Self::poll_timeout) and sleep no later than that.
///
/// An event borrows the received octets; the link takes no further input before the next `poll_event`.
///
/// ```text
///         associate             AARE ok, no HLS
///   Idle ──────────▶ Opening ─────────────────────▶ Associated ──release──▶ Releasing ─▶ Idle
///                      │ AARE ok, HLS pending           ▲
///                      └──────────▶ AwaitHls ───────────┘
/// ```
///
/// `B` is the storage for what is sent: one for the APDU under construction, one for a value that is cut into
/// blocks. Both bound the length of requests. With general block transfer the second one also holds answers that have
/// to be joined.
pub struct Connection<L, C: Crypto, R, B> {
    link: L,
    config: Config,
    random: R,
    counter: InvocationCounter,
    state: State<C>,
    pending: Option<Pending>,
    /// Blocks that the request or its answer are cut into.
    exchange: Option<Exchange>,
    /// A notification that comes in blocks.
    pushed: Option<Joiner>,
    /// The APDU under construction.
    out: B,
    /// The value of a long SET or ACTION.
    long: B,
    /// The last invoke-id that was used, 0 to 15.
    invoke_id: u8,
    /// The last long-invoke-id, 24 bits.
    long_invoke_id: u32,
    /// An AARQ has carried the dedicated key already.
    dedicated_spent: bool,
    /// When the answer that is waited for must have come.
    deadline: Option<Instant>,
    now: Instant,
    ready: Ready,
    /// Notifications that the user has seen and that are to be confirmed, with the protection that they had.
    confirmations: Events<(LongInvokeIdAndPriority, Protection), CONFIRMATIONS>,
    /// Answers that came too late or were to nothing.
    late_answers: u32,
    deviations: DeviationCounts,
    general: Option<General>,
    /// A request that failed, to be told.
    failed: Option<RequestError>,
    /// How the connection will have ended once the link is down.
    end: Option<End>,
    /// How it ended, to be told.
    ended: Option<End>,
}

/// What exists in each state, and only then.
enum State<C: Crypto> {
    Idle,
    /// The link is being set up.
    LinkOpening,
    /// The AARQ is out.
    AwaitAare {
        session: Session<C>,
        challenge: Option<Challenge>,
    },
    /// The answer to the server's challenge is out.
    AwaitHls {
        session: Session<C>,
        challenge: Challenge,
        /// The one that was answered.
        server_challenge: Challenge,
    },
    Associated(Session<C>),
    /// The RLRQ is out.
    Releasing(Session<C>),
    /// The link is being taken down.
    LinkClosing,
}

/// What waits for the user.
#[derive(Clone, Debug)]
enum Ready {
    Nothing,
    Associated(Negotiated),
    /// A plain APDU.
    Apdu(Received),
    /// Data of a block in the link's storage: a part of an answer to GET.
    Block {
        raw: Range<usize>,
        last: bool,
    },
    /// The octets were given out; their storage is still lent.
    Lent {
        place: Place,
        next: Next,
        confirm: Option<(LongInvokeIdAndPriority, Protection)>,
    },
    /// A ciphered APDU that this association has no keys for.
    Foreign {
        place: Place,
        whole: Range<usize>,
    },
}

/// What is to be done once the user has seen an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Nothing,
    /// The block behind this one is asked for.
    Ask(u32),
    /// The next block of general block transfer is waited for, or asked for.
    GoOn,
}

/// Where octets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the link's storage.
    Link,
    /// In the second storage, where blocks were joined.
    Long,
}

/// A plain APDU that the user is to see.
#[derive(Clone, Debug)]
struct Received {
    place: Place,
    plain: Range<usize>,
    protection: Protection,
    /// How many results a list must have.
    list: usize,
    /// The block to be acknowledged once the user has seen this one.
    ask_next: Option<u32>,
    /// The notification to be confirmed once the user has seen it.
    confirm: Option<LongInvokeIdAndPriority>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Released,
    Lost(ConnectionError),
}

impl<L: Link, C: Crypto, R: Random, B: Storage> Connection<L, C, R, B> {
    /// A connection that is not open yet. `counter` holds the invocation counters that were reserved for it;
    /// `out` and `long` bound the length of requests and of values that are sent in blocks.
    pub const fn new(link: L, config: Config, random: R, counter: InvocationCounter, out: B, long: B) -> Self {
        Self {
            link,
            config,
            random,
            counter,
            state: State::Idle,
            pending: None,
            exchange: None,
            pushed: None,
            out,
            long,
            invoke_id: 0,
            long_invoke_id: 0,
            dedicated_spent: false,
            deadline: None,
            now: Instant::from_millis(0),
            ready: Ready::Nothing,
            confirmations: Events::new(),
            late_answers: 0,
            deviations: DeviationCounts::NONE,
            general: None,
            failed: None,
            end: None,
            ended: None,
        }
    }

    /// What was agreed on; `None` unless associated.
    #[must_use]
    pub const fn negotiated(&self) -> Option<Negotiated> {
        match &self.state {
            State::Associated(session) => Some(session.negotiated),
            _ => None,
        }
    }

    /// Whether requests can be made.
    #[must_use]
    pub const fn is_associated(&self) -> bool {
        matches!(self.state, State::Associated(_))
    }

    /// Whether a request waits for its answer.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// The transmit invocation counters that are left; extend them before they run out.
    pub const fn counter_mut(&mut self) -> &mut InvocationCounter {
        &mut self.counter
    }

    /// Goes on with other global keys of the same suite, after the server has answered a `key_transfer` that named them.
    ///
    /// `counter` is that of a new unicast key, which begins anew; with `None` the unicast key is the same as before, and
    /// so are its counters. Later associations use the new keys as well.
    ///
    /// # Errors
    /// `NotAssociated` without keys to replace, `RequestPending`, `Security` for keys of another suite; nothing has
    /// changed then.
    pub fn replace_keys(&mut self, keys: KeySet, counter: Option<InvocationCounter>) -> Result<(), UsageError> {
        if self.pending.is_some() {
            return Err(UsageError::RequestPending);
        }
        let (State::Associated(session), Some(security)) = (&mut self.state, &mut self.config.security) else {
            return Err(UsageError::NotAssociated);
        };
        let secured = session.security.as_mut().ok_or(UsageError::NotAssociated)?;
        secured.context.replace_keys(&keys)?;
        security.keys = keys;
        if let Some(counter) = counter {
            self.counter = counter;
            secured.restart_floor();
            security.receive_floor = 0;
        }
        Ok(())
    }

    /// Lowest invocation counter that is acceptable from the meter now, also after the association was lost; `None`
    /// without ciphering. To be kept for the next association.
    #[must_use]
    pub fn receive_floor(&self) -> Option<u32> {
        match &self.state {
            State::Associated(session) | State::AwaitHls { session, .. } | State::Releasing(session) => {
                session.security.as_ref().map(|secured| secured.floor().lowest())
            }
            _ => self.config.security.as_ref().map(|security| security.receive_floor),
        }
    }

    /// How many answers were dropped because they came too late, or to a request that nobody made.
    #[must_use]
    pub const fn late_answers(&self) -> u32 {
        self.late_answers
    }

    /// The link below.
    #[must_use]
    pub const fn link(&self) -> &L {
        &self.link
    }

    /// The link and both storages while an association is open, nothing is under way, and no octet of the storages is
    /// needed; `None` otherwise. For callers that hold many associations and have better use for the memory meanwhile:
    /// its length must be the same again when the connection is used next, its content need not.
    pub fn at_rest(&mut self) -> Option<(&mut L, [&mut B; 2])> {
        let rests = matches!((&self.state, &self.ready), (State::Associated(_), Ready::Nothing))
            && self.pending.is_none()
            && self.exchange.is_none()
            && self.pushed.is_none()
            && self.confirmations.is_empty()
            && self.failed.is_none()
            && self.end.is_none();
        rests.then_some((&mut self.link, [&mut self.out, &mut self.long]))
    }

    /// Octets of the line. Returns how many were taken: fewer than all while an event waits; hand in the rest
    /// after [`poll_event`](Self::poll_event) returned `None`.
    pub fn handle_input(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.now = now;
        let taken = self.link.handle_input(bytes, now);
        self.tolerate_link();
        taken
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.link.handle_timeout(now);
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        self.deadline = None;
        match self.state {
            // Without invoke-ids the late answer would be taken for the answer to the next request.
            State::Associated(_) if self.is_short_name() && self.pending.is_some() => {
                self.finish(End::Lost(ConnectionError::Request(RequestError::TimedOut)));
            }
            State::Associated(_) => {
                if !self.repeat_blocks(now) {
                    self.fail(RequestError::TimedOut);
                }
            }
            State::Releasing(_) => self.finish(End::Released),
            State::LinkOpening | State::AwaitAare { .. } | State::AwaitHls { .. } => {
                self.finish(End::Lost(ConnectionError::Request(RequestError::TimedOut)));
            }
            State::Idle | State::LinkClosing => {}
        }
    }

    /// Octets for the line, written into `out`; returns how many. `None`: nothing to send.
    pub fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        self.link.poll_transmit(out)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None`: not needed.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        // Further blocks of a request leave as soon as the link takes them.
        let due = (self.has_block() && self.link.can_send()).then_some(self.now);
        [self.link.poll_timeout(), self.deadline, due].into_iter().flatten().min()
    }

    /// The next event. What the event before it lent goes back to the link; the block after a lent block is
    /// asked for now.
    pub fn poll_event(&mut self) -> Option<Event<'_>> {
        if let Ready::Lent { place, next, confirm } = self.ready {
            self.ready = Ready::Nothing;
            if place == Place::Link {
                self.link.release_apdu();
            }
            if let Some(confirm) = confirm {
                self.confirmations.push(confirm);
            }
            match next {
                Next::Nothing => {}
                Next::Ask(number) => self.ask_next(number),
                Next::GoOn => self.go_on(),
            }
        }
        self.pump();
        self.confirm_next();
        if let Some(error) = self.failed.take() {
            return Some(Event::Failed(error));
        }
        match core::mem::replace(&mut self.ready, Ready::Nothing) {
            Ready::Associated(negotiated) => return Some(Event::Associated(negotiated)),
            Ready::Foreign { place, whole } => {
                self.ready = Ready::Lent { place, next: Next::Nothing, confirm: None };
                return Some(Event::Foreign(self.octets(place).get_mut(whole).unwrap_or_default()));
            }
            Ready::Block { raw, last } => {
                let next = if last { Next::Nothing } else { Next::GoOn };
                self.ready = Ready::Lent { place: Place::Link, next, confirm: None };
                let raw = self.link.apdu().get(raw).unwrap_or_default();
                return Some(Event::Response(Response::GetBlock { raw, last }));
            }
            Ready::Apdu(Received { place, plain, protection, list, ask_next, confirm }) => {
                // A block that cannot be decoded ends the request: no further one is asked for.
                let quirks = self.config.quirks;
                // One that is not tolerated ends it as well, and is not confirmed.
                let broken = (ask_next.is_some() || confirm.is_some()) && {
                    let octets = self.octets(place).get(plain.clone()).unwrap_or_default();
                    let (event, met) = decode_event(octets, protection, list);
                    matches!(event, Event::Failed(_)) || quirks.check(met).is_err()
                };
                if broken && confirm.is_none() {
                    self.pending = None;
                }
                let confirm = confirm.filter(|_| !broken).map(|invoke| (invoke, protection));
                let next = ask_next.filter(|_| !broken).map_or(Next::Nothing, Next::Ask);
                self.ready = Ready::Lent { place, next, confirm };
                let octets = match place {
                    Place::Link => self.link.apdu(),
                    Place::Long => self.long.as_mut(),
                };
                let (event, met) = decode_event(octets.get(plain).unwrap_or_default(), protection, list);
                self.deviations.count(met);
                return Some(match (quirks.check(met), event) {
                    (Ok(()), event) | (_, event @ Event::Failed(_)) => event,
                    (Err(deviation), Event::Response(_)) => Event::Failed(RequestError::Deviates(deviation)),
                    (Err(deviation), _) => Event::Refused(deviation),
                });
            }
            Ready::Nothing | Ready::Lent { .. } => {}
        }
        match self.ended.take()? {
            End::Released => Some(Event::Released),
            End::Lost(error) => Some(Event::Closed(error)),
        }
    }

    /// Octets that were received.
    fn octets(&mut self, place: Place) -> &mut [u8] {
        match place {
            Place::Link => self.link.apdu(),
            Place::Long => self.long.as_mut(),
        }
    }
}
