//! Data lines: an OBIS code and values in brackets.

use core::iter::FusedIterator;

use super::{Quantity, Timestamp, Value};
use crate::obis::ObisCode;

/// A data line. In DSMR 2.2 and 3.0 the reading of a gas meter goes on on the next line, which belongs to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object<'a> {
    code: ObisCode,
    printed: &'a str,
    /// Values in their brackets, with line ends in between where there are several lines.
    values: &'a str,
}

impl<'a> Object<'a> {
    /// Takes a line, or several that belong together; `None` when it is no code with values in brackets behind it.
    pub(super) fn new(lines: &'a str) -> Option<Self> {
        let (printed, values) = lines.split_at_checked(lines.find('(')?)?;
        is_bracketed(values).then_some(())?;
        let printed = printed.trim();
        Some(Self { code: printed.parse().ok()?, printed, values })
    }

    /// The OBIS code.
    #[must_use]
    pub const fn code(&self) -> ObisCode {
        self.code
    }

    /// The OBIS code as printed, mostly without value group F.
    #[must_use]
    pub const fn printed_code(&self) -> &'a str {
        self.printed
    }

    /// The values in order.
    #[must_use]
    pub const fn fields(&self) -> Fields<'a> {
        Fields { code: self.code, index: 0, rest: self.values }
    }

    /// The value number `index`, counted from 0.
    #[must_use]
    pub fn field(&self, index: usize) -> Option<Field<'a>> {
        self.fields().nth(index)
    }

    /// The first value that is a number. Where a time stands in front of it, see [`time`](Self::time).
    #[must_use]
    pub fn quantity(&self) -> Option<Quantity> {
        self.fields().find_map(|field| field.quantity())
    }

    /// The first value, when it is a time.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        self.field(0)?.time()
    }
}

/// One value of a data line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    code: ObisCode,
    index: usize,
    text: &'a str,
}

impl<'a> Field<'a> {
    /// What is printed between the brackets.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// The value, typed.
    #[must_use]
    pub fn value(&self) -> Value<'a> {
        Value::new(self.code, self.index, self.text)
    }

    /// The value, if it is a number.
    #[must_use]
    pub fn quantity(&self) -> Option<Quantity> {
        match self.value() {
            Value::Number(quantity) => Some(quantity),
            _ => None,
        }
    }

    /// The value, if it is a time.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        match self.value() {
            Value::Time(time) => Some(time),
            _ => None,
        }
    }
}

/// Iterator over the values of an [`Object`].
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    code: ObisCode,
    index: usize,
    rest: &'a str,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let (text, rest) = self.rest.split_once('(')?.1.split_once(')')?;
        let field = Field { code: self.code, index: self.index, text };
        self.rest = rest;
        self.index = self.index.saturating_add(1);
        Some(field)
    }
}

impl FusedIterator for Fields<'_> {}

/// Whether there is nothing but values in brackets, with white space around them at most.
pub(super) fn is_bracketed(text: &str) -> bool {
    let mut open = false;
    let mut any = false;
    for octet in text.bytes() {
        match (octet, open) {
            (b'(', false) => open = true,
            (b'(', true) | (b')', false) => return false,
            (b')', true) => (open, any) = (false, true),
            (_, true) => {}
            (octet, false) if octet.is_ascii_whitespace() => {}
            (_, false) => return false,
        }
    }
    any && !open
}
