//! The window that weights the samples of an interval, and turning pointers.

use core::f64::consts::{PI, TAU};

/// Blackman-Harris, four terms, side lobes 92 dB down (F. J. Harris, Proc. IEEE 66(1), 1978).
const TERMS: [f64; 4] = [0.358_75, 0.488_29, 0.141_28, 0.011_68];

/// A pointer that turns by the same angle with each sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotor {
    pub(super) cos: f64,
    pub(super) sin: f64,
    step: (f64, f64),
}

impl Rotor {
    /// Starts at angle 0 and turns by `angle` radians.
    pub(super) fn new(angle: f64) -> Self {
        Self { cos: 1.0, sin: 0.0, step: (libm::cos(angle), libm::sin(angle)) }
    }

    pub(super) fn turn(&mut self) {
        let (cos, sin) = self.step;
        (self.cos, self.sin) = (self.cos * cos - self.sin * sin, self.sin * cos + self.cos * sin);
    }

    /// Back to angle 0, which also takes off what rounding has added.
    pub(super) fn restart(&mut self) {
        (self.cos, self.sin) = (1.0, 0.0);
    }
}

/// The weight of the sample at which a pointer stands that turns once in an interval.
pub(super) fn weight(once: &Rotor) -> f64 {
    let [a0, a1, a2, a3] = TERMS;
    let c = once.cos;
    a0 - a1 * c + a2 * (2.0 * c * c - 1.0) - a3 * (4.0 * c * c * c - 3.0 * c)
}

/// The sum of the weights of an interval.
pub(super) fn sum(samples: u32) -> f64 {
    TERMS[0] * f64::from(samples)
}

/// What the window leaves of a tone that is `bins` (turns per interval) off the frequency looked for, from 1 downwards.
pub(super) fn gain(bins: f64) -> f64 {
    let sinc = |x: f64| if x.abs() < 1e-9 { 1.0 } else { libm::sin(PI * x) / (PI * x) };
    let [a0, a1, a2, a3] = TERMS;
    // A cosine term of the window moves half of the tone up and half of it down, with the sign of the term's phase at
    // the middle of the interval.
    let pair = |k: f64| (sinc(bins - k) + sinc(bins + k)) / 2.0;
    (a0 * sinc(bins) + a1 * pair(1.0) + a2 * pair(2.0) + a3 * pair(3.0)) / a0
}

/// An angle brought to the half-open interval from minus half a turn to half a turn.
pub(super) fn wrap(angle: f64) -> f64 {
    angle - TAU * libm::floor(angle / TAU + 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_add_up_and_the_gain_is_that_of_a_tone() {
        let samples = 400_u32;
        for bins in [0.0, 0.3, 1.0, 1.7] {
            let (mut once, mut whole, mut re) = (Rotor::new(TAU / f64::from(samples)), 0.0, 0.0);
            for n in 0..samples {
                let middle = f64::from(n) - f64::from(samples) / 2.0;
                whole += weight(&once);
                re += weight(&once) * (TAU * bins * middle / f64::from(samples)).cos();
                once.turn();
            }
            assert!((whole - sum(samples)).abs() < 1e-9);
            assert!((re / whole - gain(bins)).abs() < 1e-3, "{} against {}", re / whole, gain(bins));
        }
    }

    #[test]
    fn side_lobes_are_far_down() {
        assert!((0..400).all(|step| gain(4.0 + f64::from(step) * 0.1).abs() < 3e-5));
    }
}
