//! When to try again, by what went wrong.

use std::time::Duration;

use crate::{meter::MeterId, operation::RequestErrorKind as Kind};

/// First and longest pause after an error.
const fn bounds(kind: Kind) -> (Duration, Duration) {
    const fn seconds(first: u64, longest: u64) -> (Duration, Duration) {
        (Duration::from_secs(first), Duration::from_secs(longest))
    }
    match kind {
        // Our own limits: soon over.
        Kind::Busy | Kind::Store | Kind::Cancelled | Kind::ShuttingDown => seconds(1, 60),
        Kind::Unreachable | Kind::Expired => seconds(5, 900),
        Kind::Protocol | Kind::UnknownOutcome => seconds(15, 3_600),
        // What a meter refuses today it mostly refuses in an hour as well.
        Kind::MeterRefused | Kind::SecurityFailed | Kind::NotFound | Kind::InvalidRequest => seconds(60, 6 * 3_600),
    }
}

/// Pause before attempt `attempt`, from 1, doubled each time; spread over a half to the whole of it, each meter in its own
/// way, so that those that failed together do not come back together.
pub(super) fn pause(kind: Kind, attempt: u32, meter: &MeterId) -> Duration {
    let (first, longest) = bounds(kind);
    let whole = first.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(longest);
    whole.mul_f64(0.5 + f64::from(meter.share(attempt)) / 255.0 / 2.0)
}

/// Pause while the meter's newest captures are not there yet: its clock may be late.
pub(super) fn not_yet(attempt: u32, meter: &MeterId) -> Duration {
    pause(Kind::Unreachable, attempt.saturating_add(1), meter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ_between_meters() {
        let meter = |n: u32| format!("m{n}").parse().unwrap();
        let mut before = Duration::ZERO;
        for attempt in [1, 3, 5, 7] {
            let pause = pause(Kind::Unreachable, attempt, &meter(1));
            assert!(pause > before, "{attempt}: {pause:?}");
            before = pause;
        }
        for attempt in [9, 30, u32::MAX] {
            let pause = pause(Kind::Unreachable, attempt, &meter(1));
            assert!((Duration::from_secs(450)..=Duration::from_secs(900)).contains(&pause), "{pause:?}");
        }
        let all: std::collections::BTreeSet<_> = (0..20).map(|n| pause(Kind::Unreachable, 4, &meter(n))).collect();
        assert!(all.len() > 10);
        assert!(pause(Kind::Busy, 1, &meter(1)) <= Duration::from_secs(1));
    }
}
