//! Energy that only grows, known at any moment without adding up what came before.
//!
//! The sum up to the start of a day is a closed expression (average, season, and a bounded
//! deviation that is different each day); inside the day the day's energy is spread over its 96
//! quarter hours by weights. Each tariff rate has its own day sums, so that the rates of a day can
//! differ from one day to the next and the sum up to any moment still costs the same small effort.

use std::{f64::consts::TAU, sync::Arc};

use super::noise::Noise;

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;
/// Seconds of a quarter of an hour, over which power is spread evenly but for a ripple.
pub(crate) const QUARTER: i64 = 900;
/// Quarters of a day.
pub(crate) const QUARTERS: usize = 96;
/// Tariff rates.
pub(crate) const RATES: usize = 4;

/// Mean length of a year in days.
const YEAR: f64 = 365.25;
/// Part of the power that swings inside a quarter of an hour, and how often it does.
const RIPPLE: f64 = 0.3;
const RIPPLE_CYCLES: f64 = 3.0;

/// The rate (0 to 3) of each hour of a day: day, night, evening peak, late evening.
pub(crate) const RATE_OF_HOUR: [usize; 24] = [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 3, 3, 1, 1];

/// How a quantity behaves over a year and over a day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    /// Swing over the year, as a part of the average.
    pub(crate) season: f64,
    /// Day of the year with the highest consumption.
    pub(crate) season_peak: f64,
    /// How far one day's sum strays from the closed expression, as a part of the average.
    pub(crate) irregularity: f64,
    /// Weight of each hour.
    pub(crate) hours: [f64; 24],
}

/// One kind of energy of one meter.
///
/// The shape is shared by all meters of a model; a curve of one meter is a few dozen octets.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    shape: Arc<Shape>,
    days: Noise,
    quarters: Noise,
    /// Watt-hours of an average day, by rate.
    daily: [f64; RATES],
}

/// A moment, taken apart as the curves need it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    day: i64,
    quarter: usize,
    /// Part of the quarter that has passed, from 0 to 1.
    passed: f64,
}

impl Place {
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

    /// The tariff rate in force, from 0 to 3.
    pub(crate) fn rate(self) -> usize {
        rate_of(self.quarter)
    }
}

/// The rate of a quarter of the day.
pub(crate) fn rate_of(quarter: usize) -> usize {
    RATE_OF_HOUR[(quarter / 4) % 24]
}

impl Curve {
    /// The curve of `shape` for a meter with `daily_wh` watt-hours on an average day.
    pub(crate) fn new(shape: Arc<Shape>, daily_wh: f64, noise: Noise) -> Self {
        let whole: f64 = shape.hours.iter().sum();
        let mut daily = [0.0; RATES];
        if whole > 0.0 {
            for (weight, rate) in shape.hours.iter().zip(RATE_OF_HOUR) {
                daily[rate] += daily_wh * weight / whole;
            }
        }
        Self { shape, days: noise.stream(1), quarters: noise.stream(2), daily }
    }

    /// Watt-hours from an arbitrary origin to the start of `day`, in `rate`.
    fn start_of_day(&self, day: i64, rate: usize) -> f64 {
        let phase = TAU * (day as f64 - self.shape.season_peak) / YEAR;
        let season = self.shape.season * YEAR / TAU * phase.sin();
        let stray = self.shape.irregularity * self.days.stream(rate as u64).unit(day);
        self.daily[rate] * (day as f64 + season + stray)
    }

    /// Weight of a quarter within its day.
    fn weight(&self, day: i64, quarter: usize) -> f64 {
        let hour = self.shape.hours[(quarter / 4) % 24];
        if hour == 0.0 {
            return 0.0;
        }
        hour * (0.4 + 1.2 * self.quarters.unit(day * QUARTERS as i64 + quarter as i64))
    }

    /// Watt-hours since an arbitrary origin, by rate.
    pub(crate) fn energy(&self, place: Place) -> [f64; RATES] {
        let mut before = [0.0; RATES];
        let mut whole = [0.0; RATES];
        for quarter in 0..QUARTERS {
            let weight = self.weight(place.day, quarter);
            let rate = rate_of(quarter);
            whole[rate] += weight;
            if quarter < place.quarter {
                before[rate] += weight;
            } else if quarter == place.quarter {
                before[rate] += weight * risen(place.passed);
            }
        }
        let mut sums = [0.0; RATES];
        for rate in 0..RATES {
            let start = self.start_of_day(place.day, rate);
            let part = if whole[rate] > 0.0 { before[rate] / whole[rate] } else { 0.0 };
            sums[rate] = start + part * (self.start_of_day(place.day + 1, rate) - start);
        }
        sums
    }

    /// Watts at this moment: the derivative of [`energy`](Self::energy).
    pub(crate) fn power(&self, place: Place) -> f64 {
        let rate = place.rate();
        let whole: f64 =
            (0..QUARTERS).filter(|q| rate_of(*q) == rate).map(|quarter| self.weight(place.day, quarter)).sum();
        if whole <= 0.0 {
            return 0.0;
        }
        let of_day = self.start_of_day(place.day + 1, rate) - self.start_of_day(place.day, rate);
        let of_quarter = of_day * self.weight(place.day, place.quarter) / whole;
        of_quarter * (DAY / QUARTER / 24) as f64 * (1.0 + RIPPLE * (TAU * RIPPLE_CYCLES * place.passed).sin())
    }

    /// Watt-hours of each quarter of `day`.
    pub(crate) fn quarters(&self, day: i64) -> [f64; QUARTERS] {
        let mut weights = [0.0; QUARTERS];
        let mut whole = [0.0; RATES];
        for (quarter, weight) in weights.iter_mut().enumerate() {
            *weight = self.weight(day, quarter);
            whole[rate_of(quarter)] += *weight;
        }
        let mut of_day = [0.0; RATES];
        for (rate, sum) in of_day.iter_mut().enumerate() {
            *sum = self.start_of_day(day + 1, rate) - self.start_of_day(day, rate);
        }
        for (quarter, weight) in weights.iter_mut().enumerate() {
            let rate = rate_of(quarter);
            *weight = if whole[rate] > 0.0 { *weight / whole[rate] * of_day[rate] } else { 0.0 };
        }
        weights
    }
}

/// The part of a quarter's energy that has flowed when `passed` of its time has: grows from 0 to 1
/// with a ripple, never falling because [`RIPPLE`] is below 1.
fn risen(passed: f64) -> f64 {
    let turn = TAU * RIPPLE_CYCLES;
    passed + RIPPLE * (1.0 - (turn * passed).cos()) / turn
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(seed: u64) -> Curve {
        let shape = Shape { season: 0.35, season_peak: 15.0, irregularity: 0.5, hours: [1.0; 24] };
        Curve::new(Arc::new(shape), 12_000.0, Noise::new(seed))
    }

    #[test]
    fn every_rate_only_grows_across_quarters_days_and_years() {
        let curve = curve(7);
        let start = 1_700_000_000_000_i64;
        let mut last = curve.energy(Place::at(start));
        for step in 1..20_000_i64 {
            // A step that falls on every second of a quarter sooner or later.
            let next = curve.energy(Place::at(start + step * 3_541_000));
            for rate in 0..RATES {
                assert!(next[rate] >= last[rate], "rate {rate} step {step}");
            }
            last = next;
        }
    }

    #[test]
    fn power_is_the_slope_of_energy() {
        let curve = curve(3);
        for at in (1_700_000_123_456_i64..).step_by(17_777_777).take(300) {
            let (before, after) = (curve.energy(Place::at(at - 500)), curve.energy(Place::at(at + 500)));
            let flowed: f64 = after.iter().sum::<f64>() - before.iter().sum::<f64>();
            let power = curve.power(Place::at(at));
            assert!((flowed * 3600.0 - power).abs() < 0.02 * power + 1.0, "{} against {power}", flowed * 3600.0);
        }
    }

    #[test]
    fn quarters_add_up_to_the_day() {
        let curve = curve(11);
        let day = 20_000;
        let sum: f64 = curve.quarters(day).iter().sum();
        let (from, to) = (curve.energy(Place::at(day * DAY * 1000)), curve.energy(Place::at((day + 1) * DAY * 1000)));
        let difference: f64 = to.iter().sum::<f64>() - from.iter().sum::<f64>();
        assert!((sum - difference).abs() < 1e-3, "{sum} against {difference}");
    }

    #[test]
    fn an_average_year_has_the_average_consumption() {
        let curve = curve(5);
        let year = 365 * 4 + 1;
        let sums = |day: i64| curve.energy(Place::at(day * DAY * 1000)).iter().sum::<f64>();
        let daily = (sums(19_000 + year) - sums(19_000)) / year as f64;
        assert!((daily - 12_000.0).abs() < 60.0, "{daily}");
    }
}
