//! What is known in public of kinds of customers, against what the simulation makes of them.

use super::*;
use crate::simulator::consumption::tariff::SINGLE;
use crate::simulator::consumption::{Consumption, DAY, Installation, Quantity, Spread};

/// The start of 2025, a Wednesday.
const NEW_YEAR: i64 = 20_089;

fn installation(kind: CustomerKind, generation_share: f64) -> Installation {
    let customer = Customer::new(kind, kind.usual_kwh_per_year(), 8.0, 50.0);
    Installation {
        import: customer.import.0,
        import_daily_wh: customer.import.1,
        import_beside_generation: customer.import_beside_generation.0,
        import_beside_generation_daily_wh: customer.import_beside_generation.1,
        export: customer.export.0,
        export_daily_wh: customer.export.1,
        generation_share,
        spread: Spread::Logarithmic(kind.spread()),
        installed_ms: (NEW_YEAR - 100) * DAY * 1000,
        standard_offset_ms: 0,
        voltage: 230.0,
        frequency: 50.0,
        single_phase: false,
        tangents: kind.tangents(),
    }
}

fn meters(kind: CustomerKind, generation_share: f64, count: u64) -> Vec<Consumption> {
    let installation = installation(kind, generation_share);
    (0..count).map(|seed| Consumption::new(&installation, seed)).collect()
}

/// Kilowatt-hours from one day to another.
fn energy(meter: &Consumption, quantity: Quantity, from: i64, to: i64) -> f64 {
    let read = |day: i64| meter.energy(quantity, 0, day * DAY * 1000, &SINGLE);
    (read(to) - read(from)) as f64 / 1000.0
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value;
        count += 1.0;
    }
    sum / count
}

#[test]
fn a_year_has_the_energy_that_it_should_and_customers_differ() {
    for kind in [CustomerKind::Household, CustomerKind::Commercial, CustomerKind::Industrial] {
        let meters = meters(kind, 0.0, 200);
        let years: Vec<_> =
            meters.iter().map(|meter| energy(meter, Quantity::ActiveImport, NEW_YEAR, NEW_YEAR + 365)).collect();
        let average = mean(years.iter().copied()) / kind.usual_kwh_per_year();
        assert!((0.92..1.08).contains(&average), "{kind:?}: {average}");
        let (least, most) = (years.iter().copied().fold(f64::MAX, f64::min), years.iter().copied().fold(0.0, f64::max));
        assert!(most > 3.0 * least && most < 40.0 * least, "{kind:?}: {least} to {most}");
    }
}

#[test]
fn free_days_are_those_of_the_kind() {
    // Published: H0 has about as much on Sundays as on workdays; G0 about half; industry keeps a base load.
    let limits = [
        (CustomerKind::Household, 0.95..1.15, 0.95..1.2),
        (CustomerKind::Commercial, 0.55..0.75, 0.35..0.55),
        (CustomerKind::Industrial, 0.5..0.7, 0.35..0.55),
    ];
    for (kind, saturday, sunday) in limits {
        let meters = meters(kind, 0.0, 10);
        // The first Monday of 2025, and sixteen weeks, which are two groups of chance.
        let monday = NEW_YEAR + 5;
        let of_weekday = |weekday: i64| {
            mean(meters.iter().flat_map(|meter| {
                (0..16).map(move |week| {
                    let day = monday + week * 7 + weekday;
                    energy(meter, Quantity::ActiveImport, day, day + 1)
                })
            }))
        };
        let workday = mean((0..5).map(of_weekday));
        let (of_saturday, of_sunday) = (of_weekday(5) / workday, of_weekday(6) / workday);
        assert!(saturday.contains(&of_saturday), "{kind:?}: {of_saturday}");
        assert!(sunday.contains(&of_sunday), "{kind:?}: {of_sunday}");
    }
}

#[test]
fn seasons_are_those_of_the_kind() {
    let of = |kind, quantity, share| {
        let meters = meters(kind, share, 30);
        let month = |from: i64| mean(meters.iter().map(|meter| energy(meter, quantity, from, from + 30)));
        month(NEW_YEAR + 5) / month(NEW_YEAR + 180)
    };
    // The dynamic factor of H0 falls from 1.24 to 0.79.
    let household = of(CustomerKind::Household, Quantity::ActiveImport, 0.0);
    assert!((1.3..1.8).contains(&household), "{household}");
    let industrial = of(CustomerKind::Industrial, Quantity::ActiveImport, 0.0);
    assert!((0.95..1.25).contains(&industrial), "{industrial}");
    // With generation, the grid gives most in winter and takes most in summer.
    let import = of(CustomerKind::Household, Quantity::ActiveImport, 1.0);
    assert!((2.0..5.0).contains(&import), "{import}");
    let export = of(CustomerKind::Household, Quantity::ActiveExport, 1.0);
    assert!((0.03..0.25).contains(&export), "{export}");
}

/// Mean over highest quarter of an hour of a winter's eight weeks.
fn load_factor(meter: &Consumption) -> f64 {
    let (from, to) = (NEW_YEAR + 5, NEW_YEAR + 61);
    let quarters: Vec<_> = (from..to).flat_map(|day| meter.import.day(day)).collect();
    mean(quarters.iter().map(|quarter| *quarter as f64)) / quarters.iter().copied().max().unwrap_or(1) as f64
}

#[test]
fn load_factors_are_those_of_the_kind() {
    let limits = [
        // A household of 3500 kWh draws 4 to 10 kW at its peak; businesses have 1500 to 3500 hours of full use, factories
        // of two shifts 4000 to 6000.
        (CustomerKind::Household, 0.03..0.15),
        (CustomerKind::Commercial, 0.17..0.45),
        (CustomerKind::Industrial, 0.40..0.72),
    ];
    for (kind, range) in limits {
        for meter in meters(kind, 0.0, 5) {
            let factor = load_factor(&meter);
            assert!(range.contains(&factor), "{kind:?}: {factor}");
        }
    }
}

#[test]
fn many_households_together_are_smooth() {
    let meters = meters(CustomerKind::Household, 0.0, 80);
    let day = NEW_YEAR + 13;
    let mut sum = [0_i64; QUARTERS];
    for meter in &meters {
        for (sum, quarter) in sum.iter_mut().zip(meter.import.day(day)) {
            *sum += quarter;
        }
    }
    // Watts per household: published figures for the peak of many are near 1 kW and in the evening.
    let watts = sum.map(|energy| energy as f64 * 0.004 / meters.len() as f64);
    let (peak_quarter, peak) = watts
        .iter()
        .enumerate()
        .fold((0, 0.0), |best, (quarter, watts)| if *watts > best.1 { (quarter, *watts) } else { best });
    assert!((600.0..1_400.0).contains(&peak), "{peak}");
    assert!((64..88).contains(&peak_quarter), "{peak_quarter}");
}

#[test]
fn generation_follows_the_sun_and_consumption_takes_its_share() {
    let meters = meters(CustomerKind::Household, 1.0, 40);
    let quarters = |day: i64| {
        let mut sum = [0_i64; QUARTERS];
        for meter in &meters {
            for week in 0..8 {
                for (sum, quarter) in sum.iter_mut().zip(meter.export.day(day + week * 7)) {
                    *sum += quarter;
                }
            }
        }
        let first = sum.iter().position(|sum| *sum > 0).unwrap();
        let last = sum.iter().rposition(|sum| *sum > 0).unwrap();
        (first as f64 / 4.0, last as f64 / 4.0)
    };
    // From the end of November to the middle of January, and around the longest day.
    let (winter, summer) = (quarters(NEW_YEAR - 35), quarters(NEW_YEAR + 145));
    assert!(winter.0 > 7.5 && winter.1 < 17.0, "{winter:?}");
    assert!(summer.0 < 6.5 && summer.1 > 18.0, "{summer:?}");

    // Published for 8 kW above 3500 kWh without a battery: a fifth to a third of the generation is used at once, which
    // saves a third to a half of the import.
    let year = |quantity| mean(meters.iter().map(|meter| energy(meter, quantity, NEW_YEAR, NEW_YEAR + 365)));
    let used = 1.0 - year(Quantity::ActiveExport) / (8.0 * solar::FULL_LOAD_HOURS);
    assert!((0.08..0.35).contains(&used), "{used}");
    let saved = 1.0 - year(Quantity::ActiveImport) / CustomerKind::Household.usual_kwh_per_year();
    assert!((0.25..0.5).contains(&saved), "{saved}");
}
