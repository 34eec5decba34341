//! Quantities that follow from import and export.

use super::flow::BANDS;

/// Tangents of the phase angle by part of the day: day, evening, night.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tangents {
    /// While importing: positive is inductive (quadrant I), negative capacitive (quadrant IV).
    pub(crate) import: [f64; BANDS],
    /// While exporting: positive lies in quadrant II, negative in quadrant III.
    pub(crate) export: [f64; BANDS],
}

impl Default for Tangents {
    fn default() -> Self {
        Self { import: [0.31, 0.38, -0.12], export: [-0.08, 0.05, 0.04] }
    }
}

/// Import and export (power or energy) by part of the day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Active {
    pub(crate) import: [f64; BANDS],
    pub(crate) export: [f64; BANDS],
}

impl Active {
    /// An import and an export in one part of the day.
    pub(crate) fn in_band(band: usize, import: f64, export: f64) -> Self {
        let mut active = Self::default();
        active.import[band] = import;
        active.export[band] = export;
        active
    }
}

/// A quantity of the OBIS value group C (electricity): power with D = 7, energy with D = 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Quantity {
    /// Active power +A (C = 1).
    ActiveImport,
    /// Active power -A (C = 2).
    ActiveExport,
    /// Reactive power +R, quadrants I and II (C = 3).
    ReactivePlus,
    /// Reactive power -R, quadrants III and IV (C = 4).
    ReactiveMinus,
    /// Reactive power, quadrant I (C = 5).
    Quadrant1,
    /// Reactive power, quadrant II (C = 6).
    Quadrant2,
    /// Reactive power, quadrant III (C = 7).
    Quadrant3,
    /// Reactive power, quadrant IV (C = 8).
    Quadrant4,
    /// Apparent power while importing (C = 9).
    ApparentImport,
    /// Apparent power while exporting (C = 10).
    ApparentExport,
    /// Sum of import and export (C = 15).
    ActiveSum,
    /// Import less export, signed (C = 16).
    ActiveNet,
}

impl Quantity {
    /// The quantity of value group C, phases taken off (21, 41 and 61 are 1).
    pub(crate) const fn from_group_c(c: u8) -> Option<Self> {
        Some(match c {
            1 => Self::ActiveImport,
            2 => Self::ActiveExport,
            3 => Self::ReactivePlus,
            4 => Self::ReactiveMinus,
            5 => Self::Quadrant1,
            6 => Self::Quadrant2,
            7 => Self::Quadrant3,
            8 => Self::Quadrant4,
            9 => Self::ApparentImport,
            10 => Self::ApparentExport,
            15 => Self::ActiveSum,
            16 => Self::ActiveNet,
            _ => return None,
        })
    }

    /// This quantity for an import and an export (power or energy), in whole units.
    ///
    /// Sums are made of whole units, so that a client that adds up finds them exact.
    pub(crate) fn of(self, active: &Active, tangents: &Tangents) -> i64 {
        // A saturating conversion; negative zero and rounding noise below zero count as nothing.
        let whole = |value: f64| (value + 1e-6).max(0.0).floor() as i64;
        let sum = |values: [f64; BANDS], tangents: [f64; BANDS], factor: fn(f64) -> f64| {
            whole(values.iter().zip(tangents).map(|(value, tangent)| value * factor(tangent)).sum())
        };
        let import = |factor| sum(active.import, tangents.import, factor);
        let export = |factor| sum(active.export, tangents.export, factor);
        match self {
            Self::ActiveImport => import(|_| 1.0),
            Self::ActiveExport => export(|_| 1.0),
            Self::Quadrant1 => import(|tangent| tangent.max(0.0)),
            Self::Quadrant2 => export(|tangent| tangent.max(0.0)),
            Self::Quadrant3 => export(|tangent| (-tangent).max(0.0)),
            Self::Quadrant4 => import(|tangent| (-tangent).max(0.0)),
            Self::ApparentImport => import(|tangent| tangent.hypot(1.0)),
            Self::ApparentExport => export(|tangent| tangent.hypot(1.0)),
            Self::ReactivePlus => Self::Quadrant1.of(active, tangents) + Self::Quadrant2.of(active, tangents),
            Self::ReactiveMinus => Self::Quadrant3.of(active, tangents) + Self::Quadrant4.of(active, tangents),
            Self::ActiveSum => import(|_| 1.0) + export(|_| 1.0),
            Self::ActiveNet => import(|_| 1.0) - export(|_| 1.0),
        }
    }
}
