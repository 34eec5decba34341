//! Own frames that come back: optical heads and two-wire lines may return what is sent.

use super::frame::Frame;

/// Check sequences of the frames sent since the turn was handed over, oldest first. Needed only where client and
/// server have the same address; otherwise the addresses tell an echo.
#[derive(Clone, Copy, Debug)]
pub(super) struct Echo {
    sent: [Option<[u8; 2]>; 8],
}

impl Echo {
    pub(super) const fn new() -> Self {
        Self { sent: [None; 8] }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Notes a frame, with its flags, that was sent.
    pub(super) fn note(&mut self, flagged: &[u8]) {
        let [.., a, b, _flag] = flagged else { return };
        if let Some(free) = self.sent.iter_mut().find(|entry| entry.is_none()) {
            *free = Some([*a, *b]);
        }
    }

    /// Whether `frame` is the echo of one that was noted, which is forgotten then.
    pub(super) fn take(&mut self, frame: &Frame<'_>) -> bool {
        let Some(fcs) = frame.octets().last_chunk::<2>() else { return false };
        match self.sent.iter_mut().find(|entry| entry.as_ref() == Some(fcs)) {
            Some(entry) => {
                *entry = None;
                true
            }
            None => false,
        }
    }
}
