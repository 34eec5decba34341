//! OBIS codes as reading types of IEC 61968-9: eighteen numbers that say what a value is.
//!
//! The OBIS code is what is stored; the reading type is derived from it here. The numbers are those that the
//! public schema of NAESB REQ.21 (Energy Services Provider Interface) took over from IEC 61968-9, and that
//! published integrations use; they were not checked against the standard's own text. What the table does not
//! know has no reading type, and is exported under its OBIS code.

use std::fmt;

use dlms::{obis::ObisCode, unit::Unit};

/// A reading type; [`Display`](fmt::Display) writes its eighteen numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReadingType {
    macro_period: u8,
    aggregate: u8,
    measuring_period: u8,
    accumulation: u8,
    flow_direction: u8,
    commodity: u8,
    kind: u8,
    tou: u8,
    phases: u8,
    multiplier: i8,
    unit: u8,
}

impl ReadingType {
    /// What the value of the object `obis` in `unit` is, captured every `period_s` seconds; 0 for no fixed
    /// period. The value is meant with its scaler applied.
    #[must_use]
    pub fn of(obis: ObisCode, unit: Unit, period_s: u32) -> Option<Self> {
        let [medium, _, c, d, e, _] = obis.0;
        let (macro_period, measuring_period) = periods(period_s)?;
        let base = Self {
            macro_period,
            aggregate: 0,
            measuring_period,
            accumulation: 0,
            flow_direction: 0,
            commodity: 0,
            kind: 0,
            tou: 0,
            phases: 0,
            multiplier: 0,
            unit: symbol(unit)?,
        };
        match medium {
            1 => base.electricity(c, d, e),
            // Volume of gas (7) and of water (8 cold, 9 hot).
            7 => base.volume(7, c, d),
            8 | 9 => base.volume(9, c, d),
            _ => None,
        }
    }

    fn electricity(mut self, c: u8, d: u8, e: u8) -> Option<Self> {
        self.commodity = 1;
        // 1 to 20 are sums over the phases; 21 to 40 the same of L1, 41 to 60 of L2, 61 to 80 of L3.
        let (quantity, phase) = match c {
            1..=80 => ((c - 1) % 20 + 1, (c - 1) / 20),
            _ => return None,
        };
        let to_neutral = quantity == 12;
        self.phases = match (phase, to_neutral) {
            (0, _) => 0,
            (1, false) => 128,
            (1, true) => 129,
            (2, false) => 64,
            (2, true) => 65,
            (3, false) => 32,
            _ => 33,
        };
        match quantity {
            1..=10 | 15 | 16 => {
                self.flow_direction = direction(quantity)?;
                self.integral(d, e)
            }
            11 => self.instant(4, d),
            12 => self.instant(54, d),
            13 => self.instant(38, d),
            14 => self.instant(15, d),
            _ => None,
        }
    }

    /// Energy and power, by what is done with them over time.
    fn integral(mut self, d: u8, e: u8) -> Option<Self> {
        // Tariffs are numbered from 1; 0 is their total.
        self.tou = if e <= 63 { e } else { return None };
        (self.kind, self.accumulation, self.aggregate) = match d {
            // Cumulative maximum and maximum demand of a billing period.
            2 => (8, 3, 8),
            6 => (8, 6, 8),
            // Averages of a demand period: the current one and the last.
            4 | 5 | 27 => (8, 6, 2),
            7 => (37, 6, 0),
            // Time integrals: since the beginning, of the billing period, of the capture period.
            8 => (12, 1, 0),
            9 => (12, 9, 0),
            29 => (12, 4, 0),
            _ => return None,
        };
        Some(self)
    }

    fn instant(mut self, kind: u8, d: u8) -> Option<Self> {
        (self.kind, self.accumulation) = (kind, 6);
        self.aggregate = match d {
            7 => 0,
            3 | 13 | 23 => 9,
            6 | 16 | 26 => 8,
            5 | 15 | 25 | 4 | 14 | 24 => 2,
            _ => return None,
        };
        Some(self)
    }

    fn volume(mut self, commodity: u8, c: u8, d: u8) -> Option<Self> {
        // Gas: C 1 to 3 forward volume (unconverted and its kin), D 0 and up by reference; water: C 1 volume.
        if !(1..=3).contains(&c) || d > 3 {
            return None;
        }
        (self.commodity, self.kind, self.accumulation, self.flow_direction) = (commodity, 58, 1, 1);
        Some(self)
    }

    /// The same, of values in `10^multiplier` times the unit.
    #[must_use]
    pub const fn with_multiplier(mut self, multiplier: i8) -> Self {
        self.multiplier = multiplier;
        self
    }
}

impl fmt::Display for ReadingType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { macro_period, aggregate, measuring_period, accumulation, flow_direction, commodity, kind, .. } =
            self;
        let Self { tou, phases, multiplier, unit, .. } = self;
        // Interharmonic and argument are fractions of two numbers each; critical peak and consumption tier follow
        // the tariff, the currency ends it.
        write!(
            f,
            "{macro_period}.{aggregate}.{measuring_period}.{accumulation}.{flow_direction}.{commodity}.{kind}\
             .0.0.0.0.{tou}.0.0.{phases}.{multiplier}.{unit}.0"
        )
    }
}

/// Macro period and measuring period of captures every so many seconds.
const fn periods(seconds: u32) -> Option<(u8, u8)> {
    Some(match seconds {
        0 => (0, 0),
        60 => (0, 3),
        300 => (0, 6),
        600 => (0, 1),
        900 => (0, 2),
        1_800 => (0, 5),
        3_600 => (0, 7),
        86_400 => (11, 0),
        _ => return None,
    })
}

/// Direction by the quantity of group C.
const fn direction(quantity: u8) -> Option<u8> {
    Some(match quantity {
        // Import and export, active and apparent.
        1 | 9 => 1,
        2 | 10 => 19,
        // Reactive in quadrants I and II, III and IV, and each by itself.
        3 => 5,
        4 => 13,
        5 => 15,
        6 => 16,
        7 => 17,
        8 => 18,
        // Sum and difference of import and export.
        15 => 20,
        16 => 4,
        _ => return None,
    })
}

/// Unit symbol by the Blue Book's code.
const fn symbol(unit: Unit) -> Option<u8> {
    Some(match unit.0 {
        13 | 14 => 42,
        25 => 31,
        27 => 38,
        28 => 61,
        29 => 63,
        30 => 72,
        31 => 71,
        32 => 73,
        33 => 5,
        35 => 29,
        44 => 33,
        // A plain number: power factors.
        255 => 65,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(obis: &str, unit: u8, period_s: u32) -> Option<String> {
        ReadingType::of(obis.parse().unwrap(), Unit(unit), period_s).map(|reading| reading.to_string())
    }

    /// Codes that published integrations of IEC 61968-9 use for these values.
    #[test]
    fn published_codes() {
        let kilo = |obis: &str, unit, period| {
            ReadingType::of(obis.parse().unwrap(), Unit(unit), period).unwrap().with_multiplier(3).to_string()
        };
        assert_eq!(kilo("1-0:1.8.0*255", 30, 900), "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0");
        assert_eq!(kilo("1-0:1.29.0*255", 30, 900), "0.0.2.4.1.1.12.0.0.0.0.0.0.0.0.3.72.0");
        assert_eq!(kilo("1-0:1.8.0*255", 30, 0), "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0");
        assert_eq!(kilo("1-0:1.8.0*255", 30, 86_400), "11.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0");
        assert_eq!(kilo("1-0:2.8.1*255", 30, 0), "0.0.0.1.19.1.12.0.0.0.0.1.0.0.0.3.72.0");
    }

    #[test]
    fn phases_and_instantaneous_values() {
        assert_eq!(of("1-0:32.7.0*255", 35, 0).unwrap(), "0.0.0.6.0.1.54.0.0.0.0.0.0.0.129.0.29.0");
        assert_eq!(of("1-0:51.7.0*255", 33, 0).unwrap(), "0.0.0.6.0.1.4.0.0.0.0.0.0.0.64.0.5.0");
        assert_eq!(of("1-0:21.7.0*255", 27, 0).unwrap(), "0.0.0.6.1.1.37.0.0.0.0.0.0.0.128.0.38.0");
    }

    #[test]
    fn what_the_table_does_not_know_has_none() {
        for (obis, unit, period) in [
            ("0-0:1.0.0*255", 30, 0),
            ("1-0:1.8.0*255", 10, 0),
            ("1-0:1.8.0*255", 30, 17),
            ("1-0:1.99.0*255", 30, 0),
            ("1-0:81.7.0*255", 255, 0),
            ("1-0:1.8.200*255", 30, 0),
        ] {
            assert_eq!(of(obis, unit, period), None, "{obis}");
        }
        for c in 0..=255 {
            for d in 0..=255 {
                // Whatever a meter captures is looked up without harm.
                let _ = ReadingType::of(ObisCode([1, 0, c, d, 0, 255]), Unit(30), 900);
            }
        }
    }
}
