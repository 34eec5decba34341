//! Limits of the store.

use std::time::Duration;

/// Limits of the store; the defaults suit one machine with some ten thousand meters.
#[derive(Clone, Copy, Debug)]
pub struct SqliteOptions {
    /// How long a write waits for a lock of another process before it fails.
    pub busy_timeout: Duration,
    /// Writes to the control database that may wait.
    pub control_queue: usize,
    /// Captures that may wait to be written: what memory may hold while the disk cannot take them.
    pub waiting_captures: usize,
    /// How long an append waits before it answers that its captures are kept in memory.
    pub append_patience: Duration,
    /// First and longest pause before a failed write of readings is tried again.
    pub retry: (Duration, Duration),
    /// Readers at the same time.
    pub readers: usize,
    /// Largest size of each file, in pages of 4096 octets; `None` leaves it to the disk.
    pub max_pages: Option<u32>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(5),
            control_queue: 4096,
            waiting_captures: 200_000,
            append_patience: Duration::from_secs(5),
            retry: (Duration::from_millis(100), Duration::from_secs(5)),
            readers: 4,
            max_pages: None,
        }
    }
}
