//! Memory that a session has only while it needs it.

use zeroize::Zeroizing;

/// What stands in the place of memory that was given back: the octets of the longest room.
static NOTHING: [u8; ROOM_MAX] = [0; ROOM_MAX];
/// Octets of the longest room: an APDU of any length, and what is before and behind it.
pub(super) const ROOM_MAX: usize = 68 * 1024;

/// Storage of a fixed length that takes memory when it is written to for the first time, until it is given back.
/// Passwords and keys go through it on their way to the line, so it is wiped.
pub(super) struct Room {
    length: usize,
    octets: Zeroizing<Vec<u8>>,
}

impl Room {
    /// Room for so many octets, [`ROOM_MAX`] at most.
    pub(super) fn new(length: usize) -> Self {
        Self { length: length.min(ROOM_MAX), octets: Zeroizing::default() }
    }

    /// Gives the memory back; what was in it is lost.
    pub(super) fn give_back(&mut self) {
        self.octets = Zeroizing::default();
    }
}

impl AsRef<[u8]> for Room {
    fn as_ref(&self) -> &[u8] {
        if self.octets.is_empty() { NOTHING.get(..self.length).unwrap_or_default() } else { &self.octets }
    }
}

impl AsMut<[u8]> for Room {
    fn as_mut(&mut self) -> &mut [u8] {
        if self.octets.is_empty() {
            *self.octets = vec![0; self.length];
        }
        &mut self.octets
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("length", &self.length).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_its_length_with_and_without_memory() {
        let mut room = Room::new(100);
        assert_eq!((room.as_ref(), room.octets.capacity()), (&[0; 100][..], 0));
        room.as_mut()[99] = 7;
        assert_eq!((room.as_ref().len(), room.as_ref()[99]), (100, 7));
        room.give_back();
        assert_eq!((room.as_ref(), room.octets.capacity()), (&[0; 100][..], 0));
        assert_eq!(room.as_mut(), [0; 100]);
    }
}
