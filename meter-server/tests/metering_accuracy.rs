//! The metering engine over the grid on which a published low-cost meter was characterised: frequency 50 Hz ± 15 %,
//! voltage 50 to 100 %, current to 100 %, phase -45° to 90°, harmonics to the 39th with a distortion of 8 %.
//!
//! Errors of power are taken of the apparent power of the fundamental times 0.5 or of the active power, whichever is
//! larger: near 90° the active power goes to zero and an error relative to it says nothing, which is why the standards
//! for meters end at a power factor of 0.5. Errors of RMS values are relative to the value.

use std::f64::consts::{PI, TAU};

use dlms_meter_server::metering::waveform::{Wave, Waveform};
use dlms_meter_server::metering::{
    Calibration, DisturbanceKind, Engine, Interval, MILLIJOULES_PER_WATT_HOUR, Settings, SettingsError, Thresholds,
};

/// Samples in a second: the 39th harmonic of 57.5 Hz is at 2243 Hz.
const RATE: u32 = 6_400;
/// Ends of the converter's range. A voltage of 100 % is the nominal one and a current of 100 % the largest one, with
/// room for harmonics.
const PEAK_VOLTS: f64 = 400.0;
const PEAK_AMPERES: f64 = 100.0;
const NOMINAL_VOLTS: f64 = 230.0;
const FULL_AMPERES: f64 = 60.0;

fn settings(bits: u32, nominal_frequency: f64) -> Settings {
    Settings {
        sample_rate: RATE,
        nominal_frequency,
        nominal_voltage: NOMINAL_VOLTS,
        calibration: Calibration::full_scale(bits, PEAK_VOLTS, PEAK_AMPERES),
        thresholds: Thresholds::default(),
    }
}

/// A wave with harmonics 2 to 39 that fall off with their order, at angles without a pattern.
fn distorted(rms: f64, angle: f64, thd: f64, kind: u32) -> Wave {
    let weight = |harmonic: usize| if harmonic % 2 == 1 { 1.0 } else { 0.4 } / harmonic as f64;
    let whole = (2..=39).map(|harmonic| weight(harmonic).powi(2)).sum::<f64>().sqrt();
    let mut wave = Wave::new(rms, angle);
    for harmonic in 2..=39 {
        let chance = f64::from((harmonic as u32 * 2_654_435 + kind * 40_503) % 1_000) / 1_000.0;
        wave.set(harmonic, rms * thd * weight(harmonic) / whole, TAU * chance);
    }
    wave
}

fn waveform(bits: u32, frequency: f64, volts: [f64; 3], amperes: [f64; 3], angles: [f64; 3], thd: f64) -> Waveform {
    let third = TAU / 3.0;
    let voltages = [0, 1, 2].map(|p| distorted(volts[p], -third * p as f64, thd, p as u32));
    let currents = [0, 1, 2].map(|p| distorted(amperes[p], -third * p as f64 - angles[p], thd, p as u32 + 7));
    Waveform::new(voltages, currents, frequency, settings(bits, 50.0).calibration, bits, RATE, 1)
}

fn run(engine: &mut Engine, waveform: &mut Waveform, intervals: usize) -> Vec<Interval> {
    let mut found = Vec::new();
    while found.len() < intervals {
        let (voltages, currents) = waveform.sample();
        found.extend(engine.sample(voltages, currents));
    }
    found
}

/// The largest errors met.
#[derive(Debug, Default)]
struct Errors {
    active: f64,
    reactive: f64,
    rms: f64,
    frequency: f64,
    thd: f64,
}

impl Errors {
    fn take(&mut self, interval: &Interval, waveform: &Waveform) {
        let note = |worst: &mut f64, error: f64| *worst = worst.max(error.abs());
        note(&mut self.frequency, interval.frequency.expect("found") - waveform.frequency);
        for (values, (voltage, current)) in interval.phases.iter().zip(waveform.voltages.iter().zip(&waveform.currents))
        {
            note(&mut self.rms, values.voltage / voltage.rms() - 1.0);
            note(&mut self.rms, values.current / current.rms() - 1.0);
            let (active, reactive) = (voltage.mean_product(current), voltage.reactive_power(current));
            let reference = voltage.rms() * current.rms() * 0.5;
            note(&mut self.active, (values.active_power - active) / active.abs().max(reference));
            note(&mut self.reactive, (values.reactive_power - reactive) / reactive.abs().max(reference));
            if let Some(thd) = values.voltage_thd {
                note(&mut self.thd, thd - voltage.thd());
            }
            if let Some(thd) = values.current_thd {
                note(&mut self.thd, thd - current.thd());
            }
        }
    }
}

/// Runs the grid. The three phases have different voltages, currents and angles, so that each run has three points.
fn grid(bits: u32, noise_steps: f64, currents: [f64; 3], every: usize) -> Errors {
    const ANGLES: [f64; 6] = [-45.0, -20.0, 0.0, 30.0, 60.0, 90.0];
    let mut errors = Errors::default();
    let mut point = 0_usize;
    for frequency in [42.5, 46.3, 49.983, 50.0, 53.1, 57.5] {
        for thd in [0.0, 0.08] {
            for shift in 0..3 {
                point += 1;
                // Pure sines are the easy part.
                if !point.is_multiple_of(every) || (thd == 0.0 && shift > 0) {
                    continue;
                }
                let angles = [0, 1, 2].map(|phase| ANGLES[(point + 2 * phase) % 6].to_radians());
                let volts = [0.5, 0.8, 1.0].map(|part| part * NOMINAL_VOLTS);
                let amperes = [0, 1, 2].map(|phase| currents[(phase + shift) % 3] * FULL_AMPERES);
                let mut waveform = waveform(bits, frequency, volts, amperes, angles, thd);
                waveform.noise_steps = noise_steps;
                let mut engine = Engine::new(settings(bits, 50.0)).unwrap();
                // Two to find the grid, six for the turns of the channels.
                for interval in run(&mut engine, &mut waveform, 8).iter().skip(2) {
                    errors.take(interval, &waveform);
                }
            }
        }
    }
    errors
}

#[test]
fn at_24_bits_the_grid_is_within_the_limits() {
    let errors = grid(24, 0.0, [0.01, 0.2, 1.0], 1);
    assert!(errors.active <= 0.000_4, "{errors:?}");
    assert!(errors.reactive <= 0.000_4, "{errors:?}");
    assert!(errors.rms <= 0.000_3, "{errors:?}");
    assert!(errors.frequency <= 0.000_6, "{errors:?}");
    assert!(errors.thd <= 0.000_7, "{errors:?}");
    // It is far better than that, and this is what a change would spoil first.
    assert!(errors.active <= 0.000_01 && errors.rms <= 0.000_01 && errors.frequency <= 0.000_01, "{errors:?}");
}

/// With half a step of noise as dither, a converter of 12 bits keeps to the same limits from half of the current on, in
/// each interval of 200 ms by itself; the noise grows as the current falls. At 20 % three times the limits hold, and at 2 %,
/// where the current is 25 steps high, fifteen times the limits, but for the distortion, which is lost in the noise.
#[test]
fn at_12_bits_the_grid_is_within_the_limits_from_half_of_the_current_on() {
    let errors = grid(12, 0.5, [0.5, 0.75, 1.0], 3);
    assert!(errors.active <= 0.000_4, "{errors:?}");
    assert!(errors.rms <= 0.000_3, "{errors:?}");
    assert!(errors.frequency <= 0.000_6, "{errors:?}");
    assert!(errors.thd <= 0.000_7, "{errors:?}");
    let lower = grid(12, 0.5, [0.2; 3], 7);
    assert!(lower.active <= 0.001_2 && lower.rms <= 0.000_9 && lower.thd <= 0.002_1, "{lower:?}");
    let low = grid(12, 0.5, [0.02; 3], 11);
    assert!(low.active <= 0.006 && low.rms <= 0.004_5 && low.frequency <= 0.000_6, "{low:?}");
}

#[test]
fn energies_of_all_quadrants_are_those_of_the_power() {
    // Quadrants I, III and IV; the sum is in I.
    let angles = [40.0, -140.0, -30.0].map(f64::to_radians);
    let mut waveform = waveform(24, 49.7, [230.0; 3], [10.0, 4.0, 6.0], angles, 0.08);
    let mut engine = Engine::new(settings(24, 50.0)).unwrap();
    run(&mut engine, &mut waveform, 15);
    let watt_hours = |millijoules: u64| millijoules as f64 / MILLIJOULES_PER_WATT_HOUR as f64;
    let hours = 3.0 / 3600.0;
    let mut sums = (0.0, 0.0);
    for phase in 0..3 {
        let energy = engine.energies().phase(phase).unwrap();
        let active = waveform.voltages[phase].mean_product(&waveform.currents[phase]) * hours;
        let reactive = waveform.voltages[phase].reactive_power(&waveform.currents[phase]) * hours;
        sums = (sums.0 + active, sums.1 + reactive);
        let close = |counted: u64, expected: f64, limit: f64| {
            assert!((watt_hours(counted) / expected.max(0.0) - 1.0).abs() < limit, "phase {phase}: {energy:?}");
        };
        // Whole cycles do not end with the run: a part of one is over.
        if active > 0.0 {
            close(energy.active_import, active, 0.005);
            assert_eq!(energy.active_export, 0);
        } else {
            close(energy.active_export, -active, 0.005);
            assert_eq!(energy.active_import, 0);
        }
        let quadrant = [0, 2, 3][phase];
        close(energy.reactive[quadrant], reactive.abs(), 0.001);
        assert_eq!(energy.reactive.iter().filter(|counted| **counted > 0).count(), 1, "{energy:?}");
    }
    let total = engine.energies().total();
    assert!((watt_hours(total.active_import) / sums.0 - 1.0).abs() < 0.005, "{total:?}");
    assert_eq!((total.active_export, total.reactive[1], total.reactive[2]), (0, 0, 0));
}

#[test]
fn a_grid_of_60_hertz_and_an_offset_of_the_converter_are_measured_as_well() {
    let mut waveform = waveform(24, 60.02, [120.0; 3], [10.0; 3], [PI / 6.0; 3], 0.05);
    let mut engine = Engine::new(Settings { nominal_voltage: 120.0, ..settings(24, 60.0) }).unwrap();
    let mut errors = Errors::default();
    let mut intervals = 0;
    for _ in 0..RATE * 2 {
        let (voltages, currents) = waveform.sample();
        if let Some(interval) = engine.sample(voltages.map(|v| v + 30_000), currents.map(|i| i - 50_000)) {
            intervals += 1;
            if intervals > 3 {
                errors.take(&interval, &waveform);
            }
        }
    }
    assert_eq!(intervals, 10);
    assert!(errors.active <= 0.000_4 && errors.rms <= 0.000_3 && errors.frequency <= 0.000_6, "{errors:?}");
    assert!(errors.thd <= 0.000_7, "{errors:?}");
}

#[test]
fn a_frequency_that_wanders_is_followed() {
    let mut waveform = waveform(24, 49.0, [230.0; 3], [5.0; 3], [0.0; 3], 0.08);
    let mut engine = Engine::new(settings(24, 50.0)).unwrap();
    let mut followed = 0;
    for sample in 0..RATE * 4 {
        // Half a hertz in a second, as in a large disturbance.
        waveform.frequency = 49.0 + 0.5 * f64::from(sample) / f64::from(RATE);
        let (voltages, currents) = waveform.sample();
        let Some(interval) = engine.sample(voltages, currents) else { continue };
        if let Some(frequency) = interval.frequency {
            followed += 1;
            // The measured one is the mean between the middles of two intervals: a fifth of a second ago.
            assert!((frequency - (waveform.frequency - 0.1)).abs() < 0.005, "{frequency} at {}", waveform.frequency);
            let power = waveform.voltages[0].mean_product(&waveform.currents[0]);
            assert!((interval.phases[0].active_power / power - 1.0).abs() < 0.001);
        }
    }
    assert!(followed >= 16, "{followed}");
}

#[test]
fn dips_and_swells_have_their_duration_and_extreme() {
    let mut waveform = waveform(24, 50.2, [230.0; 3], [5.0; 3], [0.0; 3], 0.03);
    let mut engine = Engine::new(settings(24, 50.0)).unwrap();
    run(&mut engine, &mut waveform, 5);
    let mut disturbed = 0;
    let mut go = |waveform: &mut Waveform, milliseconds: u32, levels: [f64; 3]| {
        waveform.levels = levels;
        for _ in 0..RATE * milliseconds / 1000 {
            let (voltages, currents) = waveform.sample();
            disturbed += engine.sample(voltages, currents).is_some_and(|interval| interval.disturbed) as u32;
        }
    };
    go(&mut waveform, 300, [1.0, 0.4, 1.0]);
    // Above the threshold, but not by the hysteresis: still the same dip.
    go(&mut waveform, 100, [1.0, 0.91, 1.0]);
    go(&mut waveform, 500, [1.0; 3]);
    go(&mut waveform, 200, [1.0, 1.0, 1.18]);
    go(&mut waveform, 300, [1.0; 3]);
    // All phases away: an interruption.
    go(&mut waveform, 400, [0.0; 3]);
    go(&mut waveform, 300, [1.0; 3]);
    let events: Vec<_> = std::iter::from_fn(|| engine.poll_event()).collect();
    assert_eq!(events.len(), 5, "{events:?}");
    let (dip, swell) = (events[0], events[1]);
    let rms = waveform.voltages[0].rms();
    assert_eq!((dip.kind, dip.phase), (DisturbanceKind::Dip, 1));
    assert!((dip.duration_ms - 400.0).abs() <= 25.0, "{dip:?}");
    assert!((dip.extreme_volts / (0.4 * rms) - 1.0).abs() < 0.002, "{dip:?}");
    assert!((dip.start_sample as f64 / f64::from(RATE) - 1.0).abs() < 0.025, "{dip:?}");
    assert_eq!((swell.kind, swell.phase), (DisturbanceKind::Swell, 2));
    assert!((swell.duration_ms - 200.0).abs() <= 25.0, "{swell:?}");
    assert!((swell.extreme_volts / (1.18 * rms) - 1.0).abs() < 0.002, "{swell:?}");
    for (phase, away) in events[2..].iter().enumerate() {
        assert_eq!((away.kind, away.phase), (DisturbanceKind::Dip, phase));
        assert!(away.extreme_volts < 1.0 && (away.duration_ms - 400.0).abs() <= 25.0, "{away:?}");
    }
    assert!((4..=9).contains(&disturbed), "{disturbed}");
    assert_eq!(engine.dropped_events(), 0);
}

#[test]
fn a_dead_input_measures_nothing_and_another_phase_is_followed() {
    let mut engine = Engine::new(settings(24, 50.0)).unwrap();
    for _ in 0..RATE {
        if let Some(interval) = engine.sample([0; 3], [0; 3]) {
            assert_eq!((interval.frequency, interval.active_power(), interval.power_factor()), (None, 0.0, 1.0));
            assert_eq!(interval.phases[0].voltage_thd, None);
        }
    }
    assert_eq!(*engine.energies().total(), Default::default());
    let mut waveform = waveform(24, 50.4, [230.0; 3], [5.0; 3], [0.3; 3], 0.02);
    waveform.levels = [0.0, 1.0, 1.0];
    let intervals = run(&mut engine, &mut waveform, 6);
    assert!((intervals[5].frequency.unwrap() - 50.4).abs() < 0.000_6, "{intervals:?}");
    assert!(intervals[5].phases[0].voltage < 0.01);
}

#[test]
fn the_extremes_of_the_converter_do_no_harm() {
    let mut engine = Engine::new(settings(24, 50.0)).unwrap();
    for sample in 0..RATE * 2 {
        let value = if sample % 3 == 0 { i32::MIN } else { i32::MAX };
        if let Some(interval) = engine.sample([value; 3], [value, 0, -1]) {
            assert!(interval.phases.iter().all(|phase| phase.voltage.is_finite() && phase.active_power.is_finite()));
        }
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let good = settings(24, 50.0);
    let refused = |settings: Settings| Engine::new(settings).err();
    assert_eq!(refused(good), None);
    assert_eq!(refused(Settings { sample_rate: 8_001, ..good }), Some(SettingsError::SampleRate(8_001)));
    assert_eq!(refused(Settings { sample_rate: 1_000, ..good }), Some(SettingsError::SampleRate(1_000)));
    assert_eq!(refused(Settings { nominal_frequency: 400.0, ..good }), Some(SettingsError::Frequency));
    assert_eq!(refused(Settings { nominal_voltage: f64::NAN, ..good }), Some(SettingsError::Voltage));
    let thresholds = Thresholds { dip: 0.99, ..Thresholds::default() };
    assert_eq!(refused(Settings { thresholds, ..good }), Some(SettingsError::Thresholds));
}
