//! Limits of jobs.

use std::time::Duration;

/// Limits of jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobOptions {
    /// Tasks in flight; a tenth of the places is kept for those of high priority.
    pub in_flight: usize,
    /// How long one attempt at one meter may take.
    pub attempt: Duration,
    /// The first wait before another attempt; it doubles with each.
    pub retry_floor: Duration,
    /// When a job that only reads expires, if it does not say.
    pub expiry: Duration,
    /// Meters of one job that may be cut off without a second person.
    pub approval_above: u64,
    /// Whether there may be a second person: without callers everybody is the same one, and a job that needs another is
    /// refused when it is made.
    pub second_person: bool,
    /// Meters that one tenant may cut off within an hour; more wait.
    pub interruptions_per_hour: u64,
    /// Meters that jobs of one tenant may ask to cut off within a day; a job beyond that is refused.
    pub interruptions_per_day: u64,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            in_flight: 256,
            attempt: Duration::from_secs(300),
            retry_floor: Duration::from_secs(1),
            expiry: Duration::from_secs(24 * 3_600),
            approval_above: 10,
            second_person: true,
            interruptions_per_hour: 100,
            interruptions_per_day: 1_000,
        }
    }
}
