//! Synthetic voltages and currents, as a converter would give them: to test the engine, and to feed it in a simulation.

use core::f64::consts::{SQRT_2, TAU};

use super::settings::Calibration;
use super::{HARMONICS, PHASES};

/// One voltage or current: a fundamental and harmonics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wave {
    /// Amplitudes of sine and cosine by harmonic, the fundamental first.
    parts: [(f64, f64); HARMONICS],
}

impl Wave {
    /// A sine with this RMS value in volts or amperes, `angle` radians ahead.
    #[must_use]
    pub fn new(rms: f64, angle: f64) -> Self {
        let mut wave = Self { parts: [(0.0, 0.0); HARMONICS] };
        wave.set(1, rms, angle);
        wave
    }

    /// Sets a harmonic from 1 to [`HARMONICS`] to an RMS value and an angle at the moment at which a fundamental with
    /// angle 0 passes zero.
    pub fn set(&mut self, harmonic: usize, rms: f64, angle: f64) {
        if let Some(part) = harmonic.checked_sub(1).and_then(|index| self.parts.get_mut(index)) {
            *part = (SQRT_2 * rms * libm::cos(angle), SQRT_2 * rms * libm::sin(angle));
        }
    }

    /// The RMS value with all harmonics.
    #[must_use]
    pub fn rms(&self) -> f64 {
        libm::sqrt(self.mean_product(self))
    }

    /// The mean of the product with another wave: active power, of a voltage and a current.
    #[must_use]
    pub fn mean_product(&self, other: &Self) -> f64 {
        self.parts.iter().zip(&other.parts).map(|((a, b), (c, d))| (a * c + b * d) / 2.0).sum()
    }

    /// Reactive power of the fundamental, this being the voltage.
    #[must_use]
    pub fn reactive_power(&self, current: &Self) -> f64 {
        let ([(a, b), ..], [(c, d), ..]) = (self.parts, current.parts);
        (b * c - a * d) / 2.0
    }

    /// The distortion as a part of the fundamental.
    #[must_use]
    pub fn thd(&self) -> f64 {
        let mut squares = self.parts.iter().map(|(sine, cosine)| sine * sine + cosine * cosine);
        let fundamental = squares.next().unwrap_or(0.0);
        if fundamental > 0.0 { libm::sqrt(squares.sum::<f64>() / fundamental) } else { 0.0 }
    }
}

/// Samples of six waves.
#[derive(Clone, Debug)]
pub struct Waveform {
    /// The voltages.
    pub voltages: [Wave; PHASES],
    /// The currents.
    pub currents: [Wave; PHASES],
    /// Factors of the voltages, for dips and swells.
    pub levels: [f64; PHASES],
    /// Frequency in hertz.
    pub frequency: f64,
    /// Noise of the converter: RMS in steps. Half a step and more keeps the error of rounding from following the signal.
    pub noise_steps: f64,
    calibration: Calibration,
    sample_rate: f64,
    /// The last step of the converter.
    limit: f64,
    /// Turns of the fundamental, from 0 to 1.
    turn: f64,
    random: u64,
}

impl Waveform {
    /// Samples of a converter of `bits` with this calibration, `sample_rate` times a second; `seed` is that of the noise.
    #[must_use]
    pub fn new(
        voltages: [Wave; PHASES],
        currents: [Wave; PHASES],
        frequency: f64,
        calibration: Calibration,
        bits: u32,
        sample_rate: u32,
        seed: u64,
    ) -> Self {
        Self {
            voltages,
            currents,
            levels: [1.0; PHASES],
            frequency,
            noise_steps: 0.0,
            calibration,
            sample_rate: f64::from(sample_rate),
            limit: f64::from((1_u32 << bits.clamp(2, 24).saturating_sub(1)).saturating_sub(1)),
            turn: 0.0,
            random: seed,
        }
    }

    /// The next sample of voltages and currents.
    pub fn sample(&mut self) -> ([i32; PHASES], [i32; PHASES]) {
        let (sin, cos) = libm::sincos(TAU * self.turn);
        let mut sums = [[0.0; PHASES]; 2];
        let (mut s, mut c) = (sin, cos);
        for harmonic in 0..HARMONICS {
            for (sums, waves) in sums.iter_mut().zip([&self.voltages, &self.currents]) {
                for (sum, wave) in sums.iter_mut().zip(waves) {
                    if let Some((sine, cosine)) = wave.parts.get(harmonic) {
                        *sum += sine * s + cosine * c;
                    }
                }
            }
            (s, c) = (s * cos + c * sin, c * cos - s * sin);
        }
        self.turn += self.frequency / self.sample_rate;
        self.turn -= libm::floor(self.turn);
        let [mut volts, amperes] = sums;
        for (volts, level) in volts.iter_mut().zip(self.levels) {
            *volts *= level;
        }
        let Calibration { volts_per_step, amperes_per_step } = self.calibration;
        (self.convert(volts, volts_per_step), self.convert(amperes, amperes_per_step))
    }

    fn convert(&mut self, values: [f64; PHASES], per_step: [f64; PHASES]) -> [i32; PHASES] {
        let mut steps = [0; PHASES];
        for (steps, (value, per_step)) in steps.iter_mut().zip(values.into_iter().zip(per_step)) {
            let noise = if self.noise_steps > 0.0 { self.noise_steps * self.noise() } else { 0.0 };
            // A converter clips.
            *steps = libm::round((value / per_step + noise).clamp(-self.limit, self.limit)) as i32;
        }
        steps
    }

    /// Noise with a standard deviation of 1: from the sum of four even ones.
    fn noise(&mut self) -> f64 {
        let mut sum = -2.0;
        for _ in 0..4 {
            // SplitMix64.
            self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let bits = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let bits = bits ^ (bits >> 31);
            sum += (bits >> 11) as f64 / (1_u64 << 53) as f64;
        }
        // Each has a variance of a twelfth.
        sum * 1.732_050_807_568_877
    }
}
