//! Quantities that follow from import and export.

use super::curve::RATES;

/// Tangent of the phase angle while importing, by rate: positive is inductive (quadrant I), negative
/// capacitive (quadrant IV).
pub(crate) const IMPORT_TAN: [f64; RATES] = [0.32, -0.12, 0.41, 0.22];
/// The same while exporting: positive lies in quadrant II, negative in quadrant III.
pub(crate) const EXPORT_TAN: [f64; RATES] = [-0.08, 0.04, 0.05, 0.04];

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

    /// This quantity for an import and an export (power or energy) in `rate`, in whole units.
    ///
    /// Sums are made of whole units, so that a client that adds up finds them exact.
    pub(crate) fn of(self, import: f64, export: f64, rate: usize) -> i64 {
        // A saturating conversion; negative zero and rounding noise below zero count as nothing.
        let whole = |value: f64| (value + 1e-6).max(0.0).floor() as i64;
        let (import_tan, export_tan) = (IMPORT_TAN[rate], EXPORT_TAN[rate]);
        match self {
            Self::ActiveImport => whole(import),
            Self::ActiveExport => whole(export),
            Self::Quadrant1 => whole(import * import_tan.max(0.0)),
            Self::Quadrant2 => whole(export * export_tan.max(0.0)),
            Self::Quadrant3 => whole(export * (-export_tan).max(0.0)),
            Self::Quadrant4 => whole(import * (-import_tan).max(0.0)),
            Self::ApparentImport => whole(import * import_tan.hypot(1.0)),
            Self::ApparentExport => whole(export * export_tan.hypot(1.0)),
            Self::ReactivePlus => Self::Quadrant1.of(import, export, rate) + Self::Quadrant2.of(import, export, rate),
            Self::ReactiveMinus => Self::Quadrant3.of(import, export, rate) + Self::Quadrant4.of(import, export, rate),
            Self::ActiveSum => whole(import) + whole(export),
            Self::ActiveNet => whole(import) - whole(export),
        }
    }
}
