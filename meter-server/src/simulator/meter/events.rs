//! Event logs: what happened by itself, from the seed, and what clients caused.

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::moment::Moment;
use crate::objects::RowRange;
use crate::simulator::consumption::Noise;

const DAY_MS: i64 = 86_400_000;

/// Event codes of the standard, fraud and disconnector logs as IDIS meters number them.
pub(crate) mod code {
    pub(crate) const POWER_DOWN: u8 = 1;
    pub(crate) const POWER_UP: u8 = 2;
    pub(crate) const CLOCK_OLD_TIME: u8 = 4;
    pub(crate) const CLOCK_NEW_TIME: u8 = 5;
    pub(crate) const TERMINAL_COVER_REMOVED: u8 = 40;
    pub(crate) const TERMINAL_COVER_CLOSED: u8 = 41;
    pub(crate) const AUTHENTICATION_FAILURE: u8 = 46;
    pub(crate) const PARAMETERS_CHANGED: u8 = 47;
    pub(crate) const DECRYPTION_FAILURE: u8 = 49;
    pub(crate) const REPLAY: u8 = 50;
    pub(crate) const READY_FOR_RECONNECTION: u8 = 59;
    pub(crate) const MANUAL_DISCONNECTION: u8 = 60;
    pub(crate) const MANUAL_CONNECTION: u8 = 61;
    pub(crate) const REMOTE_DISCONNECTION: u8 = 62;
    pub(crate) const REMOTE_CONNECTION: u8 = 63;
    pub(crate) const LOCAL_DISCONNECTION: u8 = 64;
    pub(crate) const LOCAL_RECONNECTION: u8 = 69;
    pub(crate) const PROFILE_CLEARED: u8 = 254;
    pub(crate) const LOG_CLEARED: u8 = 255;
}

/// Which log an event goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LogKind {
    /// 0.0.99.98.0.255.
    Standard,
    /// 0.0.99.98.1.255.
    Fraud,
    /// 0.0.99.98.2.255.
    Disconnector,
}

impl LogKind {
    /// All logs.
    pub(crate) const ALL: [Self; 3] = [Self::Standard, Self::Fraud, Self::Disconnector];

    /// Value group E of the log and of its event object.
    pub(crate) const fn group_e(self) -> u8 {
        match self {
            Self::Standard => 0,
            Self::Fraud => 1,
            Self::Disconnector => 2,
        }
    }

    /// The log with this value group E.
    pub(crate) fn from_group_e(e: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.group_e() == e)
    }
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at: Moment,
    pub(crate) code: u8,
}

/// A log of bounded length, the oldest entry first.
///
/// What happened by itself is a function of the seed: it is worked out when somebody looks at the log, and given up again
/// when nobody does. What is kept is what clients caused.
#[derive(Clone, Debug)]
pub(crate) struct EventLog {
    kind: LogKind,
    noise: Noise,
    capacity: u32,
    /// The seed's events begin here.
    since: Moment,
    /// Sequence number of the first entry after that.
    first: u64,
    /// What clients caused since then: the last ones, and how many there were before them.
    recorded: VecDeque<Event>,
    recorded_before: u64,
    /// Up to where things have happened.
    now: Moment,
    entries: RefCell<Option<Box<Entries>>>,
}

/// The entries of a log as far as they are worked out.
#[derive(Clone, Debug)]
struct Entries {
    held: VecDeque<Event>,
    /// Sequence number of the oldest one.
    first: u64,
    /// Up to where the seed's events are among them.
    until: Moment,
}

impl EventLog {
    /// A log that holds `capacity` entries, with what happened since `since`.
    pub(crate) fn new(kind: LogKind, noise: Noise, capacity: u32, since: Moment, now: Moment) -> Self {
        let noise = noise.stream(u64::from(kind.group_e()));
        // Events of a rate of at most one pair a day fill any log in twice its capacity of days, on the average of
        // the rarest in some years; nothing older could still be in the log after ten.
        let since = since.max(now.plus_millis(-3_650 * DAY_MS));
        Self {
            kind,
            noise,
            capacity,
            since,
            first: 1,
            recorded: VecDeque::new(),
            recorded_before: 0,
            now: now.max(since),
            entries: RefCell::new(None),
        }
    }

    /// Lets everything have happened until `now`.
    pub(crate) fn advance(&mut self, now: Moment) {
        self.now = self.now.max(now);
    }

    /// Gives up what can be worked out again.
    pub(crate) fn rest(&mut self) {
        *self.entries.get_mut() = None;
        self.recorded.shrink_to_fit();
    }

    /// Looks at the entries, which are there then.
    fn look<T>(&self, look: impl FnOnce(&Entries) -> T) -> T {
        let mut entries = self.entries.borrow_mut();
        let entries = entries.get_or_insert_with(|| Box::new(self.work_out()));
        self.enter_until(entries, self.now);
        look(entries)
    }

    /// All entries from the seed's and the clients' events.
    fn work_out(&self) -> Entries {
        let mut entries =
            Entries { held: VecDeque::new(), first: self.first + self.recorded_before, until: self.since };
        for event in &self.recorded {
            self.enter_until(&mut entries, event.at);
            entries.push(*event, self.capacity);
        }
        entries
    }

    /// Enters what the seed says has happened until a moment.
    fn enter_until(&self, entries: &mut Entries, until: Moment) {
        let from = entries.until;
        if until <= from {
            return;
        }
        for day in from.as_millis().div_euclid(DAY_MS)..=until.as_millis().div_euclid(DAY_MS) {
            for event in self.of_day(day).into_iter().flatten() {
                if from < event.at && event.at <= until {
                    entries.push(event, self.capacity);
                }
            }
        }
        entries.until = until;
    }

    /// What the seed lets happen on a day: a pair of events on some days.
    fn of_day(&self, day: i64) -> [Option<Event>; 2] {
        let chance = self.noise.unit(day);
        let (first, second) = match self.kind {
            LogKind::Standard if chance < 0.05 => (code::POWER_DOWN, code::POWER_UP),
            LogKind::Standard if chance < 0.08 => (code::CLOCK_OLD_TIME, code::CLOCK_NEW_TIME),
            LogKind::Fraud if chance < 0.01 => (code::TERMINAL_COVER_REMOVED, code::TERMINAL_COVER_CLOSED),
            _ => return [None; 2],
        };
        let start_s = (self.noise.stream(7).unit(day) * 80_000.0) as i64;
        let length_s = match first {
            code::CLOCK_OLD_TIME => 0,
            _ => 10 + (self.noise.stream(8).unit(day) * 5_000.0) as i64,
        };
        let at = |seconds: i64| Moment::from_millis(day * DAY_MS + seconds * 1000);
        [Some(Event { at: at(start_s), code: first }), Some(Event { at: at(start_s + length_s), code: second })]
    }

    /// Enters an event that happens now.
    pub(crate) fn record(&mut self, at: Moment, code: u8) {
        self.advance(at);
        let event = Event { at, code };
        if let Some(mut entries) = self.entries.get_mut().take() {
            self.enter_until(&mut entries, self.now);
            entries.push(event, self.capacity);
            *self.entries.get_mut() = Some(entries);
        }
        self.recorded.push_back(event);
        if self.recorded.len() > usize::try_from(self.capacity).unwrap_or(usize::MAX) {
            self.recorded.pop_front();
            self.recorded_before += 1;
        }
    }

    /// Empties the log; its first new entry says so.
    pub(crate) fn clear(&mut self, at: Moment) {
        self.advance(at);
        self.first = self.look(|entries| entries.first + entries.held.len() as u64);
        self.since = self.now;
        self.recorded.clear();
        self.recorded_before = 0;
        *self.entries.get_mut() = None;
        self.record(at, code::LOG_CLEARED);
    }

    /// Entries held.
    pub(crate) fn range(&self) -> RowRange {
        self.look(|entries| RowRange {
            first: entries.first,
            count: u32::try_from(entries.held.len()).unwrap_or(u32::MAX),
        })
    }

    /// Entries that can be held.
    pub(crate) const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// The entry with a sequence number.
    pub(crate) fn entry(&self, row: u64) -> Option<Event> {
        self.look(|entries| {
            let index = usize::try_from(row.checked_sub(entries.first)?).ok()?;
            entries.held.get(index).copied()
        })
    }

    /// The last entry at or before a moment.
    pub(crate) fn last(&self, at: Moment) -> Option<Event> {
        self.look(|entries| entries.held.iter().rev().find(|event| event.at <= at).copied())
    }

    /// Whether an event with this code happened after `from`, at `to` at the latest.
    pub(crate) fn happened(&self, code: u8, from: Moment, to: Moment) -> bool {
        self.look(|entries| {
            let end = entries.held.partition_point(|event| event.at <= to);
            entries.held.range(..end).rev().take_while(|event| event.at > from).any(|event| event.code == code)
        })
    }
}

impl Entries {
    fn push(&mut self, event: Event, capacity: u32) {
        self.held.push_back(event);
        while self.held.len() > usize::try_from(capacity).unwrap_or(usize::MAX) {
            self.held.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_seconds(1_780_000_000);
    const SINCE: Moment = Moment::from_seconds(1_700_000_000);

    fn log(seed: u64, capacity: u32, now: Moment) -> EventLog {
        EventLog::new(LogKind::Standard, Noise::new(seed), capacity, SINCE, now)
    }

    #[test]
    fn the_past_is_the_same_however_it_was_reached() {
        let at_once = log(4, 1_000, NOW);
        let mut in_steps = log(4, 1_000, SINCE.plus_millis(5));
        for step in 0..200 {
            in_steps.advance(SINCE.plus_millis(step * 400_000_123));
            in_steps.range();
        }
        in_steps.advance(NOW);
        let held = |log: &EventLog| log.look(|entries| entries.held.clone());
        assert!(held(&at_once).len() > 50);
        assert_eq!(held(&at_once), held(&in_steps));
        assert!(held(&at_once).iter().is_sorted_by_key(|event| event.at));
        assert_ne!(held(&at_once), held(&log(5, 1_000, NOW)));
    }

    #[test]
    fn sequence_numbers_stay_with_their_entries_when_old_ones_drop_out() {
        let mut log = log(4, 10, NOW);
        let newest = log.range().first + 9;
        let kept = log.entry(newest).unwrap();
        log.record(NOW.plus_millis(1), code::REPLAY);
        assert_eq!(log.range().count, 10);
        assert_eq!(log.entry(newest), Some(kept));
        assert_eq!(log.entry(newest + 1).unwrap().code, code::REPLAY);
        assert_eq!(log.entry(log.range().first - 1), None);
        log.clear(NOW.plus_millis(2));
        assert_eq!(log.range().count, 1);
        assert_eq!(log.entry(newest), None);
        assert_eq!(log.last(NOW.plus_millis(2)).unwrap().code, code::LOG_CLEARED);
    }

    #[test]
    fn happened_looks_at_the_interval_only() {
        let mut log = log(4, 10, NOW);
        log.record(NOW.plus_millis(1_000), code::POWER_DOWN);
        assert!(log.happened(code::POWER_DOWN, NOW, NOW.plus_millis(1_000)));
        assert!(!log.happened(code::POWER_DOWN, NOW.plus_millis(1_000), NOW.plus_millis(2_000)));
        assert!(!log.happened(code::POWER_DOWN, NOW, NOW.plus_millis(999)));
    }

    #[test]
    fn a_log_that_rested_is_the_same_as_before() {
        let all = |log: &EventLog| {
            let range = log.range();
            (range, (range.first..range.first + u64::from(range.count)).map(|row| log.entry(row)).collect::<Vec<_>>())
        };
        let mut log = log(4, 10, NOW);
        for step in 0..30 {
            let at = NOW.plus_millis(step * 5 * DAY_MS);
            // Events of clients among the seed's, more than the log holds, and once it is cleared.
            if step == 20 {
                log.clear(at)
            } else {
                log.record(at, code::REPLAY)
            }
            let before = (step % 3 != 0).then(|| all(&log));
            log.rest();
            assert!(log.entries.get_mut().is_none());
            assert!(before.is_none_or(|before| before == all(&log)), "{step}");
        }
        let cleared = log.look(|entries| entries.held.iter().filter(|event| event.code == code::REPLAY).count());
        assert!((1..10).contains(&cleared), "{cleared}");
    }
}
