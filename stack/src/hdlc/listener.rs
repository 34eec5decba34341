//! A station that only listens: pushes of meters that nobody asked, on a customer port or a shared line.

use super::address::Address;
use super::control::Kind;
use super::deframer::Deframer;
use super::receiver::Receiver;
use crate::Instant;
use crate::link::Storage;

/// Who pushed, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Push {
    /// The address the push comes from, in the width it was sent.
    pub source: Address,
    /// The address it names. Meters name clients of any number, nobody, or all stations, in one, two or four octets: it
    /// tells pushes apart, and says little about who may read them.
    pub destination: Address,
}

/// Joins the UI frames of a line to APDUs, whoever they are from and for; nothing is ever sent.
///
/// Drive it like a link: hand in octets until all are taken, and after each call look for an event.
#[derive(Debug)]
pub struct Listener<B> {
    deframer: Deframer<B>,
    receiver: Receiver<B>,
    information_push: bool,
    push: Option<Push>,
    announced: bool,
    /// When an APDU whose end does not come is given up.
    deadline: Option<Instant>,
}

impl<B: Storage> Listener<B> {
    /// How long the segments of an APDU may be apart, in milliseconds. No source states one.
    const SEGMENT_TIMEOUT_MS: u64 = 10_000;

    /// A listener for frames that fit into `frame` without their flags, and APDUs that fit into `receive` with 3 octets
    /// more. A gap of `inter_octet_timeout_ms` milliseconds ends a frame. With `information_push` numbered frames are taken
    /// for pushes as well, as Kaifa sends them; not to be used on a line where others hold a conversation.
    pub const fn new(frame: B, receive: B, inter_octet_timeout_ms: u32, information_push: bool) -> Self {
        Self {
            deframer: Deframer::new(frame, inter_octet_timeout_ms),
            receiver: Receiver::new(receive),
            information_push,
            push: None,
            announced: false,
            deadline: None,
        }
    }

    /// Broken frames received so far.
    pub const fn frame_errors(&self) -> u32 {
        self.deframer.errors()
    }

    /// Hands in octets of the line. Stops behind a frame that completes an APDU, and takes none while one waits; returns
    /// how many were taken.
    pub fn handle_input(&mut self, bytes: &[u8], now: Instant) -> usize {
        let mut rest = bytes;
        while !self.receiver.is_held() {
            let (used, frame) = self.deframer.push(rest, now);
            rest = rest.get(used..).unwrap_or_default();
            let frame = match frame {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => continue,
                None => break,
            };
            match frame.control().kind {
                Kind::Ui => {}
                Kind::I { .. } if self.information_push => {}
                _ => continue,
            }
            if self.receiver.unnumbered(frame.source(), frame.is_segmented(), frame.information()) {
                self.push = Some(Push { source: frame.source(), destination: frame.destination() });
                self.announced = false;
            }
            self.deadline = self.receiver.is_unnumbered_partial().then(|| now.after_ms(Self::SEGMENT_TIMEOUT_MS));
        }
        bytes.len().saturating_sub(rest.len())
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.handle_input(&[], now);
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            self.deadline = None;
            self.receiver.drop_unnumbered();
        }
    }

    /// A push that has arrived, told once; its APDU waits in [`apdu`](Self::apdu).
    pub fn poll_event(&mut self) -> Option<Push> {
        if core::mem::replace(&mut self.announced, true) { None } else { self.push }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None`: not needed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.deframer.poll_timeout(), self.deadline].into_iter().flatten().min()
    }

    /// The APDU that was pushed, which may be changed in place; empty when none waits.
    pub fn apdu(&mut self) -> &mut [u8] {
        self.receiver.apdu()
    }

    /// Gives the APDU's storage back.
    pub fn release_apdu(&mut self) {
        self.receiver.release();
        self.push = None;
    }
}
