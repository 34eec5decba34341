//! Sums of energy by tariff rate.

use super::curve::{Curve, QUARTERS, RATES};
use super::tariff::{DayRates, Span, Tariff, weekday};
use crate::simulator::record::record;

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

record! {
    Flow { import, export }
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

    /// Of each sum the share that `part` is of `whole` in its band, all rates together.
    pub(crate) fn scale(&mut self, part: &Self, whole: &Self) {
        for (sums, part, whole) in
            [(&mut self.import, &part.import, &whole.import), (&mut self.export, &part.export, &whole.export)]
        {
            let of_band = |sums: &Sums, band: usize| sums.iter().map(|bands| i128::from(bands[band])).sum::<i128>();
            for band in 0..BANDS {
                let (part, whole) = (of_band(part, band), of_band(whole, band));
                for bands in sums.iter_mut() {
                    let share = (i128::from(bands[band]) * part).checked_div(whole).unwrap_or(0);
                    bands[band] = i64::try_from(share).unwrap_or(i64::MAX);
                }
            }
        }
    }

    /// Adds the days from `from` to before `to`.
    pub(crate) fn add_days(&mut self, import: &Curve, export: &Curve, from: i64, to: i64, tariff: &dyn Tariff) {
        if to - from < DAYS_ONE_BY_ONE {
            for day in from..to {
                let rates = tariff.span(day).week[weekday(day)];
                count(&mut self.import, &import.day(day), rates);
                count(&mut self.export, &export.day(day), rates);
            }
            return;
        }
        let spans = spans(tariff, from, to);
        for first in from..from + 7 {
            let turns = turns(&spans, first, to);
            add_weekday(&mut self.import, import, &turns, first, to);
            add_weekday(&mut self.export, export, &turns, first, to);
        }
    }
}

/// The spans that touch the days from `from` to before `to`, each with its first day.
fn spans(tariff: &dyn Tariff, from: i64, to: i64) -> Vec<(i64, Span<'_>)> {
    let mut spans = Vec::new();
    let mut day = from;
    while day < to {
        let span = tariff.span(day);
        spans.push((day, span));
        day = span.end.max(day + 1);
    }
    spans
}

/// The rates of the days that are the same day of the week as `first`, and from which of them on.
fn turns<'a>(spans: &[(i64, Span<'a>)], first: i64, to: i64) -> Vec<(i64, &'a DayRates)> {
    let mut turns: Vec<(i64, &DayRates)> = Vec::new();
    for (start, span) in spans {
        // The first such day of the span, if it has one.
        let day = first.max(start + (first - start).rem_euclid(7));
        let rates = span.week[weekday(first)];
        let goes_on = turns.last().is_some_and(|(_, last)| *last == rates);
        if day < span.end.max(start + 1).min(to) && !goes_on {
            turns.push((day, rates));
        }
    }
    turns
}

/// Adds what is counted on the same day of each week, from `first` to before `to`.
///
/// What was counted before a day is known without adding up: at a turn, only the quarters that change their rate are
/// asked for it.
fn add_weekday(sums: &mut Sums, curve: &Curve, turns: &[(i64, &DayRates)], first: i64, to: i64) {
    let (Some((_, first_rates)), false) = (turns.first(), curve.is_nothing()) else { return };
    let before = curve.before(first);
    let mut since: [i64; QUARTERS] = std::array::from_fn(before);
    let mut last = *first_rates;
    let mut put = |quarter: usize, rate: u8, energy: i64| {
        sums[usize::from(rate).min(RATES - 1)][band(quarter)] += energy;
    };
    for (day, rates) in &turns[1..] {
        let before = curve.before(*day);
        for (quarter, since) in since.iter_mut().enumerate().filter(|(quarter, _)| last[*quarter] != rates[*quarter]) {
            let until = before(quarter);
            put(quarter, last[quarter], until - std::mem::replace(since, until));
        }
        last = rates;
    }
    // The last day is as many weeks behind the first as fit.
    let before = curve.before(first + (to - first + 6).div_euclid(7) * 7);
    for (quarter, since) in since.into_iter().enumerate() {
        put(quarter, last[quarter], before(quarter) - since);
    }
}

#[cfg(test)]
mod tests {
    use super::super::noise::Noise;
    use super::super::shape::{Irregularity, Shape};
    use super::*;
    use std::sync::Arc;

    /// Rates that turn now and then, for single days and for long.
    struct Turning([DayRates; 3]);

    impl Tariff for Turning {
        fn span(&self, day: i64) -> Span<'_> {
            let [day_rates, night, other] = &self.0;
            match day.rem_euclid(97) {
                13 => Span { end: day + 1, week: [other; 7] },
                place @ 40..60 => {
                    Span { end: day - place + 60, week: [other, night, night, other, day_rates, night, night] }
                }
                place @ ..13 => Span { end: day - place + 13, week: [day_rates; 7] },
                place @ 14..40 => Span { end: day - place + 40, week: [day_rates; 7] },
                place => Span {
                    end: day - place + 97,
                    week: [day_rates, day_rates, day_rates, day_rates, day_rates, night, night],
                },
            }
        }
    }

    #[test]
    fn long_times_are_the_sum_of_their_days_to_the_milliwatt_hour() {
        let irregularity = Irregularity { weeks: 0.2, days: 0.5, quarters: 0.8 };
        let shape = Arc::new(Shape::from_hours(0.9, 15.0, irregularity, &[1.0; 24]));
        let import = Curve::new(Arc::clone(&shape), 12_000.0, Noise::new(1), Noise::new(2));
        let export = Curve::new(shape, 7_000.0, Noise::new(3), Noise::new(4));
        let rates = |shift: usize| std::array::from_fn(|quarter| ((quarter + shift) / 24 % 4) as u8);
        let tariff = Turning([rates(0), rates(5), [7; QUARTERS]]);
        for (from, to) in [(19_000, 19_014), (19_001, 19_300), (19_005, 19_905), (19_300, 19_318)] {
            let (mut at_once, mut one_by_one) = (Flow::default(), Flow::default());
            at_once.add_days(&import, &export, from, to, &tariff);
            for day in from..to {
                one_by_one.add_days(&import, &export, day, day + 1, &tariff);
            }
            assert_eq!(at_once, one_by_one, "{from} to {to}");
        }
    }
}
