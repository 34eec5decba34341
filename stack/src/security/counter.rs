//! Invocation counters: one transmit counter for each key and sender, one receive floor for each key and peer.

use thiserror::Error;

use super::{KeyId, SecurityError};

/// No transmit counter is left in the range that was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no invocation counter is left")]
pub struct CounterExhausted;

/// Transmit counter of one key: hands out every value at most once.
///
/// Two APDUs under the same key, system title and counter give both plaintexts and the authentication subkey
/// away. The owner therefore persists `end` before values below it are used (reserves ahead), starts from the persisted
/// `end` after a restart, and never clones a counter: the type offers no way to go back.
///
/// ```compile_fail
/// let counter = dlms::security::InvocationCounter::new(0, 10);
/// let copy = counter.clone();
/// ```
#[derive(Debug)]
pub struct InvocationCounter {
    next: u32,
    end: u32,
}

impl InvocationCounter {
    /// Hands out `next` to `end - 1`.
    #[must_use]
    pub const fn new(next: u32, end: u32) -> Self {
        Self { next, end }
    }

    /// The value that [`take`](Self::take) will hand out next.
    #[must_use]
    pub const fn next(&self) -> u32 {
        self.next
    }

    /// The first value that is not reserved.
    #[must_use]
    pub const fn end(&self) -> u32 {
        self.end
    }

    /// How many values are left before [`extend`](Self::extend) is due.
    #[must_use]
    pub const fn remaining(&self) -> u32 {
        self.end.saturating_sub(self.next)
    }

    /// Takes the next value. FFFFFFFF is never handed out: a key whose counter has reached it is spent.
    ///
    /// # Errors
    /// [`CounterExhausted`]; the counter stays where it is.
    pub const fn take(&mut self) -> Result<u32, CounterExhausted> {
        let value = self.next;
        if value >= self.end {
            return Err(CounterExhausted);
        }
        // `value` is below `end`, so that adding one cannot wrap.
        self.next = value.wrapping_add(1);
        Ok(value)
    }

    /// Allows the values below `end`, after the new end has been persisted. An end below the present one is ignored.
    pub fn extend(&mut self, end: u32) {
        self.end = self.end.max(end);
    }

    /// Skips the values below `next`, as when the peer has said that it accepts only higher ones. A value below the
    /// present one is ignored; a value past `end` leaves nothing until [`extend`](Self::extend).
    pub fn advance(&mut self, next: u32) {
        self.next = self.next.max(next);
    }
}

/// A counter whose APDU carried a correct tag: the only thing that moves a [`ReceiveFloor`].
///
/// Only [`Context::unprotect`](super::Context::unprotect) and the verification of an HLS response make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the receive floor does not move unless it is given the verified counter"]
pub struct VerifiedCounter {
    key: KeyId,
    counter: u32,
}

impl VerifiedCounter {
    pub(super) const fn new(key: KeyId, counter: u32) -> Self {
        Self { key, counter }
    }

    /// The key under which the counter was used.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// The value on the wire.
    #[must_use]
    pub const fn counter(&self) -> u32 {
        self.counter
    }
}

/// Lowest acceptable invocation counter of one peer under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReceiveFloor(u32);

impl ReceiveFloor {
    /// A floor that accepts `lowest` and above. A new key starts at 0.
    #[must_use]
    pub const fn new(lowest: u32) -> Self {
        Self(lowest)
    }

    /// The lowest value that is accepted, to be persisted.
    #[must_use]
    pub const fn lowest(&self) -> u32 {
        self.0
    }

    /// Whether `counter` is acceptable: not below the floor, and not FFFFFFFF. Gaps are allowed.
    ///
    /// # Errors
    /// [`SecurityError::Counter`] with the lowest acceptable value.
    pub const fn check(&self, counter: u32) -> Result<(), SecurityError> {
        if counter < self.0 || counter == u32::MAX {
            return Err(SecurityError::Counter { lowest: self.0 });
        }
        Ok(())
    }

    /// Moves the floor past a verified counter; it never goes down.
    pub fn accept(&mut self, verified: VerifiedCounter) {
        self.0 = self.0.max(verified.counter.saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lesson_01_a_counter_only_goes_up() {
        let mut counter = InvocationCounter::new(5, 7);
        assert_eq!((counter.take(), counter.take(), counter.take()), (Ok(5), Ok(6), Err(CounterExhausted)));
        assert_eq!(counter.next(), 7);
        counter.extend(6);
        assert_eq!((counter.end(), counter.remaining()), (7, 0));
        counter.extend(9);
        counter.advance(3);
        assert_eq!((counter.remaining(), counter.take()), (2, Ok(7)));
        counter.advance(20);
        assert_eq!((counter.remaining(), counter.take()), (0, Err(CounterExhausted)));
        counter.extend(21);
        assert_eq!(counter.take(), Ok(20));
    }

    #[test]
    fn the_last_usable_value_is_one_below_the_maximum() {
        let mut counter = InvocationCounter::new(u32::MAX - 1, u32::MAX);
        assert_eq!(counter.take(), Ok(0xFFFF_FFFE));
        assert_eq!(counter.take(), Err(CounterExhausted));
        assert_eq!(counter.take(), Err(CounterExhausted));
        assert_eq!(counter.next(), u32::MAX);
    }

    #[test]
    fn a_floor_refuses_equal_lower_and_maximum() {
        let mut floor = ReceiveFloor::new(0);
        assert_eq!(floor.check(0), Ok(()));
        floor.accept(VerifiedCounter::new(KeyId::Unicast, 7));
        assert_eq!(floor.lowest(), 8);
        assert_eq!(floor.check(7), Err(SecurityError::Counter { lowest: 8 }));
        assert_eq!(floor.check(8), Ok(()));
        assert_eq!(floor.check(u32::MAX), Err(SecurityError::Counter { lowest: 8 }));
        floor.accept(VerifiedCounter::new(KeyId::Unicast, 3));
        assert_eq!(floor.lowest(), 8);
        floor.accept(VerifiedCounter::new(KeyId::Unicast, u32::MAX - 1));
        assert_eq!(floor.check(u32::MAX), Err(SecurityError::Counter { lowest: u32::MAX }));
    }
}
