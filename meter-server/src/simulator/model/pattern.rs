//! OBIS patterns of a model file: one entry for a family of objects.

use std::str::FromStr;

use dlms::obis::ObisCode;
use thiserror::Error;

/// Objects that one pattern may name.
const CODES_MAX: usize = 1024;

/// A pattern such as `1.0.{1-10,15}.8.{0-4}.255`: all combinations of the groups' numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObisPattern(Vec<ObisCode>);

impl ObisPattern {
    /// The codes, the last group counting fastest.
    pub(crate) fn codes(&self) -> &[ObisCode] {
        &self.0
    }
}

/// The text is not an OBIS pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum PatternError {
    #[error("an OBIS pattern has five or six groups between dots, such as 1.0.{{1-4}}.8.0.255; this one has {0}")]
    Groups(usize),
    #[error("each group of an OBIS pattern is a number from 0 to 255 or a list such as {{1-4,15}}")]
    Group,
    #[error("the pattern names {0} objects; at most {CODES_MAX} are allowed")]
    TooMany(usize),
}

impl FromStr for ObisPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let mut groups: Vec<Vec<u8>> = text.split('.').map(group).collect::<Result<_, _>>()?;
        match groups.len() {
            5 => groups.push(vec![255]),
            6 => {}
            count => return Err(PatternError::Groups(count)),
        }
        let count = groups.iter().map(Vec::len).product();
        if count > CODES_MAX {
            return Err(PatternError::TooMany(count));
        }
        let mut codes = vec![[0; 6]];
        for (position, numbers) in groups.iter().enumerate() {
            codes = codes
                .iter()
                .flat_map(|code| {
                    numbers.iter().map(|number| {
                        let mut code = *code;
                        code[position] = *number;
                        code
                    })
                })
                .collect();
        }
        Ok(Self(codes.into_iter().map(ObisCode).collect()))
    }
}

fn group(text: &str) -> Result<Vec<u8>, PatternError> {
    let number = |text: &str| text.trim().parse::<u8>().map_err(|_| PatternError::Group);
    let Some(list) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
        return number(text).map(|number| vec![number]);
    };
    let mut numbers = Vec::new();
    for item in list.split(',') {
        match item.split_once('-') {
            Some((from, to)) => numbers.extend(number(from)?..=number(to)?),
            None => numbers.push(number(item)?),
        }
    }
    if numbers.is_empty() { Err(PatternError::Group) } else { Ok(numbers) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<String> {
        text.parse::<ObisPattern>().unwrap().codes().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn groups_are_combined_in_order() {
        assert_eq!(codes("1.0.1.8.0"), ["1.0.1.8.0.255"]);
        assert_eq!(
            codes("0.0.{1,3}.{7-8}.0.254"),
            ["0.0.1.7.0.254", "0.0.1.8.0.254", "0.0.3.7.0.254", "0.0.3.8.0.254"]
        );
    }

    #[test]
    fn bad_patterns_say_why() {
        let error = |text: &str| text.parse::<ObisPattern>().unwrap_err();
        assert_eq!(error("1.0.1.8"), PatternError::Groups(4));
        assert_eq!(error("1.0.256.8.0"), PatternError::Group);
        assert_eq!(error("1.0.{}.8.0"), PatternError::Group);
        assert_eq!(error("1.0.{9-1}.8.0"), PatternError::Group);
        assert_eq!(error("1.0.{1-4.8.0"), PatternError::Group);
        assert_eq!(error("1.{0-255}.{0-255}.8.0"), PatternError::TooMany(65_536));
    }
}
