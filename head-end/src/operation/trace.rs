//! What is said on a meter's line, for whoever follows it.

use jiff::Timestamp;
use tokio::sync::mpsc;

/// Entries that wait for one who follows; what comes beyond that is counted and lost.
pub const TRACE_ENTRIES: usize = 1_024;
/// How many follow at the same time, over all meters.
pub const TRACES: usize = 16;

/// A trace that runs as long as it is kept.
#[derive(Debug)]
pub struct Trace {
    /// What was said, in order.
    pub entries: mpsc::Receiver<TraceEntry>,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEntry {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub direction: Direction,
    /// What.
    pub said: Said,
    /// Entries before it that were lost because they were not taken in time.
    pub lost: u64,
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The head-end.
    ToMeter,
    /// The meter.
    FromMeter,
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// An APDU.
    Apdu {
        /// Its octets, ciphering included.
        octets: usize,
        /// Whether it came ciphered.
        ciphered: bool,
        /// What it says, secrets masked.
        text: String,
    },
    /// Octets as they were on the line, ciphered where they are. A password in them is overwritten.
    Octets(Vec<u8>),
}

/// Why nothing can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// As many follow as may.
    #[error("{TRACES} traces run already")]
    TooMany,
    /// Whoever talks to the meters offers no traces.
    #[error("there are no traces here")]
    Unavailable,
}
