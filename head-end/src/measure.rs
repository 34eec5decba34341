//! Counters and histograms that any thread may add to: atomics alone, so that counting never waits.
//!
//! What is counted lies beside those who count it; [`metrics`](crate::metrics) writes it out.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number of things that are there now.
#[derive(Clone, Debug, Default)]
pub struct Level(Arc<AtomicU64>);

impl Level {
    /// One that is there until the guard is dropped.
    #[must_use]
    pub fn enter(&self) -> Inside {
        self.0.fetch_add(1, Ordering::Relaxed);
        Inside(Arc::clone(&self.0))
    }

    /// How many there are.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of those that a [`Level`] counts.
#[derive(Debug)]
pub struct Inside(Arc<AtomicU64>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How often values were how large.
#[derive(Debug)]
pub struct Histogram {
    /// Upper bounds of the buckets, themselves included; above the last there is one more bucket.
    bounds: &'static [u64],
    buckets: Box<[Counter]>,
    sum: Counter,
    /// What one unit of the values is in the unit that is told.
    scale: f64,
}

/// Bounds in microseconds from a millisecond to five minutes.
const TIMES: &[u64] = &[
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
];

/// Bounds of numbers of things done together.
const SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 1_024, 4_096, 16_384];

impl Histogram {
    /// Of times, told in seconds.
    #[must_use]
    pub fn of_times() -> Self {
        Self::new(TIMES, 1e-6)
    }

    /// Of numbers.
    #[must_use]
    pub fn of_sizes() -> Self {
        Self::new(SIZES, 1.0)
    }

    fn new(bounds: &'static [u64], scale: f64) -> Self {
        Self {
            bounds,
            buckets: (0..=bounds.len()).map(|_| Counter::default()).collect(),
            sum: Counter::default(),
            scale,
        }
    }

    /// Counts a time.
    pub fn time(&self, time: Duration) {
        self.count(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts a value.
    pub fn count(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.inc();
        }
        self.sum.add(value);
    }

    /// Sum of the values, number of them, and each bucket with its upper bound.
    #[must_use]
    pub fn read(&self) -> (f64, u64, Vec<(f64, u64)>) {
        #[expect(clippy::cast_precision_loss, reason = "figures are told as floating-point numbers")]
        let scaled = |value: u64| value as f64 * self.scale;
        let bounds = self.bounds.iter().map(|bound| scaled(*bound)).chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(self.buckets.iter().map(Counter::get)).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        (scaled(self.sum.get()), count, buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_belongs_below_it_and_what_is_above_all_has_a_bucket() {
        let sizes = Histogram::of_sizes();
        for value in [1, 2, 3, 16_384, 16_385, u64::from(u32::MAX)] {
            sizes.count(value);
        }
        let (sum, count, buckets) = sizes.read();
        assert_eq!((sum, count), (4_295_000_070.0, 6));
        let filled: Vec<_> = buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(1.0, 1), (2.0, 1), (4.0, 1), (16_384.0, 1), (f64::INFINITY, 2)]);
    }

    #[test]
    fn times_are_told_in_seconds() {
        let times = Histogram::of_times();
        times.time(Duration::from_millis(250));
        let (sum, count, buckets) = times.read();
        assert_eq!((sum, count), (0.25, 1));
        assert!(buckets.contains(&(0.25, 1)), "{buckets:?}");
    }

    #[test]
    fn what_leaves_a_level_is_no_longer_counted() {
        let level = Level::default();
        let one = level.enter();
        assert_eq!(level.get(), 1);
        drop(one);
        assert_eq!(level.get(), 0);
    }
}
