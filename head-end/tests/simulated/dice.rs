//! Chances that follow from a seed.

use dlms::security::Random;

/// A generator (SplitMix64): the same seed gives the same throws.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// One of `low..=high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// One of a slice.
    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.next() % of.len() as u64).unwrap()]
    }

    /// Whether something happens that does so `permille` times of a thousand.
    pub(crate) fn chance(&mut self, permille: u64) -> bool {
        self.next() % 1_000 < permille
    }

    /// Another generator, which does not depend on how often this one is thrown.
    pub(crate) fn apart(&self, number: u64) -> Self {
        Self(Self(self.0 ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93)).next())
    }
}

impl Random for Dice {
    fn fill(&mut self, octets: &mut [u8]) {
        octets.fill_with(|| self.next().to_le_bytes()[0]);
    }
}
