//! What is known of the way to a meter.

use std::time::Duration;

use jiff::Timestamp;

use super::RequestError;

/// What is known of the way to a meter, from what was said on it since this process first spoke to it.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// Since when it is noted.
    pub since: Timestamp,
    /// When the meter answered a request last, be it with a refusal.
    pub success: Option<Timestamp>,
    /// When a request failed last on its way, and why.
    pub failure: Option<(Timestamp, RequestError)>,
    /// Failures since the last success.
    pub failures_in_row: u32,
    /// How many operations succeeded and failed, in the last hour, day and week.
    pub windows: [Window; 3],
    /// From call to answer, of the last operations that succeeded.
    pub latency: Percentiles,
    /// Opening connection and association, of the last ones that were opened.
    pub opening: Percentiles,
    /// Octets sent, link layer included.
    pub octets_sent: u64,
    /// Octets received, link layer included.
    pub octets_received: u64,
    /// Associations that were opened.
    pub associations_opened: u64,
    /// Attempts to open one that failed.
    pub associations_failed: u64,
    /// Failures of security: keys, tags, counters, titles, authentication.
    pub security_failures: u64,
    /// How often our invocation counter was moved up to what the meter said.
    pub counters_raised: u64,
    /// Notifications inside sessions.
    pub notifications: u64,
    /// Whether an association is open now.
    pub associated: bool,
    /// Operations that wait for the meter now.
    pub waiting: usize,
    /// Invocation counters after the last operation; `None` without ciphering, or before the first one.
    pub counters: Option<Counters>,
    /// The medium that it shares with others, where it does and its configuration is known.
    pub route: Option<RouteLoad>,
}

/// Operations of a stretch of time that ends now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// How long it is: the running twelfth, hour or day, and those before it.
    pub length: Duration,
    /// Answered by the meter, be it with a refusal.
    pub succeeded: u64,
    /// Failed on the way to the meter, or by its silence.
    pub failed: u64,
}

/// How long the last things took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// How many they are; all others are 0 where there are none.
    pub samples: usize,
    /// Half of them took no longer.
    pub p50: Duration,
    /// Nine of ten.
    pub p90: Duration,
    /// Ninety-nine of a hundred.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// Invocation counters of the key in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// The next that is sent.
    pub next: u32,
    /// First value behind those that are reserved in the store.
    pub reserved: u32,
    /// Lowest that is accepted of the meter.
    pub receive_floor: u32,
}

/// How much is going on where several meters share something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteLoad {
    /// Its name: that of the settings, the serial port, or the gateway's address.
    pub name: String,
    /// Sessions that it takes at a time.
    pub capacity: usize,
    /// Sessions on it.
    pub sessions: usize,
    /// Sessions that wait for a place.
    pub waiting: usize,
}
