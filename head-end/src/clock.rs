//! What time it is, so that tests can say so.
//!
//! Waiting is done by tokio's clock; this one is for moments that are written down or compared with what a caller
//! wrote: due times, expiry, windows. It may jump, and who waits for a moment looks again at least once in
//! [`LONGEST_NAP`].

use std::{
    fmt::Debug,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// How long to sleep at most before the clock is looked at again: it may have been set.
pub const LONGEST_NAP: Duration = Duration::from_secs(60);

/// Wall time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;

    /// When tokio's clock will reach `moment`, from what is known now; now for one that has passed.
    fn instant(&self, moment: Timestamp) -> Instant {
        let wait = Duration::try_from(moment.duration_since(self.now())).unwrap_or_default();
        let now = Instant::now();
        now.checked_add(wait).unwrap_or_else(|| now + FAR)
    }

    /// Until when to sleep for `moment`: not past it, and not longer than [`LONGEST_NAP`].
    fn nap(&self, moment: Timestamp) -> Instant {
        self.instant(moment).min(Instant::now() + LONGEST_NAP)
    }
}

/// Later than anything that is waited for, and not too late for tokio.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock for tests: it goes with tokio's, which may be paused, and it can be set.
#[derive(Debug)]
pub struct TestClock {
    started: Instant,
    /// What it showed when it was started, with what it was set forward or back since then, in microseconds.
    base: AtomicI64,
}

impl TestClock {
    /// A clock that shows `now`. Must be called inside a tokio runtime.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { started: Instant::now(), base: AtomicI64::new(now.as_microsecond()) }
    }

    /// Sets it forward, or back. Nobody who waits is woken.
    pub fn jump(&self, by: SignedDuration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.base.fetch_add(by, Ordering::AcqRel);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let base = Timestamp::from_microsecond(self.base.load(Ordering::Acquire)).unwrap_or(Timestamp::UNIX_EPOCH);
        let gone = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        base.checked_add(gone).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_of_tests_goes_with_tokio_and_can_be_set() {
        let clock = TestClock::new(at(1_000));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(clock.now(), at(1_005));
        clock.jump(SignedDuration::from_secs(-10));
        assert_eq!(clock.now(), at(995));
    }

    #[tokio::test(start_paused = true)]
    async fn moments_become_instants_and_naps_end_early() {
        let (clock, now) = (TestClock::new(at(1_000)), Instant::now());
        assert_eq!(clock.instant(at(1_010)), now + Duration::from_secs(10));
        assert_eq!(clock.instant(at(10)), now);
        assert!(clock.instant(Timestamp::MAX) > now + Duration::from_secs(86_400));
        assert_eq!(clock.nap(at(1_010)), now + Duration::from_secs(10));
        assert_eq!(clock.nap(at(9_999)), now + LONGEST_NAP);
    }
}
