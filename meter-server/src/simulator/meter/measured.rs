//! Instantaneous values by way of the metering engine.
//!
//! What the simulation says of the moment (voltages, currents, angles, frequency) becomes waveforms with harmonics and
//! noise, these become samples of 24 bits, and the engine measures them: values that a meter of flesh and blood would
//! show, distortions included. It takes some ten thousand samples for each moment that is asked for, which is for a
//! few meters and not for a hundred thousand.

use std::cell::RefCell;
use std::f64::consts::TAU;

use dlms::obis::ObisCode;

use super::Meter;
use super::values::Instantaneous;
use crate::metering::waveform::{Wave, Waveform};
use crate::metering::{Calibration, Engine, Interval, PhaseValues, Settings, Thresholds};
use crate::moment::Moment;
use crate::simulator::consumption::{Phase, Quantity};

/// Samples in a second.
const SAMPLE_RATE: u32 = 6_400;
/// Bits of the converter.
const BITS: u32 = 24;
/// The end of the converter's range, as parts of the nominal voltage and in amperes.
const PEAK_OVER_NOMINAL: f64 = 2.0;
const PEAK_AMPERES: f64 = 800.0;
/// Two intervals to find the grid and six for the distortion of all channels; some more when the first phase is away.
const INTERVALS: core::ops::RangeInclusive<u32> = 8..=12;
/// Harmonics of voltage and current, as parts of the RMS value: those of rectifiers.
const VOLTAGE_HARMONICS: [(usize, f64); 4] = [(3, 0.005), (5, 0.020), (7, 0.012), (11, 0.005)];
const CURRENT_HARMONICS: [(usize, f64); 4] = [(3, 0.080), (5, 0.050), (7, 0.030), (9, 0.020)];

/// A quantity that the engine measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measured {
    Instantaneous(Instantaneous),
    /// Distortion in percent (value group E = 124).
    VoltageThd(Phase),
    CurrentThd(Phase),
}

impl Measured {
    /// The quantity of an OBIS code 1.b.c.7.0.f, or of a distortion 1.b.c.7.124.f.
    pub(crate) fn from_code(code: ObisCode) -> Option<Self> {
        let [1, _, c, 7, e, _] = code.0 else { return None };
        match (c, e) {
            (31 | 51 | 71, 124) => Some(Self::CurrentThd(Phase::ALL[usize::from(c / 20) - 1])),
            (32 | 52 | 72, 124) => Some(Self::VoltageThd(Phase::ALL[usize::from(c / 20) - 1])),
            (_, 0) => Instantaneous::from_code(code).map(Self::Instantaneous),
            _ => None,
        }
    }

    /// What the engine shows at a moment.
    pub(crate) fn read(self, meter: &Meter, at: Moment) -> f64 {
        let interval = meter.measurement.at(meter, at);
        let phase = |phase: Phase| &interval.phases[phase.index()];
        let percent = |thd: Option<f64>| thd.unwrap_or(0.0) * 100.0;
        match self {
            Self::VoltageThd(of) => percent(phase(of).voltage_thd),
            Self::CurrentThd(of) => percent(phase(of).current_thd),
            Self::Instantaneous(quantity) => match quantity {
                Instantaneous::Power(quantity) => {
                    of_power(quantity, (interval.active_power(), interval.reactive_power(), interval.apparent_power()))
                }
                Instantaneous::PhasePower(quantity, of) => {
                    let PhaseValues { active_power, reactive_power, apparent_power, .. } = *phase(of);
                    of_power(quantity, (active_power, reactive_power, apparent_power))
                }
                Instantaneous::Voltage(of) => phase(of).voltage,
                Instantaneous::Current(of) => phase(of).current,
                Instantaneous::CurrentSum => interval.phases.iter().map(|values| values.current).sum(),
                Instantaneous::NeutralCurrent => neutral_current(&interval),
                Instantaneous::PowerFactor => interval.power_factor(),
                Instantaneous::Frequency => interval.frequency.unwrap_or(0.0),
            },
        }
    }
}

/// A quantity of active, reactive and apparent power.
fn of_power(quantity: Quantity, (active, reactive, apparent): (f64, f64, f64)) -> f64 {
    let (imports, lags) = (active >= 0.0, reactive >= 0.0);
    let only = |holds: bool, value: f64| if holds { value.abs() } else { 0.0 };
    match quantity {
        Quantity::ActiveImport => only(imports, active),
        Quantity::ActiveExport => only(!imports, active),
        Quantity::ReactivePlus => only(lags, reactive),
        Quantity::ReactiveMinus => only(!lags, reactive),
        Quantity::Quadrant1 => only(imports && lags, reactive),
        Quantity::Quadrant2 => only(!imports && lags, reactive),
        Quantity::Quadrant3 => only(!imports && !lags, reactive),
        Quantity::Quadrant4 => only(imports && !lags, reactive),
        Quantity::ApparentImport => only(imports, apparent),
        Quantity::ApparentExport => only(!imports, apparent),
        Quantity::ActiveSum => active.abs(),
        Quantity::ActiveNet => active,
    }
}

/// The sum of the currents as pointers.
fn neutral_current(interval: &Interval) -> f64 {
    let pointers = interval.phases.iter().zip([0.0, 1.0, 2.0]).map(|(values, third)| {
        let angle = -TAU / 3.0 * third - values.angle;
        (values.current * angle.cos(), values.current * angle.sin())
    });
    let (a, b) = pointers.fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    a.hypot(b)
}

/// What the engine measured last.
#[derive(Debug, Default)]
pub(crate) struct Measurement(RefCell<Option<Box<(Moment, Interval)>>>);

impl Measurement {
    /// The interval at a moment; objects of one row ask for the same one.
    fn at(&self, meter: &Meter, at: Moment) -> Interval {
        if let Some((known, interval)) = self.0.borrow().as_deref()
            && *known == at
        {
            return *interval;
        }
        let interval = measure(meter, at);
        *self.0.borrow_mut() = Some(Box::new((at, interval)));
        interval
    }
}

fn measure(meter: &Meter, at: Moment) -> Interval {
    let at_ms = at.as_millis();
    let flow = &meter.consumption;
    let nominal_voltage = meter.model.installation.voltage;
    let settings = Settings {
        sample_rate: SAMPLE_RATE,
        nominal_frequency: meter.model.installation.frequency,
        nominal_voltage,
        calibration: Calibration::full_scale(BITS, nominal_voltage * PEAK_OVER_NOMINAL, PEAK_AMPERES),
        thresholds: Thresholds::default(),
    };
    let none = Interval { end_sample: 0, frequency: None, phases: [PhaseValues::default(); 3], disturbed: false };
    // A model with a nominal frequency of its own making is refused when it is read; there is nothing to be measured.
    let Ok(mut engine) = Engine::new(settings) else { return none };
    let voltages = Phase::ALL.map(|phase| wave(flow.voltage(phase, at_ms), third(phase), &VOLTAGE_HARMONICS));
    let currents = Phase::ALL.map(|phase| {
        let power = |quantity| flow.phase_power(quantity, phase, at_ms) as f64;
        let active = power(Quantity::ActiveImport) - power(Quantity::ActiveExport);
        let reactive = power(Quantity::ReactivePlus) - power(Quantity::ReactiveMinus);
        wave(flow.current(phase, at_ms), third(phase) - reactive.atan2(active), &CURRENT_HARMONICS)
    });
    let frequency = flow.frequency(at_ms);
    let seed = at_ms.cast_unsigned();
    let mut waveform = Waveform::new(voltages, currents, frequency, settings.calibration, BITS, SAMPLE_RATE, seed);
    waveform.noise_steps = 20.0;
    let (mut last, mut count) = (none, 0);
    while count < *INTERVALS.start() || (last.frequency.is_none() && count < *INTERVALS.end()) {
        let (voltages, currents) = waveform.sample();
        if let Some(interval) = engine.sample(voltages, currents) {
            (last, count) = (interval, count + 1);
        }
    }
    last
}

/// The angle of a phase's voltage.
fn third(phase: Phase) -> f64 {
    -TAU / 3.0 * phase.index() as f64
}

/// A wave with harmonics whose RMS value is `rms` all the same.
fn wave(rms: f64, angle: f64, harmonics: &[(usize, f64)]) -> Wave {
    let squares: f64 = harmonics.iter().map(|(_, part)| part * part).sum();
    let mut wave = Wave::new(rms * (1.0 - squares).sqrt(), angle);
    for (harmonic, part) in harmonics {
        wave.set(*harmonic, rms * part, angle * *harmonic as f64 + 0.7 * *harmonic as f64);
    }
    wave
}
