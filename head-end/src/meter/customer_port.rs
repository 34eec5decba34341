//! The customer port of a meter (P1 and its relatives): by what its telegrams are known.

use std::{fmt, str::FromStr};

use dlms::p1::{Hex, Value};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// What is known about a customer port, beside its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomerPort {
    /// The equipment identifier that telegrams print: of the meter, or of a device on an M-Bus channel. `None` where
    /// the system title of ciphered telegrams, or the port that they come from, says whose they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equipment_id: Option<EquipmentId>,
    /// IANA name of the zone of its local times; empty for that of the head-end.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub time_zone: String,
}

impl CustomerPort {
    /// The zone that is stated, if one is; `None` when there is no such zone.
    #[must_use]
    pub fn zone(&self) -> Option<Option<TimeZone>> {
        match self.time_zone.as_str() {
            "" => Some(None),
            name => TimeZone::get(name).ok().map(Some),
        }
    }
}

/// Longest identifier: DSMR prints 96 digits of 48 octets at most, which stay digits where they are no characters.
const LONGEST: usize = 96;

/// An equipment identifier of a telegram: 1 to 96 characters of `A-Z a-z 0-9 . _ ~ -`.
///
/// Telegrams print it as hexadecimal digits of characters; where those are others than these, the digits themselves
/// are the identifier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EquipmentId {
    /// Characters, zeros behind them.
    text: [u8; LONGEST],
}

/// Why a text is no equipment identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an equipment identifier has 1 to {LONGEST} characters of A-Z a-z 0-9 . _ ~ -")]
pub struct EquipmentIdError;

impl EquipmentId {
    /// The identifier that a telegram prints; `None` where there is none.
    #[must_use]
    pub fn printed(value: Value<'_>) -> Option<Self> {
        let text = match value {
            Value::Octets(octets) => {
                let readable = octets.to_string();
                return readable.trim().parse().or_else(|_| digits(octets).parse()).ok();
            }
            Value::Text(text) => text.trim().to_owned(),
            Value::Number(_) | Value::Empty | Value::Time(_) | Value::Obis(_) => return None,
        };
        text.parse().ok()
    }

    /// The same of a name in characters, the octets of which are the identifier where it has others.
    #[must_use]
    pub fn printed_text(name: &str) -> Option<Self> {
        name.parse().or_else(|_| hex::encode_upper(name).parse()).ok()
    }

    /// Its characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self.text.iter().position(|octet| *octet == 0).unwrap_or(LONGEST);
        self.text.get(..length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

fn digits(octets: Hex<'_>) -> String {
    octets.digits().to_ascii_uppercase()
}

impl FromStr for EquipmentId {
    type Err = EquipmentIdError;

    fn from_str(text: &str) -> Result<Self, EquipmentIdError> {
        let legal = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'_' | b'~' | b'-');
        let mut own = [0; LONGEST];
        match own.get_mut(..text.len()) {
            Some(place) if !text.is_empty() && text.bytes().all(legal) => place.copy_from_slice(text.as_bytes()),
            _ => return Err(EquipmentIdError),
        }
        Ok(Self { text: own })
    }
}

impl TryFrom<String> for EquipmentId {
    type Error = EquipmentIdError;

    fn try_from(text: String) -> Result<Self, EquipmentIdError> {
        text.parse()
    }
}

impl From<EquipmentId> for String {
    fn from(of: EquipmentId) -> Self {
        of.as_str().to_owned()
    }
}

impl fmt::Display for EquipmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for EquipmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EquipmentId({self})")
    }
}

#[cfg(test)]
mod tests {
    use dlms::obis::ObisCode;

    use super::*;

    #[test]
    fn identifiers_are_characters_where_they_can_be_and_digits_else() {
        let code = ObisCode([0, 0, 96, 1, 1, 255]);
        let printed = |text| EquipmentId::printed(Value::new(code, 0, text)).map(String::from);
        assert_eq!(printed("4B384547303034303436333935353037").as_deref(), Some("K8EG004046395507"));
        assert_eq!(printed("ADC3100000158491").as_deref(), Some("ADC3100000158491"));
        assert_eq!(printed("205c4D24").as_deref(), Some("205C4D24"), "no characters for a URL");
        assert_eq!(printed("E0012"), Some("E0012".to_owned()), "five digits are no octets");
        assert_eq!(printed(""), None);
        assert_eq!(printed("a/b"), None);
    }

    #[test]
    fn an_identifier_has_a_length() {
        assert!("1".repeat(96).parse::<EquipmentId>().is_ok_and(|id| id.as_str().len() == 96));
        assert_eq!("1".repeat(97).parse::<EquipmentId>(), Err(EquipmentIdError));
        assert_eq!("".parse::<EquipmentId>(), Err(EquipmentIdError));
    }
}
