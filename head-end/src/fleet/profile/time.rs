//! The meter's date-times as moments, and moments as the meter's date-times.

use dlms::time::{ClockStatus, DateTime};
use jiff::Timestamp;

use crate::meter::{TimeBasis, TimePolicy};

/// The moment that a date-time of the meter stands for; `None` where neither the meter nor its configuration says how
/// far its local time is from UTC, or the date-time is incomplete.
pub(crate) fn moment(clock: &DateTime, policy: &TimePolicy) -> Option<(Timestamp, TimeBasis)> {
    let (clock, basis) = match (clock.deviation_minutes(), policy.fallback_offset_min) {
        (Some(_), _) if policy.inverted_deviation => (clock.with_inverted_deviation(), TimeBasis::MeterDeviation),
        (Some(_), _) => (*clock, TimeBasis::MeterDeviation),
        (None, Some(offset)) => {
            let status = clock.status().unwrap_or(ClockStatus::UNSPECIFIED);
            // The deviation counts the other way round: from local time to UTC.
            let deviation = Some(offset.wrapping_neg());
            (DateTime::new(clock.date(), clock.time(), deviation, status), TimeBasis::ConfiguredOffset)
        }
        (None, None) => return None,
    };
    let seconds = clock.to_unix_seconds()?;
    Timestamp::from_second(seconds).ok().map(|moment| (moment, basis))
}

/// How the meter's clock stands to UTC, to write times in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MeterClock {
    /// Minutes from local time to UTC, in the Blue Book's sense.
    deviation_min: i16,
    /// The deviation as the meter itself would send it.
    sent: Sent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    AsIs,
    Inverted,
    Unspecified,
}

impl MeterClock {
    /// Learned from a time that the meter sent; without one, from its configuration, and else UTC.
    pub(super) fn new(clock: Option<&DateTime>, policy: &TimePolicy) -> Self {
        match clock.and_then(|clock| clock.deviation_minutes()) {
            Some(deviation_min) if policy.inverted_deviation => {
                Self { deviation_min: deviation_min.wrapping_neg(), sent: Sent::Inverted }
            }
            Some(deviation_min) => Self { deviation_min, sent: Sent::AsIs },
            None => match policy.fallback_offset_min {
                Some(offset) => Self { deviation_min: offset.wrapping_neg(), sent: Sent::Unspecified },
                None => Self { deviation_min: 0, sent: Sent::AsIs },
            },
        }
    }

    /// A moment as this meter would write it, so that a meter that ignores the deviation understands it too.
    pub(super) fn write(self, moment: Timestamp) -> DateTime {
        let status = ClockStatus(0);
        let local = DateTime::from_unix_seconds(moment.as_second(), self.deviation_min, status);
        match self.sent {
            Sent::AsIs => local,
            Sent::Inverted => local.with_inverted_deviation(),
            Sent::Unspecified => DateTime::new(local.date(), local.time(), None, status),
        }
    }

    /// By how many seconds a meter that ignores the deviation may be off: it has daylight saving, unless it counts UTC.
    pub(super) const fn slack_s(self) -> i64 {
        if self.deviation_min == 0 { 0 } else { 3_600 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINTER: &str = "2025-01-15T12:00:00Z";

    fn clock(deviation: Option<i16>) -> DateTime {
        let utc: Timestamp = WINTER.parse().unwrap();
        let local = DateTime::from_unix_seconds(utc.as_second(), -60, ClockStatus(0));
        DateTime::new(local.date(), local.time(), deviation, ClockStatus(0))
    }

    #[test]
    fn central_europe_in_winter_is_one_hour_ahead_whatever_the_sign() {
        let expected = Some((WINTER.parse().unwrap(), TimeBasis::MeterDeviation));
        assert_eq!(moment(&clock(Some(-60)), &TimePolicy::default()), expected);
        let inverted = TimePolicy { inverted_deviation: true, ..TimePolicy::default() };
        assert_eq!(moment(&clock(Some(60)), &inverted), expected);
        let configured = TimePolicy { fallback_offset_min: Some(60), ..TimePolicy::default() };
        let expected = Some((WINTER.parse().unwrap(), TimeBasis::ConfiguredOffset));
        assert_eq!(moment(&clock(None), &configured), expected);
        assert_eq!(moment(&clock(None), &TimePolicy::default()), None);
    }

    #[test]
    fn times_are_written_as_the_meter_writes_them() {
        let moment: Timestamp = WINTER.parse().unwrap();
        for (deviation, policy) in [
            (Some(-60), TimePolicy::default()),
            (Some(60), TimePolicy { inverted_deviation: true, ..TimePolicy::default() }),
            (None, TimePolicy { fallback_offset_min: Some(60), ..TimePolicy::default() }),
        ] {
            let sample = clock(deviation);
            assert_eq!(MeterClock::new(Some(&sample), &policy).write(moment), sample, "{deviation:?}");
        }
        let utc = MeterClock::new(None, &TimePolicy::default());
        assert_eq!(utc.write(moment).deviation_minutes(), Some(0));
        assert_eq!(utc.slack_s(), 0);
    }
}
