//! Kinds of customers: what a household, a shop and a factory draw, and what generation leaves of it.
//!
//! The hours follow what the standard load profiles of the German utilities (H0 and G0, VDEW 1999) show of kinds of
//! days: households with peaks at noon and in the evening, later mornings on free days and a year after the published
//! polynomial; businesses with working hours, half a Saturday and a quiet Sunday. The factory works in two shifts over a
//! base load. These are profiles of many; what chance makes of single ones is the [`Irregularity`]: households peak at
//! ten to twenty times their mean, businesses at three to five times, factories at about twice.
//!
//! Not in it: public holidays, electric heating and vehicles, batteries, and the weather's pull on consumption.

use std::sync::Arc;

use super::curve::QUARTERS;
use super::quantity::Tangents;
use super::shape::{Irregularity, Shape, YEAR};
use super::solar;

/// Kind of customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CustomerKind {
    Household,
    Commercial,
    Industrial,
}

/// Weights of the hours of workdays, Saturdays and Sundays.
type Hours = [[f64; 24]; 3];

const HOUSEHOLD: Hours = [
    [
        0.55, 0.45, 0.42, 0.40, 0.42, 0.50, 0.80, 1.05, 1.00, 0.95, 0.95, 1.10, 1.25, 1.10, 0.95, 0.90, 1.00, 1.30,
        1.60, 1.70, 1.55, 1.35, 1.10, 0.80,
    ],
    [
        0.70, 0.55, 0.48, 0.45, 0.45, 0.47, 0.55, 0.80, 1.15, 1.35, 1.40, 1.45, 1.50, 1.35, 1.20, 1.15, 1.20, 1.40,
        1.65, 1.65, 1.40, 1.20, 1.05, 0.90,
    ],
    [
        0.75, 0.60, 0.50, 0.45, 0.45, 0.45, 0.50, 0.65, 1.00, 1.30, 1.45, 1.65, 1.70, 1.40, 1.15, 1.05, 1.05, 1.20,
        1.45, 1.55, 1.40, 1.25, 1.00, 0.75,
    ],
];

const COMMERCIAL: Hours = [
    [
        0.45, 0.43, 0.42, 0.42, 0.43, 0.48, 0.70, 1.10, 1.60, 1.80, 1.85, 1.85, 1.75, 1.70, 1.70, 1.65, 1.60, 1.50,
        1.35, 1.05, 0.80, 0.65, 0.55, 0.50,
    ],
    [
        0.45, 0.43, 0.42, 0.41, 0.42, 0.45, 0.55, 0.80, 1.10, 1.25, 1.30, 1.25, 1.10, 0.90, 0.75, 0.68, 0.65, 0.62,
        0.62, 0.60, 0.57, 0.53, 0.50, 0.47,
    ],
    [
        0.44, 0.42, 0.41, 0.40, 0.40, 0.40, 0.40, 0.42, 0.45, 0.50, 0.52, 0.55, 0.55, 0.52, 0.50, 0.48, 0.48, 0.50,
        0.55, 0.58, 0.56, 0.53, 0.50, 0.47,
    ],
];

const INDUSTRIAL: Hours = [
    [
        0.70, 0.68, 0.68, 0.68, 0.72, 1.00, 1.35, 1.50, 1.55, 1.55, 1.50, 1.45, 1.40, 1.50, 1.50, 1.48, 1.45, 1.42,
        1.40, 1.38, 1.35, 1.25, 0.95, 0.78,
    ],
    [
        0.70, 0.65, 0.62, 0.60, 0.62, 0.75, 0.90, 0.95, 0.95, 0.95, 0.92, 0.88, 0.85, 0.75, 0.68, 0.65, 0.62, 0.60,
        0.58, 0.57, 0.56, 0.55, 0.54, 0.53,
    ],
    [
        0.50, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50,
        0.50, 0.50, 0.52, 0.55, 0.58, 0.60,
    ],
];

impl CustomerKind {
    /// Kilowatt-hours a year where nothing else is said.
    pub(crate) const fn usual_kwh_per_year(self) -> f64 {
        match self {
            Self::Household => 3_500.0,
            Self::Commercial => 20_000.0,
            Self::Industrial => 250_000.0,
        }
    }

    /// Spread of customers of the same kind around their mean: of the logarithm of their consumption.
    pub(crate) const fn spread(self) -> f64 {
        match self {
            Self::Household => 0.45,
            Self::Commercial => 0.6,
            Self::Industrial => 0.5,
        }
    }

    pub(crate) const fn tangents(self) -> Tangents {
        let export = [-0.08, 0.05, 0.04];
        match self {
            Self::Household => Tangents { import: [0.31, 0.38, -0.12], export },
            Self::Commercial => Tangents { import: [0.36, 0.30, 0.10], export },
            Self::Industrial => Tangents { import: [0.48, 0.45, 0.40], export },
        }
    }

    const fn irregularity(self) -> Irregularity {
        match self {
            Self::Household => Irregularity { weeks: 0.15, days: 0.3, quarters: 1.0 },
            Self::Commercial => Irregularity { weeks: 0.05, days: 0.12, quarters: 0.25 },
            Self::Industrial => Irregularity { weeks: 0.05, days: 0.06, quarters: 0.07 },
        }
    }

    /// Weight of a quarter of an hour, the mean being near 1.
    fn weight(self, kind_of_day: usize, of_year: f64, quarter: usize) -> f64 {
        let (hours, season) = match self {
            Self::Household => (&HOUSEHOLD, household_season(of_year)),
            Self::Commercial => (&COMMERCIAL, 1.0 + 0.10 * winter(of_year)),
            Self::Industrial => (&INDUSTRIAL, 1.0 + 0.04 * winter(of_year)),
        };
        let hours = &hours[kind_of_day.min(2)];
        // The values of the hours are those at their middle; between them lie straight lines.
        let place = (quarter as f64 + 0.5) / 4.0 + 23.5;
        let (hour, part) = (place as usize, place.fract());
        season * (hours[hour % 24] * (1.0 - part) + hours[(hour + 1) % 24] * part)
    }
}

/// From 1 in the middle of January to -1 in the middle of July.
fn winter(of_year: f64) -> f64 {
    (std::f64::consts::TAU * (of_year - 15.0 / YEAR)).cos()
}

/// The dynamic factor of the profile H0 by the day of the year, as published.
fn household_season(of_year: f64) -> f64 {
    let day = 1.0 + of_year * 364.0;
    -3.92e-10 * day.powi(4) + 3.2e-7 * day.powi(3) - 7.02e-5 * day.powi(2) + 2.1e-3 * day + 1.24
}

/// What flows at customers of one kind: shapes, and watt-hours of an average day.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub(crate) import: (Arc<Shape>, f64),
    /// Of those who have generation.
    pub(crate) import_beside_generation: (Arc<Shape>, f64),
    pub(crate) export: (Arc<Shape>, f64),
}

/// Levels of the weather and of consumption within a quarter of an hour, all equally likely, with a mean of 1: a heap of
/// dull days and few clear ones; a heap of small draws and few large ones.
const WEATHER: [f64; 5] = [0.15, 0.55, 1.05, 1.50, 1.75];
const DRAWS: [f64; 5] = [0.25, 0.45, 0.75, 1.25, 2.30];

impl Customer {
    /// Customers of `kind` with a mean of `kwh_per_year`, and generators of a mean of `peak_kw` at `latitude`.
    pub(crate) fn new(kind: CustomerKind, kwh_per_year: f64, peak_kw: f64, latitude: f64) -> Self {
        let daily_wh = kwh_per_year * 1000.0 / YEAR;
        let irregularity = kind.irregularity();
        let (import, mean) = Shape::with_mean(irregularity, |day, year, quarter| kind.weight(day, year, quarter));
        // Watts of load and of generation.
        let load_scale = daily_wh / mean.max(f64::MIN_POSITIVE) * (QUARTERS / 24) as f64;
        let sun = |year: f64, quarter: usize| solar::power(latitude, year, (quarter as f64 + 0.5) / 4.0);
        let calm = Irregularity { weeks: 0.0, days: 0.0, quarters: 0.0 };
        let (_, sun_mean) = Shape::with_mean(calm, |_, year, quarter| sun(year, quarter));
        let sun_daily = peak_kw * 1000.0 * solar::FULL_LOAD_HOURS / YEAR;
        let sun_scale = sun_daily / sun_mean.max(f64::MIN_POSITIVE) * (QUARTERS / 24) as f64;
        let mean_over_chance = |day: usize, year: f64, quarter: usize, of: fn(f64) -> f64| {
            let (load, sun) = (load_scale * kind.weight(day, year, quarter), sun_scale * sun(year, quarter));
            let of_weather =
                |weather: f64| DRAWS.map(|draw| of(load * draw - sun * weather).max(0.0)).iter().sum::<f64>();
            WEATHER.map(of_weather).iter().sum::<f64>() / (WEATHER.len() * DRAWS.len()) as f64
        };
        let (beside, beside_mean) =
            Shape::with_mean(irregularity, |day, year, quarter| mean_over_chance(day, year, quarter, |net| net));
        let weather = Irregularity { weeks: 0.15, days: 0.55, quarters: 0.2 };
        let (export, export_mean) =
            Shape::with_mean(weather, |day, year, quarter| mean_over_chance(day, year, quarter, |net| -net));
        let per_day = |mean: f64| mean * 24.0 / QUARTERS as f64;
        Self {
            import: (Arc::new(import), daily_wh),
            import_beside_generation: (Arc::new(beside), per_day(beside_mean)),
            export: (Arc::new(export), per_day(export_mean)),
        }
    }
}

#[cfg(test)]
mod tests;
