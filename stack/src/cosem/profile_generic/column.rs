//! What the cells of a column mean: by the captured attribute, with its scaler and unit.

use super::CaptureObject;
use crate::apdu::AttributeDescriptor;
use crate::axdr::Data;
#[cfg(feature = "alloc")]
use crate::axdr::Value;
use crate::cosem::{Attribute, FromData, class, demand_register, extended_register, register};
use crate::time::DateTime;
use crate::unit::{Decimal, ScalerUnit, Unit};

/// A column: what is captured, with the scaler and unit that the captured object has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    object: CaptureObject,
    kind: Kind,
}

/// What there is in a column.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Time,
    Measured(ScalerUnit),
    Other,
}

/// What a cell means. `T` is the cell as it was given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading<T> {
    /// No value.
    Missing,
    /// A time, with the deviation and the clock status that it was sent with.
    Time(DateTime),
    /// A measured value, exact.
    Quantity {
        /// The value, scaled.
        value: Decimal,
        /// Its unit.
        unit: Unit,
    },
    /// A measured value that the meter sends as a floating point number.
    Real {
        /// The value, scaled.
        value: f64,
        /// Its unit.
        unit: Unit,
    },
    /// Anything else: status words, event codes, texts, parts of attributes, and values whose scaler is not known.
    Other(T),
}

impl CaptureObject {
    /// The attribute that holds scaler and unit of what is captured; `None` when it is no measured value as a whole.
    #[must_use]
    pub fn scaler_unit(&self) -> Option<AttributeDescriptor> {
        let holder = match (self.class_id, self.attribute) {
            _ if self.data_index != 0 => return None,
            (register::CLASS_ID, register::Value::ID) => register::ScalerUnit::ID,
            (extended_register::CLASS_ID, extended_register::Value::ID) => extended_register::ScalerUnit::ID,
            (
                demand_register::CLASS_ID,
                demand_register::CurrentAverageValue::ID | demand_register::LastAverageValue::ID,
            ) => demand_register::ScalerUnit::ID,
            _ => return None,
        };
        Some(AttributeDescriptor::new(self.class_id, self.instance, holder))
    }

    /// Whether the class has a date-time for what is captured: the time of a clock, or that of a value's capture.
    #[must_use]
    pub fn is_time(&self) -> bool {
        let of_attribute = |class: &crate::cosem::Class| {
            class.attributes.iter().any(|info| info.id == self.attribute && info.data_type == DateTime::EXPECTED)
        };
        self.data_index == 0 && class(self.class_id).is_some_and(of_attribute)
    }
}

impl Column {
    /// A column, with scaler and unit as read from [`CaptureObject::scaler_unit`]; `None` when they are not known, or
    /// there are none.
    #[must_use]
    pub fn new(object: CaptureObject, scaler_unit: Option<ScalerUnit>) -> Self {
        let kind = match scaler_unit {
            _ if object.is_time() => Kind::Time,
            Some(scaler_unit) if object.scaler_unit().is_some() => Kind::Measured(scaler_unit),
            _ => Kind::Other,
        };
        Self { object, kind }
    }

    /// What is captured.
    #[must_use]
    pub const fn object(&self) -> &CaptureObject {
        &self.object
    }

    /// What `cell` means, of a row of [`Rows`](super::Rows).
    #[must_use]
    pub fn reading<'a>(&self, cell: Data<'a>) -> Reading<Data<'a>> {
        self.meaning(&cell).unwrap_or(Reading::Other(())).or(cell)
    }

    /// What `cell` means, of a row of [`RowReader`](super::RowReader).
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn reading_of<'a>(&self, cell: &'a Value) -> Reading<&'a Value> {
        cell.as_data().and_then(|data| self.meaning(&data)).unwrap_or(Reading::Other(())).or(cell)
    }

    /// What simple data mean; `None` for anything else.
    fn meaning(&self, cell: &Data<'_>) -> Option<Reading<()>> {
        if cell.is_null() {
            return Some(Reading::Missing);
        }
        let scaler_unit = match self.kind {
            Kind::Time => return DateTime::from_data(*cell).ok().map(Reading::Time),
            Kind::Measured(scaler_unit) => scaler_unit,
            Kind::Other => return None,
        };
        Some(match *cell {
            Data::Float32(value) => Reading::Real { value: scaler_unit.apply(value.into()), unit: scaler_unit.unit },
            Data::Float64(value) => Reading::Real { value: scaler_unit.apply(value), unit: scaler_unit.unit },
            _ => Reading::Quantity { value: scaler_unit.decimal(cell.as_i128()?), unit: scaler_unit.unit },
        })
    }
}

impl Reading<()> {
    fn or<T>(self, cell: T) -> Reading<T> {
        match self {
            Self::Missing => Reading::Missing,
            Self::Time(time) => Reading::Time(time),
            Self::Quantity { value, unit } => Reading::Quantity { value, unit },
            Self::Real { value, unit } => Reading::Real { value, unit },
            Self::Other(()) => Reading::Other(cell),
        }
    }
}
