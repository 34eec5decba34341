//! Class 124, Communication port protection: locks a port after failed attempts.

use super::Zero;
use crate::obis::ObisCode;

interface_class! {
    "Communication port protection" = 124, versions 0..=0, methods at 0x50;
    attributes {
        /// Mode.
        2 Mode protection_mode/set_protection_mode, static: ProtectionMode;
        /// Failed attempts that do not lock the port.
        3 AllowedFailedAttempts allowed_failed_attempts/set_allowed_failed_attempts, static: u16;
        /// Seconds that the port is locked at first.
        4 InitialLockoutTime initial_lockout_time/set_initial_lockout_time, static: u32;
        /// Factor by which each further failure prolongs it.
        5 SteepnessFactor steepness_factor/set_steepness_factor, static: u8;
        /// Seconds that the port is locked at most.
        6 MaxLockoutTime max_lockout_time/set_max_lockout_time, static: u32;
        /// The port.
        7 PortReference port_reference/set_port_reference, static: ObisCode;
        /// Status of the port.
        8 Status protection_status, dynamic: ProtectionStatus;
        /// Failed attempts since the last success.
        9 FailedAttempts failed_attempts, dynamic: u32;
        /// Failed attempts since the last reset.
        10 CumulativeFailedAttempts cumulative_failed_attempts, dynamic: u32;
    }
    methods {
        /// Clears the counters.
        1 Reset reset: Zero;
    }
}

/// Seconds for which a port is locked after `failed` attempts: the initial time from the first attempt beyond the
/// `allowed` ones on, times `steepness` for each further one, at most `max`.
#[must_use]
pub fn lockout_seconds(failed: u32, allowed: u16, initial: u32, steepness: u8, max: u32) -> u32 {
    let Some(excess) = failed.checked_sub(u32::from(allowed)).filter(|excess| *excess > 0) else { return 0 };
    let factor = u32::from(steepness).checked_pow(excess.saturating_sub(1));
    factor.and_then(|factor| initial.checked_mul(factor)).unwrap_or(max).min(max)
}

enumeration! {
    /// When a port is locked.
    ProtectionMode "protection mode" {
        /// Always.
        Locked = 0,
        /// After failed attempts.
        LockedOnFailedAttempts = 1,
        /// Never.
        Unlocked = 2,
    }
}

enumeration! {
    /// Whether a port is locked.
    ProtectionStatus "protection status" {
        /// It is not.
        Unlocked = 0,
        /// For some time.
        TemporarilyLocked = 1,
        /// It is.
        Locked = 2,
    }
}
