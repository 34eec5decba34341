//! What bounds a hostile peer on one association: its refused APDUs, and the events that they cause.

use super::device::{AuditEvent, Device};
use crate::Instant;
use crate::security::{ErrorClass, SecurityError};

/// APDUs that could not be deciphered before the association ends and its line is closed.
pub const REFUSALS_MAX: u8 = 10;
/// Failures that are told of in each [`AUDIT_WINDOW_MS`]; the others are only counted.
pub const AUDITED_FAILURES_MAX: u8 = 10;
/// Milliseconds over which failures are counted.
pub const AUDIT_WINDOW_MS: u64 = 60_000;

/// Counts what a peer does wrong.
#[derive(Debug)]
pub(super) struct Guard {
    refusals: u8,
    window: Instant,
    told: u8,
    suppressed: u32,
}

impl Guard {
    /// Nothing has happened yet.
    pub(super) const NEW: Self = Self { refusals: 0, window: Instant::from_millis(0), told: 0, suppressed: 0 };

    /// A new peer.
    pub(super) const fn restart(&mut self) {
        self.refusals = 0;
    }

    /// An APDU was refused. A counter that is too low is no forgery: clients that lost theirs send such.
    pub(super) const fn refused(&mut self, error: SecurityError) {
        if matches!(error.class(), ErrorClass::Deciphering | ErrorClass::Malformed) {
            self.refusals = self.refusals.saturating_add(1);
        }
    }

    /// Whether the peer has had its chances.
    pub(super) const fn is_exhausted(&self) -> bool {
        self.refusals >= REFUSALS_MAX
    }

    /// Tells of a failure, unless there were too many of them lately.
    pub(super) fn report<D: Device>(&mut self, device: &mut D, now: Instant, event: AuditEvent) {
        if now.since_ms(self.window) >= AUDIT_WINDOW_MS {
            if self.suppressed > 0 {
                device.audit(AuditEvent::Suppressed { count: self.suppressed });
            }
            (self.window, self.told, self.suppressed) = (now, 0, 0);
        }
        if self.told < AUDITED_FAILURES_MAX {
            self.told = self.told.saturating_add(1);
            device.audit(event);
        } else {
            self.suppressed = self.suppressed.saturating_add(1);
        }
    }
}
