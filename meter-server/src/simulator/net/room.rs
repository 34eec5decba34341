//! Buffers that take memory when they are first written to.

/// Octets of the largest buffer: a wrapped APDU with ciphering around it.
const ROOM_MAX: usize = 0x1_1000;

/// What a buffer contains that nothing was written to.
static NOTHING: [u8; ROOM_MAX] = [0; ROOM_MAX];

/// A buffer of zeros. Most connections of a large fleet never need most of theirs.
#[derive(Debug)]
pub(in crate::simulator) struct Room {
    size: usize,
    /// Empty until something is written.
    octets: Box<[u8]>,
}

impl Room {
    /// Room for `size` octets, at most [`ROOM_MAX`].
    pub(super) fn new(size: usize) -> Self {
        Self { size: size.min(ROOM_MAX), octets: Box::default() }
    }
}

impl AsRef<[u8]> for Room {
    fn as_ref(&self) -> &[u8] {
        if self.octets.is_empty() { NOTHING.get(..self.size).unwrap_or_default() } else { &self.octets }
    }
}

impl AsMut<[u8]> for Room {
    fn as_mut(&mut self) -> &mut [u8] {
        if self.octets.is_empty() {
            self.octets = vec![0; self.size].into();
        }
        &mut self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_reads_as_zeros_and_keeps_what_is_written() {
        let mut room = Room::new(300);
        assert_eq!(room.as_ref(), [0; 300]);
        assert!(room.octets.is_empty());
        room.as_mut()[299] = 7;
        assert_eq!((room.as_ref().len(), room.as_ref()[299]), (300, 7));
        assert_eq!(Room::new(usize::MAX).as_ref().len(), ROOM_MAX);
    }
}
