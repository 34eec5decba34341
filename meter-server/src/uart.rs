//! Octets between the interrupts of a UART and the main loop, without a lock.
//!
//! ```text
//!   receive interrupt ──▶ on_received ──▶ ring ──▶ turn ──▶ Connection ──▶ Device
//!   transmit interrupt ◀── next_to_send ◀── ring ◀──┘          (main loop)
//! ```
//!
//! Interrupts take and give one octet each, in a few instructions. The main loop calls [`Uart::turn`] as often as it
//! likes; the rings have to hold what comes and goes meanwhile: at 9600 baud about one octet a millisecond.

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};

use dlms::Instant;
use dlms::association::server::{Connection, Device, Queue, ServerLink};
use dlms::link::{LinkError, Storage};
use dlms::security::{Crypto, Random};

/// A ring of `N` octets between one writer and one reader, of which either may be an interrupt. It holds one octet less
/// than `N`.
#[derive(Debug)]
pub struct Ring<const N: usize> {
    octets: [AtomicU8; N],
    /// Where the next octet is written; only the writer moves it.
    head: AtomicUsize,
    /// Where the next octet is read; only the reader moves it.
    tail: AtomicUsize,
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Ring<N> {
    /// An empty ring, for a `static`.
    #[must_use]
    pub const fn new() -> Self {
        Self { octets: [const { AtomicU8::new(0) }; N], head: AtomicUsize::new(0), tail: AtomicUsize::new(0) }
    }

    const fn following(at: usize) -> usize {
        let next = at.saturating_add(1);
        if next >= N { 0 } else { next }
    }

    /// The writer's: adds an octet; whether there was room.
    pub fn push(&self, octet: u8) -> bool {
        let head = self.head.load(Ordering::Relaxed);
        let next = Self::following(head);
        if next == self.tail.load(Ordering::Acquire) {
            return false;
        }
        let Some(place) = self.octets.get(head) else { return false };
        place.store(octet, Ordering::Relaxed);
        self.head.store(next, Ordering::Release);
        true
    }

    /// The reader's: takes an octet.
    pub fn pop(&self) -> Option<u8> {
        let octet = self.peek(0)?;
        self.skip(1);
        Some(octet)
    }

    /// The reader's: the octet behind `ahead` others, which stays.
    #[must_use]
    pub fn peek(&self, ahead: usize) -> Option<u8> {
        let at = self.tail.load(Ordering::Relaxed);
        if ahead >= self.len() {
            return None;
        }
        let at = at.checked_add(ahead)?;
        self.octets.get(at.checked_sub(N).unwrap_or(at)).map(|octet| octet.load(Ordering::Relaxed))
    }

    /// The reader's: drops octets, as many as there are at most.
    pub fn skip(&self, count: usize) {
        let at = self.tail.load(Ordering::Relaxed).saturating_add(count.min(self.len()));
        self.tail.store(at.checked_sub(N).unwrap_or(at), Ordering::Release);
    }

    /// Octets that are there.
    #[must_use]
    pub fn len(&self) -> usize {
        let (head, tail) = (self.head.load(Ordering::Acquire), self.tail.load(Ordering::Acquire));
        head.checked_sub(tail).unwrap_or_else(|| head.saturating_add(N).saturating_sub(tail))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets that there is room for.
    #[must_use]
    pub fn free(&self) -> usize {
        N.saturating_sub(1).saturating_sub(self.len())
    }
}

/// What interrupts and the main loop share of one UART: a `static`.
#[derive(Debug, Default)]
pub struct Uart<const RECEIVE: usize, const SEND: usize> {
    received: Ring<RECEIVE>,
    sending: Ring<SEND>,
    overruns: AtomicU32,
}

impl<const RECEIVE: usize, const SEND: usize> Uart<RECEIVE, SEND> {
    /// Nothing received, nothing to be sent.
    #[must_use]
    pub const fn new() -> Self {
        Self { received: Ring::new(), sending: Ring::new(), overruns: AtomicU32::new(0) }
    }

    /// The receive interrupt has an octet. Without room it is lost, and the check sum of its frame tells.
    pub fn on_received(&self, octet: u8) {
        if !self.received.push(octet) {
            let lost = self.overruns.load(Ordering::Relaxed).saturating_add(1);
            self.overruns.store(lost, Ordering::Relaxed);
        }
    }

    /// The transmitter is free: the octet that it is to send, or `None`, on which its interrupt is switched off until
    /// [`turn`](Self::turn) returns `true`.
    pub fn next_to_send(&self) -> Option<u8> {
        self.sending.pop()
    }

    /// Octets that were lost because the main loop was too slow.
    #[must_use]
    pub fn overruns(&self) -> u32 {
        self.overruns.load(Ordering::Relaxed)
    }

    /// One turn of the main loop: hands what was received to `line`, and what `line` has to say to the transmitter.
    /// Whether there is something to send, so that the transmit interrupt has to be on.
    ///
    /// `room` holds the longest frame of the line (with HDLC's default parameters 143 octets); `SEND` must be more, as a
    /// frame is put into the ring when all of it fits.
    ///
    /// # Errors
    /// Why the stream of octets is lost: the line must be closed and begun anew.
    pub fn turn<L, C, B, const N: usize, Q, D, R>(
        &self,
        line: &mut Connection<L, C, B, N, Q>,
        now: Instant,
        device: &mut D,
        random: &mut R,
        room: &mut [u8],
    ) -> Result<bool, LinkError>
    where
        L: ServerLink,
        C: Crypto,
        B: Storage,
        Q: Queue,
        D: Device,
        R: Random,
    {
        if line.poll_timeout().is_some_and(|due| now >= due) {
            line.handle_timeout(now, device, random)?;
        }
        loop {
            // What is to be sent goes first; what does not fit waits in the connection.
            while self.sending.free() >= room.len() {
                let Some(length) = line.poll_transmit(room) else { break };
                room.iter().take(length).for_each(|octet| {
                    self.sending.push(*octet);
                });
            }
            if self.sending.free() < room.len() {
                return Ok(true);
            }
            let there = (0..room.len()).map_while(|ahead| self.received.peek(ahead));
            let count = room.iter_mut().zip(there).map(|(to, octet)| *to = octet).count();
            if count == 0 {
                return Ok(!self.sending.is_empty());
            }
            let taken = line.handle_input(room.get(..count).unwrap_or_default(), now, device, random)?;
            self.received.skip(taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_gives_back_what_it_took_in_order() {
        let ring = Ring::<5>::new();
        let (mut written, mut read, mut count) = (0_u8, 0_u8, 0);
        for step in 0..200_u8 {
            for _ in 0..step % 6 {
                let free = ring.free();
                assert_eq!(ring.push(written), free > 0);
                written = written.wrapping_add(u8::from(free > 0));
            }
            assert_eq!(usize::from(written.wrapping_sub(read)), ring.len());
            assert_eq!((ring.len() + ring.free(), ring.peek(ring.len())), (4, None));
            for _ in 0..step % 4 {
                if let Some(octet) = ring.pop() {
                    assert_eq!(octet, read);
                    read = read.wrapping_add(1);
                    count += 1;
                }
            }
            assert_eq!(ring.is_empty(), written == read);
        }
        assert!(count > 256, "{count}");
        ring.skip(100);
        assert!(ring.is_empty());
    }

    #[test]
    fn octets_without_room_are_lost_and_counted() {
        let uart = Uart::<4, 64>::new();
        (0..5).for_each(|octet| uart.on_received(octet));
        assert_eq!((uart.overruns(), uart.received.len(), uart.next_to_send()), (2, 3, None));
    }

    /// Writer and reader in threads of their own, as far apart as they like.
    #[test]
    fn two_threads_share_a_ring() {
        let ring = Ring::<16>::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..20_000_u32 {
                    while !ring.push(number.to_le_bytes()[0]) {
                        std::thread::yield_now();
                    }
                }
            });
            for number in 0..20_000_u32 {
                let octet = loop {
                    match ring.pop() {
                        Some(octet) => break octet,
                        None => std::thread::yield_now(),
                    }
                };
                assert_eq!(octet, number.to_le_bytes()[0]);
            }
        });
    }
}
