//! What OBIS codes mean, in words: for people who read logs and traces, never for programs.

mod tables;

use core::fmt;

use super::ObisCode;
use tables::{
    ABSTRACT, ELECTRICITY_D, ELECTRICITY_GENERAL, Entry, GAS_C, HCA_C, Quantity, THERMAL_C, THERMAL_D, WATER_C,
};

/// What a code means: `active energy import L2, tariff 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    code: ObisCode,
    words: Words,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    /// An object with a name of its own, and whether the name leaves value group E open.
    Named { name: &'static str, numbered: bool },
    /// A quantity of a medium and how it is processed.
    Measured { medium: &'static str, quantity: &'static str, phase: &'static str, process: &'static str },
}

/// Says in words what a code means. `None` for codes of manufacturers, utilities and countries, and for those that the
/// tables here do not have.
#[must_use]
pub fn describe(code: ObisCode) -> Option<Description> {
    let [a, b, c, d, e, f] = code.0;
    let is_list_id = matches!((c, d, e), (0, 2, 129));
    if b > 64 || (128..=254).contains(&f) || (128..=254).contains(&e) && !is_list_id {
        return None;
    }
    let named = |entries: &'static [Entry]| {
        let entry = entries.iter().find(|entry| entry.c == c && entry.d.contains(&d) && entry.e.contains(&e))?;
        Some(Words::Named { name: entry.name, numbered: entry.e.len() > 1 })
    };
    let words = match a {
        0 => named(ABSTRACT)?,
        1 => named(ELECTRICITY_GENERAL).or_else(|| electricity(c, d))?,
        4 => plain("heat cost allocator, ", HCA_C, c, THERMAL_D, d)?,
        5 => plain("cooling, ", THERMAL_C, c, THERMAL_D, d)?,
        6 => plain("heat, ", THERMAL_C, c, THERMAL_D, d)?,
        7 => plain("gas, ", GAS_C, c, &[], d)?,
        8 => plain("cold water, ", WATER_C, c, THERMAL_D, d)?,
        9 => plain("hot water, ", WATER_C, c, THERMAL_D, d)?,
        _ => return None,
    };
    Some(Description { code, words })
}

fn electricity(c: u8, d: u8) -> Option<Words> {
    // The phases repeat the sums 20 and more further on.
    let (base, phase) = match c {
        1..=20 => (c, ""),
        21..=80 => ((c.saturating_sub(1) % 20).saturating_add(1), phase(c.saturating_sub(21) / 20)),
        85..=87 => (84, phase(c.saturating_sub(85))),
        101..=103 => (100, phase(c.saturating_sub(101))),
        105..=107 => (104, phase(c.saturating_sub(105))),
        _ => (c, ""),
    };
    let Quantity { power, energy, .. } = tables::ELECTRICITY_C.iter().find(|quantity| quantity.c == base)?;
    let is_integral = matches!(d, 8..=10 | 17..=20 | 29 | 30 | 58);
    let process = ELECTRICITY_D.iter().find(|(number, _)| *number == d)?.1;
    Some(Words::Measured { medium: "", quantity: if is_integral { energy } else { power }, phase, process })
}

const fn phase(index: u8) -> &'static str {
    match index {
        0 => "L1",
        1 => "L2",
        _ => "L3",
    }
}

fn plain(
    medium: &'static str,
    quantities: &'static [(u8, &'static str)],
    c: u8,
    processes: &'static [(u8, &'static str)],
    d: u8,
) -> Option<Words> {
    let find =
        |list: &'static [(u8, &'static str)], number| list.iter().find(|(n, _)| *n == number).map(|(_, name)| *name);
    let quantity = find(quantities, c)?;
    let process = if processes.is_empty() { gas_process(c, d) } else { find(processes, d)? };
    Some(Words::Measured { medium, quantity, phase: "", process })
}

/// The processing of gas depends on the kind of the quantity.
const fn gas_process(c: u8, d: u8) -> &'static str {
    match (c, d) {
        (1..=8 | 11..=16 | 21..=26, 0) => "at metering conditions",
        (1..=8 | 11..=16 | 21..=26, 1) => "corrected",
        (1..=8 | 11..=16 | 21..=26, 2) => "at base conditions",
        (43, 0) => "instantaneous",
        (43, 1) => "instantaneous, corrected",
        (43, 2) => "instantaneous, at base conditions",
        (43, 13) => "instantaneous, at standard conditions",
        (_, 0) => "",
        _ => "other processing",
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, period] = self.code.0;
        match self.words {
            Words::Named { name, numbered } => {
                f.write_str(name)?;
                if numbered {
                    write!(f, " {e}")?;
                }
            }
            Words::Measured { medium, quantity, phase, process } => {
                write!(f, "{medium}{quantity}")?;
                if !phase.is_empty() {
                    write!(f, " {phase}")?;
                }
                if !process.is_empty() {
                    write!(f, ", {process}")?;
                }
                match (a, e) {
                    (_, 0 | 255) => {}
                    (1, 124) if is_harmonic(c, d) => f.write_str(", total harmonic distortion")?,
                    (1, 1..=120) if is_harmonic(c, d) => write!(f, ", harmonic {e}")?,
                    (1, _) if c == 81 => angle(f, e)?,
                    _ => write!(f, ", tariff {e}")?,
                }
            }
        }
        if b != 0 {
            write!(f, ", channel {b}")?;
        }
        match period {
            255 => Ok(()),
            101..=125 => write!(f, ", {} billing period(s) ago", period.saturating_sub(100)),
            _ => write!(f, ", billing period {period}"),
        }
    }
}

/// Value group E numbers harmonics for voltage, current and active power, where it numbers tariffs elsewhere.
const fn is_harmonic(c: u8, d: u8) -> bool {
    matches!(c, 11 | 12 | 15 | 31 | 32 | 35 | 51 | 52 | 55 | 71 | 72 | 75 | 90..=92 | 124..=126)
        && matches!(d, 4 | 5 | 7 | 14 | 15 | 24 | 25 | 56)
}

/// Value group E of an angle: the tens name what it is measured from, the units what is measured.
fn angle(f: &mut fmt::Formatter<'_>, e: u8) -> fmt::Result {
    const LINES: [&str; 8] = ["U1", "U2", "U3", "?", "I1", "I2", "I3", "I0"];
    let line = |digit: u8| LINES.get(usize::from(digit)).copied().unwrap_or("?");
    write!(f, " of {} from {}", line(e % 10), line(e / 10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::{String, ToString};

    fn words(code: &str) -> String {
        describe(code.parse().unwrap()).map_or_else(|| "-".to_string(), |words| words.to_string())
    }

    #[test]
    fn electricity() {
        for (code, expected) in [
            ("1-0:1.8.0", "active energy import"),
            ("1-0:1.8.1", "active energy import, tariff 1"),
            ("1-0:2.8.0*101", "active energy export, 1 billing period(s) ago"),
            ("1-1:4.8.0", "reactive energy export, channel 1"),
            ("1-0:1.7.0", "active power import, instantaneous"),
            ("1-0:41.7.0", "active power import L2, instantaneous"),
            ("1-0:72.7.0", "voltage L3, instantaneous"),
            ("1-0:31.7.0", "current L1, instantaneous"),
            ("1-0:80.8.0", "active energy QIV L3"),
            ("1-0:32.7.124", "voltage L1, instantaneous, total harmonic distortion"),
            ("1-0:31.7.5", "current L1, instantaneous, harmonic 5"),
            ("1-0:1.6.2", "active power import, maximum 1, tariff 2"),
            ("1-0:81.7.26", "angle, instantaneous of I3 from U3"),
            ("1-0:32.32.0", "voltage L1, under limit, occurrences"),
            ("1-0:99.1.0", "load profile with recording period 1"),
            ("1-0:99.97.0", "power failure log 0"),
            ("1-3:0.2.8", "active firmware signature, channel 3"),
            ("1-0:85.7.0", "power factor export L1, instantaneous"),
        ] {
            assert_eq!(words(code), expected, "{code}");
        }
    }

    #[test]
    fn other_media_and_abstract_objects() {
        for (code, expected) in [
            ("0-0:1.0.0", "clock"),
            ("0-0:96.1.0", "device identifier 0"),
            ("0-1:24.2.1", "M-Bus value 1, channel 1"),
            ("0-0:96.3.10", "disconnect control"),
            ("0-2:25.9.0", "push setup, channel 2"),
            ("0-0:97.98.20", "alarm descriptor 20"),
            ("0-0:40.0.0", "current association"),
            ("7-0:3.1.0", "gas, volume, corrected"),
            ("6-0:1.0.0", "heat, energy"),
            ("8-0:1.0.0", "cold water, accumulated volume"),
            ("4-0:2.0.0", "heat cost allocator, rated integral"),
        ] {
            assert_eq!(words(code), expected, "{code}");
        }
    }

    #[test]
    fn what_is_not_in_the_tables_has_no_words() {
        for code in ["0-0:94.31.0", "1-0:130.8.0", "3-0:1.8.0", "1-0:1.200.0", "0-0:96.50.0", "15-0:1.0.0"] {
            assert_eq!(words(code), "-", "{code}");
        }
    }

    /// Every code has an answer, and none of them is empty or runs into a panic.
    #[test]
    fn all_codes_of_all_media() {
        let codes = (0..=9).flat_map(|a| (0..=255).flat_map(move |c| (0..=60).chain(96..=100).map(move |d| (a, c, d))));
        for (a, c, d) in codes {
            for e in [0, 99] {
                if let Some(words) = describe(ObisCode::new(a, 0, c, d, e, 255)) {
                    let text = format!("{words}");
                    assert!(text.len() > 3 && !text.contains("  ") && !text.ends_with([' ', ',']), "{text}");
                }
            }
        }
    }
}
