//! Numbers that look random and are a pure function of what they are asked for.
//!
//! Every measured value of a simulated meter is a function of its seed and of time, so that row 7000
//! of a load profile needs neither the rows before it nor memory. The mixing function is the
//! finaliser of SplitMix64.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Mixes the bits of `value`.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// A stream of numbers: one for each index, the same ones each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noise(u64);

impl Noise {
    /// The root stream of `seed`.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(GOLDEN)))
    }

    /// An independent stream within this one.
    pub(crate) const fn stream(self, index: u64) -> Self {
        Self(mix(self.0 ^ mix(index.wrapping_add(GOLDEN))))
    }

    /// 64 bits at `index`.
    pub(crate) const fn bits(self, index: i64) -> u64 {
        mix(self.0.wrapping_add(index.cast_unsigned().wrapping_mul(GOLDEN)))
    }

    /// A number of the half-open interval from 0 to 1 at `index`.
    pub(crate) fn unit(self, index: i64) -> f64 {
        // 53 bits are what an f64 holds exactly.
        (self.bits(index) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number from -1 to 1 at `index`.
    pub(crate) fn signed(self, index: i64) -> f64 {
        self.unit(index) * 2.0 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_repeats_itself_and_differs_from_its_neighbours() {
        let one = Noise::new(1).stream(3);
        assert_eq!(one.bits(-5), Noise::new(1).stream(3).bits(-5));
        assert_ne!(one.bits(5), one.bits(6));
        assert_ne!(one.bits(5), Noise::new(2).stream(3).bits(5));
        assert_ne!(one.bits(5), Noise::new(1).stream(4).bits(5));
    }

    #[test]
    fn unit_is_spread_over_its_interval() {
        let noise = Noise::new(42);
        let mean = (0..10_000).map(|index| noise.unit(index)).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert!((0..10_000).all(|index| (0.0..1.0).contains(&noise.unit(index))));
    }
}
