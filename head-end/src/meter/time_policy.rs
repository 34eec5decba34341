//! How the date-times of a meter become UTC.

use serde::{Deserialize, Serialize};

/// What is known about a meter's clock beyond the octets that it sends.
///
/// The twelve octets are always kept beside the result, so a policy that turns out wrong can be
/// corrected without asking the meter again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimePolicy {
    /// The meter counts its deviation from UTC to local time. The Blue Book counts from local time
    /// to UTC, so that central Europe in winter is -60; many meters send +60.
    pub inverted_deviation: bool,
    /// Local time minus UTC, in minutes, where the meter leaves the deviation unspecified.
    pub fallback_offset_min: Option<i16>,
}

/// Where the UTC time of a reading comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeBasis {
    /// From the meter's local time and its own deviation.
    MeterDeviation,
    /// From the meter's local time and the offset configured for the meter.
    ConfiguredOffset,
    /// The meter's time is unspecified: this is when the value was received.
    Received,
}
