//! Numbers with units.

use crate::unit::{Decimal, ScalerUnit, Unit};

/// An exact number in a unit without prefix: `000025.653*kWh` is 25653 Wh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quantity {
    /// The number. Its exponent holds the decimals that were printed and the unit's prefix.
    pub value: Decimal,
    /// The unit, [`Unit::COUNT`] when none was printed.
    pub unit: Unit,
}

impl Quantity {
    /// Reads `number` or `number*unit`; `None` for anything else, an unknown unit or more than 38 digits.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (number, unit) = match text.split_once('*') {
            Some((number, unit)) => (number, PrintedUnit::from_text(unit)?),
            None => (text, PrintedUnit::NONE),
        };
        let value = decimal(number)?;
        Some(Self { value: Decimal { exponent: value.exponent.checked_add(unit.power)?, ..value }, unit: unit.unit })
    }

    /// The scaler and unit that a register with these digits would have.
    #[must_use]
    pub const fn scaler_unit(self) -> ScalerUnit {
        ScalerUnit { scaler: self.value.exponent, unit: self.unit }
    }
}

/// A decimal number as it is printed: digits with at most one point, perhaps a minus sign.
fn decimal(text: &str) -> Option<Decimal> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut digits: i128 = 0;
    let mut places: Option<i8> = None;
    let mut any = false;
    for octet in unsigned.bytes() {
        match octet {
            b'0'..=b'9' => {
                any = true;
                digits = digits.checked_mul(10)?.checked_add(i128::from(octet.wrapping_sub(b'0')))?;
                places = match places {
                    Some(count) => Some(count.checked_sub(1)?),
                    None => None,
                };
            }
            b'.' if places.is_none() => places = Some(0),
            _ => return None,
        }
    }
    let digits = if negative { digits.checked_neg()? } else { digits };
    any.then_some(Decimal { digits, exponent: places.unwrap_or(0) })
}

/// A unit as telegrams print it, with its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrintedUnit {
    /// What is printed behind the asterisk; empty for none.
    pub text: &'static str,
    /// Power of ten that the prefix stands for.
    pub power: i8,
    /// The unit without prefix.
    pub unit: Unit,
}

/// Without prefixes. Meters differ in the case of `kVAr`.
const BASES: [PrintedUnit; 17] = [
    PrintedUnit::new("Wh", 0, Unit::WATT_HOUR),
    PrintedUnit::new("W", 0, Unit::WATT),
    PrintedUnit::new("varh", 0, Unit::VAR_HOUR),
    PrintedUnit::new("var", 0, Unit::VAR),
    PrintedUnit::new("VAh", 0, Unit::VOLT_AMPERE_HOUR),
    PrintedUnit::new("VA", 0, Unit::VOLT_AMPERE),
    PrintedUnit::new("A", 0, Unit::AMPERE),
    PrintedUnit::new("V", 0, Unit::VOLT),
    PrintedUnit::new("Hz", 0, Unit::HERTZ),
    PrintedUnit::new("s", 0, Unit::SECOND),
    PrintedUnit::new("min", 0, Unit(6)),
    PrintedUnit::new("h", 0, Unit(5)),
    PrintedUnit::new("m3", 0, Unit::CUBIC_METRE),
    PrintedUnit::new("m3/h", 0, Unit(15)),
    PrintedUnit::new("J", 0, Unit(25)),
    PrintedUnit::new("l", 0, Unit(19)),
    PrintedUnit::new("C", 0, Unit(9)),
];

impl PrintedUnit {
    /// No unit.
    pub const NONE: Self = Self::new("", 0, Unit::COUNT);
    /// Kilowatt-hours.
    pub const KILOWATT_HOUR: Self = Self::new("kWh", 3, Unit::WATT_HOUR);
    /// Kilowatts.
    pub const KILOWATT: Self = Self::new("kW", 3, Unit::WATT);
    /// Kilovar-hours.
    pub const KILOVAR_HOUR: Self = Self::new("kvarh", 3, Unit::VAR_HOUR);
    /// Kilovars.
    pub const KILOVAR: Self = Self::new("kvar", 3, Unit::VAR);
    /// Kilovolt-amperes.
    pub const KILOVOLT_AMPERE: Self = Self::new("kVA", 3, Unit::VOLT_AMPERE);
    /// Volts.
    pub const VOLT: Self = Self::new("V", 0, Unit::VOLT);
    /// Amperes.
    pub const AMPERE: Self = Self::new("A", 0, Unit::AMPERE);
    /// Seconds.
    pub const SECOND: Self = Self::new("s", 0, Unit::SECOND);
    /// Cubic metres.
    pub const CUBIC_METRE: Self = Self::new("m3", 0, Unit::CUBIC_METRE);
    /// Gigajoules.
    pub const GIGAJOULE: Self = Self::new("GJ", 9, Unit(25));

    /// A unit that is not in the list above.
    #[must_use]
    pub const fn new(text: &'static str, power: i8, unit: Unit) -> Self {
        Self { text, power, unit }
    }

    /// Reads a unit with or without the prefix k, M or G. The text of the result is that without prefix.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let base = |text: &str| BASES.into_iter().find(|base| base.text.eq_ignore_ascii_case(text));
        if let Some(unit) = base(text) {
            return Some(unit);
        }
        let power = match text.as_bytes().first()? {
            b'k' | b'K' => 3,
            b'M' => 6,
            b'G' => 9,
            _ => return None,
        };
        let unit = base(text.get(1..)?)?;
        Some(Self { power, ..unit })
    }
}
