//! Sums of energy by tariff rate.

use super::curve::{Curve, QUARTERS, RATES};
use super::tariff::{DayRates, Tariff, weekday};

/// Parts of the day with a phase angle of their own: from 6 o'clock, from 16 o'clock, and from 22 o'clock.
pub(crate) const BANDS: usize = 3;

/// The band of a quarter of the day.
pub(crate) fn band(quarter: usize) -> usize {
    match quarter {
        24..64 => 0,
        64..88 => 1,
        _ => 2,
    }
}

/// From this many days on, the closed expression costs less than the days one by one.
const DAYS_ONE_BY_ONE: i64 = 14;

/// Milliwatt-hours of one direction by rate and band.
pub(crate) type Sums = [[i64; BANDS]; RATES];

/// Milliwatt-hours of import and export. Whole numbers, so that sums do not depend on the way they were reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) import: Sums,
    pub(crate) export: Sums,
}

fn combine(a: &mut Sums, b: &Sums, sign: i64) {
    for (a, b) in a.iter_mut().flatten().zip(b.iter().flatten()) {
        *a += sign * b;
    }
}

fn count(sums: &mut Sums, quarters: &[i64; QUARTERS], rates: &DayRates) {
    for (quarter, (energy, rate)) in quarters.iter().zip(rates).enumerate() {
        sums[usize::from(*rate).min(RATES - 1)][band(quarter)] += energy;
    }
}

impl Flow {
    pub(crate) fn add(&mut self, other: &Self) {
        combine(&mut self.import, &other.import, 1);
        combine(&mut self.export, &other.export, 1);
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        combine(&mut self.import, &other.import, -1);
        combine(&mut self.export, &other.export, -1);
    }

    /// Adds the days from `from` to before `to`.
    pub(crate) fn add_days(&mut self, import: &Curve, export: &Curve, from: i64, to: i64, tariff: &dyn Tariff) {
        let mut day = from;
        while day < to {
            let span = tariff.span(day);
            let end = span.end.clamp(day + 1, to);
            let one_by_one = end - day < DAYS_ONE_BY_ONE;
            for first in day..if one_by_one { end } else { day + 7 } {
                let rates = span.week[weekday(first)];
                let of = |curve: &Curve| if one_by_one { curve.day(first) } else { curve.same_weekdays(first, end) };
                count(&mut self.import, &of(import), rates);
                count(&mut self.export, &of(export), rates);
            }
            day = end;
        }
    }
}
