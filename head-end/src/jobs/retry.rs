//! When a task is tried again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{meter::MeterId, operation::RequestErrorKind as Kind};

/// When to try again with a meter after failure number `failures`, counted from 0: from `floor`, doubling up to a limit of
/// the error's class, and moved by up to a half, for each meter in its own way, so that many that failed together do not
/// return together.
pub(super) fn due(meter: &MeterId, now: Timestamp, floor: Duration, kind: Kind, failures: u32) -> Timestamp {
    let limit_ms: i64 = match kind {
        // The head-end's own queues and files.
        Kind::Busy | Kind::Store => 30_000,
        Kind::SecurityFailed => 300_000,
        // A meter that is not there now may be back soon, or in a day.
        _ => 900_000,
    };
    let floor_ms = i64::try_from(floor.as_millis()).unwrap_or(i64::MAX);
    let wait = floor_ms.saturating_mul(1_i64 << failures.min(20)).min(limit_ms);
    let jitter = wait.saturating_mul(i64::from(meter.share(failures))) / i64::from(u8::MAX) / 2;
    now.saturating_add(SignedDuration::from_millis(wait + jitter)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_a_second_up_to_the_limit_of_the_class() {
        let meter = |n: u32| format!("m{n}").parse().unwrap();
        let wait_of = |n, kind, failures| {
            due(&meter(n), Timestamp::UNIX_EPOCH, Duration::from_secs(1), kind, failures).as_millisecond()
        };
        let wait = |kind, failures| wait_of(0, kind, failures);
        for (kind, failures, least) in [
            (Kind::Unreachable, 0, 1_000),
            (Kind::Unreachable, 3, 8_000),
            (Kind::Unreachable, 40, 900_000),
            (Kind::Busy, 40, 30_000),
            (Kind::SecurityFailed, 40, 300_000),
        ] {
            let waited = wait(kind, failures);
            assert!((least..=least + least / 2).contains(&waited), "{kind:?} {failures}: {waited}");
        }
        let waits: std::collections::BTreeSet<_> = (0..50).map(|n| wait_of(n, Kind::Unreachable, 10)).collect();
        assert!(waits.len() > 10, "{waits:?}");
    }
}
