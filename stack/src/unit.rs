//! Physical units and scalers of COSEM registers (Blue Book, `scaler_unit`).

use core::fmt;

/// A unit code of the Blue Book's enumeration; 255 is a plain count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit(pub u8);

/// Code and symbol of every unit that is not reserved, in order: 1 to 57, 60 to 67, 70 to 72, imperial units from 128 on,
/// and from 253 on what is no unit of its own. Where several codes share a symbol, the plain one comes first: it is the one that
/// [`Unit::from_symbol`] gives.
const SYMBOLS: &[(u8, &str)] = &[
    (1, "a"),
    (2, "mo"),
    (3, "wk"),
    (4, "d"),
    (5, "h"),
    (6, "min"),
    (7, "s"),
    (8, "°"),
    (9, "°C"),
    (10, "currency"),
    (11, "m"),
    (12, "m/s"),
    (13, "m³"),
    (14, "m³"),
    (15, "m³/h"),
    (16, "m³/h"),
    (17, "m³/d"),
    (18, "m³/d"),
    (19, "l"),
    (20, "kg"),
    (21, "N"),
    (22, "Nm"),
    (23, "Pa"),
    (24, "bar"),
    (25, "J"),
    (26, "J/h"),
    (27, "W"),
    (28, "VA"),
    (29, "var"),
    (30, "Wh"),
    (31, "VAh"),
    (32, "varh"),
    (33, "A"),
    (34, "C"),
    (35, "V"),
    (36, "V/m"),
    (37, "F"),
    (38, "Ω"),
    (39, "Ωm²/m"),
    (40, "Wb"),
    (41, "T"),
    (42, "A/m"),
    (43, "H"),
    (44, "Hz"),
    (45, "1/Wh"),
    (46, "1/varh"),
    (47, "1/VAh"),
    (48, "V²h"),
    (49, "A²h"),
    (50, "kg/s"),
    (51, "S"),
    (52, "K"),
    (53, "1/V²h"),
    (54, "1/A²h"),
    (55, "1/m³"),
    (56, "%"),
    (57, "Ah"),
    (60, "Wh/m³"),
    (61, "J/m³"),
    (62, "mol%"),
    (63, "g/m³"),
    (64, "Pa·s"),
    (65, "J/kg"),
    (66, "g/cm²"),
    (67, "atm"),
    (70, "dBm"),
    (71, "dBµV"),
    (72, "dB"),
    (128, "in"),
    (129, "ft"),
    (130, "lb"),
    (131, "°F"),
    (132, "°R"),
    (133, "in²"),
    (134, "ft²"),
    (135, "acre"),
    (136, "in³"),
    (137, "ft³"),
    (138, "acre-ft"),
    (139, "gal(imp)"),
    (140, "gal(US)"),
    (141, "lbf"),
    (142, "psi"),
    (143, "lb/ft³"),
    (144, "lb/(ft·s)"),
    (145, "ft²/s"),
    (146, "Btu"),
    (147, "therm(EU)"),
    (148, "therm(US)"),
    (149, "Btu/lb"),
    (150, "Btu/ft³"),
    (151, "ft³"),
    (152, "ft/s"),
    (153, "ft³/s"),
    (154, "ft³/min"),
    (155, "ft³/h"),
    (156, "ft³/d"),
    (157, "acre-ft/s"),
    (158, "acre-ft/min"),
    (159, "acre-ft/h"),
    (160, "acre-ft/d"),
    (161, "gal(imp)"),
    (162, "gal(imp)/s"),
    (163, "gal(imp)/min"),
    (164, "gal(imp)/h"),
    (165, "gal(imp)/d"),
    (166, "gal(US)"),
    (167, "gal(US)/s"),
    (168, "gal(US)/min"),
    (169, "gal(US)/h"),
    (170, "gal(US)/d"),
    (171, "Btu/s"),
    (172, "Btu/min"),
    (173, "Btu/h"),
    (174, "Btu/d"),
    (253, "extended"),
    (254, "other"),
    (255, ""),
];

impl Unit {
    /// Watt: active power.
    pub const WATT: Self = Self(27);
    /// Volt-ampere: apparent power.
    pub const VOLT_AMPERE: Self = Self(28);
    /// Var: reactive power.
    pub const VAR: Self = Self(29);
    /// Watt-hour: active energy.
    pub const WATT_HOUR: Self = Self(30);
    /// Volt-ampere-hour: apparent energy.
    pub const VOLT_AMPERE_HOUR: Self = Self(31);
    /// Var-hour: reactive energy.
    pub const VAR_HOUR: Self = Self(32);
    /// Ampere.
    pub const AMPERE: Self = Self(33);
    /// Volt.
    pub const VOLT: Self = Self(35);
    /// Hertz.
    pub const HERTZ: Self = Self(44);
    /// Second.
    pub const SECOND: Self = Self(7);
    /// Cubic metre.
    pub const CUBIC_METRE: Self = Self(13);
    /// A count, or no unit.
    pub const COUNT: Self = Self(255);

    /// The unit's symbol, empty for a count; `None` for a code that is reserved or not known here.
    #[must_use]
    pub fn symbol(self) -> Option<&'static str> {
        SYMBOLS.iter().find(|(code, _)| *code == self.0).map(|(_, symbol)| *symbol)
    }

    /// The unit with this symbol.
    #[must_use]
    pub fn from_symbol(symbol: &str) -> Option<Self> {
        SYMBOLS.iter().find(|(_, known)| *known == symbol).map(|(code, _)| Self(*code))
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.symbol() {
            Some(symbol) => f.pad(symbol),
            None => write!(f, "unit({})", self.0),
        }
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unit({}, {:?})", self.0, self.symbol().unwrap_or("?"))
    }
}

/// How a register's number becomes a physical quantity: value × 10^scaler, in `unit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScalerUnit {
    /// Power of ten.
    pub scaler: i8,
    /// Unit of the scaled value.
    pub unit: Unit,
}

impl ScalerUnit {
    /// No scaling and no unit, which is also how a missing `scaler_unit` is read.
    pub const NONE: Self = Self { scaler: 0, unit: Unit::COUNT };

    /// `value` × 10^scaler.
    #[must_use]
    pub fn apply(self, value: f64) -> f64 {
        let mut power = 1.0;
        for _ in 0..self.scaler.unsigned_abs() {
            power *= 10.0;
        }
        // Dividing by an exact power of ten rounds once; multiplying by 0.001 would round twice.
        if self.scaler < 0 { value / power } else { value * power }
    }

    /// `value` × 10^scaler as an exact decimal number.
    #[must_use]
    pub const fn decimal(self, value: i128) -> Decimal {
        Decimal { digits: value, exponent: self.scaler }
    }
}

/// An exact decimal number, digits × 10^exponent; displays as such: 263788 with exponent -3 is `263.788`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// The digits, with sign.
    pub digits: i128,
    /// Power of ten.
    pub exponent: i8,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.digits < 0 { "-" } else { "" };
        let digits = self.digits.unsigned_abs();
        let places = usize::from(self.exponent.unsigned_abs());
        if self.exponent >= 0 {
            // Zero stays "0" whatever the scaler.
            let zeros = if digits == 0 { 0 } else { places };
            return write!(f, "{sign}{digits}{:0<zeros$}", "");
        }
        let whole = u32::try_from(places).ok().and_then(|places| 10_u128.checked_pow(places));
        match whole.and_then(|power| Some((digits.checked_div(power)?, digits.checked_rem(power)?))) {
            Some((whole, fraction)) => write!(f, "{sign}{whole}.{fraction:0places$}"),
            // The power exceeds every 128-bit number: all digits are behind the point.
            None => write!(f, "{sign}0.{digits:0places$}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn blue_book_examples() {
        let gas = ScalerUnit { scaler: -3, unit: Unit::CUBIC_METRE };
        assert_eq!(gas.decimal(263_788).to_string(), "263.788");
        assert_eq!(gas.apply(263_788.0), 263.788);
        let energy = ScalerUnit { scaler: 3, unit: Unit::WATT_HOUR };
        assert_eq!(energy.decimal(593).to_string(), "593000");
        let voltage = ScalerUnit { scaler: -1, unit: Unit::VOLT };
        assert_eq!(voltage.decimal(3467).to_string(), "346.7");
        assert_eq!(voltage.unit.to_string(), "V");
    }

    #[test]
    fn decimals_at_the_edges() {
        let text = |digits, exponent| Decimal { digits, exponent }.to_string();
        assert_eq!(text(-5, -3), "-0.005");
        assert_eq!(text(0, 5), "0");
        assert_eq!(text(0, -2), "0.00");
        assert_eq!(text(-7, 2), "-700");
        assert_eq!(text(i128::MIN, 0), i128::MIN.to_string());
        assert_eq!(text(7, -128).len(), 130);
        assert!(text(7, -128).ends_with("07"));
        assert_eq!(text(1, 127).len(), 128);
    }

    #[test]
    fn symbols_name_the_plain_code() {
        assert_eq!(Unit::from_symbol("Wh"), Some(Unit::WATT_HOUR));
        assert_eq!(Unit::from_symbol("m³"), Some(Unit::CUBIC_METRE));
        assert_eq!(Unit::from_symbol("furlong"), None);
        assert_eq!(Unit(58).to_string(), "unit(58)");
        for (code, symbol) in SYMBOLS {
            assert_eq!(Unit(*code).symbol(), Some(*symbol));
        }
    }

    #[test]
    fn every_code_that_is_not_reserved_has_a_symbol() {
        let reserved = |code| matches!(code, 0 | 58 | 59 | 68 | 69 | 73..=127 | 175..=252);
        for code in 0..=255 {
            assert_eq!(Unit(code).symbol().is_none(), reserved(code), "{code}");
        }
        assert!(SYMBOLS.is_sorted_by_key(|(code, _)| code));
        // Plain and corrected volumes, and constants, share symbols; the plain one is found.
        assert_eq!(Unit::from_symbol("ft³"), Some(Unit(137)));
        assert_eq!(Unit::from_symbol("gal(US)/min"), Some(Unit(168)));
    }
}
