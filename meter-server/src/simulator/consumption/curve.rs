//! Energy that only grows, known at any moment without adding up what came before.
//!
//! Each quarter of an hour of each weekday counts for itself, week by week, in whole milliwatt-hours. Eight weeks make
//! a group: what the [`Shape`] expects of the group is certain, and chance spreads it over the eight. So the count of any
//! such quarter at any week is a closed expression, and every other sum (of a day, of a tariff rate over years) is an
//! exact sum of differences of such counts, by whatever path it is reached.

use std::{f64::consts::TAU, sync::Arc};

use super::noise::Noise;
use super::shape::Shape;
use super::tariff::weekday;

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;
/// Seconds of a quarter of an hour, over which power is spread evenly but for a ripple.
pub(crate) const QUARTER: i64 = 900;
/// Quarters of a day.
pub(crate) const QUARTERS: usize = 96;
/// Tariff rates.
pub(crate) const RATES: usize = 8;

/// Weeks over which chance spreads what is expected of them.
const GROUP: usize = 8;
/// Part of the power that swings inside a quarter of an hour, and how often it does.
const RIPPLE: f64 = 0.3;
const RIPPLE_CYCLES: f64 = 3.0;

/// One kind of energy of one meter.
///
/// The shape is shared by all meters of a model; a curve of one meter is a few dozen octets.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    shape: Arc<Shape>,
    weeks: Noise,
    days: Noise,
    quarters: Noise,
    /// Milliwatt-hours of an average day.
    daily_mwh: f64,
}

/// A moment, taken apart as the curves need it. A day ends at the start of its quarter [`QUARTERS`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) day: i64,
    pub(crate) quarter: usize,
    /// Part of the quarter that has passed, from 0 to 1.
    pub(crate) passed: f64,
}

impl Place {
    /// The start of a quarter.
    pub(crate) const fn start_of(day: i64, quarter: usize) -> Self {
        Self { day, quarter, passed: 0.0 }
    }

    /// The place of a moment in milliseconds of local standard time.
    pub(crate) fn at(local_ms: i64) -> Self {
        let in_day = local_ms.rem_euclid(DAY * 1000);
        let quarter_ms = QUARTER * 1000;
        Self {
            day: local_ms.div_euclid(DAY * 1000),
            quarter: usize::try_from(in_day / quarter_ms).unwrap_or(0),
            passed: (in_day % quarter_ms) as f64 / quarter_ms as f64,
        }
    }
}

/// The week of a day, counted from the Monday before 1970.
fn week_of(day: i64) -> i64 {
    (day + 3).div_euclid(7)
}

/// Eight weeks of one weekday.
struct Group {
    number: i64,
    weekday: usize,
    /// Kind of day of the shape.
    kind: usize,
    /// Its first day.
    start: f64,
    /// What chance gives to each of its days as a whole.
    days: [f64; GROUP],
}

impl Curve {
    /// The curve of `shape` for a meter with `daily_wh` watt-hours on an average day. Whole weeks and days stray as
    /// `weather` has them, quarters of an hour as `own` has them.
    pub(crate) fn new(shape: Arc<Shape>, daily_wh: f64, weather: Noise, own: Noise) -> Self {
        let daily_mwh = daily_wh * 1000.0;
        Self { shape, weeks: weather.stream(1), days: weather.stream(2), quarters: own.stream(3), daily_mwh }
    }

    fn group(&self, weekday: usize, number: i64) -> Group {
        let kind = weekday.saturating_sub(4).min(2);
        let start = (number * GROUP as i64 * 7 - 3 + weekday as i64) as f64;
        let weeks = self.weeks.bits(number).to_le_bytes();
        let days = self.days.bits(number * 7 + weekday as i64).to_le_bytes();
        let of_day =
            |week: usize| self.shape.weeks[usize::from(weeks[week])] * self.shape.days[usize::from(days[week])];
        Group { number, weekday, kind, start, days: std::array::from_fn(of_day) }
    }

    /// What chance gives to one quarter of the day in each week of a group.
    fn chances(&self, group: &Group, quarter: usize) -> [f64; GROUP] {
        let index = (group.number * 7 + group.weekday as i64) * QUARTERS as i64 + quarter as i64;
        let chances = self.quarters.bits(index).to_le_bytes();
        std::array::from_fn(|week| group.days[week] * self.shape.quarters[usize::from(chances[week])])
    }

    /// Milliwatt-hours of a quarter of the day when `part` of the `whole` that chance gives to a group is over.
    fn count(&self, group: &Group, quarter: usize, part: f64, whole: f64) -> i64 {
        let days = (GROUP * 7) as f64;
        let grown = self.shape.grown(group.kind, quarter, group.start + days * (part / whole));
        (self.daily_mwh * grown).round() as i64
    }

    /// The group of a day and its week there.
    fn place(&self, day: i64) -> (Group, usize) {
        let (week, groups) = (week_of(day), GROUP as i64);
        let group = self.group(weekday(day), week.div_euclid(groups));
        (group, usize::try_from(week.rem_euclid(groups)).unwrap_or(0))
    }

    /// Whether nothing is ever counted.
    pub(crate) fn is_nothing(&self) -> bool {
        self.daily_mwh <= 0.0
    }

    /// Whether nothing is ever counted in a quarter of the days of a group.
    fn is_empty(&self, group: &Group, quarter: usize) -> bool {
        self.is_nothing() || self.shape.is_empty(group.kind, quarter)
    }

    /// Milliwatt-hours of the quarters of `day`, each worked out when it is asked for.
    pub(crate) fn of_day(&self, day: i64) -> impl Fn(usize) -> i64 {
        let (group, week) = self.place(day);
        move |quarter| {
            if self.is_empty(&group, quarter) {
                return 0;
            }
            let chances = self.chances(&group, quarter);
            let before: f64 = chances[..week].iter().sum();
            let until = before + chances[week];
            let whole = chances[week + 1..].iter().fold(until, |sum, chance| sum + chance);
            self.count(&group, quarter, until, whole) - self.count(&group, quarter, before, whole)
        }
    }

    /// Milliwatt-hours of one quarter of `day`.
    pub(crate) fn quarter(&self, day: i64, quarter: usize) -> i64 {
        self.of_day(day)(quarter)
    }

    /// Milliwatt-hours of each quarter of `day`.
    pub(crate) fn day(&self, day: i64) -> [i64; QUARTERS] {
        std::array::from_fn(self.of_day(day))
    }

    /// Milliwatt-hours of a quarter of the day on all days before `day` that are the same day of the week, from an
    /// origin of its own.
    pub(crate) fn before(&self, day: i64) -> impl Fn(usize) -> i64 {
        let (group, week) = self.place(day);
        move |quarter| {
            if self.is_empty(&group, quarter) {
                return 0;
            }
            let chances = self.chances(&group, quarter);
            let before: f64 = chances[..week].iter().sum();
            // Added up in the same order as elsewhere, so that the same is reached.
            let whole = chances[week..].iter().fold(before, |sum, chance| sum + chance);
            self.count(&group, quarter, before, whole)
        }
    }

    /// Milliwatt-hours of each quarter of the day, of the days from `from` to before `to` that are the same day of the
    /// week as `from`.
    #[cfg(test)]
    pub(crate) fn same_weekdays(&self, from: i64, to: i64) -> [i64; QUARTERS] {
        // The last day is as many weeks behind the first as fit.
        let end = from + (to - from + 6).div_euclid(7) * 7;
        let (before, until) = (self.before(from), self.before(end));
        std::array::from_fn(|quarter| until(quarter) - before(quarter))
    }
}

/// The part of a quarter's energy that has flowed when `passed` of its time has: grows from 0 to 1
/// with a ripple, never falling because [`RIPPLE`] is below 1.
pub(crate) fn risen(passed: f64) -> f64 {
    let turn = TAU * RIPPLE_CYCLES;
    (passed + RIPPLE * (1.0 - (turn * passed).cos()) / turn).clamp(0.0, 1.0)
}

/// The slope of [`risen`].
pub(crate) fn slope(passed: f64) -> f64 {
    1.0 + RIPPLE * (TAU * RIPPLE_CYCLES * passed).sin()
}

#[cfg(test)]
mod tests {
    use super::super::shape::Irregularity;
    use super::*;

    fn curve(seed: u64) -> Curve {
        let irregularity = Irregularity { weeks: 0.2, days: 0.5, quarters: 0.8 };
        let shape = Shape::from_hours(0.9, 15.0, irregularity, &[1.0; 24]);
        Curve::new(Arc::new(shape), 12_000.0, Noise::new(seed), Noise::new(seed + 1))
    }

    #[test]
    fn no_quarter_is_negative_and_they_differ() {
        let curve = curve(7);
        let mut different = std::collections::BTreeSet::new();
        for day in 19_000..19_800 {
            for (quarter, energy) in curve.day(day).into_iter().enumerate() {
                assert!(energy >= 0, "day {day} quarter {quarter}");
                assert_eq!(energy, curve.quarter(day, quarter));
                different.insert(energy);
            }
        }
        assert!(different.len() > 10_000);
    }

    #[test]
    fn the_closed_expression_is_the_sum_of_the_days_to_the_milliwatt_hour() {
        let curve = curve(3);
        for (from, to) in [(19_000, 19_400), (19_003, 19_004), (19_005, 19_012), (19_005, 19_013), (19_001, 21_000)] {
            let mut sums = [0; QUARTERS];
            for day in (from..to).step_by(7) {
                for (sum, energy) in sums.iter_mut().zip(curve.day(day)) {
                    *sum += energy;
                }
            }
            assert_eq!(curve.same_weekdays(from, to), sums, "{from} to {to}");
        }
    }

    #[test]
    fn an_average_year_has_the_average_consumption() {
        let curve = curve(5);
        let days = 365 * 4 + 1;
        let sum: i64 = (0..7).map(|day| curve.same_weekdays(19_000 + day, 19_000 + days).iter().sum::<i64>()).sum();
        let daily = sum as f64 / 1000.0 / days as f64;
        assert!((daily - 12_000.0).abs() < 180.0, "{daily}");
    }

    #[test]
    fn what_rises_within_a_quarter_ends_at_one() {
        assert!(risen(0.0).abs() < 1e-12 && (risen(1.0) - 1.0).abs() < 1e-12);
        for step in 0..999 {
            let passed = f64::from(step) / 1000.0;
            let rise = risen(passed + 0.001) - risen(passed);
            assert!(rise > 0.0 && (rise * 1000.0 - slope(passed + 0.0005)).abs() < 1e-3);
        }
    }
}
