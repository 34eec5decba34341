//! Long frames out of an octet stream.

use super::frame::{Frame, FrameError, START, frame_octets};
use crate::Instant;
use crate::link::Storage;

/// Cuts the octets of a line into long frames.
///
/// Octets between frames (acknowledgements, short frames, noise) are passed over. After an error the octets of the failed
/// frame are searched for another start, so that what was lost costs no more than its frame.
#[derive(Debug)]
pub struct Framer<B> {
    storage: B,
    inter_octet_timeout_ms: u32,
    overrun: bool,
    filled: usize,
    /// Octets at the start of the storage that have been given out.
    delivered: usize,
    last_octet: Instant,
    errors: u32,
}

impl<B: Storage> Framer<B> {
    /// A framer for frames that fit into `storage` ([`FRAME_MAX`](super::FRAME_MAX) is always enough), in which a gap of
    /// `inter_octet_timeout_ms` milliseconds ends a frame. With `overrun` a length octet that has run over is understood.
    pub const fn new(storage: B, inter_octet_timeout_ms: u32, overrun: bool) -> Self {
        let last_octet = Instant::from_millis(0);
        Self { storage, inter_octet_timeout_ms, overrun, filled: 0, delivered: 0, last_octet, errors: 0 }
    }

    /// Broken frames so far.
    pub const fn errors(&self) -> u32 {
        self.errors
    }

    /// When an incomplete frame is to be given up, by calling [`push`](Self::push).
    pub fn poll_timeout(&self) -> Option<Instant> {
        (self.filled > self.delivered).then(|| self.last_octet.after_ms(u64::from(self.inter_octet_timeout_ms)))
    }

    /// Takes octets up to the end of the next frame. Returns how many were taken and the frame, or why it is none. When
    /// there is neither, all were taken; otherwise call again with the rest, even if it is empty.
    pub fn push(&mut self, input: &[u8], now: Instant) -> (usize, Option<Result<Frame<'_>, FrameError>>) {
        let delivered = core::mem::take(&mut self.delivered);
        self.drop_front(delivered);
        let expired = self.poll_timeout().is_some_and(|deadline| now >= deadline);
        let mut taken = 0_usize;
        let error = loop {
            // A frame begins with the first start octet in the storage, or in the input.
            let noise = self.octets().iter().take_while(|octet| **octet != START).count();
            self.drop_front(noise);
            if self.filled == 0 {
                let rest = input.get(taken..).unwrap_or_default();
                let noise = rest.iter().take_while(|octet| **octet != START).count();
                taken = taken.saturating_add(noise);
                if taken >= input.len() {
                    return (taken, None);
                }
            }
            let needed = match frame_octets(self.octets(), self.overrun) {
                Ok(needed) => needed,
                Err(FrameError::Truncated { needed, .. }) => needed,
                Err(error) => break error,
            };
            let limit = self.storage.as_ref().len();
            if needed > limit {
                break FrameError::TooLong { length: needed, limit };
            }
            if self.filled >= needed && needed > 4 {
                if let Err(error) = Frame::parse_with(self.octets(), self.overrun) {
                    break error;
                }
                self.delivered = needed;
                let frame = Frame::parse_with(self.octets(), self.overrun).map(|(frame, _)| frame);
                return (taken, Some(frame));
            }
            let rest = input.get(taken..).unwrap_or_default();
            if expired && self.filled > 0 {
                break FrameError::Truncated { needed, available: self.filled };
            }
            if rest.is_empty() {
                return (taken, None);
            }
            let used = needed.saturating_sub(self.filled).min(rest.len());
            let end = self.filled.saturating_add(used);
            if let (Some(room), Some(from)) = (self.storage.as_mut().get_mut(self.filled..end), rest.get(..used)) {
                room.copy_from_slice(from);
            }
            self.filled = end;
            taken = taken.saturating_add(used);
            self.last_octet = now;
        };
        self.errors = self.errors.saturating_add(1);
        // Go on behind the start octet that was none.
        if self.filled == 0 {
            taken = taken.saturating_add(1);
        }
        self.drop_front(1);
        (taken, Some(Err(error)))
    }

    fn octets(&self) -> &[u8] {
        self.storage.as_ref().get(..self.filled).unwrap_or_default()
    }

    fn drop_front(&mut self, count: usize) {
        let count = count.min(self.filled);
        self.storage.as_mut().copy_within(count..self.filled, 0);
        self.filled = self.filled.saturating_sub(count);
    }
}
