//! What is noted of the way to each meter: when it answered, how long that took, and what went wrong.
//!
//! It lies in memory and begins anew with each process; what must outlive it is in the store.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use dlms::deviation::DeviationCounts;
use jiff::{SignedDuration, Timestamp};

use super::counts::Counts;
use crate::{
    measure::{Counter, Inside, Level},
    meter::MeterId,
    operation::{Counters, Diagnosis, Percentiles, RequestError, RequestErrorKind as Kind, Window},
};

/// Operations whose times are remembered.
const SAMPLES: usize = 100;
/// How long a meter that nobody speaks to is remembered: longer than the longest window.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24 * 8);
/// From how many meters on the forgotten ones are looked for.
const SWEEP: usize = 1_024;

/// All meters that were spoken to. One nobody speaks to any more is forgotten when others come.
#[derive(Debug)]
pub(super) struct Contacts {
    meters: DashMap<MeterId, Arc<Contact>>,
    sweep: AtomicUsize,
}

impl Default for Contacts {
    fn default() -> Self {
        Self { meters: DashMap::new(), sweep: AtomicUsize::new(SWEEP) }
    }
}

impl Contacts {
    /// What is noted of a meter, if anything.
    pub(super) fn get(&self, meter: &MeterId) -> Option<Arc<Contact>> {
        self.meters.get(meter).map(|contact| Arc::clone(&contact))
    }

    /// Where things about a meter are noted.
    pub(super) fn of(&self, meter: &MeterId, now: Timestamp) -> Arc<Contact> {
        if let Some(contact) = self.get(meter) {
            return contact;
        }
        if self.meters.len() >= self.sweep.load(Ordering::Relaxed) {
            self.meters.retain(|_, contact| now.duration_since(contact.seen()) < REMEMBERED);
            self.sweep.store(self.meters.len().saturating_mul(2).max(SWEEP), Ordering::Relaxed);
        }
        let contact = self.meters.entry(meter.clone()).or_insert_with(|| Arc::new(Contact::new(now)));
        Arc::clone(&contact)
    }

    /// Forgets a meter that is not registered.
    pub(super) fn forget(&self, meter: &MeterId) {
        self.meters.remove(meter);
    }
}

/// What is noted of one meter.
#[derive(Debug)]
pub(super) struct Contact {
    octets_sent: Counter,
    octets_received: Counter,
    associations: Level,
    notes: Mutex<Notes>,
}

#[derive(Debug)]
struct Notes {
    since: Timestamp,
    success: Option<Timestamp>,
    failure: Option<(Timestamp, RequestError)>,
    failures_in_row: u32,
    hour: Ring<12>,
    day: Ring<24>,
    week: Ring<7>,
    latency: Samples,
    opening: Samples,
    opened: u64,
    not_opened: u64,
    security_failures: u64,
    counters_raised: u64,
    notifications: u64,
    counters: Option<Counters>,
    route: Option<Arc<str>>,
}

impl Contact {
    fn new(now: Timestamp) -> Self {
        let notes = Notes {
            since: now,
            success: None,
            failure: None,
            failures_in_row: 0,
            hour: Ring::new(300),
            day: Ring::new(3_600),
            week: Ring::new(86_400),
            latency: Samples::default(),
            opening: Samples::default(),
            opened: 0,
            not_opened: 0,
            security_failures: 0,
            counters_raised: 0,
            notifications: 0,
            counters: None,
            route: None,
        };
        let (octets_sent, octets_received) = (Counter::default(), Counter::default());
        Self { octets_sent, octets_received, associations: Level::default(), notes: Mutex::new(notes) }
    }

    /// Held for a few additions; a panic in them leaves numbers that are still numbers.
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When anything was noted last.
    fn seen(&self) -> Timestamp {
        let notes = self.notes();
        let failure = notes.failure.as_ref().map(|(at, _)| *at);
        [notes.success, failure].into_iter().flatten().fold(notes.since, Timestamp::max)
    }

    /// An operation ended. What never came so far as to be sent says nothing about the way.
    pub(super) fn ended(&self, result: Result<(), &RequestError>, after: Duration, now: Timestamp) {
        let mut notes = self.notes();
        match result {
            Ok(()) => notes.succeeded(after, now),
            Err(error) => match error.kind() {
                Kind::MeterRefused => notes.succeeded(after, now),
                Kind::Unreachable | Kind::Protocol | Kind::SecurityFailed | Kind::UnknownOutcome => {
                    notes.failed(error, now);
                }
                Kind::Expired if error.sent() => notes.failed(error, now),
                _ => {}
            },
        }
    }

    /// The route of the meter, by its name.
    pub(super) fn route(&self) -> Option<Arc<str>> {
        self.notes().route.clone()
    }

    /// What is known of the way.
    pub(super) fn diagnosis(&self, waiting: usize, now: Timestamp) -> Diagnosis {
        let mut notes = self.notes();
        let windows = [notes.hour.window(now), notes.day.window(now), notes.week.window(now)];
        Diagnosis {
            since: notes.since,
            success: notes.success,
            failure: notes.failure.clone(),
            failures_in_row: notes.failures_in_row,
            windows,
            latency: notes.latency.percentiles(),
            opening: notes.opening.percentiles(),
            octets_sent: self.octets_sent.get(),
            octets_received: self.octets_received.get(),
            associations_opened: notes.opened,
            associations_failed: notes.not_opened,
            security_failures: notes.security_failures,
            counters_raised: notes.counters_raised,
            notifications: notes.notifications,
            associated: self.associations.get() > 0,
            waiting,
            counters: notes.counters,
            route: None,
        }
    }
}

impl Notes {
    fn succeeded(&mut self, after: Duration, now: Timestamp) {
        self.success = Some(now);
        self.failures_in_row = 0;
        self.count(true, now);
        self.latency.add(after);
    }

    fn failed(&mut self, error: &RequestError, now: Timestamp) {
        self.failure = Some((now, error.clone()));
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        self.count(false, now);
    }

    fn count(&mut self, succeeded: bool, now: Timestamp) {
        self.hour.count(succeeded, now);
        self.day.count(succeeded, now);
        self.week.count(succeeded, now);
    }
}

/// The last `N` stretches of time, the running one among them.
#[derive(Debug)]
struct Ring<const N: usize> {
    width_s: i64,
    newest: i64,
    slots: [(u32, u32); N],
}

impl<const N: usize> Ring<N> {
    const fn new(width_s: i64) -> Self {
        Self { width_s, newest: i64::MIN, slots: [(0, 0); N] }
    }

    /// Empties the slots that time has passed over. A clock that was set back counts into the newest one.
    fn turn(&mut self, now: Timestamp) {
        let present = now.as_second().div_euclid(self.width_s);
        let passed = usize::try_from(present.saturating_sub(self.newest)).unwrap_or(0).min(N);
        self.slots.rotate_right(passed);
        self.slots.iter_mut().take(passed).for_each(|slot| *slot = (0, 0));
        self.newest = self.newest.max(present);
    }

    fn count(&mut self, succeeded: bool, now: Timestamp) {
        self.turn(now);
        if let Some((good, bad)) = self.slots.first_mut() {
            let counted = if succeeded { good } else { bad };
            *counted = counted.saturating_add(1);
        }
    }

    fn window(&mut self, now: Timestamp) -> Window {
        self.turn(now);
        let sum = |part: fn(&(u32, u32)) -> u32| self.slots.iter().map(|slot| u64::from(part(slot))).sum();
        let seconds = self.width_s.unsigned_abs().saturating_mul(N as u64);
        Window { length: Duration::from_secs(seconds), succeeded: sum(|slot| slot.0), failed: sum(|slot| slot.1) }
    }
}

/// The last durations, in microseconds.
#[derive(Debug, Default)]
struct Samples(VecDeque<u32>);

impl Samples {
    fn add(&mut self, duration: Duration) {
        if self.0.len() >= SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX));
    }

    fn percentiles(&self) -> Percentiles {
        let mut sorted: Vec<u32> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let at = |percent: usize| {
            // The smallest that so many per cent do not exceed.
            let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            Duration::from_micros(sorted.get(place).copied().unwrap_or(0).into())
        };
        Percentiles { samples: sorted.len(), p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }
}

/// Counts what is done with one meter, for the fleet as a whole and for the meter.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) all: Arc<Counts>,
    pub(super) own: Arc<Contact>,
}

impl Tally {
    /// An association was opened; it is there until the guards are dropped.
    pub(super) fn opened(&self, after: Duration) -> [Inside; 2] {
        let mut notes = self.own.notes();
        notes.opened += 1;
        notes.opening.add(after);
        [self.all.opened(after), self.own.associations.enter()]
    }

    pub(super) fn not_opened(&self, error: &RequestError) {
        self.all.not_opened(error);
        let mut notes = self.own.notes();
        notes.not_opened += 1;
        notes.security_failures += u64::from(error.kind() == Kind::SecurityFailed);
    }

    /// A session failed.
    pub(super) fn failed(&self, error: &RequestError) {
        self.all.failed(error);
        self.own.notes().security_failures += u64::from(error.kind() == Kind::SecurityFailed);
    }

    pub(super) fn deviated(&self, met: &DeviationCounts) {
        self.all.deviated(met);
    }

    pub(super) fn sent(&self, octets: usize) {
        self.all.sent(octets);
        self.own.octets_sent.add(octets as u64);
    }

    pub(super) fn received(&self, octets: usize) {
        self.all.received(octets);
        self.own.octets_received.add(octets as u64);
    }

    pub(super) fn notification(&self) {
        self.all.notification();
        self.own.notes().notifications += 1;
    }

    pub(super) fn counter_raised(&self) {
        self.all.counter_raised();
        self.own.notes().counters_raised += 1;
    }

    /// Which route the meter has.
    pub(super) fn on_route(&self, route: Option<Arc<str>>) {
        self.own.notes().route = route;
    }

    /// Where the counters of the key in use stand.
    pub(super) fn counters(&self, counters: Option<Counters>) {
        self.own.notes().counters = counters;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Layer;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_100 + seconds).unwrap()
    }

    fn error(kind: Kind) -> RequestError {
        RequestError::new(kind, Layer::Link, "x")
    }

    #[test]
    fn windows_forget_what_lies_behind_them() {
        let contact = Contact::new(at(0));
        let count = |now| contact.diagnosis(0, at(now)).windows.map(|window| (window.succeeded, window.failed));
        contact.ended(Ok(()), Duration::from_millis(5), at(0));
        contact.ended(Err(&error(Kind::Unreachable)), Duration::ZERO, at(600));
        assert_eq!(count(600), [(1, 1); 3]);
        assert_eq!(count(3_600), [(0, 1), (1, 1), (1, 1)]);
        assert_eq!(count(4_300), [(0, 0), (1, 1), (1, 1)]);
        assert_eq!(count(25 * 3_600), [(0, 0), (0, 0), (1, 1)]);
        // A clock that was set back loses nothing.
        assert_eq!(count(0), [(0, 0), (0, 0), (1, 1)]);
        assert_eq!(count(8 * 86_400), [(0, 0); 3]);
    }

    #[test]
    fn only_what_came_so_far_speaks_of_the_way() {
        let contact = Contact::new(at(0));
        for kind in [Kind::Busy, Kind::Expired, Kind::Cancelled, Kind::InvalidRequest, Kind::Store, Kind::ShuttingDown]
        {
            contact.ended(Err(&error(kind)), Duration::ZERO, at(1));
        }
        let known = contact.diagnosis(0, at(1));
        assert_eq!((known.success, known.failures_in_row, known.failure.is_some()), (None, 0, false));
        contact.ended(Err(&error(Kind::Expired).with_sent(true)), Duration::ZERO, at(2));
        contact.ended(Err(&error(Kind::SecurityFailed)), Duration::ZERO, at(3));
        let known = contact.diagnosis(0, at(3));
        assert_eq!((known.failures_in_row, known.failure.unwrap().0), (2, at(3)));
        contact.ended(Err(&error(Kind::MeterRefused)), Duration::from_millis(7), at(4));
        let known = contact.diagnosis(0, at(4));
        assert_eq!((known.failures_in_row, known.success), (0, Some(at(4))), "a refusal is an answer");
        assert_eq!(known.latency.max, Duration::from_millis(7));
    }

    #[test]
    fn percentiles_are_those_of_the_last_hundred() {
        let mut samples = Samples::default();
        assert_eq!(samples.percentiles(), Percentiles::default());
        (1..=250).for_each(|ms| samples.add(Duration::from_millis(ms)));
        let found = samples.percentiles();
        let ms = [found.p50, found.p90, found.p99, found.max].map(|of| of.as_millis());
        assert_eq!((found.samples, ms), (100, [200, 240, 249, 250]));
        let mut one = Samples::default();
        one.add(Duration::from_millis(3));
        assert_eq!(one.percentiles().p50, Duration::from_millis(3));
    }

    #[test]
    fn meters_that_nobody_speaks_to_are_forgotten_when_others_come() {
        let contacts = Contacts::default();
        let id = |n: usize| MeterId::try_new(&format!("m{n}")).unwrap();
        (0..SWEEP).for_each(|n| drop(contacts.of(&id(n), at(0))));
        contacts.of(&id(0), at(0)).ended(Ok(()), Duration::ZERO, at(9 * 86_400));
        contacts.of(&id(SWEEP), at(9 * 86_400));
        assert_eq!(contacts.meters.len(), 2);
        contacts.forget(&id(0));
        assert!(contacts.get(&id(0)).is_none() && contacts.get(&id(SWEEP)).is_some());
    }
}
