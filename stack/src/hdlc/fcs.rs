//! The check sequences of header and frame (IEC 62056-46): CRC-16/X-25.
//!
//! Reflected polynomial 0x8408, start value and final exclusive-or 0xFFFF, sent low octet first. The
//! frame's check sequence covers the header's, so one register runs over both.

/// What the register holds after any octets followed by their own check sequence.
const RESIDUE: u16 = 0xF0B8;

/// Four kilobytes, which a small build does without.
#[cfg(not(feature = "small"))]
const TABLES: [[u16; 256]; 8] = tables();

#[cfg(not(feature = "small"))]
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an index out of bounds")]
const fn tables() -> [[u16; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut octet: usize = 0;
    while octet < 256 {
        let mut register = octet as u16;
        let mut bit = 0_u8;
        while bit < 8 {
            register = (register >> 1) ^ if register & 1 == 1 { 0x8408 } else { 0 };
            bit = bit.wrapping_add(1);
        }
        tables[0][octet] = register;
        octet = octet.wrapping_add(1);
    }
    // Table n is the effect of an octet that n zero octets follow.
    let mut n: usize = 1;
    while n < 8 {
        let mut octet: usize = 0;
        while octet < 256 {
            let before = tables[n.wrapping_sub(1)][octet];
            tables[n][octet] = (before >> 8) ^ tables[0][(before & 0xFF) as usize];
            octet = octet.wrapping_add(1);
        }
        n = n.wrapping_add(1);
    }
    tables
}

/// A table has an entry for every octet, so the other arm is never reached and costs nothing.
#[cfg(not(feature = "small"))]
#[inline]
fn entry(table: &[u16; 256], octet: u8) -> u16 {
    match table.get(usize::from(octet)) {
        Some(entry) => *entry,
        None => 0,
    }
}

/// A check sequence that is being computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fcs(u16);

impl Fcs {
    /// The register before the first octet.
    #[must_use]
    pub const fn new() -> Self {
        Self(0xFFFF)
    }

    /// The register after octets that end with their own correct check sequence: where the frame's check sequence
    /// stands once that of the header was found right.
    #[must_use]
    pub const fn after_valid() -> Self {
        Self(RESIDUE)
    }

    /// Runs over `bytes`, eight at a time.
    #[cfg(not(feature = "small"))]
    #[must_use]
    #[inline]
    pub fn update(self, bytes: &[u8]) -> Self {
        let [t0, t1, t2, t3, t4, t5, t6, t7] = &TABLES;
        let (chunks, rest) = bytes.as_chunks::<8>();
        let mut register = self.0;
        for [a, b, c, d, e, f, g, h] in chunks {
            let [low, high] = register.to_le_bytes();
            register = entry(t7, a ^ low)
                ^ entry(t6, b ^ high)
                ^ entry(t5, *c)
                ^ entry(t4, *d)
                ^ entry(t3, *e)
                ^ entry(t2, *f)
                ^ entry(t1, *g)
                ^ entry(t0, *h);
        }
        for octet in rest {
            let [low, high] = register.to_le_bytes();
            register = u16::from(high) ^ entry(t0, octet ^ low);
        }
        Self(register)
    }

    /// Runs over `bytes`, bit by bit: some hundred cycles an octet, of the tens of thousands that it takes to arrive.
    #[cfg(feature = "small")]
    #[must_use]
    #[inline(never)]
    pub fn update(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |register, octet| {
            (0..8).fold(register ^ u16::from(*octet), |register, _| {
                (register >> 1) ^ if register & 1 == 1 { 0x8408 } else { 0 }
            })
        }))
    }

    /// The check sequence as it is sent, low octet first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 2] {
        (self.0 ^ 0xFFFF).to_le_bytes()
    }

    /// Whether the octets so far end with their own correct check sequence.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.0 == RESIDUE
    }
}

impl Default for Fcs {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    #[test]
    fn published_check_value() {
        assert_eq!(u16::from_le_bytes(Fcs::new().update(b"123456789").to_bytes()), 0x906E);
    }

    #[test]
    fn published_snrm() {
        assert_eq!(Fcs::new().update(&hex!("A007032193")).to_bytes(), hex!("0F01"));
        assert!(Fcs::new().update(&hex!("A0070321930F01")).is_valid());
    }

    proptest! {
        #[test]
        fn agrees_with_an_independent_implementation_in_any_pieces(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            cut in any::<prop::sample::Index>(),
        ) {
            let oracle = crc::Crc::<u16>::new(&crc::CRC_16_IBM_SDLC).checksum(&bytes);
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            let ours = Fcs::new().update(first).update(second);
            prop_assert_eq!(u16::from_le_bytes(ours.to_bytes()), oracle);
            prop_assert!(ours.update(&ours.to_bytes()).is_valid());
            prop_assert_eq!(ours.update(&ours.to_bytes()), Fcs::after_valid());
        }
    }
}
