//! Access rights of a model file: `"2,3:R 4-6:RW m1:X"`.

use std::str::FromStr;

use dlms::security::Protection;
use thiserror::Error;

use crate::access::{AttributeAccess, MethodAccess, Rights};

/// Highest attribute or method number in a model file.
const NUMBER_MAX: u8 = 31;

/// Rights of one client on the attributes and methods of an object.
///
/// Written as items of numbers (`2`, `3-5`, `2,4`, `all`; methods with `m` in front), a colon and letters: `R` read,
/// `W` write, `X` execute, and behind them `a`, `e` or `s` when a request must be authenticated, encrypted or signed;
/// behind a `/` the same for the response: `Rae/ae`. Attribute 1 is readable as soon as anything is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RightsList {
    attributes: Vec<AttributeAccess>,
    methods: Vec<MethodAccess>,
}

impl RightsList {
    pub(crate) fn as_rights(&self) -> Rights<'_> {
        Rights::new(&self.attributes, &self.methods)
    }
}

/// The text is not a list of rights.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum RightsError {
    #[error("`{0}` is not of the form NUMBERS:LETTERS, such as 2,3:R or m1:X")]
    Form(String),
    #[error("`{0}` is not a number from 1 to {NUMBER_MAX}, a range, a list of them, or `all`")]
    Numbers(String),
    #[error("`{0}` is not made of R and W (attributes) or X (methods), with a, e and s behind")]
    Letters(String),
}

impl FromStr for RightsList {
    type Err = RightsError;

    fn from_str(text: &str) -> Result<Self, RightsError> {
        let mut rights = Self::default();
        for item in text.split_whitespace() {
            let (numbers, letters) = item.split_once(':').ok_or_else(|| RightsError::Form(item.to_owned()))?;
            let wrong_letters = || RightsError::Letters(letters.to_owned());
            let (letters_of_request, of_response) = letters.split_once('/').unwrap_or((letters, ""));
            let (access, protection) = split_letters(letters_of_request).ok_or_else(wrong_letters)?;
            let response = demands(of_response).ok_or_else(wrong_letters)?;
            // `m1,m2` and `m1,2` both name methods.
            if let Some(methods) = numbers.strip_prefix('m') {
                if access != "X" {
                    return Err(wrong_letters());
                }
                for number in parse_numbers(&methods.replace('m', ""))? {
                    put(&mut rights.methods, number, MethodAccess::INVOKE.requiring(protection).responding(response));
                }
            } else {
                let access = match access {
                    "R" => AttributeAccess::READ,
                    "W" => AttributeAccess::WRITE,
                    "RW" => AttributeAccess::READ_WRITE,
                    _ => return Err(wrong_letters()),
                };
                for number in parse_numbers(numbers)? {
                    put(&mut rights.attributes, number, access.requiring(protection).responding(response));
                }
            }
        }
        if rights.as_rights().any() {
            put(&mut rights.attributes, 1, AttributeAccess::READ);
        }
        Ok(rights)
    }
}

/// Splits `RWa` into `RW` and what `a` demands.
fn split_letters(letters: &str) -> Option<(&str, Protection)> {
    let end = letters.find(|letter: char| letter.is_ascii_lowercase()).unwrap_or(letters.len());
    let (access, demands) = letters.split_at_checked(end)?;
    Some((access, self::demands(demands)?))
}

/// What `ae` demands.
fn demands(letters: &str) -> Option<Protection> {
    let mut protection = Protection::NONE;
    for demand in letters.chars() {
        match demand {
            'a' => protection.authenticated = true,
            'e' => protection.encrypted = true,
            's' => protection.signed = true,
            _ => return None,
        }
    }
    Some(protection)
}

fn parse_numbers(text: &str) -> Result<Vec<u8>, RightsError> {
    let wrong = || RightsError::Numbers(text.to_owned());
    let number = |text: &str| text.parse().ok().filter(|number| (1..=NUMBER_MAX).contains(number)).ok_or_else(wrong);
    if text == "all" {
        return Ok((2..=NUMBER_MAX).collect());
    }
    let mut numbers = Vec::new();
    for item in text.split(',') {
        match item.split_once('-') {
            Some((from, to)) => numbers.extend(number(from)?..=number(to)?),
            None => numbers.push(number(item)?),
        }
    }
    if numbers.is_empty() { Err(wrong()) } else { Ok(numbers) }
}

fn put<T: Clone + Default>(list: &mut Vec<T>, number: u8, value: T) {
    let index = usize::from(number.saturating_sub(1));
    if list.len() <= index {
        list.resize(index + 1, T::default());
    }
    list[index] = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_letters_become_rights() {
        let list: RightsList = "2,4-5:R 3:RWae m1,m3:X m2:Xa".parse().unwrap();
        let rights = list.as_rights();
        let read: Vec<_> = (1..=7).map(|id| rights.attribute(id).readable()).collect();
        assert_eq!(read, [true, true, true, true, true, false, false]);
        assert!(rights.attribute(3).writable() && !rights.attribute(2).writable());
        assert_eq!(rights.attribute(3).required(), Protection::AUTHENTICATED_ENCRYPTED);
        assert_eq!([1, 2, 3, 4].map(|id| rights.method(id).mode()), [1, 2, 1, 0]);
        let list: RightsList = "2:R/a 3:RWas/aes m1:X/e".parse().unwrap();
        let rights = list.as_rights();
        assert_eq!([2, 3].map(|id| rights.attribute(id).response().bits()), [1, 7]);
        assert_eq!((rights.attribute(3).required().bits(), rights.attribute(2).required().bits()), (5, 0));
        assert_eq!((rights.method(1).response(), rights.method(1).mode()), (Protection::ENCRYPTED, 1));
        assert!("all:R".parse::<RightsList>().unwrap().as_rights().attribute(9).readable());
        assert!(!"".parse::<RightsList>().unwrap().as_rights().any());
    }

    #[test]
    fn bad_rights_say_which_part_is_wrong() {
        let error = |text: &str| text.parse::<RightsList>().unwrap_err();
        assert_eq!(error("2R"), RightsError::Form("2R".to_owned()));
        assert_eq!(error("0:R"), RightsError::Numbers("0".to_owned()));
        assert_eq!(error("5-2:R"), RightsError::Numbers("5-2".to_owned()));
        assert_eq!(error("2-99:R"), RightsError::Numbers("2-99".to_owned()));
        for letters in ["", "X", "Rz", "r"] {
            assert_eq!(error(&format!("2:{letters}")), RightsError::Letters(letters.to_owned()));
        }
        assert_eq!(error("m1:R"), RightsError::Letters("R".to_owned()));
    }
}
