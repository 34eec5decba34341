//! The world outside the head-end: time, lines, meters. It outlives the head-end's lives.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    task::Waker,
    time::Duration,
};

use dlms::{id::SystemTitle, wrapper::Header};
use dlms_head_end::clock::Clock;
use dlms_meter_server::{Moment, simulator};
use jiff::Timestamp;
use tokio::{sync::Notify, time::Instant};

use super::{
    dice::Dice,
    meter::{Line, Recorded},
    truth::Truth,
};

/// The head-end's system title.
pub(crate) const TITLE: SystemTitle = SystemTitle(*b"HES\0\0\0\0\x01");

/// How often what goes wrong, in thousandths.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// A connection is refused.
    pub(crate) refused: u64,
    /// Nobody answers who connects.
    pub(crate) unreachable: u64,
    /// What is sent takes long: up to so many seconds.
    pub(crate) slow: u64,
    pub(crate) slow_s: u64,
    /// A line falls silent, in either direction: what is sent is lost.
    pub(crate) silence: u64,
    /// A connection is reset in the middle of what is sent.
    pub(crate) reset: u64,
    /// The meter closes the connection in good order before it has answered.
    pub(crate) closed: u64,
    /// Octets arrive in pieces.
    pub(crate) pieces: u64,
    /// Somebody on the line sends what he has heard once more, on a connection of his own.
    pub(crate) replay: u64,
}

/// How a connection has ended for the head-end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Reset,
}

/// One connection between the head-end and a meter.
pub(crate) struct Connection {
    pub(crate) meter: usize,
    /// The meter's end; `None` once it is gone there.
    line: Option<Line>,
    /// Octets on their way to the meter.
    pub(crate) up: VecDeque<Vec<u8>>,
    /// The head-end has closed it.
    pub(crate) left: bool,
    /// Nothing passes any more.
    pub(crate) silent: bool,
    /// Octets for the head-end to read.
    pub(crate) down: VecDeque<u8>,
    pub(crate) end: Option<End>,
    pub(crate) reader: Option<Waker>,
    pub(crate) changed: Arc<Notify>,
    /// Octets of an APDU that has not left as a whole.
    leaving: Vec<u8>,
    pub(crate) dice: Dice,
}

pub(crate) struct State {
    pub(crate) dice: Dice,
    pub(crate) weather: Weather,
    /// When this life of the head-end began: on the true clock, and on tokio's.
    began: (i64, Option<Instant>),
    /// How far the head-end's clock is ahead of the true one.
    pub(crate) ahead_ms: i64,
    meters: simulator::Fleet,
    /// Until when meters have no power or no network.
    pub(crate) away_until: Vec<i64>,
    pub(crate) connections: BTreeMap<u64, Connection>,
    next: u64,
    pub(crate) truth: Truth,
    /// Steps of this life, and the one at which it ends.
    pub(crate) steps: u64,
    pub(crate) last_step: Option<u64>,
    pub(crate) dead: bool,
}

/// The world; clones are the same.
#[derive(Clone)]
pub(crate) struct World(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    pub(crate) death: Notify,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl World {
    /// `meters` meters at `start`, everything else following from `dice`.
    pub(crate) fn new(dice: Dice, meters: u32, start_ms: i64) -> Self {
        // It serves no ports; its driver, which would have its own time, ends with the runtime.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let config = simulator::FleetConfig {
            model: model(),
            meters,
            seed: dice.clone().next(),
            start: Some(Moment::from_millis(start_ms)),
            speed: 0.0,
            ..simulator::FleetConfig::default()
        };
        let fleet = runtime.block_on(simulator::Fleet::start(config)).unwrap();
        let state = State {
            dice,
            weather: Weather::default(),
            began: (start_ms, None),
            ahead_ms: 0,
            away_until: vec![0; fleet.devices().len()],
            meters: fleet,
            connections: BTreeMap::new(),
            next: 0,
            truth: Truth::default(),
            steps: 0,
            last_step: None,
            dead: false,
        };
        Self(Arc::new(Inner { state: Mutex::new(state), death: Notify::new() }))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A life of the head-end begins, to end after so many steps. Must be called inside its runtime.
    pub(crate) fn begin(&self, last_step: Option<u64>) {
        let mut state = self.state();
        state.began.1 = Some(Instant::now());
        (state.steps, state.last_step, state.dead) = (0, last_step, false);
        state.note(|| format!("a life begins, for {last_step:?} steps"));
    }

    /// The life is over since `at_ms`; the next one begins after `pause_ms`. What was on its way may arrive all the same.
    pub(crate) fn end(&self, at_ms: i64, pause_ms: i64) {
        let mut state = self.state();
        state.began = (at_ms, None);
        let steps = state.steps;
        state.note(|| format!("a life ends after {steps} steps"));
        for (_, mut connection) in std::mem::take(&mut state.connections) {
            while let Some(octets) = connection.up.pop_front() {
                if connection.silent || !state.dice.chance(500) {
                    break;
                }
                state.hand_in(&mut connection, &octets);
            }
            state.hang_up(&mut connection);
        }
        state.began.0 += pause_ms;
    }

    /// Waits until the head-end has to die.
    pub(crate) async fn death(&self) {
        while !self.state().dead {
            self.0.death.notified().await;
        }
    }

    /// Something happens that the next life can see: this one may be over before or after it. Never comes back then.
    pub(crate) async fn step(&self, what: &'static str) {
        if self.die_at_step(what) {
            std::future::pending().await
        }
    }

    /// The same; whether the life is over.
    pub(crate) fn die_at_step(&self, what: &'static str) -> bool {
        let mut state = self.state();
        if !state.dead {
            state.steps += 1;
            state.dead = state.last_step.is_some_and(|last| state.steps >= last);
            if state.dead {
                state.note(|| format!("dies at {what}"));
                self.0.death.notify_one();
            }
        }
        state.dead
    }

    /// Ends this life at once.
    pub(crate) fn kill(&self) {
        self.state().dead = true;
        self.0.death.notify_one();
    }
}

/// The built-in model, read once.
fn model() -> Arc<simulator::Model> {
    static MODEL: std::sync::LazyLock<Arc<simulator::Model>> =
        std::sync::LazyLock::new(|| Arc::new(simulator::Model::built_in()));
    Arc::clone(&MODEL)
}

/// The head-end's clock.
impl Clock for World {
    fn now(&self) -> Timestamp {
        let state = self.state();
        Timestamp::from_millisecond(state.now_ms() + state.ahead_ms).unwrap()
    }
}

impl State {
    /// The true time.
    pub(crate) fn now_ms(&self) -> i64 {
        let elapsed = self.began.1.map_or(Duration::ZERO, |began| began.elapsed());
        self.began.0 + i64::try_from(elapsed.as_millis()).unwrap()
    }

    /// Writes something into the log.
    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        let line = format!("{} {}", self.now_ms(), what());
        self.truth.log.push(line);
    }

    /// How many meters there are.
    pub(crate) fn meters(&self) -> usize {
        self.meters.devices().len()
    }

    pub(crate) fn title(&self, meter: usize) -> SystemTitle {
        self.meters.devices()[meter].meters()[0].system_title
    }

    pub(crate) fn is_away(&self, meter: usize) -> bool {
        self.now_ms() < self.away_until[meter]
    }

    /// Does something with a meter's device at this moment.
    pub(crate) fn with_device<T>(&mut self, meter: usize, act: impl FnOnce(&mut Recorded<'_>) -> T) -> T {
        let at_ms = self.now_ms();
        self.meters.jump(Moment::from_millis(at_ms));
        let Self { meters, truth, .. } = self;
        let executed = &mut truth.executed;
        meters.devices()[meter].with(|device| act(&mut Recorded { device, meter, at_ms, executed }))
    }

    /// A meter loses its power for a moment, and all its connections with it.
    pub(crate) fn reboot(&mut self, meter: usize) {
        self.note(|| format!("meter {meter} starts anew"));
        self.meters.jump(Moment::from_millis(self.now_ms()));
        self.meters.devices()[meter].reboot();
        for id in self.connections.keys().copied().collect::<Vec<_>>() {
            let mut connection = self.connections.remove(&id).unwrap();
            if connection.meter == meter {
                self.hang_up(&mut connection);
                // Whoever is connected hears of it, or does not.
                connection.silent = true;
                if self.dice.chance(500) {
                    connection.finish(End::Reset);
                }
            }
            self.connections.insert(id, connection);
        }
    }

    /// A connection is made.
    pub(crate) fn connect(&mut self, meter: usize) -> u64 {
        let id = self.next;
        self.next += 1;
        let dice = self.dice.apart(id);
        if self.connections.values().any(|other| other.meter == meter && !other.left) {
            self.truth.broken.push(format!("two connections with meter {meter} at once"));
        }
        let connection = Connection {
            meter,
            line: Some(Line::new(dice.apart(1))),
            up: VecDeque::new(),
            left: false,
            silent: false,
            down: VecDeque::new(),
            end: None,
            reader: None,
            changed: Arc::default(),
            leaving: Vec::new(),
            dice,
        };
        self.connections.insert(id, connection);
        self.note(|| format!("connection {id} with meter {meter}"));
        id
    }

    /// Octets leave the head-end, whatever becomes of them.
    pub(crate) fn leave(&mut self, id: u64, octets: &[u8]) {
        self.note(|| format!("{id} > {} octets", octets.len()));
        let Some(mut connection) = self.connections.remove(&id) else { return };
        let title = self.title(connection.meter);
        connection.leaving.extend_from_slice(octets);
        loop {
            let leaving = &connection.leaving;
            let Some(length) = leaving.get(6..8).map(|field| usize::from(u16::from_be_bytes([field[0], field[1]])))
            else {
                break;
            };
            let end = Header::LENGTH + length;
            let Some(apdu) = leaving.get(Header::LENGTH..end) else { break };
            self.truth.left(title, TITLE, apdu);
            connection.leaving.drain(..end);
        }
        connection.up.push_back(octets.to_vec());
        connection.changed.notify_one();
        self.connections.insert(id, connection);
    }

    /// Octets arrive at the meter; its answer.
    pub(crate) fn hand_in(&mut self, connection: &mut Connection, octets: &[u8]) -> Vec<u8> {
        let Some(mut line) = connection.line.take() else { return Vec::new() };
        let now = self.now_ms();
        let answer = self.with_device(connection.meter, |device| line.hand_in(octets, now, device));
        connection.line = Some(line);
        match answer {
            Some(answer) => answer,
            None => {
                self.hang_up(connection);
                connection.finish(End::Closed);
                Vec::new()
            }
        }
    }

    /// Somebody sends once more what he has heard.
    pub(crate) fn replay(&mut self, meter: usize, octets: &[u8]) {
        let mut line = Line::new(self.dice.apart(2));
        let now = self.now_ms();
        self.with_device(meter, |device| {
            line.hand_in(octets, now, device);
            line.close(device);
        });
    }

    /// The connection is gone at the meter.
    pub(crate) fn hang_up(&mut self, connection: &mut Connection) {
        if let Some(mut line) = connection.line.take() {
            self.with_device(connection.meter, |device| line.close(device));
        }
    }
}

impl Connection {
    /// The head-end will hear of the end once it has read what came before.
    pub(crate) fn finish(&mut self, end: End) {
        self.end.get_or_insert(end);
        self.wake();
    }

    /// Octets arrive at the head-end.
    pub(crate) fn arrive(&mut self, octets: &[u8]) {
        self.down.extend(octets);
        self.wake();
    }

    pub(crate) fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        self.changed.notify_one();
    }
}
