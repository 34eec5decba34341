//! Segments joined to APDUs.

use thiserror::Error;

use super::frame::Frame;
use crate::link::Storage;

/// Between whom an APDU travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The address field; FF: everybody.
    pub address: u8,
    /// The sender's access point: the logical device.
    pub source: u8,
    /// The receiver's access point: the client.
    pub destination: u8,
}

/// Why a segment was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// Not the segment that comes next; what was there of its APDU is dropped.
    #[error("segment {found} instead of {expected}")]
    Number {
        /// The number that should have come.
        expected: u8,
        /// The number that came.
        found: u8,
    },
    /// A segment of another conversation; what was there is dropped.
    #[error("a segment between other access points")]
    Route,
    /// The APDU is longer than the storage.
    #[error("an apdu of more than {limit} octet(s)")]
    Oversize {
        /// Octets that fit.
        limit: usize,
    },
}

/// Joins the segments of one APDU at a time.
#[derive(Debug)]
pub struct Joiner<B> {
    storage: B,
    filled: usize,
    route: Option<Route>,
    next: u8,
    complete: bool,
}

impl<B: Storage> Joiner<B> {
    /// A joiner of APDUs that fit into `storage`.
    pub const fn new(storage: B) -> Self {
        Self { storage, filled: 0, route: None, next: 0, complete: false }
    }

    /// Takes the segment of a frame; returns whether the APDU is complete with it: see [`apdu`](Self::apdu).
    ///
    /// # Errors
    /// [`SegmentError`]: what was there of an APDU is dropped, and the next segment 0 begins another.
    pub fn push(&mut self, frame: &Frame<'_>) -> Result<bool, SegmentError> {
        if self.complete {
            self.clear();
        }
        let (found, route) = (frame.number(), frame.route());
        // After fifteen comes zero again: then it goes on.
        if found == 0 && (self.next != 0 || self.route.is_none()) {
            self.clear();
            self.route = Some(route);
        } else if self.route != Some(route) {
            self.clear();
            return Err(SegmentError::Route);
        } else if found != self.next {
            let expected = self.next;
            self.clear();
            return Err(SegmentError::Number { expected, found });
        }
        let end = self.filled.saturating_add(frame.segment.len());
        let limit = self.storage.as_ref().len();
        let Some(room) = self.storage.as_mut().get_mut(self.filled..end) else {
            self.clear();
            return Err(SegmentError::Oversize { limit });
        };
        room.copy_from_slice(frame.segment);
        self.filled = end;
        self.next = found.wrapping_add(1) & 0x0F;
        self.complete = frame.is_last();
        Ok(self.complete)
    }

    /// Whether segments have come and the last has not.
    pub const fn is_partial(&self) -> bool {
        self.route.is_some() && !self.complete
    }

    /// Between whom the APDU travels.
    pub const fn route(&self) -> Option<Route> {
        self.route
    }

    /// The complete APDU, which may be changed in place; empty when there is none.
    pub fn apdu(&mut self) -> &mut [u8] {
        let end = if self.complete { self.filled } else { 0 };
        self.storage.as_mut().get_mut(..end).unwrap_or_default()
    }

    /// Drops what is there.
    pub fn clear(&mut self) {
        (self.filled, self.route, self.next, self.complete) = (0, None, 0, false);
    }
}
