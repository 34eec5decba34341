//! Event logs: what happened by itself, from the seed, and what clients caused.

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
#[derive(Clone, Debug)]
pub(crate) struct EventLog {
    kind: LogKind,
    noise: Noise,
    entries: VecDeque<Event>,
    /// Sequence number of the oldest entry.
    first: u64,
    capacity: u32,
    /// Up to where the seed's events have been entered.
    entered: Moment,
}

impl EventLog {
    /// A log that holds `capacity` entries, with what happened since `since`.
    pub(crate) fn new(kind: LogKind, noise: Noise, capacity: u32, since: Moment, now: Moment) -> Self {
        let noise = noise.stream(u64::from(kind.group_e()));
        let mut log = Self { kind, noise, entries: VecDeque::new(), first: 1, capacity, entered: since };
        log.advance(now);
        log
    }

    /// Enters what the seed says has happened until `now`.
    pub(crate) fn advance(&mut self, now: Moment) {
        if now <= self.entered {
            return;
        }
        // Events of a rate of at most one pair a day fill any log in twice its capacity of days, on the average of
        // the rarest in some years; nothing older could still be in the log after ten.
        let oldest = now.plus_millis(-3_650 * DAY_MS);
        let from = self.entered.max(oldest);
        for day in from.as_millis().div_euclid(DAY_MS)..=now.as_millis().div_euclid(DAY_MS) {
            for event in self.of_day(day).into_iter().flatten() {
                if from < event.at && event.at <= now {
                    self.push(event);
                }
            }
        }
        self.entered = now;
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
        self.push(Event { at, code });
    }

    fn push(&mut self, event: Event) {
        self.entries.push_back(event);
        while self.entries.len() > usize::try_from(self.capacity).unwrap_or(usize::MAX) {
            self.entries.pop_front();
            self.first += 1;
        }
    }

    /// Empties the log; its first new entry says so.
    pub(crate) fn clear(&mut self, at: Moment) {
        self.advance(at);
        self.first += self.entries.len() as u64;
        self.entries.clear();
        self.push(Event { at, code: code::LOG_CLEARED });
    }

    /// Entries held.
    pub(crate) fn range(&self) -> RowRange {
        RowRange { first: self.first, count: u32::try_from(self.entries.len()).unwrap_or(u32::MAX) }
    }

    /// Entries that can be held.
    pub(crate) const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// The entry with a sequence number.
    pub(crate) fn entry(&self, row: u64) -> Option<Event> {
        let index = usize::try_from(row.checked_sub(self.first)?).ok()?;
        self.entries.get(index).copied()
    }

    /// The last entry at or before a moment.
    pub(crate) fn last(&self, at: Moment) -> Option<Event> {
        self.entries.iter().rev().find(|event| event.at <= at).copied()
    }

    /// Whether an event with this code happened after `from`, at `to` at the latest.
    pub(crate) fn happened(&self, code: u8, from: Moment, to: Moment) -> bool {
        let end = self.entries.partition_point(|event| event.at <= to);
        self.entries.range(..end).rev().take_while(|event| event.at > from).any(|event| event.code == code)
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
        }
        in_steps.advance(NOW);
        assert!(at_once.entries.len() > 50);
        assert_eq!(at_once.entries, in_steps.entries);
        assert!(at_once.entries.iter().is_sorted_by_key(|event| event.at));
        assert_ne!(at_once.entries, log(5, 1_000, NOW).entries);
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
}
