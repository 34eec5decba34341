//! One line, several stations: frames are handed to the session of their client and server address.

use super::address::{Address, Width};
use super::control::{Control, Kind};
use super::deframer::Deframer;
use super::frame::{Frame, OVERHEAD_MAX, Repr};
use super::server::{Delivery, Event, Session};
use crate::Instant;
use crate::axdr::Writer;
use crate::id::{ClientSap, ServerSap};
use crate::link::{LinkError, Storage};

/// Which addresses are this side's. A closure will do.
pub trait Addresses {
    /// Whether `client` may set up a link to `server`, an individual address. What is not ours is not answered: it may be
    /// another meter's on the same line.
    fn is_ours(&self, client: ClientSap, server: Address) -> bool;

    /// Whether a broadcast reaches us: `server` is all-station in its upper part, its lower part or both, and the other
    /// part may name a device that is not ours. Everything is heard unless this says otherwise.
    fn is_reached(&self, server: Address) -> bool {
        let _ = server;
        true
    }
}

impl<F: Fn(ClientSap, Address) -> bool> Addresses for F {
    fn is_ours(&self, client: ClientSap, server: Address) -> bool {
        self(client, server)
    }
}

/// All links of one line (a TCP connection, a serial port): several clients, logical devices, physical meters.
///
/// `S` holds the sessions: an array, a `Vec`, a slice. A session is taken for a pair of addresses when its SNRM (or
/// a UI frame) arrives, and is free for another pair when that link is down. A client that finds none free is told
/// DM. Drive it like a link: hand in octets and time, then drain [`poll_transmit`](Self::poll_transmit) and
/// [`poll_event`](Self::poll_event), and sleep no later than [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Station<B, S, A> {
    deframer: Deframer<B>,
    sessions: S,
    addresses: A,
    /// Who is to be told that there is no link: client and server.
    disconnected: Option<(Address, Address)>,
    foreign: u32,
    /// The session whose APDU was reported last, and how that came.
    current: (usize, Delivery),
}

impl<B, S, A> Station<B, S, A>
where
    B: Storage,
    S: AsRef<[Session<B>]> + AsMut<[Session<B>]>,
    A: Addresses,
{
    /// A line whose frames fit into `frame` without their flags: 15 octets more than the information field to be received;
    /// a smaller one lowers what the sessions agree to. A gap of `inter_octet_timeout_ms` milliseconds ends a frame.
    pub fn new(frame: B, inter_octet_timeout_ms: u32, mut sessions: S, addresses: A) -> Self {
        let fits = u16::try_from(frame.as_ref().len().saturating_sub(OVERHEAD_MAX)).unwrap_or(u16::MAX);
        sessions.as_mut().iter_mut().for_each(|session| session.limit_information(fits));
        Self {
            deframer: Deframer::new(frame, inter_octet_timeout_ms),
            sessions,
            addresses,
            disconnected: None,
            foreign: 0,
            current: (0, Delivery::Connected),
        }
    }

    /// The session at `index`, as an event names it.
    pub fn session(&mut self, index: usize) -> Option<&mut Session<B>> {
        self.sessions.as_mut().get_mut(index)
    }

    /// All sessions.
    pub fn sessions(&self) -> &[Session<B>] {
        self.sessions.as_ref()
    }

    /// Broken frames received so far.
    pub const fn frame_errors(&self) -> u32 {
        self.deframer.errors()
    }

    /// Right frames for others so far.
    pub const fn foreign_frames(&self) -> u32 {
        self.foreign
    }

    /// The session of a client and a server address, taken now if there is none: to notify a client that has set up no
    /// link. `None` when all sessions are in use.
    pub fn bind(&mut self, client: Address, server: Address) -> Option<usize> {
        let sessions = self.sessions.as_mut();
        let index = sessions
            .iter()
            .position(|session| session.is_for(&client, &server))
            .or_else(|| sessions.iter().position(Session::is_free))?;
        sessions.get_mut(index)?.bind(client, server);
        Some(index)
    }

    /// Hands in octets of the line. Stops behind a frame that completes an APDU, so that it can be answered before what
    /// follows: returns how many octets were taken; drain, then hand in the rest.
    pub fn handle_input(&mut self, bytes: &[u8], now: Instant) -> usize {
        let mut rest = bytes;
        loop {
            let (used, frame) = self.deframer.push(rest, now);
            rest = rest.get(used..).unwrap_or_default();
            match frame {
                Some(Ok(frame)) => {
                    let line = Line {
                        sessions: self.sessions.as_mut(),
                        addresses: &self.addresses,
                        disconnected: &mut self.disconnected,
                        foreign: &mut self.foreign,
                    };
                    if line.dispatch(&frame, now) {
                        break;
                    }
                }
                Some(Err(_)) => {}
                None => break,
            }
        }
        bytes.len().saturating_sub(rest.len())
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deframer.poll_timeout().is_some_and(|deadline| now >= deadline) {
            self.handle_input(&[], now);
        }
        self.sessions.as_mut().iter_mut().for_each(|session| session.handle_timeout(now));
    }

    /// The next frame for the line, with its flags, written into `out`; returns how many octets that are.
    /// With [`FRAME_MAX`](super::FRAME_MAX)
    /// octets every frame fits; one that does not stays unsent.
    pub fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        if let Some((client, server)) = self.disconnected.take() {
            let repr = Repr {
                destination: client,
                source: server,
                control: Control::with_poll_final(Kind::Dm),
                segmented: false,
                information: &[],
            };
            let mut writer = Writer::new(out);
            return repr.emit(&mut writer).ok().map(|()| writer.len());
        }
        self.sessions.as_mut().iter_mut().find_map(|session| session.poll_transmit(out))
    }

    /// The next event and the index of its session.
    pub fn poll_event(&mut self) -> Option<(usize, Event)> {
        let mut sessions = self.sessions.as_mut().iter_mut().enumerate();
        let (index, event) = sessions.find_map(|(index, session)| session.poll_event().map(|event| (index, event)))?;
        if let Event::Apdu(delivery) = event {
            self.current = (index, delivery);
        }
        Some((index, event))
    }

    /// How the APDU that was reported last came.
    pub const fn delivery(&self) -> Delivery {
        self.current.1
    }

    /// Whether the APDU that was reported last is held, is from `client` to `server` and came outside the sequence.
    pub(crate) fn holds_unnumbered(&self, client: ClientSap, server: ServerSap) -> bool {
        let (index, delivery) = self.current;
        let theirs = |session: &Session<B>| session.client() == Some(client) && session.server() == Some(server);
        let held = self.sessions().get(index).is_some_and(|session| session.is_held() && theirs(session));
        held && delivery != Delivery::Connected
    }

    /// The APDU that was reported last, which may be changed in place.
    pub fn apdu(&mut self) -> &mut [u8] {
        self.sessions.as_mut().get_mut(self.current.0).map(Session::apdu).unwrap_or_default()
    }

    /// Releases the APDU that was reported last; see [`Session::release_apdu`].
    pub fn release_apdu(&mut self) {
        if let Some(session) = self.sessions.as_mut().get_mut(self.current.0) {
            session.release_apdu();
        }
    }

    /// Drops the link whose APDU was reported last; see [`Session::disconnect`].
    pub fn disconnect_current(&mut self) {
        if let Some(session) = self.sessions.as_mut().get_mut(self.current.0) {
            session.disconnect();
        }
    }

    /// Sends an APDU of logical device `server` to `client` in sequence: on the link whose APDU was reported last if it is
    /// theirs, else on any that is.
    ///
    /// # Errors
    /// `NotOpen` when there is no link between them; `ApduTooLong`.
    pub fn send(&mut self, client: ClientSap, server: ServerSap, apdu: &[u8]) -> Result<(), LinkError> {
        let theirs = |session: &Session<B>| {
            session.is_open() && session.client() == Some(client) && session.server() == Some(server)
        };
        let sessions = self.sessions.as_mut();
        let index = match sessions.get(self.current.0) {
            Some(session) if theirs(session) => self.current.0,
            _ => sessions.iter().position(theirs).ok_or(LinkError::NotOpen)?,
        };
        sessions.get_mut(index).ok_or(LinkError::NotOpen)?.send(apdu)
    }

    /// Whether a link from `client` to `server` is up, and what was sent on it was received.
    pub fn can_send(&self, client: ClientSap, server: ServerSap) -> bool {
        let mut sessions = self.sessions.as_ref().iter();
        let theirs = |session: &&Session<B>| session.client() == Some(client) && session.server() == Some(server);
        sessions.find(theirs).is_some_and(Session::can_send)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None`: not needed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sessions = self.sessions.as_ref().iter().filter_map(Session::poll_timeout);
        sessions.chain(self.deframer.poll_timeout()).min()
    }
}

/// What dispatching a frame needs, beside the deframer that the frame lies in.
struct Line<'a, B, A> {
    sessions: &'a mut [Session<B>],
    addresses: &'a A,
    disconnected: &'a mut Option<(Address, Address)>,
    foreign: &'a mut u32,
}

impl<B: Storage, A: Addresses> Line<'_, B, A> {
    /// Hands a frame to its session; returns whether that now holds an APDU it did not hold before.
    fn dispatch(self, frame: &Frame<'_>, now: Instant) -> bool {
        let (client, server) = (frame.source(), frame.destination());
        let Control { kind, poll_final } = frame.control();
        // An answer, or an own frame that came back; all-station and no-station are no source.
        let command = !matches!(kind, Kind::Ua | Kind::Dm | Kind::Frmr);
        let individual = client.width() == Width::One && !client.is_broadcast() && !client.is_no_station();
        let ours = if server.is_broadcast() {
            kind == Kind::Ui && self.addresses.is_reached(server)
        } else {
            !server.is_no_station() && self.addresses.is_ours(ClientSap(client.upper()), server)
        };
        if !command || !individual || !ours {
            *self.foreign = self.foreign.saturating_add(1);
            return false;
        }
        let bound = self.sessions.iter().position(|session| session.is_for(&client, &server));
        let index = bound.or_else(|| {
            let wanted = matches!(kind, Kind::Snrm | Kind::Ui);
            wanted.then(|| self.sessions.iter().position(Session::is_free)).flatten()
        });
        // A broadcast that finds no session of its own is not lost to a client that has one.
        let index = index.or_else(|| {
            let own = |session: &Session<B>| session.client() == Some(ClientSap(client.upper()));
            server.is_broadcast().then(|| self.sessions.iter().position(own)).flatten()
        });
        match index.and_then(|index| self.sessions.get_mut(index)) {
            Some(session) => {
                let held = session.is_held();
                session.bind(client, server);
                session.handle_frame(frame, now);
                session.is_held() && !held
            }
            None => {
                if poll_final && kind != Kind::Ui {
                    *self.disconnected = Some((client, server));
                }
                false
            }
        }
    }
}
