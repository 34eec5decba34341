//! The figures of one meter agree with each other.

use super::tariff::{DayRates, Span, USUAL};
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
    let irregularity = Irregularity { weeks: 0.1, days: 0.5, quarters: 0.6 };
    let (mut beside, mut sun) = ([1.0; 24], [0.0; 24]);
    for hour in 9..19 {
        // The hours of generation have a little import in them too.
        beside[hour] = 0.2;
        sun[hour] = 1.0;
    }
    Installation {
        import: Arc::new(Shape::from_hours(0.35, 15.0, irregularity, &[1.0; 24])),
        import_daily_wh: 9_000.0,
        import_beside_generation: Arc::new(Shape::from_hours(0.35, 15.0, irregularity, &beside)),
        export: Arc::new(Shape::from_hours(0.6, 172.0, irregularity, &sun)),
        export_daily_wh: 14_000.0,
        import_beside_generation_daily_wh: 9_000.0,
        generation_share,
        spread: Spread::Even,
        installed_ms: START - 400 * DAY * 1000,
        standard_offset_ms: 3_600_000,
        voltage: 230.0,
        frequency: 50.0,
        single_phase: false,
        tangents: Tangents::default(),
    }
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_gives_others() {
    let (one, same, other) = (
        Consumption::new(&installation(1.0), 1),
        Consumption::new(&installation(1.0), 1),
        Consumption::new(&installation(1.0), 2),
    );
    let read = |meter: &Consumption| meter.energy(Quantity::ActiveImport, 0, START, &USUAL);
    assert_eq!(read(&one), read(&same));
    assert_ne!(read(&one), read(&other));
}

#[test]
fn registers_start_at_zero_and_never_fall() {
    let meter = Consumption::new(&installation(1.0), 5);
    for quantity in ENERGIES {
        assert_eq!(meter.energy(quantity, 0, meter.installed_ms(), &USUAL), 0);
        assert_eq!(meter.energy(quantity, 0, meter.installed_ms() - 1, &USUAL), 0);
        let mut last = 0;
        for step in 0..800 {
            let now = meter.energy(quantity, 0, meter.installed_ms() + step * 3_997_001, &USUAL);
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
            let rates: i64 = (1..=8).map(|rate| meter.energy(quantity, rate, at, &USUAL)).sum();
            assert_eq!(meter.energy(quantity, 0, at, &USUAL), rates);
        }
        let total = |quantity| meter.energy(quantity, 0, at, &USUAL);
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
    assert_eq!(without.energy(Quantity::ActiveExport, 0, START, &USUAL), 0);
}

#[test]
fn an_open_switch_stops_the_registers_and_leaves_the_past_alone() {
    let mut meter = Consumption::new(&installation(0.0), 3);
    let read = |meter: &Consumption, at| meter.energy(Quantity::ActiveImport, 0, at, &USUAL);
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
    let before = meter.energy(Quantity::ActiveImport, 0, START + 2_000_000, &USUAL);
    assert!(meter.energy(Quantity::ActiveImport, 0, START + 4_000_000, &USUAL) > before);
}

#[test]
fn maximum_demand_is_the_highest_of_the_averages() {
    let mut meter = Consumption::new(&installation(1.0), 13);
    meter.switched(false, START + 40 * QUARTER_MS + 5_000);
    meter.switched(true, START + 41 * QUARTER_MS);
    let from = START - START.rem_euclid(QUARTER_MS);
    let to = from + 300 * QUARTER_MS;
    for quantity in [Quantity::ActiveImport, Quantity::ReactivePlus] {
        let found = meter.maximum(quantity, 0, from, to, &USUAL).unwrap();
        let ends: Vec<_> = (1..=300).map(|quarter| from + quarter * QUARTER_MS).collect();
        let highest = ends.iter().map(|end| meter.last_average(quantity, *end)).max().unwrap();
        assert!((found.power - highest).abs() <= 1, "{found:?} against {highest}");
        assert!((meter.last_average(quantity, found.end_ms) - found.power).abs() <= 1);
    }
    assert_eq!(meter.maximum(Quantity::ActiveImport, 0, from, from, &USUAL), None);
    let night = meter.maximum(Quantity::ActiveImport, 2, from, to, &USUAL).unwrap();
    assert_eq!(meter.rate(night.end_ms - 1, &USUAL), 2);
}

#[test]
fn power_is_the_slope_of_energy() {
    let meter = Consumption::new(&installation(1.0), 3);
    for quantity in [Quantity::ActiveImport, Quantity::ActiveExport] {
        let mut compared = 0;
        for at in (START + 123_456..).step_by(17_777_777).take(300) {
            let energy = |at| {
                let flow = meter.flow(at, &USUAL);
                let sums = if quantity == Quantity::ActiveImport { flow.import } else { flow.export };
                sums.iter().flatten().sum::<i64>()
            };
            let slope = (energy(at + 500) - energy(at - 500)) as f64 * 3.6;
            let (before, power, behind) =
                (meter.power(quantity, at - 500), meter.power(quantity, at), meter.power(quantity, at + 500));
            // Not where import and export take turns.
            if before > 0 && behind > 0 {
                compared += 1;
                assert!((slope - power as f64).abs() < 0.02 * slope + 8.0, "{slope} against {power}");
            }
        }
        assert!(compared > 50, "{compared}");
    }
}

/// Seasons, a weekday apart from the rest, special days, and a plan that changes on a day.
struct Plan {
    winter: [DayRates; 2],
    summer: [DayRates; 2],
    special: DayRates,
    changed: i64,
}

impl Plan {
    fn new() -> Self {
        let by = |from: usize, rate: u8| std::array::from_fn(|quarter| if quarter < from { 0 } else { rate });
        Self { winter: [by(30, 1), by(60, 2)], summer: [by(33, 3), by(61, 4)], special: by(0, 5), changed: 19_650 }
    }
}

impl Tariff for Plan {
    fn span(&self, day: i64) -> Span<'_> {
        let of_year = day.rem_euclid(365);
        if of_year == 40 || of_year == 200 {
            return Span { end: day + 1, week: [&self.special; 7] };
        }
        let (rates, mut end) = if of_year < 90 { (&self.winter, 90) } else { (&self.summer, 365) };
        for special in [40, 200] {
            if of_year < special && special < end {
                end = special;
            }
        }
        let (work, sunday) = if day < self.changed { (&rates[0], &rates[1]) } else { (&rates[1], &rates[0]) };
        let end = day - of_year + end;
        let end = if day < self.changed { end.min(self.changed) } else { end };
        Span { end, week: [work, work, work, work, work, work, sunday] }
    }
}

#[test]
fn any_calendar_gives_the_same_registers_by_whatever_way_they_are_reached() {
    let plan = Plan::new();
    let meter = Consumption::new(&installation(1.0), 4);
    // A day at a time from the installation on, each quarter under its rate.
    let (offset, install) = (meter.standard_offset_ms, meter.place(meter.installed_ms));
    let mut sums = meter.within(Place::start_of(install.day, 0), install, &plan);
    for sum in sums.import.iter_mut().chain(&mut sums.export).flatten() {
        *sum = -*sum;
    }
    for day in install.day..install.day + 395 {
        let midnight = day * DAY * 1000 - offset;
        if day > install.day {
            assert_eq!(meter.flow(midnight, &plan), sums, "walked to {day}");
            if day % 23 == 0 {
                let fresh = Consumption::new(&installation(1.0), 4);
                assert_eq!(fresh.flow(midnight, &plan), sums, "at once to {day}");
            }
        }
        let (import, export) = (meter.import.day(day), meter.export.day(day));
        for quarter in 0..96 {
            let rate = plan.rate(day, quarter);
            sums.import[rate][band(quarter)] += import[quarter];
            sums.export[rate][band(quarter)] += export[quarter];
            // On from the last row of a profile, and to within a quarter and out of it again.
            if day > install.day && day % 23 == 0 {
                let end = midnight + (quarter as i64 + 1) * QUARTER_MS;
                meter.flow(end - 123_456, &plan);
                assert_eq!(meter.flow(end, &plan), sums, "walked to quarter {quarter} of {day}");
            }
        }
    }
    // Backwards, and in jumps.
    for at in [START, START - 5 * DAY * 1000, START - 100 * DAY * 1000, START - 99 * DAY * 1000 + 1] {
        let fresh = Consumption::new(&installation(1.0), 4);
        assert_eq!(meter.flow(at, &plan), fresh.flow(at, &plan));
    }
    for rate in 1..=6 {
        assert!(meter.energy(Quantity::ActiveImport, rate, START, &plan) > 0, "rate {rate}");
    }
    assert_eq!(meter.energy(Quantity::ActiveImport, 7, START, &plan), 0);
}

#[test]
fn a_changed_calendar_changes_rates_and_not_the_sum() {
    let meter = Consumption::new(&installation(0.0), 4);
    let milliwatt_hours = |tariff: &dyn Tariff| {
        meter.forget();
        meter.flow(START, tariff).import.iter().flatten().sum::<i64>()
    };
    assert_eq!(milliwatt_hours(&USUAL), milliwatt_hours(&Plan::new()));
    assert_eq!(milliwatt_hours(&USUAL), milliwatt_hours(&SINGLE));
}

#[test]
fn voltages_show_what_disturbs_them_and_the_load_stays_what_it_is() {
    let meter = Consumption::new(&installation(0.0), 5);
    let first_day = meter.installed_ms() / (DAY * 1000);
    let mut seen = std::collections::BTreeSet::new();
    for disturbance in (first_day + 1..first_day + 1500).filter_map(|day| meter.quality.of_day(day)) {
        let (at, phase) = ((disturbance.start_ms + disturbance.end_ms) / 2, disturbance.phase);
        let volts = meter.voltage(phase, at);
        assert!((volts - 230.0 * disturbance.level).abs() < 1e-9);
        for other in Phase::ALL.into_iter().filter(|other| *other != phase) {
            assert!((220.0..240.0).contains(&meter.voltage(other, at)));
        }
        assert!((220.0..240.0).contains(&meter.voltage(phase, disturbance.end_ms)));
        let shares: f64 = Phase::ALL.iter().map(|phase| meter.grid.share(*phase, at)).sum();
        assert!((shares - 1.0).abs() < 1e-9);
        if disturbance.kind == DisturbanceKind::Cut {
            assert_eq!((meter.phase_power(Quantity::ActiveImport, phase, at), meter.current(phase, at)), (0, 0.0));
        }
        assert!(meter.power(Quantity::ActiveImport, at) > 0);
        let of = |figure, at| meter.disturbances((disturbance.kind, phase, figure), at, Some);
        assert_eq!(of(Figure::Count, disturbance.end_ms), of(Figure::Count, at) + 1.0);
        assert!((of(Figure::Magnitude, disturbance.end_ms) - volts).abs() < 1e-9);
        seen.insert(format!("{:?}{phase:?}", disturbance.kind));
    }
    assert!(seen.len() >= 7, "{seen:?}");
    // The loss of an only phase would be the meter's own.
    let single = Consumption::new(&Installation { single_phase: true, ..installation(0.0) }, 5);
    for disturbance in (first_day + 1..first_day + 1500).filter_map(|day| single.quality.of_day(day)) {
        assert!(single.voltage(Phase::L1, disturbance.start_ms) > 80.0);
        assert!(single.power(Quantity::ActiveImport, disturbance.start_ms) > 0);
    }
}
