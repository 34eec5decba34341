//! How a kind of energy is spread over the year, the week and the day: tables that all meters of a model share.

use super::curve::QUARTERS;

/// Mean length of a year in days.
pub(crate) const YEAR: f64 = 365.25;
/// Kinds of days: Monday to Friday, Saturday, Sunday.
pub(crate) const DAY_KINDS: usize = 3;
/// Steps of the tables over a year: about a week each.
const STEPS: usize = 52;
/// Entries of the tables are multiples of this, so that adding up whole years is exact.
const QUANTUM: f64 = 1.0 / (1_u64 << 40) as f64;

/// How far single weeks, days and quarters of an hour stray from what is expected of them, from 0 (not at all) to 1
/// (spread like the time between chance events, so that many are small and some are several times the mean).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Irregularity {
    pub(crate) weeks: f64,
    pub(crate) days: f64,
    pub(crate) quarters: f64,
}

/// What is expected of every quarter of an hour, as energy grown since 1970 where an average day has 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    /// By kind of day and step of the year: energy from the start of the year, for each quarter of the day.
    grown: Vec<[f64; QUARTERS]>,
    /// Factors of weeks, days and quarters of an hour, picked by chance.
    pub(super) weeks: [f64; 256],
    pub(super) days: [f64; 256],
    pub(super) quarters: [f64; 256],
}

/// A place between two steps of the tables.
#[derive(Clone, Copy, Debug)]
struct Between {
    years: f64,
    step: usize,
    part: f64,
}

impl Shape {
    /// Tabulates `weight` (of a kind of day, a part of the year from 0 to 1, a quarter of the day), which is not
    /// negative; a shape of nothing but zeros flows nowhere.
    pub(crate) fn new(irregularity: Irregularity, weight: impl Fn(usize, f64, usize) -> f64) -> Self {
        Self::with_mean(irregularity, weight).0
    }

    /// The same, with the sum of weights of an average day.
    pub(crate) fn with_mean(irregularity: Irregularity, weight: impl Fn(usize, f64, usize) -> f64) -> (Self, f64) {
        let mut grown = vec![[0.0; QUARTERS]; DAY_KINDS * (STEPS + 1)];
        for kind in 0..DAY_KINDS {
            let table = &mut grown[kind * (STEPS + 1)..(kind + 1) * (STEPS + 1)];
            for step in 0..STEPS {
                let of_year = (step as f64 + 0.5) / STEPS as f64;
                let before = table[step];
                for (quarter, (grown, before)) in table[step + 1].iter_mut().zip(before).enumerate() {
                    *grown = before + weight(kind, of_year, quarter).max(0.0);
                }
            }
        }
        // One weekday comes once in seven days; five of them are workdays.
        let of_kind = |kind: usize| grown[kind * (STEPS + 1) + STEPS].iter().sum::<f64>();
        let week = 5.0 * of_kind(0) + of_kind(1) + of_kind(2);
        let factor = if week > 0.0 { YEAR / week } else { 0.0 };
        for value in grown.iter_mut().flatten() {
            *value = (*value * factor / QUANTUM).round() * QUANTUM;
        }
        let shape = Self {
            grown,
            weeks: factors(irregularity.weeks),
            days: factors(irregularity.days),
            quarters: factors(irregularity.quarters),
        };
        (shape, week / 7.0 / STEPS as f64)
    }

    /// The shape of a day given by hours, with a swing over the year.
    pub(crate) fn from_hours(season: f64, season_peak: f64, irregularity: Irregularity, hours: &[f64; 24]) -> Self {
        Self::new(irregularity, |_, of_year, quarter| {
            let phase = std::f64::consts::TAU * (of_year - season_peak / YEAR);
            hours[(quarter / 4) % 24] * (1.0 + season * phase.cos())
        })
    }

    fn between(day: f64) -> Between {
        let years = day / YEAR;
        let place = (years - years.floor()) * STEPS as f64;
        // A saturating conversion of what is from 0 to 52.
        let step = (place as usize).min(STEPS - 1);
        Between { years: years.floor(), step, part: place - step as f64 }
    }

    /// The energy of one quarter of the day, counted on the days of one weekday only, until `day`. It never falls.
    pub(super) fn grown(&self, kind: usize, quarter: usize, day: f64) -> f64 {
        let at = Self::between(day);
        let table = &self.grown[kind * (STEPS + 1)..(kind + 1) * (STEPS + 1)];
        let (from, to) = (table[at.step][quarter], table[at.step + 1][quarter]);
        // The product may be rounded up beyond its end.
        at.years * table[STEPS][quarter] + (from + (to - from) * at.part).min(to)
    }

    /// Whether anything ever flows in this quarter of the day.
    pub(super) fn is_empty(&self, kind: usize, quarter: usize) -> bool {
        self.grown[kind * (STEPS + 1) + STEPS][quarter] <= 0.0
    }
}

/// Factors with a mean of 1, all above 0.
fn factors(irregularity: f64) -> [f64; 256] {
    let part = irregularity.clamp(0.0, 1.0);
    std::array::from_fn(|index| {
        let chance = (index as f64 + 0.5) / 256.0;
        1.0 - part - part * (1.0 - chance).ln()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Irregularity = Irregularity { weeks: 0.0, days: 0.0, quarters: 0.0 };

    #[test]
    fn an_average_week_has_seven() {
        let shape = Shape::new(CALM, |kind, year, quarter| {
            (1.0 + kind as f64) * (1.0 + year) * if quarter < 40 { 1.0 } else { 3.0 }
        });
        let week = |kind| (0..QUARTERS).map(|quarter| shape.grown(kind, quarter, YEAR)).sum::<f64>();
        let year = 5.0 * week(0) + week(1) + week(2);
        assert!((year / YEAR - 1.0).abs() < 1e-6, "{year}");
        assert!((week(1) / week(0) - 2.0).abs() < 1e-6);
    }

    #[test]
    fn energy_never_falls_from_one_moment_to_the_next() {
        let shape = Shape::from_hours(1.0, 15.0, CALM, &[1.0; 24]);
        let mut last = shape.grown(0, 3, 20_000.0);
        for step in 1..50_000 {
            let next = shape.grown(0, 3, 20_000.0 + f64::from(step) * 0.0731);
            assert!(next >= last, "step {step}");
            last = next;
        }
    }

    #[test]
    fn factors_have_a_mean_of_one_and_stray_as_far_as_they_are_told_to() {
        for irregularity in [0.0, 0.4, 1.0] {
            let factors = factors(irregularity);
            let mean = factors.iter().sum::<f64>() / 256.0;
            assert!((mean - 1.0).abs() < 0.01, "{mean}");
            assert!(factors.iter().all(|factor| *factor > 0.0));
            let spread = (factors.iter().map(|factor| (factor - mean).powi(2)).sum::<f64>() / 256.0).sqrt();
            assert!((spread - irregularity).abs() < 0.05, "{spread} for {irregularity}");
        }
    }
}
