//! Bit strings.

use core::fmt;

/// A bit string: the first bit is the most significant one of the first octet.
#[derive(Clone, Copy)]
pub struct BitString<'a> {
    octets: &'a [u8],
    bits: usize,
}

impl<'a> BitString<'a> {
    /// No bits.
    pub const EMPTY: Self = BitString { octets: &[], bits: 0 };

    /// The first `bits` bits of `octets`, or `None` when there are not exactly as many octets as they need.
    #[must_use]
    pub const fn new(octets: &'a [u8], bits: usize) -> Option<Self> {
        if octets.len() == bits.div_ceil(8) { Some(Self { octets, bits }) } else { None }
    }

    /// How many bits there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bits
    }

    /// Whether there are no bits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bits == 0
    }

    /// The octets; bits of the last one past the end are as they were received.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.octets
    }

    /// The `index`-th bit, the first being 0.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<bool> {
        if index >= self.bits {
            return None;
        }
        let mask = 0x80_u8 >> (index & 7);
        self.octets.get(index >> 3).map(|octet| octet & mask != 0)
    }

    /// The bits in order.
    pub fn iter(&self) -> impl Iterator<Item = bool> + 'a {
        let bits = *self;
        (0..bits.bits).map_while(move |index| bits.get(index))
    }

    /// The bits as a number, the first one being the most significant; `None` for more than 64.
    #[must_use]
    pub fn to_u64(&self) -> Option<u64> {
        if self.bits > 64 {
            return None;
        }
        Some(self.iter().fold(0, |sum, bit| (sum << 1) | u64::from(bit)))
    }
}

impl PartialEq for BitString<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits && self.iter().eq(other.iter())
    }
}

impl Eq for BitString<'_> {}

impl fmt::Display for BitString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|bit| f.write_str(if bit { "1" } else { "0" }))
    }
}

impl fmt::Debug for BitString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BitString({self})")
    }
}
