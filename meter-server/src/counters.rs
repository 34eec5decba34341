//! Invocation counters of one encryption key, kept across restarts.
//!
//! Two APDUs under one key with one counter give the key away, and an APDU that is accepted twice is a command that is
//! obeyed twice. So the meter remembers both:
//!
//! - Transmit counters are **reserved ahead**: before the first of a block of [`RESERVED`] is used, the end of the block
//!   is kept. A meter that restarts goes on from there; what was left of the block is lost.
//! - Receive floors are **written through**: before a verified request is executed, its counter is kept. A meter that
//!   restarts accepts nothing a second time.
//! - When the memory does not take what is to be kept, no counter is handed out and none is accepted.
//!
//! Records are those of a [`Journal`], so that power may fail at any moment.

use dlms::id::SystemTitle;

use crate::journal::{Found, Journal, OVERHEAD, Slots};

/// Transmit counters that are reserved at once.
pub const RESERVED: u32 = 1_000;
/// Clients whose counters are kept apart; beyond it they share the highest one that was forgotten.
pub const PEERS: usize = 16;

/// Octets of one client in a record.
const PEER_OCTETS: usize = 12;
/// Octets in front of the clients: version, generation, end, floor of the others, number of clients.
const HEAD_OCTETS: usize = 1 + 4 + 4 + 4 + 1;
/// Longest record with what is around it.
const ROOM: usize = OVERHEAD + HEAD_OCTETS + PEERS * PEER_OCTETS;
/// Version of the record's layout.
const VERSION: u8 = 1;

/// What was kept cannot be read: under this key nothing may be sent or accepted until it is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountersLost;

/// The transmit counter and the receive floors of one encryption key.
#[derive(Debug)]
pub struct Counters<S> {
    journal: Journal<S>,
    /// Number of the key that they belong to.
    generation: u32,
    next: u32,
    /// The first transmit counter that is not reserved.
    end: u32,
    /// Lowest acceptable counter by client, the one heard last at the end.
    peers: [(SystemTitle, u32); PEERS],
    known: usize,
    /// Lowest acceptable counter of everybody else.
    others: u32,
    /// The memory failed: nothing is handed out or accepted any more.
    failed: bool,
}

impl<S: Slots> Counters<S> {
    /// The counters of key number `generation`. When nothing was kept, or for an earlier key only, they begin at `first`
    /// and 0.
    ///
    /// # Errors
    /// [`CountersLost`].
    pub fn open(slots: S, generation: u32, first: u32) -> Result<Self, CountersLost> {
        let mut room = [0; ROOM];
        let (journal, found) = Journal::open(slots, &mut room);
        let mut counters = Self {
            journal,
            generation,
            next: first,
            end: first,
            peers: [(SystemTitle([0; 8]), 0); PEERS],
            known: 0,
            others: 0,
            failed: false,
        };
        match found {
            Found::Nothing => {}
            Found::Record(length) => {
                let record = room.get(..length).unwrap_or_default();
                counters.restore(record).ok_or(CountersLost)?;
            }
            Found::Lost => return Err(CountersLost),
        }
        Ok(counters)
    }

    /// Takes over a record; one of an earlier key is left aside, as its successor was never used.
    fn restore(&mut self, record: &[u8]) -> Option<()> {
        let (head, mut rest) = record.split_first_chunk::<HEAD_OCTETS>()?;
        let [version, a, b, c, d, e, f, g, h, i, j, k, l, known] = *head;
        if version != VERSION || usize::from(known) > PEERS {
            return None;
        }
        let kept = u32::from_be_bytes([a, b, c, d]);
        if kept > self.generation {
            // Of a key that the meter no longer knows to have had: nothing may be counted from 0 again.
            return None;
        }
        if kept < self.generation {
            return Some(());
        }
        let end = u32::from_be_bytes([e, f, g, h]);
        (self.next, self.end) = (end, end);
        self.others = u32::from_be_bytes([i, j, k, l]);
        self.known = usize::from(known);
        for peer in self.peers.iter_mut().take(self.known) {
            let (title, more) = rest.split_first_chunk::<8>()?;
            let (floor, more) = more.split_first_chunk::<4>()?;
            *peer = (SystemTitle(*title), u32::from_be_bytes(*floor));
            rest = more;
        }
        Some(())
    }

    /// Keeps everything, with `end` for the end of what is reserved.
    fn keep(&mut self, end: u32) -> bool {
        let mut room = [0; ROOM];
        let head = [VERSION]
            .into_iter()
            .chain(self.generation.to_be_bytes())
            .chain(end.to_be_bytes())
            .chain(self.others.to_be_bytes())
            .chain([u8::try_from(self.known).unwrap_or(0)]);
        let peers = self.peers.iter().take(self.known).flat_map(|(title, floor)| {
            let [a, b, c, d, e, f, g, h] = title.0;
            let [i, j, k, l] = floor.to_be_bytes();
            [a, b, c, d, e, f, g, h, i, j, k, l]
        });
        let mut length: usize = 0;
        for (to, octet) in room.iter_mut().skip(Journal::<S>::HEAD).zip(head.chain(peers)) {
            *to = octet;
            length = length.saturating_add(1);
        }
        let kept = self.journal.keep(&mut room, length);
        self.failed |= !kept;
        kept
    }

    /// The next transmit counter; `None` when the key is spent, or the memory failed.
    pub fn take(&mut self) -> Option<u32> {
        if self.failed || self.next == u32::MAX {
            return None;
        }
        if self.next >= self.end {
            let end = self.next.saturating_add(RESERVED);
            if !self.keep(end) {
                return None;
            }
            self.end = end;
        }
        let counter = self.next;
        self.next = counter.saturating_add(1);
        Some(counter)
    }

    /// The next transmit counter that is not below `least`; `None` as for [`take`](Self::take).
    pub fn take_from(&mut self, least: u32) -> Option<u32> {
        self.next = self.next.max(least);
        self.take()
    }

    /// The lowest counter that is acceptable from `peer`.
    pub fn floor(&self, peer: SystemTitle) -> u32 {
        if self.failed {
            return u32::MAX;
        }
        let known = self.peers.iter().take(self.known).find(|(title, _)| *title == peer);
        known.map_or(self.others, |(_, floor)| *floor)
    }

    /// The lowest counter that is acceptable from anybody.
    pub fn highest_floor(&self) -> u32 {
        self.peers.iter().take(self.known).map(|(_, floor)| *floor).fold(self.others, u32::max)
    }

    /// `counter` of `peer` was verified.
    pub fn accept(&mut self, peer: SystemTitle, counter: u32) {
        let floor = self.floor(peer).max(counter.saturating_add(1));
        let at = self.peers.iter().take(self.known).position(|(title, _)| *title == peer);
        match at {
            Some(at) => {
                let heard = self.peers.get_mut(at..self.known);
                heard.into_iter().for_each(|heard| heard.rotate_left(1));
            }
            None if self.known < PEERS => self.known = self.known.saturating_add(1),
            None => {
                // Whoever is forgotten must not be able to replay: strangers inherit the highest forgotten floor.
                let forgotten = self.peers.first().map_or(0, |(_, floor)| *floor);
                self.others = self.others.max(forgotten);
                self.peers.rotate_left(1);
            }
        }
        if let Some(last) = self.known.checked_sub(1).and_then(|last| self.peers.get_mut(last)) {
            *last = (peer, floor);
        }
        self.keep(self.end);
    }

    /// Another key is in force: everything begins at 0.
    pub fn restart(&mut self, generation: u32) {
        self.generation = generation;
        (self.next, self.end, self.known, self.others) = (0, 0, 0, 0);
        // A memory that failed once is asked again: the new key has nothing to lose yet.
        self.failed = false;
        self.keep(0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::journal::Forgetful;
    use crate::journal::tests::Cut;

    fn title(number: u8) -> SystemTitle {
        SystemTitle([b'T', b'S', b'T', 0, 0, 0, 0, number])
    }

    #[test]
    fn floors_only_rise_and_belong_to_one_client() {
        let mut counters = Counters::open(Forgetful, 0, 7).unwrap();
        counters.accept(title(1), 41);
        assert_eq!(counters.floor(title(1)), 42);
        assert_eq!(counters.floor(title(2)), 0);
        counters.accept(title(1), 7);
        assert_eq!(counters.floor(title(1)), 42);
        assert_eq!((counters.highest_floor(), counters.take()), (42, Some(7)));
        counters.restart(1);
        assert_eq!((counters.floor(title(1)), counters.take()), (0, Some(0)));
    }

    #[test]
    fn a_forgotten_client_cannot_replay() {
        let mut counters = Counters::open(Forgetful, 0, 0).unwrap();
        for number in 0..=u8::try_from(PEERS).unwrap() {
            counters.accept(title(number), 100 + u32::from(number));
            // The one heard before stays known.
            counters.accept(title(1), 50);
        }
        assert_eq!(counters.known, PEERS);
        assert_eq!(counters.floor(title(0)), 101);
        assert_eq!(counters.floor(title(1)), 102);
    }

    #[test]
    fn a_spent_key_hands_out_nothing() {
        let mut counters = Counters::open(Forgetful, 0, u32::MAX - 2).unwrap();
        assert_eq!([counters.take(), counters.take(), counters.take()], [Some(u32::MAX - 2), Some(u32::MAX - 1), None]);
    }

    /// What a meter does until its power fails, which it does after every octet that could be written. After each restart
    /// no counter may leave a second time, and none may be accepted a second time.
    #[test]
    fn lesson_01_no_loss_of_power_repeats_a_counter() {
        // How much is written when nothing fails.
        let whole = Cut::default();
        life(&whole, &mut BTreeSet::new(), &mut Vec::new());
        let total = *whole.written.borrow();
        assert!(total > 500, "{total}");
        for power in 0..total {
            let memory = Cut::default();
            let (mut sent, mut accepted) = (BTreeSet::new(), Vec::new());
            // Two lives that end early, and one that goes on.
            for power in [Some(power), Some(power / 2), None] {
                *memory.left.borrow_mut() = power;
                life(&memory, &mut sent, &mut accepted);
            }
        }
    }

    fn life(memory: &Cut, sent: &mut BTreeSet<u32>, accepted: &mut Vec<(SystemTitle, u32)>) {
        let mut counters = Counters::open(memory.clone(), 0, 5).unwrap();
        for step in 0..40_u32 {
            // The end of what is reserved is crossed twice.
            for _ in 0..60 {
                let Some(counter) = counters.take() else { return };
                assert!(sent.insert(counter), "{counter} a second time");
            }
            let peer = title(u8::try_from(step % 3).unwrap());
            for (peer, counter) in &*accepted {
                assert!(counters.floor(*peer) > *counter, "a replay of {counter}");
            }
            let counter = counters.floor(peer);
            if counter == u32::MAX {
                return;
            }
            counters.accept(peer, counter + step % 4);
            // Executed only when it is kept: a memory that fails ends this life here.
            if counters.failed {
                return;
            }
            accepted.push((peer, counter + step % 4));
        }
    }

    #[test]
    fn what_is_lost_is_refused_and_an_earlier_key_is_not_counted_on() {
        let memory = Cut::default();
        let mut counters = Counters::open(memory.clone(), 3, 5).unwrap();
        counters.accept(title(1), 9);
        assert_eq!(counters.take(), Some(5));
        let again = Counters::open(memory.clone(), 3, 5).unwrap();
        assert_eq!((again.next, again.floor(title(1))), (5 + RESERVED, 10));
        // The key was replaced, and power failed before the first use of the new one.
        let next_key = Counters::open(memory.clone(), 4, 0).unwrap();
        assert_eq!((next_key.next, next_key.floor(title(1))), (0, 0));
        memory.slots.borrow_mut().iter_mut().for_each(|slot| slot[8] ^= 1);
        assert_eq!(Counters::open(memory, 3, 5).map(|_| ()), Err(CountersLost));
    }
}
