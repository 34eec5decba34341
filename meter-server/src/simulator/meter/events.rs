//! Event logs: what happened by itself, from the seed, and what clients caused.
//!
//! Of a log nothing is kept but what was recorded. What the seed lets happen is computed when somebody reads, so that a
//! meter that nobody reads holds no entries.

use std::borrow::Cow;
use std::collections::VecDeque;

pub(crate) use crate::events::{LogKind, code};

use super::Meter;
use super::supply::{Eras, Failure, Supply};
use crate::alarms::AlarmLayout;
use crate::moment::Moment;
use crate::objects::{ClockSettings, RowRange};
use crate::simulator::consumption::{DisturbanceKind, Noise, Quality};
use crate::simulator::record::record;
use crate::simulator::small_map::SmallMap;

const DAY_MS: i64 = 86_400_000;
/// Days that are looked into for the next event of the seed.
const LOOK_AHEAD_DAYS: i64 = 400;

/// Logs in which the seed enters what may be an alarm.
const ALARMING: [LogKind; 3] = [LogKind::Standard, LogKind::PowerQuality, LogKind::Fraud];

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at: Moment,
    pub(crate) code: u8,
}

/// What happens by itself: a pure function of the seed.
#[derive(Clone, Debug)]
pub(crate) struct SeedEvents {
    noise: Noise,
    /// Nothing happened before.
    since: Moment,
    /// What disturbs the supply, and what the meter makes of it.
    supply: Supply,
    /// When daylight saving begins and ends.
    pub(super) clock: Eras<ClockSettings>,
}

impl SeedEvents {
    /// The events of a day in order: a pair on some days, the second of which may be missing, and changes of the clock.
    fn of_day(&self, kind: LogKind, day: i64) -> [Option<Event>; 3] {
        let [first, second] = self.pair_of_day(kind, day);
        let mut events = [first, second, if kind == LogKind::Standard { self.daylight_change(day) } else { None }];
        events.sort_by_key(|event| event.map_or(i64::MAX, |event| event.at.as_millis()));
        events
    }

    /// Daylight saving begins or ends. By the true time, from which a meter's clock strays by seconds.
    fn daylight_change(&self, day: i64) -> Option<Event> {
        let start = Moment::from_millis(day * DAY_MS);
        let clock = self.clock.at(start);
        if !clock.daylight_enabled {
            return None;
        }
        let is_daylight = |second: i64| clock.deviation(start.plus_millis(second * 1000)).1;
        let (before, end) = (is_daylight(-1), DAY_MS / 1000 - 1);
        if is_daylight(end) == before {
            return None;
        }
        // The first second of the new time lies behind `low`, at `high` at the latest.
        let (mut low, mut high) = (-1, end);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if is_daylight(middle) == before { low = middle } else { high = middle }
        }
        Some(Event { at: start.plus_millis(high * 1000), code: code::DAYLIGHT_SAVING })
    }

    fn pair_of_day(&self, kind: LogKind, day: i64) -> [Option<Event>; 2] {
        let noise = self.noise.stream(u64::from(kind.group_e()));
        if kind == LogKind::PowerQuality {
            return of_disturbance(Quality::new(noise), &self.supply, day);
        }
        let chance = noise.unit(day);
        let (first, second, longest_s) = match kind {
            LogKind::Standard if chance < 0.05 => (code::POWER_DOWN, Some(code::POWER_UP), 5_000.0),
            LogKind::Standard if chance < 0.08 => (code::CLOCK_OLD_TIME, Some(code::CLOCK_NEW_TIME), 0.0),
            LogKind::Fraud if chance < 0.01 => {
                (code::TERMINAL_COVER_REMOVED, Some(code::TERMINAL_COVER_CLOSED), 5_000.0)
            }
            LogKind::Fraud if chance < 0.012 => (code::MAGNETIC_FIELD, Some(code::NO_MAGNETIC_FIELD), 600.0),
            LogKind::Communication if chance < 0.10 => (code::PDP_DESTROYED, Some(code::PDP_ESTABLISHED), 300.0),
            LogKind::Communication if chance < 0.12 => (code::SIGNAL_LOW, None, 0.0),
            _ => return [None; 2],
        };
        let start_s = (noise.stream(7).unit(day) * 80_000.0) as i64;
        let length_s = if longest_s > 0.0 { 10 + (noise.stream(8).unit(day) * longest_s) as i64 } else { 0 };
        let at = |seconds: i64| Moment::from_millis(day * DAY_MS + seconds * 1000);
        let second = second.map(|code| Event { at: at(start_s + length_s), code });
        [Some(Event { at: at(start_s), code: first }), second]
    }

    /// What happens after `from`, at `to` at the latest, in order.
    fn between(&self, kind: LogKind, from: Moment, to: Moment) -> impl DoubleEndedIterator<Item = Event> {
        let from = from.max(self.since);
        let days = from.as_millis().div_euclid(DAY_MS)..=to.as_millis().div_euclid(DAY_MS);
        days.flat_map(move |day| self.of_day(kind, day).into_iter().flatten())
            .filter(move |event| from < event.at && event.at <= to)
    }

    /// The first event after `from` that sets a bit of an alarm register.
    pub(crate) fn next_alarm(&self, layout: AlarmLayout, from: Moment) -> Option<Moment> {
        let mut to = from.plus_millis(LOOK_AHEAD_DAYS * DAY_MS);
        let mut first = None;
        for kind in ALARMING {
            let mut events = self.between(kind, from, to);
            if let Some(event) = events.find(|event| layout.bit(event.code).is_some()) {
                first = Some(event.at);
                // What comes later in another log does not matter.
                to = event.at;
            }
        }
        first
    }

    /// The codes of all that may raise an alarm at this very moment.
    pub(crate) fn at(&self, at: Moment) -> Vec<u8> {
        let before = at.plus_millis(-1);
        ALARMING.iter().flat_map(|kind| self.between(*kind, before, at)).map(|event| event.code).collect()
    }
}

/// What the power quality log tells of a day.
fn of_disturbance(quality: Quality, supply: &Supply, day: i64) -> [Option<Event>; 2] {
    let judged = quality.of_day(day).and_then(|found| supply.judge(found));
    let Some((disturbance, noticed_ms)) = judged else { return [None; 2] };
    let first = match disturbance.kind {
        DisturbanceKind::Sag => code::UNDERVOLTAGE_L1,
        DisturbanceKind::Swell => code::OVERVOLTAGE_L1,
        DisturbanceKind::Cut => code::MISSING_VOLTAGE_L1,
    };
    let phase = disturbance.phase.index() as u8;
    let event = |at_ms: i64, code: u8| Some(Event { at: Moment::from_millis(at_ms), code: code + phase });
    [event(noticed_ms, first), event(disturbance.end_ms, code::VOLTAGE_NORMAL_L1)]
}

record! {
    Event { at, code }
    Recorded { emptied, dropped, entries }
}

/// The logs of one meter.
#[derive(Debug)]
pub(crate) struct Logs {
    pub(super) seed: SeedEvents,
    /// In boxes: a map has room for eleven more than it holds.
    pub(super) recorded: SmallMap<LogKind, Box<Recorded>>,
    /// The log that is being read.
    open: Option<Box<EventLog>>,
}

/// What clients and faults have caused in one log.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorded {
    /// When the log was emptied last, and how many entries it had had by then.
    emptied: Option<(Moment, u64)>,
    /// Entries that have dropped out of `entries` since.
    dropped: u64,
    entries: VecDeque<Event>,
}

/// A log of bounded length as it is at a moment, the oldest entry first.
#[derive(Clone, Debug)]
pub(crate) struct EventLog {
    kind: LogKind,
    entries: VecDeque<Event>,
    /// Sequence number of the oldest entry.
    first: u64,
    /// Up to where events have been entered.
    entered: Moment,
}

impl EventLog {
    fn push(&mut self, event: Event, capacity: usize) {
        self.entries.push_back(event);
        while self.entries.len() > capacity {
            self.entries.pop_front();
            self.first += 1;
        }
    }

    /// Entries held.
    pub(crate) fn range(&self) -> RowRange {
        RowRange { first: self.first, count: u32::try_from(self.entries.len()).unwrap_or(u32::MAX) }
    }

    /// The entry with a sequence number.
    pub(crate) fn entry(&self, row: u64) -> Option<Event> {
        let index = usize::try_from(row.checked_sub(self.first)?).ok()?;
        self.entries.get(index).copied()
    }
}

impl Logs {
    /// Logs in which the seed's events are entered since `since`.
    pub(crate) const fn new(noise: Noise, since: Moment, supply: Supply, clock: ClockSettings) -> Self {
        let seed = SeedEvents { noise, since, supply, clock: Eras::new(clock) };
        Self { seed, recorded: SmallMap::new(), open: None }
    }

    /// What happens by itself.
    pub(crate) const fn seed(&self) -> &SeedEvents {
        &self.seed
    }

    /// What the meter judges its supply by.
    pub(super) const fn supply(&self) -> &Supply {
        &self.seed.supply
    }

    pub(super) fn supply_mut(&mut self) -> &mut Supply {
        self.open = None;
        &mut self.seed.supply
    }

    /// The settings of the clock as they are from `at` on.
    pub(super) fn follow_clock(&mut self, at: Moment, settings: &ClockSettings) {
        if self.seed.clock.last() != settings {
            self.open = None;
            self.seed.clock.set(at, settings.clone());
        }
    }

    /// Power failures of the seed that have ended by `at`.
    pub(super) fn seed_failures(&self, at: Moment) -> Vec<Failure> {
        let seed = &self.seed;
        let days = seed.since.as_millis().div_euclid(DAY_MS)..=at.as_millis().div_euclid(DAY_MS);
        let of_day = |day| match seed.pair_of_day(LogKind::Standard, day) {
            [Some(down), Some(up)] if down.code == code::POWER_DOWN && down.at > seed.since && up.at <= at => {
                let seconds = u32::try_from(up.at.as_seconds() - down.at.as_seconds()).ok()?;
                Some(Failure { end: up.at, seconds })
            }
            _ => None,
        };
        days.filter_map(of_day).collect()
    }

    /// The log at this moment: the one that is open, or made for the occasion.
    fn view(&self, kind: LogKind, at: Moment, capacity: u32) -> Cow<'_, EventLog> {
        match &self.open {
            Some(open) if open.kind == kind && open.entered == at => Cow::Borrowed(open),
            _ => Cow::Owned(self.make(kind, at, capacity)),
        }
    }

    fn make(&self, kind: LogKind, at: Moment, capacity: u32) -> EventLog {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        let none = Recorded::default();
        let recorded = self.recorded.get(&kind).map_or(&none, AsRef::as_ref);
        let (since, before) = recorded.emptied.unwrap_or((self.seed.since, 0));
        let mut log = EventLog { kind, entries: VecDeque::new(), first: before + recorded.dropped + 1, entered: at };
        let mut own = recorded.entries.iter().take_while(|event| event.at <= at).copied().peekable();
        for event in self.seed.between(kind, since, at) {
            while let Some(earlier) = own.next_if(|own| own.at < event.at) {
                log.push(earlier, capacity);
            }
            log.push(event, capacity);
        }
        own.for_each(|event| log.push(event, capacity));
        log
    }

    /// Keeps a log at hand while it is read.
    fn open(&mut self, kind: LogKind, at: Moment, capacity: u32) {
        let known = self.open.as_ref().is_some_and(|open| open.kind == kind && open.entered <= at);
        match &mut self.open {
            Some(open) if known => {
                for event in self.seed.between(kind, open.entered, at) {
                    open.push(event, usize::try_from(capacity).unwrap_or(usize::MAX));
                }
                open.entered = at;
            }
            _ => self.open = Some(Box::new(self.make(kind, at, capacity))),
        }
    }

    /// Lets go of the log that was read.
    pub(crate) fn close(&mut self) {
        self.open = None;
        self.recorded.values_mut().for_each(|recorded| recorded.entries.shrink_to_fit());
    }

    fn record(&mut self, kind: LogKind, at: Moment, code: u8, capacity: u32) {
        self.open = None;
        let recorded = self.recorded.get_or_insert_with(kind, Box::default);
        let place = recorded.entries.partition_point(|event| event.at <= at);
        recorded.entries.insert(place, Event { at, code });
        while recorded.entries.len() > usize::try_from(capacity).unwrap_or(usize::MAX) {
            recorded.entries.pop_front();
            recorded.dropped += 1;
        }
    }

    /// Empties a log; its first new entry says so.
    fn clear(&mut self, kind: LogKind, at: Moment, capacity: u32) {
        let RowRange { first, count } = self.make(kind, at, capacity).range();
        let emptied = Some((at, first + u64::from(count) - 1));
        self.recorded.insert(kind, Box::new(Recorded { emptied, ..Recorded::default() }));
        self.record(kind, at, code::LOG_CLEARED, capacity);
    }

    /// Whether an event with this code happened after `from`, at `to` at the latest.
    fn happened(&self, kind: LogKind, code: u8, from: Moment, to: Moment) -> bool {
        let recorded = self.recorded.get(&kind).into_iter().flat_map(|recorded| recorded.entries.iter().copied());
        let recorded = recorded.filter(|event| from < event.at && event.at <= to);
        self.seed.between(kind, from, to).chain(recorded).any(|event| event.code == code)
    }

    /// The last entry of a log at or before a moment.
    fn last(&self, kind: LogKind, at: Moment) -> Option<Event> {
        let recorded = self.recorded.get(&kind);
        let own = recorded.and_then(|recorded| recorded.entries.iter().rev().find(|event| event.at <= at)).copied();
        let since = recorded.and_then(|recorded| recorded.emptied).map_or(self.seed.since, |(since, _)| since);
        // What the seed lets happen before the last recorded entry does not matter.
        let from = own.map_or(since, |own| own.at.max(since));
        self.seed.between(kind, from, at).next_back().or(own)
    }
}

impl Meter {
    /// The log at this moment.
    pub(crate) fn log(&self, kind: LogKind, at: Moment) -> Cow<'_, EventLog> {
        self.logs.view(kind, at, self.model.log_capacity(kind))
    }

    /// Keeps a log at hand while it is read.
    pub(in crate::simulator) fn open_log(&mut self, kind: LogKind, at: Moment) {
        self.logs.open(kind, at, self.model.log_capacity(kind));
    }

    /// Empties a log; its first new entry says so.
    pub(crate) fn clear_log(&mut self, kind: LogKind, at: Moment) {
        self.logs.clear(kind, at, self.model.log_capacity(kind));
    }

    /// The last entry of a log at or before a moment.
    pub(crate) fn last_event(&self, kind: LogKind, at: Moment) -> Option<Event> {
        self.logs.last(kind, at)
    }

    /// Whether an event with this code was entered after `from`, at `to` at the latest.
    pub(crate) fn event_happened(&self, kind: LogKind, code: u8, from: Moment, to: Moment) -> bool {
        self.logs.happened(kind, code, from, to)
    }

    /// Enters an event in a log, and raises the alarm that it stands for.
    pub(crate) fn record(&mut self, kind: LogKind, at: Moment, code: u8) {
        let capacity = self.model.log_capacity(kind);
        self.logs.record(kind, at, code, capacity);
        self.raise_alarms(at, code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::meter::supply::SupplyLimits;

    const NOW: Moment = Moment::from_seconds(1_780_000_000);
    const SINCE: Moment = Moment::from_seconds(1_700_000_000);
    const STANDARD: LogKind = LogKind::Standard;

    fn logs(seed: u64) -> Logs {
        let supply = Supply::new(230.0, SupplyLimits::of_nominal(230.0));
        Logs::new(Noise::new(seed), SINCE, supply, crate::simulator::Model::built_in().clock)
    }

    #[test]
    fn the_past_is_the_same_however_it_was_reached() {
        for kind in [STANDARD, LogKind::PowerQuality, LogKind::Communication] {
            let at_once = logs(4).make(kind, NOW, 1_000);
            let mut in_steps = logs(4);
            for step in 0..200 {
                in_steps.open(kind, SINCE.plus_millis(step * 400_000_123), 1_000);
            }
            in_steps.open(kind, NOW, 1_000);
            let log = in_steps.view(kind, NOW, 1_000);
            assert!(matches!(log, Cow::Borrowed(_)));
            assert!(log.entries.len() > 50);
            assert_eq!((&log.entries, log.first), (&at_once.entries, at_once.first));
            assert!(log.entries.iter().is_sorted_by_key(|event| event.at));
            assert_ne!(log.entries, logs(5).make(kind, NOW, 1_000).entries);
        }
    }

    #[test]
    fn sequence_numbers_stay_with_their_entries_when_old_ones_drop_out() {
        let mut logs = logs(4);
        let before = logs.make(STANDARD, NOW, 10);
        let newest = before.range().first + 9;
        let kept = before.entry(newest).unwrap();
        for step in 1..=25 {
            logs.record(STANDARD, NOW.plus_millis(step), code::REPLAY, 10);
            let log = logs.make(STANDARD, NOW.plus_millis(step), 10);
            assert_eq!(log.range().count, 10);
            assert_eq!(log.range().first, before.range().first + u64::try_from(step).unwrap());
            assert_eq!(log.entry(newest), (step < 10).then_some(kept), "a ring: ten new ones drop the old");
            assert_eq!(log.entry(log.range().first + 9).unwrap().code, code::REPLAY);
        }
        assert!(logs.recorded.get(&STANDARD).unwrap().entries.len() <= 10);
        logs.clear(STANDARD, NOW.plus_millis(30), 10);
        let log = logs.make(STANDARD, NOW.plus_millis(30), 10);
        assert_eq!(log.range(), RowRange { first: newest + 26, count: 1 });
        assert_eq!(logs.last(STANDARD, NOW.plus_millis(30)).unwrap().code, code::LOG_CLEARED);
        let later = logs.make(STANDARD, NOW.plus_millis(300 * DAY_MS), 1_000);
        assert!(later.range().count > 5);
        assert_eq!(later.range().first, newest + 26);
        assert_eq!(logs.last(STANDARD, NOW.plus_millis(300 * DAY_MS)), later.entries.back().copied());
    }

    #[test]
    fn happened_looks_at_the_interval_only() {
        let mut logs = logs(4);
        logs.record(STANDARD, NOW.plus_millis(1_000), code::POWER_DOWN, 10);
        assert!(logs.happened(STANDARD, code::POWER_DOWN, NOW, NOW.plus_millis(1_000)));
        assert!(!logs.happened(STANDARD, code::POWER_DOWN, NOW.plus_millis(1_000), NOW.plus_millis(2_000)));
        assert!(!logs.happened(STANDARD, code::POWER_DOWN, NOW, NOW.plus_millis(999)));
    }

    #[test]
    fn what_the_seed_lets_happen_next_is_what_the_logs_then_show() {
        let logs_of_seed = logs(4);
        let seed = logs_of_seed.seed();
        let mut at = NOW;
        for _ in 0..100 {
            let next = seed.next_alarm(AlarmLayout::Idis, at).unwrap();
            assert!(next > at);
            let codes = seed.at(next);
            assert!(codes.iter().any(|code| AlarmLayout::Idis.bit(*code).is_some()));
            let kind = crate::events::event(codes[0]).unwrap().log;
            assert_eq!(logs(4).last(kind, next).unwrap().code, *codes.last().unwrap());
            at = next;
        }
    }
}
