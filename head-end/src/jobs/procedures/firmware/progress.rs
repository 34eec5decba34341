//! How far a meter is, as it is kept between visits.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How far a meter is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) phase: Phase,
    /// The active firmware identifier as it was found.
    pub(super) before: Option<String>,
    /// Blocks of the image, once the meter has said how long they are.
    pub(super) blocks: u32,
    /// Blocks sent so far.
    pub(super) sent: u32,
    /// Whether the transfer was begun before this task.
    pub(super) resumed: bool,
}

/// What was begun.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// image_transfer_initiate may or may not have reached the meter, and no block was sent.
    Initiating,
    /// The meter takes blocks of this image.
    Transferring,
    /// The meter verifies, and has until then.
    Verifying { until: Timestamp },
    /// The meter has verified the image.
    Verified,
    /// The meter was told to activate the image, and has until then; `accepted` is whether it has agreed.
    Activating { until: Timestamp, accepted: bool },
}

impl Progress {
    pub(super) const fn new(before: Option<String>) -> Self {
        Self { phase: Phase::Initiating, before, blocks: 0, sent: 0, resumed: false }
    }

    /// What was kept; what cannot be read is as good as nothing, since the meter is asked.
    pub(super) fn of(checkpoint: Option<&[u8]>) -> Option<Self> {
        checkpoint.and_then(|octets| serde_json::from_slice(octets).ok())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        // Of numbers, names and times, which have a form in JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_nonsense_is_nothing() {
        let until = Timestamp::from_second(1_790_000_000).unwrap();
        for phase in [
            Phase::Initiating,
            Phase::Transferring,
            Phase::Verifying { until },
            Phase::Verified,
            Phase::Activating { until, accepted: true },
        ] {
            let progress = Progress { phase, blocks: 7, ..Progress::new(Some("1.0".to_owned())) };
            assert_eq!(Progress::of(Some(&progress.encode())), Some(progress));
        }
        assert_eq!(Progress::of(Some(b"{}")), None);
        assert_eq!(Progress::of(None), None);
    }
}
