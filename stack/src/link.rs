//! What every link offers to the association above it.
//!
//! A link carries whole APDUs between one client and one server. It is a sans-I/O machine: octets of the
//! line and the time go in, octets for the line, events and the next deadline come out.

use thiserror::Error;

use crate::Instant;
use crate::deviation::Deviations;

/// Memory that a machine is given instead of allocating it: an array in firmware, a `Vec`, a `Box<[u8]>` or
/// a `&mut [u8]` elsewhere. Its size bounds what the machine can ever hold.
pub trait Storage: AsRef<[u8]> + AsMut<[u8]> {}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Storage for T {}

/// What a link has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkEvent {
    /// The link is up: APDUs can be sent.
    Opened,
    /// The link was closed, by either side.
    Closed,
    /// An APDU has arrived and waits in [`Link::apdu`] until [`Link::release_apdu`].
    Apdu,
    /// The link broke and is closed.
    Failed(LinkError),
}

/// Why a link broke, or refused to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Something was to be sent on a link that is not open.
    #[error("the link is not open")]
    NotOpen,
    /// The APDU sent before still occupies the transmit storage.
    #[error("the previous apdu is still being sent")]
    Busy,
    /// An APDU to be sent does not fit into the transmit storage or the length field of the link.
    #[error("apdu of {length} octet(s) to be sent, limit {limit}")]
    ApduTooLong {
        /// Octets of the APDU.
        length: usize,
        /// Octets that fit.
        limit: usize,
    },
    /// The peer announced or sent more than the receive storage holds; nothing of the excess was kept.
    #[error("peer sends an apdu of {length} octet(s) or more, limit {limit}")]
    Oversize {
        /// Octets announced, or received so far.
        length: usize,
        /// Octets that fit.
        limit: usize,
    },
    /// The wrapper header names a version other than 1: the octet stream is not understood (IEC 62056-47).
    #[error("wrapper version {found:#06x}")]
    UnsupportedVersion {
        /// The version field.
        found: u16,
    },
    /// The rest of a protocol data unit did not arrive in time.
    #[error("incomplete after the read time-out")]
    ReadTimeout,
    /// The peer did not answer any of the attempts.
    #[error("no response after {attempts} attempt(s)")]
    NoResponse {
        /// How often the frame or the poll was sent.
        attempts: u8,
    },
    /// The peer keeps the link alive, but does not answer the request, or stays busy.
    #[error("peer is alive but does not answer")]
    NoAnswer,
    /// The peer refused to connect (DM in answer to SNRM).
    #[error("connection refused by the peer")]
    Refused,
    /// The parameters in the answer to SNRM cannot be read.
    #[error("unreadable link parameters from the peer")]
    BadParameters,
    /// The peer says that it is disconnected (DM on an open link).
    #[error("disconnected by the peer")]
    Disconnected,
    /// The peer rejected a frame (FRMR); the link must be set up anew.
    #[error("frame rejected by the peer, reason {reason:#04x}")]
    FrameRejected {
        /// Reason octet of the FRMR, 0 when it carried none.
        reason: u8,
    },
    /// The peer has sent too much that could not be deciphered.
    #[error("too many apdus could not be deciphered")]
    Expelled,
    /// The buffer handed to `poll_transmit` cannot hold one frame.
    #[error("a frame of {needed} octet(s) does not fit into the transmit buffer")]
    TransmitBufferTooSmall {
        /// Octets of the frame.
        needed: usize,
    },
}

/// Client side of a link: one client and one server service access point.
///
/// Methods come in four kinds: commands (`open`, `close`, `send`), inputs (`handle_*`), outputs (`poll_*`)
/// and access to the received APDU. After any command or input drain [`poll_transmit`](Self::poll_transmit)
/// and [`poll_event`](Self::poll_event) until both return `None`, then sleep no later than
/// [`poll_timeout`](Self::poll_timeout).
pub trait Link {
    /// Sets the link up; [`LinkEvent::Opened`] or [`LinkEvent::Failed`] follows. On an open link this resets it.
    fn open(&mut self, now: Instant);

    /// Takes the link down; [`LinkEvent::Closed`] follows, also when the peer does not answer.
    fn close(&mut self, now: Instant);

    /// Sends an APDU, which is copied into the link's own storage, and expects an answer to it.
    ///
    /// # Errors
    /// `NotOpen`, `Busy`, or `ApduTooLong`; the link is unchanged then.
    fn send(&mut self, apdu: &[u8], now: Instant) -> Result<(), LinkError>;

    /// Sends an APDU of an unconfirmed service: no answer will come, and none is polled for.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    fn send_unconfirmed(&mut self, apdu: &[u8], now: Instant) -> Result<(), LinkError> {
        self.send(apdu, now)
    }

    /// Whether what was sent before has left, so that another APDU can follow it.
    fn can_send(&self) -> bool {
        true
    }

    /// Another APDU is expected although nothing is sent for it: on a line where the peer speaks only when it is asked,
    /// it is asked.
    fn expect(&mut self, now: Instant) {
        let _ = now;
    }

    /// Hands in octets of the line. Returns how many were taken: fewer than all when an APDU waits; hand in
    /// the rest after [`release_apdu`](Self::release_apdu).
    fn handle_input(&mut self, bytes: &[u8], now: Instant) -> usize;

    /// Does what is due at `now`.
    fn handle_timeout(&mut self, now: Instant);

    /// Octets for the line, written into `out`; returns how many. `None`: nothing to send.
    fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize>;

    /// The next event.
    fn poll_event(&mut self) -> Option<LinkEvent>;

    /// The received APDU, which may be changed in place (deciphered); empty when none waits.
    fn apdu(&mut self) -> &mut [u8];

    /// Gives the received APDU's storage back to the link.
    fn release_apdu(&mut self);

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None`: not needed.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The deviations of this layer that were met since this was asked last.
    fn take_deviations(&mut self) -> Deviations {
        Deviations::NONE
    }
}

/// A queue of a few events. What a machine can queue before it must be drained is bounded by its design;
/// should a caller never drain it, the newest event replaces the one before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Events<E: Copy, const N: usize = 4>([Option<E>; N]);

impl<E: Copy, const N: usize> Events<E, N> {
    pub(crate) const fn new() -> Self {
        Self([None; N])
    }

    pub(crate) fn push(&mut self, event: E) {
        let free = self.0.iter().position(Option::is_none).unwrap_or(N.saturating_sub(1));
        if let Some(slot) = self.0.get_mut(free) {
            *slot = Some(event);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<E> {
        let event = self.0.first_mut().and_then(Option::take);
        if event.is_some() {
            self.0.rotate_left(1);
        }
        event
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_in_order_and_stay_bounded() {
        let mut events = Events::<u8, 3>::new();
        (1..=4).for_each(|n| events.push(n));
        assert_eq!([events.pop(), events.pop(), events.pop(), events.pop()], [Some(1), Some(2), Some(4), None]);
    }
}
