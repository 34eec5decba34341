//! Back-off after failed authentications.

use crate::Instant;
use crate::acse::Mechanism;

/// Failures in a row that have no consequence: a mistyped password, twice.
const FREE_FAILURES: u32 = 2;
/// The first back-off, in milliseconds; each further failure doubles it.
const FIRST_BACK_OFF_MS: u64 = 10_000;
/// The longest back-off, in milliseconds: a client is never locked out for good.
const BACK_OFF_MAX_MS: u64 = 15 * 60_000;

/// Failed authentications of one client in a row, and when the last one was.
///
/// From the third on the client is locked out for ten seconds, then for twice as long with each further failure, for at
/// most a quarter of an hour. A success ends it. The protocol has no rule for this; the figures are this server's own.
///
/// Only passwords and secrets are counted: keys cannot be guessed, and whoever fails with them would do no more than lock
/// out the client that has them.
///
/// A device that keeps the count across restarts gives it back with the moment of the restart as `last`: time that went by
/// without power does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailedAttempts {
    /// Failures since the last success.
    pub count: u32,
    /// When the last one was.
    pub last: Instant,
}

impl FailedAttempts {
    /// None since the last success.
    pub const NONE: Self = Self { count: 0, last: Instant::from_millis(0) };

    /// Whether failures with this mechanism count: what it proves could be guessed.
    pub(super) const fn count_with(mechanism: Mechanism) -> bool {
        !matches!(mechanism, Mechanism::Lowest | Mechanism::Gmac | Mechanism::Ecdsa)
    }

    /// With one more failure.
    #[must_use]
    pub const fn another(self, now: Instant) -> Self {
        Self { count: self.count.saturating_add(1), last: now }
    }

    /// How long the client is locked out after the last failure, in milliseconds.
    #[must_use]
    pub const fn back_off_ms(self) -> u64 {
        let Some(doublings) = self.count.checked_sub(FREE_FAILURES + 1) else { return 0 };
        let factor = match 1_u64.checked_shl(doublings) {
            Some(factor) => factor,
            None => u64::MAX,
        };
        let ms = FIRST_BACK_OFF_MS.saturating_mul(factor);
        if ms < BACK_OFF_MAX_MS { ms } else { BACK_OFF_MAX_MS }
    }

    /// Whether an attempt is refused unseen at this moment.
    #[must_use]
    pub fn is_locked_out(self, now: Instant) -> bool {
        now < self.last.after_ms(self.back_off_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_doubles_from_the_third_failure_and_is_capped() {
        let mut attempts = FailedAttempts::NONE;
        assert!(!attempts.is_locked_out(Instant::from_millis(0)));
        let mut now = Instant::from_millis(1_000);
        let expected = [0, 0, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900];
        for seconds in expected {
            attempts = attempts.another(now);
            assert_eq!(attempts.back_off_ms(), seconds * 1_000);
            if seconds > 0 {
                assert!(attempts.is_locked_out(now.after_ms(seconds * 1_000 - 1)));
            }
            now = now.after_ms(seconds * 1_000);
            assert!(!attempts.is_locked_out(now));
        }
        let many = FailedAttempts { count: u32::MAX, last: now };
        assert_eq!(many.another(now).back_off_ms(), BACK_OFF_MAX_MS);
    }
}
