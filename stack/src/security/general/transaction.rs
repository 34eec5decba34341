//! Transaction-ids, and the memory of those that were used.

use crate::security::SecurityError;

/// Most octets of a transaction-id that is remembered or echoed.
pub const TRANSACTION_ID_MAX: usize = 16;

/// A transaction-id: pairs response and request, and is unique for each originator. Eight octets that only ever
/// increase suit every peer: a count that is kept across restarts, one for each originator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct TransactionId {
    octets: [u8; TRANSACTION_ID_MAX],
    length: usize,
}

impl TransactionId {
    /// The eight octets of a number.
    #[must_use]
    pub fn new(number: u64) -> Self {
        let mut id = Self { octets: [0; TRANSACTION_ID_MAX], length: 8 };
        id.octets.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
        id
    }

    /// Takes the octets of the wire.
    ///
    /// # Errors
    /// [`SecurityError::TransactionId`] for more than 16 octets.
    pub fn from_slice(octets: &[u8]) -> Result<Self, SecurityError> {
        if octets.len() > TRANSACTION_ID_MAX {
            return Err(SecurityError::TransactionId);
        }
        let mut id = Self { octets: [0; TRANSACTION_ID_MAX], length: octets.len() };
        id.octets.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
        Ok(id)
    }

    /// The octets, for the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    /// The octets as a number, big endian; `None` for an empty id, which identifies nothing.
    #[must_use]
    pub fn number(&self) -> Option<u128> {
        let octets = self.as_bytes();
        (!octets.is_empty()).then(|| octets.iter().fold(0, |number: u128, octet| (number << 8) | u128::from(*octet)))
    }
}

/// A transaction-id that a correct tag or signature proved: the only thing that a [`TransactionMemory`] takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a message can be replayed until its transaction-id is remembered"]
pub struct VerifiedTransaction(TransactionId);

impl VerifiedTransaction {
    pub(super) const fn new(id: TransactionId) -> Self {
        Self(id)
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> TransactionId {
        self.0
    }
}

/// Transaction-ids of one originator: the last `N` in any order, and a floor below which none is accepted any more.
///
/// Ids are compared as numbers. Those of an originator that counts up are accepted for ever, and up to `N` of them may
/// overtake each other; nothing that fell out of the memory can come back.
#[derive(Clone, Debug)]
pub struct TransactionMemory<const N: usize> {
    /// Sorted, lowest first.
    seen: [u128; N],
    count: usize,
    lowest: u128,
}

impl<const N: usize> TransactionMemory<N> {
    /// A memory that accepts ids from `lowest` on; 0 where nothing was accepted before.
    #[must_use]
    pub const fn new(lowest: u128) -> Self {
        Self { seen: [0; N], count: 0, lowest }
    }

    /// What to persist: after a restart all ids below it are refused, the remembered ones included.
    #[must_use]
    pub fn floor(&self) -> u128 {
        self.seen.get(..self.count).and_then(<[u128]>::last).map_or(self.lowest, |last| last.saturating_add(1))
    }

    /// Whether an id is acceptable.
    ///
    /// # Errors
    /// [`SecurityError::TransactionId`] for one that is empty, was used before, or lies below the floor.
    pub fn check(&self, id: &TransactionId) -> Result<(), SecurityError> {
        let number = id.number().ok_or(SecurityError::TransactionId)?;
        let seen = self.seen.get(..self.count).unwrap_or_default();
        if number < self.lowest || number == u128::MAX || seen.binary_search(&number).is_ok() {
            return Err(SecurityError::TransactionId);
        }
        Ok(())
    }

    /// Remembers an id; the lowest one falls out of a full memory and raises the floor.
    ///
    /// # Errors
    /// Those of [`check`](Self::check), with nothing changed.
    pub fn accept(&mut self, verified: VerifiedTransaction) -> Result<(), SecurityError> {
        self.check(&verified.0)?;
        let number = verified.0.number().ok_or(SecurityError::TransactionId)?;
        if self.count == N {
            let oldest = self.seen.first().copied().unwrap_or(number).min(number);
            self.lowest = oldest.saturating_add(1);
            if oldest == number {
                return Ok(());
            }
            self.seen.rotate_left(1);
            self.count = self.count.saturating_sub(1);
        }
        if let Some(last) = self.seen.get_mut(self.count) {
            *last = number;
            self.count = self.count.saturating_add(1);
            self.seen.get_mut(..self.count).unwrap_or_default().sort_unstable();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(number: u64) -> VerifiedTransaction {
        VerifiedTransaction(TransactionId::new(number))
    }

    #[test]
    fn an_id_is_accepted_once_and_nothing_forgotten_comes_back() {
        let mut memory = TransactionMemory::<3>::new(10);
        for (number, accepted) in [
            (9, false),
            (12, true),
            (11, true),
            (12, false),
            (20, true),
            // Full: 11 falls out.
            (15, true),
            (11, false),
            (10, false),
            (12, false),
            (13, true),
            (12, false),
            (14, true),
        ] {
            assert_eq!(memory.accept(verified(number)).is_ok(), accepted, "{number}");
        }
        assert_eq!(memory.floor(), 21);
        assert_eq!(TransactionMemory::<3>::new(7).floor(), 7);
    }

    /// Against a set that never forgets: what the memory accepts was never seen before.
    #[test]
    fn nothing_is_accepted_twice() {
        let mut memory = TransactionMemory::<4>::new(0);
        let mut all = std::collections::BTreeSet::new();
        let mut state = 1_u64;
        for step in 0..5_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = step / 2 + (state >> 60);
            let accepted = memory.accept(verified(number)).is_ok();
            assert!(!accepted || all.insert(number), "{number} twice");
        }
        assert!(all.len() > 1_500);
    }

    #[test]
    fn a_memory_without_room_accepts_only_upwards() {
        let mut memory = TransactionMemory::<0>::new(0);
        for (number, accepted) in [(3, true), (3, false), (2, false), (4, true)] {
            assert_eq!(memory.accept(verified(number)).is_ok(), accepted, "{number}");
        }
    }

    #[test]
    fn ids_are_numbers_of_up_to_sixteen_octets() {
        assert_eq!(TransactionId::from_slice(&[1, 2]).unwrap().number(), Some(0x0102));
        assert_eq!(TransactionId::new(5).as_bytes(), [0, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(TransactionId::from_slice(&[]).unwrap().number(), None);
        assert_eq!(TransactionId::from_slice(&[0xFF; 16]).unwrap().number(), Some(u128::MAX));
        assert_eq!(TransactionId::from_slice(&[1; 17]), Err(SecurityError::TransactionId));
        let empty = TransactionId::default();
        assert_eq!(TransactionMemory::<2>::new(0).check(&empty), Err(SecurityError::TransactionId));
    }
}
