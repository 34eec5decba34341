//! What the writers of a store have done, as numbers.

use std::time::Duration;

use crate::measure::{Counter, Histogram};

/// What the writers of a store have done.
#[derive(Debug, Default)]
pub struct StoreCounts {
    /// Everything but readings.
    pub control: WriterCounts,
    /// Readings.
    pub readings: WriterCounts,
}

/// What one writer has done.
#[derive(Debug)]
pub struct WriterCounts {
    /// How long transactions took, from their begin until they were durable.
    pub commits: Histogram,
    /// Writes in one transaction: calls that change something, or captures.
    pub batches: Histogram,
    /// Transactions that failed.
    pub failures: Counter,
}

impl Default for WriterCounts {
    fn default() -> Self {
        Self { commits: Histogram::of_times(), batches: Histogram::of_sizes(), failures: Counter::default() }
    }
}

impl WriterCounts {
    /// A transaction with so many writes ended.
    pub fn committed(&self, writes: usize, after: Duration, done: bool) {
        if done {
            self.commits.time(after);
            self.batches.count(writes as u64);
        } else {
            self.failures.inc();
        }
    }
}
