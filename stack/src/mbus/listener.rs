//! Pushes of a line.

use super::{Framer, Joiner, Route, SegmentError};
use crate::Instant;
use crate::link::Storage;

/// Joins the long frames of a line to APDUs, whoever they are from and for; nothing is ever sent.
///
/// Drive it as the listener of an HDLC line: hand in octets until all are taken, look for an event after each call.
#[derive(Debug)]
pub struct Listener<B> {
    framer: Framer<B>,
    joiner: Joiner<B>,
    announced: bool,
    deadline: Option<Instant>,
    /// APDUs that were given up because of a segment.
    broken: u32,
    /// Frames whose length octet had run over.
    overruns: u32,
}

impl<B: Storage> Listener<B> {
    /// How long the segments of an APDU may be apart, in milliseconds. No source states one.
    const SEGMENT_TIMEOUT_MS: u64 = 10_000;

    /// A listener for frames that fit into `frame` and APDUs that fit into `receive`; the rest as for [`Framer::new`].
    pub const fn new(frame: B, receive: B, inter_octet_timeout_ms: u32, overrun: bool) -> Self {
        Self {
            framer: Framer::new(frame, inter_octet_timeout_ms, overrun),
            joiner: Joiner::new(receive),
            announced: true,
            deadline: None,
            broken: 0,
            overruns: 0,
        }
    }

    /// Broken frames so far.
    pub const fn frame_errors(&self) -> u32 {
        self.framer.errors()
    }

    /// APDUs that were given up, since a segment was lost or they do not fit.
    pub const fn broken_apdus(&self) -> u32 {
        self.broken
    }

    /// Frames so far whose length octet had run over.
    pub const fn overruns(&self) -> u32 {
        self.overruns
    }

    fn is_held(&mut self) -> bool {
        !self.joiner.apdu().is_empty()
    }

    /// Hands in octets. Stops behind a frame that completes an APDU, and takes none while one waits; returns how many were
    /// taken.
    pub fn handle_input(&mut self, bytes: &[u8], now: Instant) -> usize {
        let mut rest = bytes;
        while !self.is_held() {
            let (used, frame) = self.framer.push(rest, now);
            rest = rest.get(used..).unwrap_or_default();
            let frame = match frame {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => continue,
                None => break,
            };
            self.overruns = self.overruns.saturating_add(u32::from(frame.is_overrun()));
            let partial = self.joiner.is_partial();
            match self.joiner.push(&frame) {
                Ok(complete) => self.announced = !complete,
                // The end of an APDU whose beginning was not heard is no loss of this listener's.
                Err(SegmentError::Number { .. } | SegmentError::Route) if !partial => {}
                Err(_) => self.broken = self.broken.saturating_add(1),
            }
            self.deadline = self.joiner.is_partial().then(|| now.after_ms(Self::SEGMENT_TIMEOUT_MS));
        }
        bytes.len().saturating_sub(rest.len())
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.handle_input(&[], now);
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            self.deadline = None;
            self.broken = self.broken.saturating_add(1);
            self.joiner.clear();
        }
    }

    /// An APDU that has arrived, told once: between whom; it waits in [`apdu`](Self::apdu).
    pub fn poll_event(&mut self) -> Option<Route> {
        if core::mem::replace(&mut self.announced, true) { None } else { self.joiner.route() }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None`: not needed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.framer.poll_timeout(), self.deadline].into_iter().flatten().min()
    }

    /// The APDU, which may be changed in place; empty when none waits.
    pub fn apdu(&mut self) -> &mut [u8] {
        self.joiner.apdu()
    }

    /// Gives the APDU's storage back.
    pub fn release_apdu(&mut self) {
        self.joiner.clear();
    }
}
