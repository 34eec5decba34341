//! Drives one client connection of the stack over a transport, with tokio's time.

use std::ops::ControlFlow;

use dlms::{
    association::client::{Config, Connection, ConnectionError, Event, General, Negotiated, UsageError},
    security::{InvocationCounter, OnHeap, Random, RustCrypto},
    wrapper::Header,
};
use tokio::time::{Duration, Instant, sleep_until};

use super::{
    contact::Tally,
    counters::{COUNTERS_LOW, CounterSource},
    link::{REQUEST_OCTETS_MAX, receive_octets},
    notification::Inbox,
    room::Room,
    tapped::TappedLink,
    transport::{Received, Transport, TransportError},
};
use crate::operation::{Direction, RequestError};

/// Longest value that is sent in blocks, in octets.
const LONG_REQUEST_OCTETS_MAX: usize = 8 * 1024;
/// Octets taken from a stream at once.
const READ_OCTETS: usize = 4 * 1024;
/// Room for one frame or one wrapped APDU on its way out.
const WRITE_OCTETS: usize = 4 * 1024;
/// The clock's grain: sleeping shorter would spin.
const TICK: Duration = Duration::from_millis(1);
/// Octets taken from a stream at once in an association at rest, which has no room for more.
const RESTING_OCTETS: usize = 32;
/// How long nothing must have been asked for before an association rests.
const RESTLESS: Duration = Duration::from_secs(1);
/// How often an association that was disturbed is laid to rest again.
const RESTED: Duration = Duration::from_secs(600);
/// Far enough away to be never, near enough to be a time.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// The operating system's random numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct OsRandom;

impl OsRandom {
    /// A generator that has been seen working.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        getrandom::fill(&mut [0; 1]).map(|()| Self)
    }
}

impl Random for OsRandom {
    /// Panics where the operating system, which had random numbers when the generator was made, has none: the caller's
    /// task ends then, and no challenge or key is made of anything else.
    fn fill(&mut self, octets: &mut [u8]) {
        getrandom::fill(octets).expect("the operating system's random numbers ceased");
    }
}

/// Why driving came to an end without what was waited for.
#[derive(Clone, Debug)]
pub(super) enum DriveError {
    /// The association was not opened, or is lost.
    Closed(ConnectionError),
    /// The transport broke.
    Transport(TransportError),
    /// The deadline passed; something may still be under way.
    Deadline,
    /// No further counters could be reserved.
    Counters(RequestError),
}

/// The stack's client as it is used here.
pub(super) type StackConnection = Connection<TappedLink, OnHeap<RustCrypto>, OsRandom, Room>;

/// What a driver has of the fleet.
pub(super) struct Surroundings {
    pub(super) random: OsRandom,
    pub(super) inbox: Inbox,
    pub(super) counts: Tally,
}

/// One client connection on one transport.
///
/// Every future of it may be dropped at any point: octets that were read or are half sent are kept here and not in
/// the future, so that the next call goes on where the last one was interrupted.
pub(super) struct Driver {
    connection: StackConnection,
    transport: Transport,
    epoch: Instant,
    input: Buffer,
    output: Buffer,
    counters: Option<CounterSource>,
    inbox: Inbox,
    counts: Tally,
    octets_sent: u64,
    notifications: u64,
    /// When the connection was told the time last.
    ticked: Instant,
    /// Memory was given back, for there is nothing to send and nothing has arrived.
    rests: bool,
    /// Nothing is left to drive.
    ended: bool,
    /// The meter refused the association in good order, and another one may be tried on the connection.
    refused: bool,
}

/// Octets on their way, `start..end` of `octets`.
struct Buffer {
    octets: Room,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new(size: usize) -> Self {
        Self { octets: Room::new(size), start: 0, end: 0 }
    }

    fn waiting(&self) -> &[u8] {
        self.octets.as_ref().get(self.start..self.end).unwrap_or_default()
    }

    fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Moves what waits to the front, so that the free room is in one piece.
    fn compact(&mut self) {
        self.octets.as_mut().copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
    }
}

impl Driver {
    pub(super) fn new(
        link: TappedLink,
        (config, signatures): (Config, Option<General>),
        counter: InvocationCounter,
        transport: Transport,
        counters: Option<CounterSource>,
        surroundings: Surroundings,
    ) -> Self {
        let Surroundings { random, inbox, counts } = surroundings;
        let input = if transport.is_datagram() { Header::LENGTH + receive_octets(config.max_pdu) } else { READ_OCTETS };
        let (out, long) = (Room::new(REQUEST_OCTETS_MAX), Room::new(LONG_REQUEST_OCTETS_MAX));
        let connection = Connection::new(link, config, random, counter, out, long);
        Self {
            connection: match signatures {
                Some(signatures) => connection.with_general(signatures),
                None => connection,
            },
            transport,
            epoch: Instant::now(),
            input: Buffer::new(input),
            output: Buffer::new(WRITE_OCTETS),
            counters,
            inbox,
            counts,
            octets_sent: 0,
            notifications: 0,
            ticked: Instant::now(),
            rests: false,
            ended: false,
            refused: false,
        }
    }

    /// The connection's own time.
    fn now(&self) -> dlms::Instant {
        dlms::Instant::from_millis(u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Octets that have left so far, link layer included.
    pub(super) const fn octets_sent(&self) -> u64 {
        self.octets_sent
    }

    /// Notifications that have arrived so far, those that had to be dropped included.
    pub(super) const fn notifications(&self) -> u64 {
        self.notifications
    }

    /// Lowest invocation counter that is acceptable from the meter.
    pub(super) fn receive_floor(&self) -> Option<u32> {
        self.connection.receive_floor()
    }

    /// The next transmit counter, and the first one that is not reserved.
    pub(super) const fn counters(&mut self) -> (u32, u32) {
        let counter = self.connection.counter_mut();
        (counter.next(), counter.end())
    }

    /// Whether a request waits for its answer: then only closing is possible.
    pub(super) const fn is_pending(&self) -> bool {
        self.connection.is_pending()
    }

    /// Takes the reserved counters out, for the next connection. This one can send nothing protected any more.
    pub(super) fn take_counter(&mut self) -> InvocationCounter {
        std::mem::replace(self.connection.counter_mut(), InvocationCounter::new(0, 0))
    }

    /// Gives the connection a command, such as a request.
    pub(super) fn command(
        &mut self,
        command: impl FnOnce(&mut StackConnection, dlms::Instant) -> Result<(), UsageError>,
    ) -> Result<(), UsageError> {
        let now = self.now();
        self.rests = false;
        command(&mut self.connection, now)
    }

    /// Opens link and association.
    pub(super) async fn associate(&mut self, deadline: Instant) -> Result<Negotiated, DriveError> {
        self.command(|connection, now| connection.associate(now)).map_err(|error| {
            DriveError::Closed(ConnectionError::Request(dlms::association::client::RequestError::Usage(error)))
        })?;
        self.drive(Some(deadline), |event| match event {
            Event::Associated(negotiated) => ControlFlow::Break(negotiated),
            _ => ControlFlow::Continue(()),
        })
        .await
    }

    /// Releases the association, or closes the link where a request is under way or there is no association; the
    /// transport is shut down in any case, at the latest by `deadline`.
    pub(super) async fn finish(&mut self, deadline: Instant) {
        let mut sound = self.refused;
        if !self.ended {
            let now = self.now();
            let asked = self.connection.release(now).is_ok();
            if !asked {
                self.connection.close(now);
            }
            let released = self.drive(Some(deadline), |event| match event {
                Event::Released => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            });
            let released = released.await;
            if let Err(DriveError::Deadline) = released {
                tracing::debug!("the meter did not confirm the release");
            }
            sound = asked && released.is_ok();
            self.ended = true;
        }
        let deviations = self.connection.deviations();
        if deviations.iter().next().is_some() {
            self.counts.deviated(deviations);
            tracing::info!(?deviations, "the meter deviates from the standard");
        }
        let drained = self.input.waiting().is_empty() && self.output.waiting().is_empty();
        if sound && drained && self.transport.give_back() {
            return;
        }
        if tokio::time::timeout_at(deadline.max(Instant::now() + TICK), self.transport.shutdown()).await.is_err() {
            tracing::debug!("the transport could not be shut down in time");
        }
    }

    /// Keeps an association alive that nothing is asked of, until it is lost. Its memory is given back after a moment.
    pub(super) async fn idle(&mut self) -> DriveError {
        let mut patience = RESTLESS;
        loop {
            let until = Instant::now() + patience;
            match self.drive(Some(until), |_| ControlFlow::<std::convert::Infallible>::Continue(())).await {
                Err(DriveError::Deadline) => self.rest(),
                Err(error) => return error,
                Ok(never) => match never {},
            }
            patience = RESTED;
        }
    }

    /// Gives back what memory is not needed until something is asked for, or arrives.
    fn rest(&mut self) {
        let nothing = self.input.waiting().is_empty() && self.output.waiting().is_empty();
        let Some((link, own)) = self.connection.at_rest().filter(|_| nothing) else { return };
        let Some(below) = link.at_rest() else { return };
        let buffers = [&mut self.input.octets, &mut self.output.octets];
        own.into_iter().chain(below).chain(buffers).for_each(Room::give_back);
        self.rests = true;
    }

    /// Carries octets, time and events until `take` has seen what it waits for.
    ///
    /// Notifications are handed on and not shown to `take`. After `Closed` and `Transport` nothing is left to drive.
    pub(super) async fn drive<T>(
        &mut self,
        deadline: Option<Instant>,
        take: impl FnMut(Event<'_>) -> ControlFlow<T>,
    ) -> Result<T, DriveError> {
        if self.ended {
            return Err(DriveError::Closed(ConnectionError::ClosedByPeer));
        }
        let driven = self.run(deadline, take).await;
        if let Err(DriveError::Closed(_) | DriveError::Transport(_)) = driven {
            self.ended = true;
            let rejected = |error: &DriveError| matches!(error, DriveError::Closed(ConnectionError::Rejected { .. }));
            self.refused = driven.as_ref().err().is_some_and(rejected);
        }
        driven
    }

    async fn run<T>(
        &mut self,
        deadline: Option<Instant>,
        mut take: impl FnMut(Event<'_>) -> ControlFlow<T>,
    ) -> Result<T, DriveError> {
        loop {
            while let Some(event) = self.connection.poll_event() {
                match event {
                    Event::Notification { apdu, protection } => {
                        self.notifications += 1;
                        self.counts.notification();
                        self.inbox.deliver(&apdu, protection);
                    }
                    Event::Unreadable(error) => {
                        self.notifications += 1;
                        tracing::warn!(%error, "notification dropped: it cannot be decoded");
                    }
                    Event::Refused(deviation) => {
                        self.notifications += 1;
                        tracing::warn!(%deviation, "notification dropped: it deviates from the standard");
                    }
                    Event::Closed(error) => return Err(DriveError::Closed(error)),
                    event => {
                        let released = matches!(event, Event::Released);
                        if let ControlFlow::Break(taken) = take(event) {
                            return Ok(taken);
                        }
                        if released {
                            return Err(DriveError::Closed(ConnectionError::ClosedByPeer));
                        }
                    }
                }
                self.top_up().await?;
            }
            if self.send(deadline).await? {
                continue;
            }
            let waiting = self.input.waiting().len();
            if waiting > 0 {
                let now = self.now();
                let taken = self.connection.handle_input(self.input.waiting(), now);
                self.input.consume(taken);
                if taken > 0 {
                    continue;
                }
            }
            self.wait(deadline).await?;
        }
    }

    /// Reserves further counters before they run out. To be called before each command; driving does it between blocks.
    pub(super) async fn top_up(&mut self) -> Result<(), DriveError> {
        match &self.counters {
            Some(source) if self.connection.counter_mut().remaining() < COUNTERS_LOW => {
                source.top_up(self.connection.counter_mut()).await.map_err(DriveError::Counters)
            }
            _ => Ok(()),
        }
    }

    /// Sends what waits; whether anything was sent.
    async fn send(&mut self, deadline: Option<Instant>) -> Result<bool, DriveError> {
        let mut any = false;
        if self.rests {
            return Ok(false);
        }
        loop {
            if self.output.waiting().is_empty() {
                let Some(length) = self.connection.poll_transmit(self.output.octets.as_mut()) else { return Ok(any) };
                (self.output.start, self.output.end) = (0, length);
                self.connection.link().octets(Direction::ToMeter, self.output.waiting());
            }
            let wake = self.due(deadline).max(Instant::now() + TICK);
            let Buffer { octets, start, end } = &self.output;
            let write = self.transport.write(octets.as_ref().get(*start..*end).unwrap_or_default());
            tokio::select! {
                biased;
                written = write => {
                    let count = written.map_err(DriveError::Transport)?;
                    self.octets_sent += count as u64;
                    self.counts.sent(count);
                    self.output.consume(count);
                    any = true;
                }
                () = sleep_until(wake) => self.tick(deadline)?,
            }
        }
    }

    /// Waits for octets or for time.
    async fn wait(&mut self, deadline: Option<Instant>) -> Result<(), DriveError> {
        let (due, now) = (self.due(deadline), Instant::now());
        // A peer that never stops talking must not stop the clock. Once in a tick is enough, or a machine that is
        // due for ever would never hear.
        if due <= now && now >= self.ticked + TICK {
            return self.tick(deadline);
        }
        let wake = sleep_until(due.max(now + TICK));
        let received = if self.rests {
            let mut first = [0; RESTING_OCTETS];
            let received = tokio::select! {
                biased;
                received = self.transport.wake(&mut first) => received.map_err(DriveError::Transport)?,
                () = wake => return self.tick(deadline),
            };
            self.rests = false;
            if let Received::Octets(count) = received {
                // Nothing waits there: that is what resting means.
                self.input.octets.as_mut().iter_mut().zip(first.iter().take(count)).for_each(|(to, from)| *to = *from);
            }
            received
        } else {
            self.input.compact();
            let room = self.input.octets.as_mut().get_mut(self.input.end..).unwrap_or_default();
            if room.is_empty() {
                // The connection refuses octets although nothing waits in it: it has closed.
                return Err(DriveError::Closed(ConnectionError::ClosedByPeer));
            }
            tokio::select! {
                biased;
                received = self.transport.read(room) => received.map_err(DriveError::Transport)?,
                () = wake => return self.tick(deadline),
            }
        };
        match received {
            Received::Octets(count) => {
                let end = self.input.end + count;
                self.counts.received(count);
                let octets = self.input.octets.as_ref().get(self.input.end..end).unwrap_or_default();
                self.connection.link().octets(Direction::FromMeter, octets);
                self.input.end = end;
            }
            Received::End => {
                let now = self.now();
                self.connection.handle_close(now);
            }
        }
        Ok(())
    }

    /// When something is to be done without octets.
    fn due(&self, deadline: Option<Instant>) -> Instant {
        let connection = self.connection.poll_timeout().map(|due| self.epoch + Duration::from_millis(due.as_millis()));
        match (connection, deadline) {
            (Some(connection), Some(deadline)) => connection.min(deadline),
            (one, other) => one.or(other).unwrap_or_else(|| Instant::now() + NEVER),
        }
    }

    fn tick(&mut self, deadline: Option<Instant>) -> Result<(), DriveError> {
        let now = Instant::now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            return Err(DriveError::Deadline);
        }
        (self.ticked, self.rests) = (now, false);
        let now = self.now();
        self.connection.handle_timeout(now);
        Ok(())
    }
}
