//! Telegrams: what stands between a slash and an exclamation mark.

use core::iter::FusedIterator;

use thiserror::Error;

use super::object::is_bracketed;
use super::{Object, Timestamp, crc16};
use crate::obis::ObisCode;

/// What a receiver demands of the check sum. DSMR 2.2 and 3.0, and optical ports, send none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrcRule {
    /// Four digits that are right, as of DSMR 4: no change of an octet goes unseen.
    Required,
    /// Four digits that are right, or none at all.
    IfPresent,
    /// As [`IfPresent`](Self::IfPresent), with leading zeros left out, as one gateway for heat does.
    Unpadded,
    /// Not looked at: an authentication tag has proven the text already, or the line is trusted.
    Ignored,
}

/// Why octets are not a telegram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TelegramError {
    /// There is no slash in front of the text.
    #[error("no slash before the text")]
    NoStart,
    /// There is no exclamation mark: the telegram is cut off.
    #[error("no exclamation mark")]
    NoEnd,
    /// The text is not characters.
    #[error("octet {offset} of the text is no character")]
    NotText {
        /// Place in the octets given.
        offset: usize,
    },
    /// The check sum that is required is not there.
    #[error("no check sum")]
    NoCrc,
    /// What follows the exclamation mark is not four hexadecimal digits and the end of the line.
    #[error("the check sum is not of four hexadecimal digits")]
    CrcDigits,
    /// The check sum is wrong.
    #[error("check sum printed {printed:04X}, computed {computed:04X}")]
    Crc {
        /// As printed.
        printed: u16,
        /// Over the octets.
        computed: u16,
    },
}

/// A telegram, borrowed from the octets that were received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telegram<'a> {
    identification: &'a str,
    lines: &'a str,
    crc: Option<u16>,
}

impl<'a> Telegram<'a> {
    /// Checks a telegram and takes it apart. Octets in front of the slash and behind the check sum are passed over.
    ///
    /// # Errors
    /// [`TelegramError`].
    pub fn parse(octets: &'a [u8], rule: CrcRule) -> Result<Self, TelegramError> {
        let end = octets.iter().position(|octet| *octet == b'!').ok_or(TelegramError::NoEnd)?;
        let (before, behind) = octets.split_at_checked(end.saturating_add(1)).ok_or(TelegramError::NoEnd)?;
        let start = before.iter().position(|octet| *octet == b'/').ok_or(TelegramError::NoStart)?;
        let whole = before.get(start..).unwrap_or_default();
        let crc = check(whole, behind, rule)?;
        let text = core::str::from_utf8(whole)
            .map_err(|error| TelegramError::NotText { offset: start.saturating_add(error.valid_up_to()) })?;
        let text = text.strip_prefix('/').and_then(|text| text.strip_suffix('!')).unwrap_or(text);
        let (identification, lines) = text.split_once(['\r', '\n']).unwrap_or((text, ""));
        Ok(Self { identification: identification.trim_end(), lines, crc })
    }

    /// Manufacturer (three letters), a digit for the baud rate, and what the manufacturer added.
    #[must_use]
    pub const fn identification(&self) -> &'a str {
        self.identification
    }

    /// The check sum, where one was looked at: it is right then.
    #[must_use]
    pub const fn crc(&self) -> Option<u16> {
        self.crc
    }

    /// All lines that are not empty.
    #[must_use]
    pub const fn lines(&self) -> Lines<'a> {
        Lines { rest: self.lines }
    }

    /// The lines that are data lines.
    pub fn objects(&self) -> impl FusedIterator<Item = Object<'a>> + use<'a> {
        self.lines().filter_map(|line| match line {
            Line::Object(object) => Some(object),
            Line::Other(_) => None,
        })
    }

    /// The object `code`; the last one, where a meter repeats it.
    #[must_use]
    pub fn object(&self, code: ObisCode) -> Option<Object<'a>> {
        self.objects().filter(|object| object.code() == code).last()
    }

    /// Version of the telegram's layout: `42` and `50` for DSMR 4.2 and 5.0, `50217` for e-MUCS 1.7 on DSMR 5.0. DSMR
    /// 2.2 and 3.0 print none, nor do Sweden, Hungary and Ireland.
    #[must_use]
    pub fn version(&self) -> Option<&'a str> {
        const DSMR: ObisCode = ObisCode::new(1, 3, 0, 2, 8, 255);
        const EMUCS: ObisCode = ObisCode::new(0, 0, 96, 1, 4, 255);
        let object = self.objects().find(|object| matches!(object.code(), DSMR | EMUCS))?;
        Some(object.field(0)?.text())
    }

    /// When the telegram was made, where it says.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        self.object(ObisCode::CLOCK)?.time()
    }
}

/// Checks what stands `behind` the exclamation mark that ends `whole`.
fn check(whole: &[u8], behind: &[u8], rule: CrcRule) -> Result<Option<u16>, TelegramError> {
    if rule == CrcRule::Ignored {
        return Ok(None);
    }
    let length = behind.iter().position(|octet| matches!(octet, b'\r' | b'\n' | 0)).unwrap_or(behind.len());
    let digits = behind.get(..length).unwrap_or_default().trim_ascii();
    match (digits.len(), rule) {
        (0, CrcRule::Required) => return Err(TelegramError::NoCrc),
        (0, _) => return Ok(None),
        (4, _) | (1..=3, CrcRule::Unpadded) => {}
        _ => return Err(TelegramError::CrcDigits),
    }
    let printed = digits.iter().try_fold(0_u16, |crc, digit| {
        let digit = char::from(*digit).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
        digit.map(|digit| crc << 4 | digit).ok_or(TelegramError::CrcDigits)
    })?;
    let computed = crc16(whole);
    if printed == computed { Ok(Some(printed)) } else { Err(TelegramError::Crc { printed, computed }) }
}

/// A line of a telegram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A data line.
    Object(Object<'a>),
    /// A line without code or without values in brackets, for instance one that was damaged.
    Other(&'a str),
}

/// Iterator over the lines of a [`Telegram`].
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    rest: &'a str,
}

impl<'a> Lines<'a> {
    /// Splits the next line that is not empty off `text`.
    fn split(text: &'a str) -> Option<(&'a str, &'a str)> {
        let text = text.trim_ascii_start();
        if text.is_empty() {
            return None;
        }
        let (line, rest) = text.split_once(['\r', '\n']).unwrap_or((text, ""));
        Some((line.trim_ascii_end(), rest))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let start = self.rest.trim_ascii_start();
        let (line, mut rest) = Self::split(start)?;
        let Some(mut object) = Object::new(line) else {
            self.rest = rest;
            return Some(Line::Other(line));
        };
        // Lines of values alone go on with the object before them.
        let mut end = None;
        while let Some((line, after)) = Self::split(rest) {
            if !line.starts_with('(') || !is_bracketed(line) {
                break;
            }
            end = Some(start.len().saturating_sub(after.len()));
            rest = after;
        }
        if let Some(longer) = end.and_then(|end| Object::new(start.get(..end)?)) {
            object = longer;
        }
        self.rest = rest;
        Some(Line::Object(object))
    }
}

impl FusedIterator for Lines<'_> {}
