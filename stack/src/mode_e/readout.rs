//! The data block of a readout as text.

use core::ops::Range;

use super::{ETX, Parity, STX};
use crate::link::Storage;

/// One data set of a readout: `address(value*unit)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataSet<'a> {
    /// What it is, such as `1.8.0`; empty where a line continues the address before.
    pub address: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// The unit; empty when there is none.
    pub unit: &'a [u8],
}

/// The data sets of a readout, in order. What is not of the form is passed over.
pub fn data_sets(readout: &[u8]) -> impl Iterator<Item = DataSet<'_>> {
    let mut rest = readout;
    core::iter::from_fn(move || {
        loop {
            let open = rest.iter().position(|octet| *octet == b'(')?;
            let (before, after) = rest.split_at_checked(open)?;
            let inside = after.get(1..)?;
            let close = inside.iter().position(|octet| matches!(octet, b')' | b'\n'))?;
            let (content, behind) = inside.split_at_checked(close)?;
            rest = behind.get(1..).unwrap_or_default();
            if behind.first() != Some(&b')') {
                continue;
            }
            let start =
                before.iter().rposition(|octet| matches!(octet, b'\r' | b'\n')).map_or(0, |at| at.saturating_add(1));
            let address = before.get(start..).unwrap_or_default();
            let star = content.iter().position(|octet| *octet == b'*').unwrap_or(content.len());
            return Some(DataSet {
                address,
                value: content.get(..star).unwrap_or_default(),
                unit: content.get(star.saturating_add(1)..).unwrap_or_default(),
            });
        }
    })
}

/// What an octet did to a data block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    /// Complete, its check character right.
    Complete,
    /// Complete, but damaged.
    Damaged,
    /// Longer than the storage.
    TooLong,
}

/// A data block that is arriving: STX, text, ETX, check character.
#[derive(Debug)]
pub(super) struct Block<B> {
    storage: B,
    length: usize,
    check: u8,
    damaged: bool,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Before,
    Inside,
    Check,
    End,
}

impl<B: Storage> Block<B> {
    pub(super) const fn new(storage: B) -> Self {
        Self { storage, length: 0, check: 0, damaged: false, place: Place::Before }
    }

    pub(super) fn clear(&mut self) {
        (self.length, self.check, self.damaged, self.place) = (0, 0, false, Place::Before);
    }

    pub(super) const fn len(&self) -> usize {
        self.length
    }

    pub(super) fn limit(&self) -> usize {
        self.storage.as_ref().len()
    }

    /// The text of a complete block.
    pub(super) fn text(&self) -> &[u8] {
        let whole: Range<usize> = if self.place == Place::End { 0..self.length } else { 0..0 };
        self.storage.as_ref().get(whole).unwrap_or_default()
    }

    pub(super) fn push(&mut self, octet: u8, parity: Parity) -> Progress {
        let character = parity.receive(octet);
        self.damaged |= character.is_none() && self.place != Place::Before;
        let character = character.unwrap_or(octet & 0x7F);
        match (self.place, character) {
            (Place::Before, STX) => self.place = Place::Inside,
            (Place::Before | Place::End, _) => {}
            (Place::Inside, _) => {
                self.check ^= character;
                if character == ETX {
                    self.place = Place::Check;
                } else if let Some(place) = self.storage.as_mut().get_mut(self.length) {
                    *place = character;
                    self.length = self.length.saturating_add(1);
                } else {
                    return Progress::TooLong;
                }
            }
            (Place::Check, _) => {
                self.place = Place::End;
                let right = self.check == character && !self.damaged;
                return if right { Progress::Complete } else { Progress::Damaged };
            }
        }
        Progress::More
    }
}

/// The check character of a data block whose text is `text`: all from behind STX to ETX, combined by exclusive or.
pub(super) fn check_character(text: &[u8]) -> u8 {
    text.iter().fold(ETX, |check, octet| check ^ octet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn data_sets_of_a_readout() {
        let text = b"F.F(00)\r\n0.0.0(  12345678)\r\n1.8.0(000123.456*kWh)\r\nP.01(1203040010)(00)(0.5*kW)\r\nbroken(1\r\n!\r\n";
        let found: Vec<_> = data_sets(text).map(|set| (set.address, set.value, set.unit)).collect();
        let expected: [(&[u8], &[u8], &[u8]); 6] = [
            (b"F.F", b"00", b""),
            (b"0.0.0", b"  12345678", b""),
            (b"1.8.0", b"000123.456", b"kWh"),
            (b"P.01", b"1203040010", b""),
            (b"", b"00", b""),
            (b"", b"0.5", b"kW"),
        ];
        assert_eq!(found, expected);
        for length in 0..text.len() {
            assert!(data_sets(&text[..length]).count() <= 6);
        }
    }
}
