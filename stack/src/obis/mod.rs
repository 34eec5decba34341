//! OBIS codes: the names of COSEM objects (IEC 62056-61).

mod names;

pub use names::{Description, describe};

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// An OBIS code: value groups A to F.
///
/// Text: `1-0:1.8.0*255` and `1.0.1.8.0.255` are the same code; a missing F means 255, and a reduced code
/// such as `1.8.0` leaves A and B out, which then are 1 (electricity) and 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObisCode(pub [u8; 6]);

impl ObisCode {
    /// The current association, whichever it is: `0.0.40.0.0.255`.
    pub const CURRENT_ASSOCIATION: Self = Self::new(0, 0, 40, 0, 0, 255);
    /// SAP assignment: `0.0.41.0.0.255`.
    pub const SAP_ASSIGNMENT: Self = Self::new(0, 0, 41, 0, 0, 255);
    /// COSEM logical device name: `0.0.42.0.0.255`.
    pub const LOGICAL_DEVICE_NAME: Self = Self::new(0, 0, 42, 0, 0, 255);
    /// Security setup of the management logical device: `0.0.43.0.0.255`.
    pub const SECURITY_SETUP: Self = Self::new(0, 0, 43, 0, 0, 255);
    /// Invocation counter of the unicast key: `0.0.43.1.0.255`.
    pub const INVOCATION_COUNTER: Self = Self::new(0, 0, 43, 1, 0, 255);
    /// Clock: `0.0.1.0.0.255`.
    pub const CLOCK: Self = Self::new(0, 0, 1, 0, 0, 255);
    /// Device identifier 1, the serial number of most meters: `0.0.96.1.0.255`.
    pub const DEVICE_ID_1: Self = Self::new(0, 0, 96, 1, 0, 255);
    /// Disconnect control: `0.0.96.3.10.255`.
    pub const DISCONNECT_CONTROL: Self = Self::new(0, 0, 96, 3, 10, 255);
    /// Active firmware identifier: `1.0.0.2.0.255`.
    pub const FIRMWARE_ID: Self = Self::new(1, 0, 0, 2, 0, 255);
    /// Active energy import, total: `1.0.1.8.0.255`.
    pub const ACTIVE_IMPORT: Self = Self::new(1, 0, 1, 8, 0, 255);
    /// Active energy export, total: `1.0.2.8.0.255`.
    pub const ACTIVE_EXPORT: Self = Self::new(1, 0, 2, 8, 0, 255);
    /// Load profile with recording period 1: `1.0.99.1.0.255`.
    pub const LOAD_PROFILE_1: Self = Self::new(1, 0, 99, 1, 0, 255);
    /// Load profile with recording period 2, daily values in many meters: `1.0.99.2.0.255`.
    pub const LOAD_PROFILE_2: Self = Self::new(1, 0, 99, 2, 0, 255);
    /// Standard event log: `0.0.99.98.0.255`.
    pub const STANDARD_EVENT_LOG: Self = Self::new(0, 0, 99, 98, 0, 255);

    /// The code with value groups A to F.
    #[must_use]
    pub const fn new(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) -> Self {
        Self([a, b, c, d, e, f])
    }

    /// The code in `bytes`, or `None` when there are not exactly six octets.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The six octets, A first.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 6] {
        &self.0
    }
}

impl From<[u8; 6]> for ObisCode {
    fn from(octets: [u8; 6]) -> Self {
        Self(octets)
    }
}

impl fmt::Display for ObisCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a}.{b}.{c}.{d}.{e}.{f}")
    }
}

impl fmt::Debug for ObisCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObisCode({self})")
    }
}

/// The text is not an OBIS code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not an OBIS code; expected A-B:C.D.E*F or A.B.C.D.E.F, each group 0 to 255")]
pub struct ParseObisError;

impl FromStr for ObisCode {
    type Err = ParseObisError;

    fn from_str(text: &str) -> Result<Self, ParseObisError> {
        let (a, rest) = optional_group(text, '-')?;
        let (b, rest) = optional_group(rest, ':')?;
        let prefixed = a.is_some() || b.is_some();
        let (rest, f) = match rest.split_once(['*', '&']) {
            Some((rest, f)) => (rest, Some(group(f)?)),
            None => (rest, None),
        };
        let mut groups = [0; 6];
        let mut count: usize = 0;
        for part in rest.split('.') {
            *groups.get_mut(count).ok_or(ParseObisError)? = group(part)?;
            count = count.saturating_add(1);
        }
        let [g0, g1, g2, g3, g4, g5] = groups;
        let (a, b) = (a.unwrap_or(1), b.unwrap_or(0));
        match (count, prefixed, f) {
            (3, _, _) => Ok(Self([a, b, g0, g1, g2, f.unwrap_or(255)])),
            (4, true, None) => Ok(Self([a, b, g0, g1, g2, g3])),
            (5, false, _) => Ok(Self([g0, g1, g2, g3, g4, f.unwrap_or(255)])),
            (6, false, None) => Ok(Self([g0, g1, g2, g3, g4, g5])),
            _ => Err(ParseObisError),
        }
    }
}

fn optional_group(text: &str, separator: char) -> Result<(Option<u8>, &str), ParseObisError> {
    match text.split_once(separator) {
        Some((number, rest)) => Ok((Some(group(number)?), rest)),
        None => Ok((None, text)),
    }
}

fn group(text: &str) -> Result<u8, ParseObisError> {
    // The integer parser would also take a leading plus sign.
    if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(ParseObisError);
    }
    text.parse().map_err(|_| ParseObisError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn every_text_form_names_the_same_code() {
        for text in ["1.0.1.8.0.255", "1-0:1.8.0*255", "1-0:1.8.0", "1.0.1.8.0", "1.8.0", "1.8.0*255", "1-0:1.8.0.255"]
        {
            assert_eq!(text.parse(), Ok(ObisCode::ACTIVE_IMPORT), "{text}");
        }
        assert_eq!("1.8.1*01".parse(), Ok(ObisCode::new(1, 0, 1, 8, 1, 1)));
        assert_eq!("7-2:3.1.0".parse(), Ok(ObisCode::new(7, 2, 3, 1, 0, 255)));
        assert_eq!(ObisCode::ACTIVE_IMPORT.to_string(), "1.0.1.8.0.255");
    }

    #[test]
    fn what_is_not_a_code_is_refused() {
        for text in [
            "",
            "1",
            "1.8",
            "1.2.3.4",
            "1.0.1.8.0.255.1",
            "1.0.1.8.0.256",
            "1.0.1.8.0.-1",
            "+1.0.1.8.0.255",
            "1-0:1.8",
            "1.0.1.8.0.255*255",
            "a.b.c.d.e.f",
            "1..1.8.0.255",
        ] {
            assert_eq!(text.parse::<ObisCode>(), Err(ParseObisError), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn text_round_trip(octets: [u8; 6]) {
            proptest::prop_assert_eq!(ObisCode(octets).to_string().parse(), Ok(ObisCode(octets)));
        }
    }
}
