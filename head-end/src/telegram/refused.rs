//! Why a telegram was not taken.

use dlms::{
    id::SystemTitle,
    p1::{Dropped, TelegramError},
    security::SecurityError,
};

use crate::{
    meter::{EquipmentId, MeterId},
    registry::RegistryError,
    store::StoreError,
};

/// Why a telegram was not taken.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// More octets than a telegram may have.
    #[error("longer than {limit} octets")]
    TooLong {
        /// How many it may have.
        limit: usize,
    },
    /// A line brought something else, or only a part.
    #[error("no telegram: {}", dropped(.0))]
    Dropped(Dropped),
    /// The octets are no telegram, or its check sum is wrong.
    #[error("no telegram: {0}")]
    Telegram(TelegramError),
    /// It names nobody, and where it comes from says nothing either.
    #[error("the telegram has no equipment identifier, and its port belongs to no meter")]
    NoIdentifier,
    /// No meter is registered for the identifier.
    #[error("no meter is registered with equipment identifier {0}")]
    UnknownEquipment(EquipmentId),
    /// No meter with a key for telegrams is registered for the system title.
    #[error("no meter with a key for telegrams is registered with system title {0}")]
    UnknownTitle(SystemTitle),
    /// Several meters are registered for the identifier.
    #[error("several meters are registered with equipment identifier {0}")]
    Ambiguous(EquipmentId),
    /// It is another meter's than it should be.
    #[error("a telegram of another meter than {0}")]
    OtherMeter(MeterId),
    /// In clear, and the meter's are ciphered, or come from elsewhere.
    #[error("{0}: in clear, which it does not send, or from an address that it does not send from")]
    Plaintext(MeterId),
    /// It does not open with the keys of the meter.
    #[error("{meter}: {error}")]
    Security {
        /// The meter that it claims to come from.
        meter: MeterId,
        /// What is wrong.
        error: SecurityError,
    },
    /// Its frame counter is below one that was seen.
    #[error("{0}: its frame counter was seen before")]
    Replay(MeterId),
    /// More than its source may send.
    #[error("more than its source may send")]
    RateLimited,
    /// The store failed; the same telegram may be sent again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The registry failed.
    #[error("the registry failed: {0}")]
    Registry(String),
}

const fn dropped(reason: &Dropped) -> &'static str {
    match reason {
        Dropped::TooLong => "it is too long",
        Dropped::Timeout => "the rest did not come in time",
        Dropped::Restarted => "another one began before its end",
        _ => "it has an octet that is no character",
    }
}

impl From<RegistryError> for Refused {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Store(error) => Self::Store(error),
            other => Self::Registry(other.to_string()),
        }
    }
}

/// Reasons as they are counted.
pub(super) const REASONS: [&str; 12] = [
    "malformed",
    "too_long",
    "check_sum",
    "no_identifier",
    "unknown_device",
    "ambiguous",
    "other_meter",
    "plaintext",
    "security",
    "replay",
    "rate_limited",
    "store",
];

impl Refused {
    /// Name for counters and answers.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLong { .. } | Self::Dropped(Dropped::TooLong) => "too_long",
            Self::Dropped(_) => "malformed",
            Self::Telegram(TelegramError::NoCrc | TelegramError::CrcDigits | TelegramError::Crc { .. }) => "check_sum",
            Self::Telegram(_) => "malformed",
            Self::NoIdentifier => "no_identifier",
            Self::UnknownEquipment(_) | Self::UnknownTitle(_) => "unknown_device",
            Self::Ambiguous(_) => "ambiguous",
            Self::OtherMeter(_) => "other_meter",
            Self::Plaintext(_) => "plaintext",
            Self::Security { .. } => "security",
            Self::Replay(_) => "replay",
            Self::RateLimited => "rate_limited",
            Self::Store(_) | Self::Registry(_) => "store",
        }
    }
}
