//! Events of the head-end itself.

use jiff::Timestamp;

use crate::{
    meter::{MeterId, TimeBasis},
    store::{EventCategory, EventOrigin, NewEvent},
};

/// What the head-end notices by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnEvent {
    /// Something claims to come from a meter, and its tag does not verify.
    PushNotVerified,
    /// Something from a meter came a second time.
    PushReplayed,
    /// Something came in clear from where nothing may.
    PlaintextRefused,
    /// A device pushes for which no meter is registered.
    UnclaimedDevice,
    /// A meter refused our keys or our password, or we its.
    AuthenticationFailed,
}

impl OwnEvent {
    /// Its code; the head-end's own begin with 1.
    const fn code(self) -> u32 {
        match self {
            Self::PushNotVerified => 1,
            Self::PushReplayed => 2,
            Self::PlaintextRefused => 3,
            Self::UnclaimedDevice => 4,
            Self::AuthenticationFailed => 5,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::PushNotVerified => "push not verified",
            Self::PushReplayed => "push replayed",
            Self::PlaintextRefused => "push in clear refused",
            Self::UnclaimedDevice => "unknown device",
            Self::AuthenticationFailed => "authentication failed",
        }
    }

    /// The event, now.
    #[must_use]
    pub fn event(self, meter: Option<&MeterId>, detail: impl Into<String>) -> NewEvent {
        let now = Timestamp::now();
        NewEvent {
            meter: meter.cloned(),
            time: now,
            time_basis: TimeBasis::Received,
            clock: None,
            origin: EventOrigin::HeadEnd,
            source: None,
            code: Some(self.code()),
            name: self.name().to_owned(),
            category: EventCategory::Security,
            iec_code: String::new(),
            alarm: !matches!(self, Self::UnclaimedDevice),
            detail: detail.into(),
            received: now,
        }
    }
}
