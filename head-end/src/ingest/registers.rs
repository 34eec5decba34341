//! Registers that count up: whether they did.

use dlms::axdr::Value;

use crate::{operation::CaptureColumn, store::CaptureFlags};

/// Whether a column counts up for ever: a register or extended register of electricity with time integral 1, from the
/// begin of measurement to now (value group D = 8, IEC 62056-61). Other integrals begin anew, as do quantities of other
/// media that are named otherwise.
fn is_cumulative(column: &CaptureColumn) -> bool {
    matches!(column.class.0, 3 | 4) && column.attribute.0 == 2 && column.obis.0[0] == 1 && column.obis.0[3] == 8
}

/// What is to be said of one value after the one before it.
pub(super) fn flags(column: &CaptureColumn, before: Option<&Value>, now: &Value) -> CaptureFlags {
    let mut flags = CaptureFlags::default();
    let Some((number, largest)) = number(now) else { return flags };
    if number == largest {
        flags |= CaptureFlags::OVERFLOW;
    }
    let before = before.and_then(self::number).map(|(number, _)| number);
    if let Some(before) = before.filter(|before| is_cumulative(column) && number < *before) {
        flags |= if went_round(before, number, largest) { CaptureFlags::OVERFLOW } else { CaptureFlags::NON_MONOTONIC };
    }
    flags
}

/// Whether a register that fell from `before` to `now` went through its end: that of its type, or that of its digits.
fn went_round(before: i128, now: i128, largest: i128) -> bool {
    let round = |end: i128| before >= end - end / 10 && now <= end / 10;
    // Displays have from 4 to 18 digits.
    let digits = (4..=18).map(|digits| 10_i128.pow(digits)).find(|end| *end > before);
    round(largest) || digits.is_some_and(round)
}

/// A whole number, and the largest one of its type.
fn number(value: &Value) -> Option<(i128, i128)> {
    Some(match *value {
        Value::Unsigned(of) => (of.into(), u8::MAX.into()),
        Value::LongUnsigned(of) => (of.into(), u16::MAX.into()),
        Value::DoubleLongUnsigned(of) => (of.into(), u32::MAX.into()),
        Value::Long64Unsigned(of) => (of.into(), u64::MAX.into()),
        Value::Integer(of) => (of.into(), i8::MAX.into()),
        Value::Long(of) => (of.into(), i16::MAX.into()),
        Value::DoubleLong(of) => (of.into(), i32::MAX.into()),
        Value::Long64(of) => (of.into(), i64::MAX.into()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use dlms::{
        id::{AttributeId, ClassId},
        obis::ObisCode,
    };

    use super::*;

    fn import(class: u16, d: u8) -> CaptureColumn {
        CaptureColumn {
            class: ClassId(class),
            obis: ObisCode([1, 0, 1, d, 0, 255]),
            attribute: AttributeId(2),
            data_index: 0,
            scaler_unit: None,
        }
    }

    fn after(before: u32, now: u32) -> CaptureFlags {
        flags(&import(3, 8), Some(&Value::DoubleLongUnsigned(before)), &Value::DoubleLongUnsigned(now))
    }

    #[test]
    fn a_register_that_falls_is_told_from_one_that_went_round() {
        assert_eq!(after(100, 100), CaptureFlags::default());
        assert_eq!(after(100, 101), CaptureFlags::default());
        assert_eq!(after(100_500, 100_000), CaptureFlags::NON_MONOTONIC);
        assert_eq!(after(99_999_990, 12), CaptureFlags::OVERFLOW, "eight digits");
        assert_eq!(after(u32::MAX - 5, 12), CaptureFlags::OVERFLOW);
        assert_eq!(after(500, 0), CaptureFlags::NON_MONOTONIC, "a meter that was exchanged or reset");
    }

    #[test]
    fn what_may_fall_is_not_flagged_and_the_end_of_a_type_is() {
        let fell = |column| flags(&column, Some(&Value::LongUnsigned(9)), &Value::LongUnsigned(3));
        assert_eq!(fell(import(3, 7)), CaptureFlags::default(), "instantaneous");
        assert_eq!(fell(import(3, 9)), CaptureFlags::default(), "since the last billing");
        assert_eq!(fell(import(4, 8)), CaptureFlags::NON_MONOTONIC);
        let end = flags(&import(3, 29), None, &Value::LongUnsigned(u16::MAX));
        assert_eq!(end, CaptureFlags::OVERFLOW);
        assert_eq!(flags(&import(3, 8), None, &Value::Null), CaptureFlags::default());
    }
}
