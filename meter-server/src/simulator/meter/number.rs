//! Numbers in the type, scaler and unit that a model gives them.

use dlms::apdu::DataAccessResult;
use dlms::axdr::Writer;
use dlms::obis::ObisCode;
use dlms::unit::Unit;

use crate::simulator::model::TypeName;

/// How a physical value is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NumberFormat {
    kind: TypeName,
    /// What one physical unit is in steps of the last digit.
    steps: f64,
}

impl NumberFormat {
    /// Numbers of `kind` with `scaler`; `None` for a type that is not a number.
    pub(crate) fn new(kind: TypeName, scaler: i8) -> Option<Self> {
        let number = !matches!(kind, TypeName::Boolean | TypeName::OctetString | TypeName::VisibleString);
        number.then(|| Self { kind, steps: 10_f64.powi(-i32::from(scaler)) })
    }

    /// Writes a physical value, rounded down for a cumulative one so that it never runs ahead.
    pub(crate) fn write_floor(self, value: i64, out: &mut Writer<'_>) -> Result<(), DataAccessResult> {
        write_integer(self.kind, (value as f64 * self.steps).floor() as i64, out)
    }

    /// Writes a physical value, rounded to the nearest.
    pub(crate) fn write_nearest(self, value: f64, out: &mut Writer<'_>) -> Result<(), DataAccessResult> {
        write_integer(self.kind, (value * self.steps).round() as i64, out)
    }
}

/// Writes an integer in a type; one that does not fit becomes the nearest that does.
pub(crate) fn write_integer(kind: TypeName, value: i64, out: &mut Writer<'_>) -> Result<(), DataAccessResult> {
    /// The nearest number of a type that a 64-bit one converts to.
    fn nearest<T: TryFrom<i64>>(value: i64, min: T, max: T) -> T {
        T::try_from(value).unwrap_or(if value < 0 { min } else { max })
    }
    match kind {
        TypeName::Integer => out.integer(nearest(value, i8::MIN, i8::MAX)),
        TypeName::Long => out.long(nearest(value, i16::MIN, i16::MAX)),
        TypeName::DoubleLong => out.double_long(nearest(value, i32::MIN, i32::MAX)),
        TypeName::Long64 => out.long64(value),
        TypeName::Unsigned => out.unsigned(nearest(value, 0, u8::MAX)),
        TypeName::Enum => out.enumerated(nearest(value, 0, u8::MAX)),
        TypeName::LongUnsigned => out.long_unsigned(nearest(value, 0, u16::MAX)),
        TypeName::DoubleLongUnsigned => out.double_long_unsigned(nearest(value, 0, u32::MAX)),
        TypeName::Long64Unsigned => out.long64_unsigned(nearest(value, 0, u64::MAX)),
        TypeName::Boolean => out.boolean(value != 0),
        TypeName::OctetString | TypeName::VisibleString => return Err(DataAccessResult::TypeUnmatched),
    }?;
    Ok(())
}

/// The unit of a power or energy, current, voltage or frequency by its OBIS code.
pub(crate) fn unit_of(code: ObisCode) -> Option<Unit> {
    let [a, _, c, d, _, _] = code.0;
    if a != 1 {
        return None;
    }
    // A distortion, in percent.
    if d == 7 && code.0[4] == 124 {
        return Some(Unit(56));
    }
    // What happened to a voltage or current: how often, and for how many seconds.
    match d {
        32 | 36 | 40 => return Some(Unit::COUNT),
        33 | 37 | 41 | 43..=45 => return Some(Unit::SECOND),
        _ => {}
    }
    let energy = matches!(d, 8 | 9 | 29 | 30);
    let pick = |power, work| Some(if energy { work } else { power });
    // Phases repeat the quantities of the sum 20, 40 and 60 further on.
    match if c > 20 && c < 81 { c % 20 } else { c } {
        1 | 2 | 15 | 16 => pick(Unit::WATT, Unit::WATT_HOUR),
        3..=8 => pick(Unit::VAR, Unit::VAR_HOUR),
        9 | 10 => pick(Unit::VOLT_AMPERE, Unit::VOLT_AMPERE_HOUR),
        11 | 90 | 91 => Some(Unit::AMPERE),
        12 => Some(Unit::VOLT),
        14 => Some(Unit::HERTZ),
        13 => Some(Unit::COUNT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: NumberFormat, value: f64) -> Vec<u8> {
        let mut buffer = [0; 16];
        let mut out = Writer::new(&mut buffer);
        format.write_nearest(value, &mut out).unwrap();
        out.written().to_vec()
    }

    #[test]
    fn numbers_are_scaled_rounded_and_kept_within_their_type() {
        let format = |kind, scaler| NumberFormat::new(kind, scaler).unwrap();
        assert_eq!(written(format(TypeName::LongUnsigned, -1), 231.26), [0x12, 0x09, 0x09]);
        assert_eq!(written(format(TypeName::Unsigned, 0), 300.0), [0x11, 0xFF]);
        assert_eq!(written(format(TypeName::Unsigned, 0), -3.0), [0x11, 0x00]);
        assert_eq!(written(format(TypeName::Long, -3), -0.95), [0x10, 0xFC, 0x4A]);
        assert_eq!(written(format(TypeName::DoubleLongUnsigned, 3), 12_999.0), [0x06, 0, 0, 0, 13]);
        let mut buffer = [0; 8];
        let mut out = Writer::new(&mut buffer);
        format(TypeName::DoubleLongUnsigned, 3).write_floor(12_999, &mut out).unwrap();
        assert_eq!(out.written(), [0x06, 0, 0, 0, 12]);
        assert_eq!(NumberFormat::new(TypeName::VisibleString, 0), None);
    }

    #[test]
    fn units_follow_the_value_groups() {
        let unit = |text: &str| unit_of(text.parse().unwrap());
        assert_eq!(unit("1.0.1.8.0"), Some(Unit::WATT_HOUR));
        assert_eq!(unit("1.0.43.7.0"), Some(Unit::VAR));
        assert_eq!(unit("1.0.72.7.0"), Some(Unit::VOLT));
        assert_eq!(unit("1.0.71.7.0"), Some(Unit::AMPERE));
        assert_eq!(unit("1.0.9.6.2"), Some(Unit::VOLT_AMPERE));
        assert_eq!(unit("1.0.52.34.0"), Some(Unit::VOLT));
        assert_eq!(unit("1.0.52.33.0"), Some(Unit::SECOND));
        assert_eq!(unit("1.0.12.31.0"), Some(Unit::VOLT));
        assert_eq!(unit("1.0.12.43.0"), Some(Unit::SECOND));
        assert_eq!(unit("0.0.96.1.0"), None);
    }
}
