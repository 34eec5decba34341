//! Lines of characters out of octets.

use super::Parity;

/// Longest line that is kept; the standard's longest has 37 characters.
pub(super) const LENGTH_MAX: usize = 64;

/// A line that is arriving, without its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    characters: [u8; LENGTH_MAX],
    length: usize,
    /// Longer than is kept, or with wrong parity: it will not be given out.
    spoilt: bool,
}

impl Line {
    pub(super) const fn new() -> Self {
        Self { characters: [0; LENGTH_MAX], length: 0, spoilt: false }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Whether nothing has arrived.
    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0 && !self.spoilt
    }

    pub(super) fn characters(&self) -> &[u8] {
        self.characters.get(..self.length).unwrap_or_default()
    }

    /// Takes an octet; returns whether a line is complete, which stays until [`clear`](Self::clear). A line begins with
    /// one of `starts`, anywhere: what is in front of it is noise.
    pub(super) fn push(&mut self, octet: u8, parity: Parity, starts: &[u8]) -> bool {
        let Some(character) = parity.receive(octet) else {
            self.spoilt |= self.length > 0;
            return false;
        };
        if starts.contains(&character) {
            self.clear();
        } else if self.length == 0 {
            return false;
        }
        match character {
            b'\r' => false,
            b'\n' if self.spoilt => {
                self.clear();
                false
            }
            b'\n' => true,
            _ => {
                match self.characters.get_mut(self.length) {
                    Some(place) => *place = character,
                    None => self.spoilt = true,
                }
                self.length = self.length.saturating_add(1).min(LENGTH_MAX);
                false
            }
        }
    }
}
