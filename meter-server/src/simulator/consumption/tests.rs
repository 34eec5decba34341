//! The figures of one meter agree with each other.

use super::*;

const START: i64 = 1_700_000_000_000;
const ENERGIES: [Quantity; 10] = [
    Quantity::ActiveImport,
    Quantity::ActiveExport,
    Quantity::ReactivePlus,
    Quantity::ReactiveMinus,
    Quantity::Quadrant1,
    Quantity::Quadrant2,
    Quantity::Quadrant3,
    Quantity::Quadrant4,
    Quantity::ApparentImport,
    Quantity::ApparentExport,
];

fn installation(generation_share: f64) -> Installation {
    let flat = Shape { season: 0.35, season_peak: 15.0, irregularity: 0.5, hours: [1.0; 24] };
    let mut beside = flat.clone();
    let mut sun = Shape { season: 0.6, season_peak: 172.0, irregularity: 0.3, hours: [0.0; 24] };
    for hour in 9..19 {
        beside.hours[hour] = 0.0;
        sun.hours[hour] = 1.0;
    }
    Installation {
        import: Arc::new(flat),
        import_daily_wh: 9_000.0,
        import_beside_generation: Arc::new(beside),
        export: Arc::new(sun),
        export_daily_wh: 14_000.0,
        generation_share,
        installed_ms: START - 400 * DAY * 1000,
        standard_offset_ms: 3_600_000,
        voltage: 230.0,
        frequency: 50.0,
    }
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_gives_others() {
    let (one, same, other) = (
        Consumption::new(&installation(1.0), 1),
        Consumption::new(&installation(1.0), 1),
        Consumption::new(&installation(1.0), 2),
    );
    let read = |meter: &Consumption| meter.energy(Quantity::ActiveImport, 0, START);
    assert_eq!(read(&one), read(&same));
    assert_ne!(read(&one), read(&other));
}

#[test]
fn registers_start_at_zero_and_never_fall() {
    let meter = Consumption::new(&installation(1.0), 5);
    for quantity in ENERGIES {
        assert_eq!(meter.energy(quantity, 0, meter.installed_ms()), 0);
        assert_eq!(meter.energy(quantity, 0, meter.installed_ms() - 1), 0);
        let mut last = 0;
        for step in 0..3_000 {
            let now = meter.energy(quantity, 0, meter.installed_ms() + step * 997_001);
            assert!(now >= last, "{quantity:?} at step {step}");
            last = now;
        }
        assert!(last > 0, "{quantity:?} never counts");
    }
}

#[test]
fn the_total_is_the_sum_of_its_rates_and_the_quadrants_make_up_reactive_energy() {
    let meter = Consumption::new(&installation(1.0), 8);
    for at in (START..).step_by(7_654_321).take(50) {
        for quantity in ENERGIES {
            let rates: i64 = (1..=4).map(|rate| meter.energy(quantity, rate, at)).sum();
            assert_eq!(meter.energy(quantity, 0, at), rates);
        }
        let total = |quantity| meter.energy(quantity, 0, at);
        assert_eq!(total(Quantity::ReactivePlus), total(Quantity::Quadrant1) + total(Quantity::Quadrant2));
        assert_eq!(total(Quantity::ReactiveMinus), total(Quantity::Quadrant3) + total(Quantity::Quadrant4));
        assert_eq!(total(Quantity::ActiveNet), total(Quantity::ActiveImport) - total(Quantity::ActiveExport));
    }
}

#[test]
fn phases_add_up_and_current_is_apparent_power_over_voltage() {
    let meter = Consumption::new(&installation(1.0), 8);
    for at in (START..).step_by(1_234_567).take(50) {
        for quantity in ENERGIES {
            let phases: i64 = Phase::ALL.iter().map(|phase| meter.phase_power(quantity, *phase, at)).sum();
            assert_eq!(meter.power(quantity, at), phases);
        }
        for phase in Phase::ALL {
            let volts = meter.voltage(phase, at);
            assert!((220.0..240.0).contains(&volts), "{volts}");
            let apparent = meter.phase_power(Quantity::ApparentImport, phase, at)
                + meter.phase_power(Quantity::ApparentExport, phase, at);
            assert!((meter.current(phase, at) * volts - apparent as f64).abs() < 1e-6);
        }
    }
}

#[test]
fn a_meter_with_generation_never_imports_and_exports_at_once() {
    let meter = Consumption::new(&installation(1.0), 21);
    let (mut imports, mut exports) = (0, 0);
    for at in (START..).step_by(600_000).take(500) {
        let (import, export) = (meter.power(Quantity::ActiveImport, at), meter.power(Quantity::ActiveExport, at));
        assert!(import == 0 || export == 0);
        imports += usize::from(import > 0);
        exports += usize::from(export > 0);
        assert_eq!(meter.power_factor(at) < 0.0, export > 0);
    }
    assert!(imports > 100 && exports > 100);
    let without = Consumption::new(&installation(0.0), 21);
    assert_eq!(without.energy(Quantity::ActiveExport, 0, START), 0);
}

#[test]
fn an_open_switch_stops_the_registers_and_leaves_the_past_alone() {
    let mut meter = Consumption::new(&installation(0.0), 3);
    let read = |meter: &Consumption, at| meter.energy(Quantity::ActiveImport, 0, at);
    let undisturbed = meter.clone();
    let (open, close, later) = (START + 100_000, START + 7_300_000, START + 90_000_000);
    meter.switched(false, open);
    assert_eq!(read(&meter, close), read(&meter, open));
    assert_eq!(meter.power(Quantity::ActiveImport, close), 0);
    assert_eq!(meter.last_average(Quantity::ActiveImport, close), 0);
    meter.switched(true, close);
    assert_eq!(read(&meter, START), read(&undisturbed, START));
    let missing = read(&undisturbed, close) - read(&undisturbed, open);
    assert!((read(&undisturbed, later) - read(&meter, later) - missing).abs() <= 8);
    assert!(meter.power(Quantity::ActiveImport, later) > 0);
}

#[test]
fn interruptions_are_bounded() {
    let mut meter = Consumption::new(&installation(0.0), 3);
    for step in 0..1_000 {
        meter.switched(step % 2 == 1, START + step * 1_000);
    }
    assert!(meter.interruptions.len() <= INTERRUPTIONS_MAX);
    let before = meter.energy(Quantity::ActiveImport, 0, START + 2_000_000);
    assert!(meter.energy(Quantity::ActiveImport, 0, START + 4_000_000) > before);
}

#[test]
fn maximum_demand_is_the_highest_of_the_averages() {
    let mut meter = Consumption::new(&installation(1.0), 13);
    meter.switched(false, START + 40 * QUARTER_MS + 5_000);
    meter.switched(true, START + 41 * QUARTER_MS);
    let from = START - START.rem_euclid(QUARTER_MS);
    let to = from + 300 * QUARTER_MS;
    for quantity in [Quantity::ActiveImport, Quantity::ReactivePlus] {
        let found = meter.maximum(quantity, 0, from, to).unwrap();
        let ends: Vec<_> = (1..=300).map(|quarter| from + quarter * QUARTER_MS).collect();
        let highest = ends.iter().map(|end| meter.last_average(quantity, *end)).max().unwrap();
        assert!((found.power - highest).abs() <= 1, "{found:?} against {highest}");
        assert!((meter.last_average(quantity, found.end_ms) - found.power).abs() <= 1);
    }
    assert_eq!(meter.maximum(Quantity::ActiveImport, 0, from, from), None);
    let night = meter.maximum(Quantity::ActiveImport, 2, from, to).unwrap();
    assert_eq!(meter.rate(night.end_ms - 1), 2);
}
