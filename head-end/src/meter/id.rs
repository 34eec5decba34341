//! Names of meters.

use std::{fmt, str::FromStr, sync::Arc};

use sha2::{Digest, Sha256};

/// Identifier of a meter in this head-end, the last part of the resource name `meters/{meter}`.
///
/// One to 63 characters of `A-Z a-z 0-9 . _ ~ -`, the first one a letter or a digit: serial
/// numbers, logical device names and asset numbers fit, and nothing needs escaping in a URL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeterId(Arc<str>);

/// Longest identifier, in characters.
const MAX_METER_ID: usize = 63;

/// Why a text is not a meter identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MeterIdError {
    /// No character at all.
    #[error("a meter identifier may not be empty")]
    Empty,
    /// More than 63 characters.
    #[error("a meter identifier has at most {max} characters, not {0}", max = MAX_METER_ID)]
    TooLong(usize),
    /// A character outside `A-Z a-z 0-9 . _ ~ -`, or a first one that is neither letter nor digit.
    #[error("character {found:?} at position {position} is not allowed in a meter identifier")]
    Character {
        /// The character.
        found: char,
        /// Its position, from 0.
        position: usize,
    },
}

impl MeterId {
    /// The identifier `text`, checked.
    ///
    /// # Errors
    /// [`MeterIdError`] says which rule the text breaks.
    pub fn try_new(text: &str) -> Result<Self, MeterIdError> {
        if text.is_empty() {
            return Err(MeterIdError::Empty);
        }
        let length = text.chars().count();
        if length > MAX_METER_ID {
            return Err(MeterIdError::TooLong(length));
        }
        let wrong = text.chars().enumerate().find(|&(position, c)| {
            let inner = position > 0 && matches!(c, '.' | '_' | '~' | '-');
            !(c.is_ascii_alphanumeric() || inner)
        });
        match wrong {
            Some((position, found)) => Err(MeterIdError::Character { found, position }),
            None => Ok(Self(text.into())),
        }
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the meter stands among others in a `round`, from 0 to 255: the same each time, and in each round elsewhere.
    pub(crate) fn share(&self, round: u32) -> u8 {
        let digest = Sha256::new().chain_update(self.as_str()).chain_update(round.to_be_bytes()).finalize();
        digest.first().copied().unwrap_or_default()
    }

    /// The resource name, `meters/{meter}`.
    #[must_use]
    pub fn resource_name(&self) -> String {
        format!("meters/{self}")
    }
}

impl FromStr for MeterId {
    type Err = MeterIdError;

    fn from_str(text: &str) -> Result<Self, MeterIdError> {
        Self::try_new(text)
    }
}

impl fmt::Display for MeterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MeterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeterId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_and_logical_device_names_are_identifiers() {
        for text in ["1", "ISK0071-4452.2", "sim~0001", &"a".repeat(63)] {
            assert_eq!(MeterId::try_new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn each_rule_is_named_when_broken() {
        assert_eq!(MeterId::try_new(""), Err(MeterIdError::Empty));
        assert_eq!(MeterId::try_new(&"a".repeat(64)), Err(MeterIdError::TooLong(64)));
        assert_eq!(MeterId::try_new("a/b"), Err(MeterIdError::Character { found: '/', position: 1 }));
        assert_eq!(MeterId::try_new("-a"), Err(MeterIdError::Character { found: '-', position: 0 }));
        assert_eq!(MeterId::try_new("ä"), Err(MeterIdError::Character { found: 'ä', position: 0 }));
    }
}
