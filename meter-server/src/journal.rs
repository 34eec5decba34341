//! A record in non-volatile memory that is whole after a loss of power at any moment.
//!
//! Two slots are written in turn, each with a sequence number and a check sum. A write that is cut off spoils the older
//! of them; what counts is the newer one that is whole.

/// Octets around a record: sequence number, length and CRC-32.
pub const OVERHEAD: usize = 4 + 2 + 4;

/// Non-volatile memory of two slots: sectors of a flash memory, or two files.
pub trait Slots {
    /// Reads slot 0 or 1 into `out`; returns how many octets were read, 0 when the slot was never written. `None` when the
    /// memory does not work.
    fn read(&mut self, slot: usize, out: &mut [u8]) -> Option<usize>;

    /// Writes a whole slot; whether the octets will survive a loss of power from now on. When power is lost before this
    /// returns, the slot may hold anything; the other slot is untouched.
    fn write(&mut self, slot: usize, octets: &[u8]) -> bool;
}

/// What was found when a journal was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing was ever kept.
    Nothing,
    /// A record of so many octets.
    Record(usize),
    /// Both slots were written and none is whole, or the memory does not work: what was kept is lost.
    Lost,
}

/// One record, kept in two slots.
#[derive(Debug)]
pub struct Journal<S> {
    slots: S,
    /// Of the newest record; the slot is its lowest bit.
    sequence: u32,
}

impl<S: Slots> Journal<S> {
    /// Looks for the newest record, which is left at the beginning of `room`. `room` must hold the longest record and
    /// [`OVERHEAD`].
    pub fn open(mut slots: S, room: &mut [u8]) -> (Self, Found) {
        let mut newest = None;
        let mut broken: u8 = 0;
        for slot in 0..2 {
            match slots.read(slot, room) {
                Some(0) => {}
                Some(count) => match parse(room.get(..count).unwrap_or_default()) {
                    Some((sequence, _)) if newest.is_none_or(|(known, _)| newer(sequence, known)) => {
                        newest = Some((sequence, slot));
                    }
                    Some(_) => {}
                    None => broken = broken.saturating_add(1),
                },
                None => broken = 2,
            }
        }
        let Some((sequence, slot)) = newest else {
            // A single slot that is not whole is the very first write, cut off: nothing was done on the strength of it.
            let found = if broken < 2 { Found::Nothing } else { Found::Lost };
            return (Self { slots, sequence: 1 }, found);
        };
        let count = slots.read(slot, room).unwrap_or(0);
        let found = match parse(room.get(..count).unwrap_or_default()) {
            Some((_, payload)) => Found::Record(payload.len()),
            None => Found::Lost,
        };
        if let Found::Record(length) = found {
            room.copy_within(HEAD..HEAD.saturating_add(length), 0);
        }
        (Self { slots, sequence }, found)
    }

    /// Keeps a record of `length` octets, which begins at [`Journal::HEAD`] of `room`; whether it is kept for good.
    pub fn keep(&mut self, room: &mut [u8], length: usize) -> bool {
        let sequence = self.sequence.wrapping_add(1);
        let Ok(short) = u16::try_from(length) else { return false };
        let end = HEAD.saturating_add(length);
        let Some((head, _)) = room.split_first_chunk_mut::<HEAD>() else { return false };
        let [a, b, c, d] = sequence.to_be_bytes();
        let [e, f] = short.to_be_bytes();
        *head = [a, b, c, d, e, f];
        let Some(sum) = room.get(..end).map(crc32) else { return false };
        let Some(tail) = room.get_mut(end..).and_then(|tail| tail.first_chunk_mut::<4>()) else { return false };
        *tail = sum.to_be_bytes();
        let whole = room.get(..end.saturating_add(4)).unwrap_or_default();
        if !self.slots.write(usize::from(sequence & 1 != 0), whole) {
            return false;
        }
        self.sequence = sequence;
        true
    }

    /// Where a record begins in the room that is handed to [`keep`](Self::keep).
    pub const HEAD: usize = HEAD;
}

/// Sequence number and length.
const HEAD: usize = 6;

/// Whether `a` comes after `b`, across the wrap.
const fn newer(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) < 1 << 31
}

/// Sequence number and payload of a slot that is whole.
fn parse(slot: &[u8]) -> Option<(u32, &[u8])> {
    let (sequence, rest) = slot.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let payload = rest.get(..length)?;
    let sum = rest.get(length..)?.first_chunk::<4>()?;
    let summed = slot.get(..HEAD.checked_add(length)?)?;
    (crc32(summed).to_be_bytes() == *sum).then_some((u32::from_be_bytes(*sequence), payload))
}

/// CRC-32 of IEEE 802.3, bit by bit: a few hundred octets now and then.
pub(crate) fn crc32(octets: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for octet in octets {
        crc ^= u32::from(*octet);
        for _ in 0..8 {
            crc = if crc & 1 != 0 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// Memory that forgets everything: for a meter that starts anew each time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forgetful;

impl Slots for Forgetful {
    fn read(&mut self, _: usize, _: &mut [u8]) -> Option<usize> {
        Some(0)
    }

    fn write(&mut self, _: usize, _: &[u8]) -> bool {
        true
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// Two slots whose power fails after so many octets have been written.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Cut {
        pub(crate) slots: Rc<RefCell<[Vec<u8>; 2]>>,
        /// Octets that will still be written; `None`: no limit.
        pub(crate) left: Rc<RefCell<Option<usize>>>,
        pub(crate) written: Rc<RefCell<usize>>,
    }

    impl Slots for Cut {
        fn read(&mut self, slot: usize, out: &mut [u8]) -> Option<usize> {
            let slots = self.slots.borrow();
            let count = slots[slot].len().min(out.len());
            out[..count].copy_from_slice(&slots[slot][..count]);
            Some(count)
        }

        fn write(&mut self, slot: usize, octets: &[u8]) -> bool {
            let mut left = self.left.borrow_mut();
            let count = left.map_or(octets.len(), |left| left.min(octets.len()));
            let slots = &mut *self.slots.borrow_mut();
            // What is not overwritten stays, as in a file that is written in place.
            let rest = slots[slot].get(count..).unwrap_or_default().to_vec();
            slots[slot] = [&octets[..count], &rest].concat();
            *self.written.borrow_mut() += count;
            if let Some(left) = &mut *left {
                *left -= count;
            }
            count == octets.len()
        }
    }

    fn keep(journal: &mut Journal<Cut>, payload: &[u8]) -> bool {
        let mut room = [0; 64];
        room[HEAD..HEAD + payload.len()].copy_from_slice(payload);
        journal.keep(&mut room, payload.len())
    }

    #[test]
    fn check_value_of_the_crc() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn the_newest_whole_record_is_found_whenever_power_fails() {
        let payloads: Vec<Vec<u8>> = (0..5_u8).map(|n| vec![n; usize::from(n) * 3 + 1]).collect();
        let total: usize = payloads.iter().map(|payload| payload.len() + OVERHEAD).sum();
        for power in 0..=total {
            let memory = Cut { left: Rc::new(RefCell::new(Some(power))), ..Cut::default() };
            let mut room = [0; 64];
            let (mut journal, found) = Journal::open(memory.clone(), &mut room);
            assert_eq!(found, Found::Nothing);
            let kept = payloads.iter().take_while(|payload| keep(&mut journal, payload)).count();
            let (_, found) = Journal::open(memory, &mut room);
            match found {
                Found::Nothing => assert_eq!(kept, 0, "power for {power} octets"),
                // A record whose last octet was written is whole, whether that was reported or not.
                Found::Record(length) => {
                    let payload = &room[..length];
                    assert!(
                        payload == payloads[kept.saturating_sub(1)]
                            || Some(payload) == payloads.get(kept).map(Vec::as_slice)
                    );
                }
                Found::Lost => panic!("power for {power} octets"),
            }
        }
    }

    #[test]
    fn two_broken_slots_are_a_loss_and_not_a_beginning() {
        let memory = Cut::default();
        let mut room = [0; 64];
        let (mut journal, _) = Journal::open(memory.clone(), &mut room);
        assert!(keep(&mut journal, b"one") && keep(&mut journal, b"two"));
        assert_eq!(Journal::open(memory.clone(), &mut room).1, Found::Record(3));
        assert_eq!(&room[..3], b"two");
        for slot in memory.slots.borrow_mut().iter_mut() {
            slot[7] ^= 1;
        }
        assert_eq!(Journal::open(memory, &mut room).1, Found::Lost);
    }
}
