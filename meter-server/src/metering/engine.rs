//! The engine: sums over an interval, and what they say at its end.

use core::f64::consts::{SQRT_2, TAU};

use heapless::Deque;

use super::PHASES;
use super::energy::Energies;
use super::frequency::Tracker;
use super::half_cycle::{Disturbance, HalfCycles};
use super::harmonics::Bank;
use super::interval::{Interval, PhaseValues};
use super::settings::{Calibration, Settings, SettingsError};
use super::window::{self, Rotor};

/// Dips and swells that wait to be taken; further ones are counted and dropped.
pub const EVENTS_MAX: usize = 16;

/// Below this part of the nominal voltage a phase is not followed for its frequency, and has no distortion.
const PRESENT: f64 = 0.1;

/// The least that the window leaves of a fundamental for its power to be mended.
const GAIN_MIN: f64 = 0.1;

/// Weighted sums of one channel, in steps.
#[derive(Clone, Copy, Debug, Default)]
struct Channel {
    mean: f64,
    square: f64,
    /// The fundamental, as a complex number.
    fundamental: (f64, f64),
    /// Plain sum of the samples.
    plain: i64,
}

impl Channel {
    fn sample(&mut self, steps: i32, weight: f64, rotor: &Rotor) {
        let value = f64::from(steps);
        let weighted = weight * value;
        self.mean += weighted;
        self.square += weighted * value;
        self.fundamental.0 += weighted * rotor.cos;
        self.fundamental.1 -= weighted * rotor.sin;
        self.plain = self.plain.saturating_add(i64::from(steps));
    }
}

/// Sums of one phase.
#[derive(Clone, Copy, Debug, Default)]
struct Phase {
    voltage: Channel,
    current: Channel,
    /// Weighted sum of products, and their plain sum.
    product: f64,
    plain: i64,
}

/// Measures three phases.
///
/// Call [`sample`](Self::sample) with every sample, in order and without gaps. An engine takes 3.1 KiB of memory on a
/// 64-bit host.
#[derive(Clone, Debug)]
pub struct Engine {
    settings: Settings,
    samples: u32,
    /// Number of the sample within the interval, and since the start.
    position: u32,
    number: u64,
    /// Turns once in an interval; and with the grid.
    once: Rotor,
    rotor: Rotor,
    phases: [Phase; PHASES],
    /// Constant parts of the voltages of the interval before, in steps.
    offsets: [f64; PHASES],
    tracker: Tracker,
    /// The phase whose frequency is followed.
    followed: usize,
    bank: Bank,
    /// The channel whose harmonics are looked at: voltages first.
    turn: usize,
    distortions: [[Option<f64>; PHASES]; 2],
    energies: Energies,
    half_cycles: HalfCycles,
    disturbed: bool,
    events: Deque<Disturbance, EVENTS_MAX>,
    dropped: u32,
}

impl Engine {
    /// An engine at rest.
    ///
    /// # Errors
    /// When it could not measure with these settings.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        let (rate, samples) = (f64::from(settings.sample_rate), settings.interval_samples());
        let [volts_per_step, ..] = settings.calibration.volts_per_step;
        let far = PRESENT * settings.nominal_voltage / volts_per_step.abs();
        let tracker = Tracker::new(rate, settings.nominal_frequency, far);
        let mut bank = Bank::new();
        bank.restart(tracker.angle());
        Ok(Self {
            samples,
            position: 0,
            number: 0,
            once: Rotor::new(TAU / f64::from(samples)),
            rotor: Rotor::new(tracker.angle()),
            phases: [Phase::default(); PHASES],
            offsets: [0.0; PHASES],
            tracker,
            followed: 0,
            bank,
            turn: 0,
            distortions: [[None; PHASES]; 2],
            energies: Energies::default(),
            half_cycles: HalfCycles::new(
                settings.nominal_voltage,
                settings.thresholds,
                settings.nominal_frequency,
                rate,
            ),
            disturbed: false,
            events: Deque::new(),
            dropped: 0,
            settings,
        })
    }

    /// Takes a sample of all channels, in steps of the converter; returns the interval that it completes.
    pub fn sample(&mut self, voltages: [i32; PHASES], currents: [i32; PHASES]) -> Option<Interval> {
        let weight = window::weight(&self.once);
        for (phase, (voltage, current)) in self.phases.iter_mut().zip(voltages.into_iter().zip(currents)) {
            phase.voltage.sample(voltage, weight, &self.rotor);
            phase.current.sample(current, weight, &self.rotor);
            // 24 bits by 24 bits, and an interval of at most 25600 samples: exact.
            let product = i64::from(voltage).saturating_mul(i64::from(current));
            phase.product += weight * product as f64;
            phase.plain = phase.plain.saturating_add(product);
        }
        if let Some(voltage) = voltages.get(self.followed) {
            self.tracker.sample(f64::from(*voltage));
        }
        let mut channels = voltages.iter().chain(&currents);
        if let Some(steps) = channels.nth(self.turn) {
            self.bank.sample(weight * f64::from(*steps));
        }
        self.watch(voltages);
        self.once.turn();
        self.rotor.turn();
        self.position = self.position.saturating_add(1);
        self.number = self.number.saturating_add(1);
        (self.position >= self.samples).then(|| self.finish())
    }

    /// Energies since the start.
    #[must_use]
    pub const fn energies(&self) -> &Energies {
        &self.energies
    }

    /// The oldest dip or swell that has ended and was not taken yet.
    pub fn poll_event(&mut self) -> Option<Disturbance> {
        self.events.pop_front()
    }

    /// Dips and swells that were dropped because nobody took them.
    #[must_use]
    pub const fn dropped_events(&self) -> u32 {
        self.dropped
    }

    fn watch(&mut self, voltages: [i32; PHASES]) {
        let mut squares = [0.0; PHASES];
        let scales = self.offsets.iter().zip(self.settings.calibration.volts_per_step);
        for ((square, steps), (offset, scale)) in squares.iter_mut().zip(voltages).zip(scales) {
            let volts = (f64::from(steps) - offset) * scale;
            *square = volts * volts;
        }
        let (events, dropped) = (&mut self.events, &mut self.dropped);
        self.half_cycles.sample(squares, self.number, self.tracker.reference(), |disturbance| {
            if events.push_back(disturbance).is_err() {
                *dropped = dropped.saturating_add(1);
            }
        });
        self.disturbed |= self.half_cycles.is_disturbed();
    }

    /// Ends the interval and starts the next one.
    fn finish(&mut self) -> Interval {
        let whole = window::sum(self.samples);
        let pointer = self.phases.get(self.followed).map_or((0.0, 0.0), |phase| phase.voltage.fundamental);
        let found = self.tracker.finish(pointer, f64::from(self.samples));
        self.take_distortion(found.frequency.is_some(), found.bins, whole);

        // Far off there is little left; a first interval is not to be blown up.
        let gain = window::gain(found.bins).max(GAIN_MIN);
        let Calibration { volts_per_step, amperes_per_step } = self.settings.calibration;
        let mut values = [PhaseValues::default(); PHASES];
        let mut energies = [(0.0, 0.0, 0.0); PHASES];
        let sums = self.phases.iter().zip(&mut self.offsets).zip(volts_per_step.into_iter().zip(amperes_per_step));
        for ((value, energy), ((phase, offset), (volts, amperes))) in values.iter_mut().zip(&mut energies).zip(sums) {
            (*value, *energy) = evaluate(phase, (volts, amperes), whole, gain, &self.settings);
            *offset = phase.voltage.mean / whole;
        }
        let [of_voltages, of_currents] = self.distortions;
        for (value, (voltage, current)) in values.iter_mut().zip(of_voltages.into_iter().zip(of_currents)) {
            (value.voltage_thd, value.current_thd) = (voltage, current);
        }
        self.energies.add(energies);
        self.follow(&values);
        let interval =
            Interval { end_sample: self.number, frequency: found.frequency, phases: values, disturbed: self.disturbed };
        self.disturbed = self.half_cycles.is_disturbed();
        self.phases = [Phase::default(); PHASES];
        self.position = 0;
        self.once.restart();
        self.rotor = Rotor::new(self.tracker.angle());
        self.bank.restart(self.tracker.angle());
        interval
    }

    /// Keeps the distortion of the channel whose turn it was, and goes on to the next one.
    fn take_distortion(&mut self, settled: bool, bins: f64, whole: f64) {
        let (of_currents, phase) =
            if self.turn < PHASES { (false, self.turn) } else { (true, self.turn.saturating_sub(PHASES)) };
        let Calibration { volts_per_step, .. } = self.settings.calibration;
        // The fundamental of a voltage that is there; for a current, a step of the converter.
        let floor = match volts_per_step.get(phase) {
            Some(volts) if !of_currents => PRESENT * self.settings.nominal_voltage / volts.abs() / SQRT_2 * whole,
            _ => whole / 2.0,
        };
        let found = settled.then(|| self.bank.distortion(bins, floor)).flatten();
        let [voltages, currents] = &mut self.distortions;
        if let Some(kept) = (if of_currents { currents } else { voltages }).get_mut(phase) {
            *kept = found;
        }
        self.turn =
            if self.turn.saturating_add(1) < PHASES.saturating_mul(2) { self.turn.saturating_add(1) } else { 0 };
    }

    /// Follows the first phase that has voltage; stays with the one that it follows as long as that has.
    fn follow(&mut self, values: &[PhaseValues; PHASES]) {
        let least = PRESENT * self.settings.nominal_voltage;
        let present = |phase: usize| values.get(phase).is_some_and(|values| values.voltage > least);
        if present(self.followed) {
            return;
        }
        if let Some(phase) = (0..PHASES).find(|phase| present(*phase)) {
            self.followed = phase;
            let volts = self.settings.calibration.volts_per_step.get(phase).copied().unwrap_or(1.0);
            let rate = f64::from(self.settings.sample_rate);
            self.tracker = Tracker::new(rate, self.tracker.reference(), least / volts.abs());
        }
    }
}

/// Values of a phase, and its energies (active, reactive, apparent) in mWs.
fn evaluate(
    phase: &Phase,
    (volts, amperes): (f64, f64),
    whole: f64,
    gain: f64,
    settings: &Settings,
) -> (PhaseValues, (f64, f64, f64)) {
    let rms = |channel: &Channel, scale: f64| {
        let mean = channel.mean / whole;
        libm::sqrt((channel.square / whole - mean * mean).max(0.0)) * scale.abs()
    };
    let (voltage, current) = (rms(&phase.voltage, volts), rms(&phase.current, amperes));
    let (voltage_mean, current_mean) = (phase.voltage.mean / whole, phase.current.mean / whole);
    let watts = volts * amperes;
    let active_power = (phase.product / whole - voltage_mean * current_mean) * watts;
    // Voltage times the conjugate of current; peak values, so half of it is power.
    let ((a, b), (c, d)) = (phase.voltage.fundamental, phase.current.fundamental);
    let scale = 2.0 * watts / (whole * whole * gain * gain);
    let (real, reactive_power) = ((a * c + b * d) * scale, (b * c - a * d) * scale);
    let apparent_power = voltage * current;
    let values = PhaseValues {
        voltage,
        current,
        active_power,
        reactive_power,
        apparent_power,
        angle: libm::atan2(reactive_power, real),
        voltage_thd: None,
        current_thd: None,
    };
    let (rate, count) = (f64::from(settings.sample_rate), f64::from(settings.interval_samples()));
    let plain =
        phase.plain as f64 - voltage_mean * phase.current.plain as f64 - current_mean * phase.voltage.plain as f64
            + count * voltage_mean * current_mean;
    let of_interval = |power: f64| power * count / rate * 1000.0;
    (values, (plain * watts / rate * 1000.0, of_interval(reactive_power), of_interval(apparent_power)))
}
