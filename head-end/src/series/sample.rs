//! One channel picked out of captures.

use dlms::{axdr::Value, id::AttributeId, id::ClassId, obis::ObisCode, unit::Unit};
use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::{operation::CaptureColumn, store::StoredCapture};

/// Which values of a capture are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Logical name of the captured object.
    pub obis: ObisCode,
    /// Interface class; `None` takes whichever the column has.
    pub class: Option<ClassId>,
    /// Attribute; `None` takes attribute 2, the value.
    pub attribute: Option<AttributeId>,
    /// Element within the attribute, from 1; 0 is the whole attribute.
    pub data_index: u16,
}

impl Channel {
    /// The value of the object `obis`.
    #[must_use]
    pub const fn value_of(obis: ObisCode) -> Self {
        Self { obis, class: None, attribute: None, data_index: 0 }
    }

    /// Whether `column` holds this channel.
    #[must_use]
    pub fn is(&self, column: &CaptureColumn) -> bool {
        column.obis == self.obis
            && self.class.is_none_or(|class| class == column.class)
            && column.attribute == self.attribute.unwrap_or(AttributeId(2))
            && column.data_index == self.data_index
    }

    /// The channel's value in `capture`; `None` where it has none, or one that is no number.
    #[must_use]
    pub fn sample(&self, capture: &StoredCapture) -> Option<Sample> {
        let (column, value) = capture.columns.iter().zip(&capture.values).find(|(column, _)| self.is(column))?;
        let scaler = column.scaler_unit.map_or(0, |scaler_unit| scaler_unit.scaler);
        Some(Sample {
            time: capture.time,
            value: decimal(value, scaler)?,
            unit: column.scaler_unit.map(|scaler_unit| scaler_unit.unit),
            modulus: modulus(value).and_then(|modulus| scaled(modulus, scaler)),
            status: capture.status,
        })
    }
}

/// One number of a channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When it was captured.
    pub time: Timestamp,
    /// The value with its scaler applied, exactly.
    pub value: Decimal,
    /// Its unit, where it is known.
    pub unit: Option<Unit>,
    /// The value at which its type overflows to 0, where it is an unsigned integer.
    pub modulus: Option<Decimal>,
    /// Status of the row.
    pub status: Option<u64>,
}

fn decimal(value: &Value, scaler: i8) -> Option<Decimal> {
    match value {
        Value::Boolean(_) | Value::Enum(_) | Value::BitString(_) | Value::Bcd(_) => None,
        // The shortest digits that mean this float: 1.1 and not 1.10000002384.
        Value::Float32(value) => float(&value.to_string(), scaler),
        Value::Float64(value) => float(&value.to_string(), scaler),
        _ => scaled(value.as_data()?.as_i128()?, scaler),
    }
}

fn float(digits: &str, scaler: i8) -> Option<Decimal> {
    let power = scaled(1, scaler)?;
    Decimal::from_str_exact(digits).ok()?.checked_mul(power)
}

/// `value` times ten to the power of `scaler`; `None` beyond the 28 digits that a decimal has.
fn scaled(value: i128, scaler: i8) -> Option<Decimal> {
    if scaler <= 0 {
        return Decimal::try_from_i128_with_scale(value, scaler.unsigned_abs().into()).ok();
    }
    let power = 10_i128.checked_pow(scaler.unsigned_abs().into())?;
    Decimal::try_from_i128_with_scale(value.checked_mul(power)?, 0).ok()
}

/// One more than the largest value of an unsigned type.
const fn modulus(value: &Value) -> Option<i128> {
    Some(match value {
        Value::Unsigned(_) => 1 << 8,
        Value::LongUnsigned(_) => 1 << 16,
        Value::DoubleLongUnsigned(_) => 1 << 32,
        Value::Long64Unsigned(_) => 1 << 64,
        _ => return None,
    })
}
