//! Why something that arrived at a listener was not believed.

use dlms::{id::SystemTitle, security::SecurityError};

use crate::{meter::MeterId, store::StoreError};

/// Why something that arrived at a listener was not believed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The octets are not what they should be.
    #[error("cannot be decoded as {0}")]
    Malformed(&'static str),
    /// More octets than a notification may have.
    #[error("longer than {limit} octets")]
    TooLong {
        /// How many it may have.
        limit: usize,
    },
    /// A general block is missing.
    #[error("a general block is missing")]
    Blocks,
    /// Another APDU than a notification.
    #[error("a {0} where only notifications are expected")]
    NotANotification(&'static str),
    /// No meter is registered for the system title.
    #[error("no meter is registered with system title {0}")]
    UnknownTitle(SystemTitle),
    /// The APDU is protected and names nobody.
    #[error("the sender is not named")]
    NoTitle,
    /// The meter has no keys, or none that fit.
    #[error("{meter}: {error}")]
    Security {
        /// The meter that it claims to come from.
        meter: MeterId,
        /// What is wrong.
        error: SecurityError,
    },
    /// The counter was seen before.
    #[error("{meter}: its invocation counter {counter} is not above {last}, which was seen")]
    Replay {
        /// The meter.
        meter: MeterId,
        /// The counter of the push.
        counter: u32,
        /// The highest that was seen.
        last: u32,
    },
    /// In clear, and no meter may push in clear from there.
    #[error("in clear, from an address that no meter may push in clear from")]
    Plaintext,
    /// In clear, from an address that several meters share, none of which the body names.
    #[error("in clear, from an address of several meters, none of which it names")]
    Ambiguous,
    /// The sender sends more than it may.
    #[error("more than its source may send")]
    RateLimited,
    /// More arrives than can be dealt with.
    #[error("too much waits already")]
    Overloaded,
    /// The store could not keep it; the sender gets no confirmation and repeats it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The registry failed.
    #[error("the registry failed: {0}")]
    Registry(String),
}

impl Refused {
    /// Name for counters and events.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        Reason::ALL[self.kind() as usize].1
    }

    pub(super) const fn kind(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::Malformed,
            Self::TooLong { .. } => Reason::TooLong,
            Self::Blocks => Reason::Blocks,
            Self::NotANotification(_) => Reason::NotANotification,
            Self::UnknownTitle(_) => Reason::UnknownTitle,
            Self::NoTitle => Reason::NoTitle,
            Self::Security { .. } => Reason::Security,
            Self::Replay { .. } => Reason::Replay,
            Self::Plaintext => Reason::Plaintext,
            Self::Ambiguous => Reason::Ambiguous,
            Self::RateLimited => Reason::RateLimited,
            Self::Overloaded => Reason::Overloaded,
            Self::Store(_) | Self::Registry(_) => Reason::Store,
        }
    }
}

/// Reasons, as places in a table of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Malformed,
    TooLong,
    Blocks,
    NotANotification,
    UnknownTitle,
    NoTitle,
    Security,
    Replay,
    Plaintext,
    Ambiguous,
    RateLimited,
    Overloaded,
    Store,
}

impl Reason {
    pub(super) const ALL: [(Self, &'static str); 13] = [
        (Self::Malformed, "malformed"),
        (Self::TooLong, "too_long"),
        (Self::Blocks, "blocks"),
        (Self::NotANotification, "not_a_notification"),
        (Self::UnknownTitle, "unknown_title"),
        (Self::NoTitle, "no_title"),
        (Self::Security, "security"),
        (Self::Replay, "replay"),
        (Self::Plaintext, "plaintext"),
        (Self::Ambiguous, "ambiguous"),
        (Self::RateLimited, "rate_limited"),
        (Self::Overloaded, "overloaded"),
        (Self::Store, "store"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_place() {
        for (place, (reason, _)) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
        assert_eq!(Refused::Plaintext.reason(), "plaintext");
    }
}
