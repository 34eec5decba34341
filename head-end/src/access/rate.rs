//! How often a caller may call.

use std::{hash::Hash, time::Duration};

use dashmap::DashMap;
use tokio::time::Instant;

/// A limit of calls in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Calls in a second, in the long run.
    pub per_second: u32,
    /// Calls at once, after a pause.
    pub burst: u32,
}

/// Counts what each of many does against one limit: a bucket of tokens for each (as generic cell rates, GCRA).
#[derive(Debug)]
pub struct Limiter<K: Eq + Hash> {
    rate: Rate,
    /// When the bucket of each is full again.
    full: DashMap<K, Instant>,
}

/// From so many entries on, those that are no longer needed are looked for.
const MANY: usize = 4096;

impl<K: Eq + Hash> Limiter<K> {
    /// A limit for each key.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, full: DashMap::new() }
    }

    /// Takes one from the bucket of `key`.
    ///
    /// # Errors
    /// How long to wait until there is one.
    pub fn take(&self, key: K) -> Result<(), Duration> {
        let now = Instant::now();
        self.forget_full(now);
        let mut full = self.full.entry(key).or_insert(now);
        let (begins, room) = ((*full).max(now), self.one() * self.rate.burst.saturating_sub(1));
        let ahead = begins.duration_since(now);
        if ahead > room {
            return Err(ahead.saturating_sub(room));
        }
        *full = begins + self.one();
        Ok(())
    }

    /// Whether the bucket of `key` is empty, and for how long, without taking anything.
    ///
    /// # Errors
    /// How long to wait until there is one.
    pub fn check(&self, key: &K) -> Result<(), Duration> {
        let Some(full) = self.full.get(key).map(|full| *full) else { return Ok(()) };
        let room = self.one() * self.rate.burst.saturating_sub(1);
        let ahead = full.saturating_duration_since(Instant::now());
        if ahead > room { Err(ahead.saturating_sub(room)) } else { Ok(()) }
    }

    /// The time for one.
    fn one(&self) -> Duration {
        Duration::from_secs(1) / self.rate.per_second.max(1)
    }

    fn forget_full(&self, now: Instant) {
        if self.full.len() >= MANY {
            self.full.retain(|_, full| *full > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_let_through_and_then_the_rate() {
        let limiter = Limiter::new(Rate { per_second: 10, burst: 3 });
        for _ in 0..3 {
            limiter.take("a").unwrap();
        }
        assert_eq!(limiter.take("a"), Err(Duration::from_millis(100)));
        assert_eq!(limiter.check(&"a"), Err(Duration::from_millis(100)));
        limiter.take("b").unwrap();
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!((limiter.check(&"a"), limiter.take("a")), (Ok(()), Ok(())));
        assert!(limiter.take("a").is_err());
        tokio::time::advance(Duration::from_secs(60)).await;
        for _ in 0..3 {
            limiter.take("a").unwrap();
        }
        assert!(limiter.take("a").is_err(), "a pause gives no more than a burst");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_came_once_is_forgotten() {
        let limiter = Limiter::new(Rate { per_second: 10, burst: 3 });
        for key in 0..2 * MANY {
            limiter.take(key).unwrap();
            if key % 100 == 0 {
                tokio::time::advance(Duration::from_millis(500)).await;
            }
        }
        assert!(limiter.full.len() <= MANY + 1, "{}", limiter.full.len());
    }
}
