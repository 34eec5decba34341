//! Limits of the store.

use std::time::Duration;

use super::DatabaseUrl;

/// Where the database is, and limits of the store.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Where the database is.
    pub url: DatabaseUrl,
    /// Connections at the same time.
    pub connections: usize,
    /// How long a connection may take to be made, or to become free.
    pub connect: Duration,
    /// How long a statement may run, and wait for a lock, before the server ends it.
    pub statement: Duration,
    /// Writes that may wait for a connection.
    pub waiting_writes: usize,
    /// Captures that may wait to be written: what memory may hold while the database cannot take them.
    pub waiting_captures: usize,
    /// How long an append waits before it answers that its captures are kept in memory.
    pub append_patience: Duration,
    /// First and longest pause before a failed write of readings is tried again.
    pub retry: (Duration, Duration),
    /// How long to wait for another head-end on the same schema to end; `None` works beside it. Only one head-end
    /// may speak with a meter.
    pub alone: Option<Duration>,
}

impl PostgresOptions {
    /// Defaults for the database at `url`.
    #[must_use]
    pub fn new(url: DatabaseUrl) -> Self {
        Self {
            url,
            connections: 16,
            connect: Duration::from_secs(5),
            statement: Duration::from_secs(30),
            waiting_writes: 4096,
            waiting_captures: 200_000,
            append_patience: Duration::from_secs(5),
            retry: (Duration::from_millis(100), Duration::from_secs(5)),
            alone: Some(Duration::from_secs(10)),
        }
    }
}
