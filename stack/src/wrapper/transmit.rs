//! Wrapped APDUs on their way to the line.

use super::{Header, encode_datagram};
use crate::axdr::Writer;
use crate::link::{LinkError, Storage};

/// Octets that wait to be sent, in storage of the caller's.
#[derive(Debug)]
pub(super) struct TransmitQueue<B> {
    storage: B,
    start: usize,
    end: usize,
}

impl<B: Storage> TransmitQueue<B> {
    pub(super) const fn new(storage: B) -> Self {
        Self { storage, start: 0, end: 0 }
    }

    pub(super) const fn storage_mut(&mut self) -> &mut B {
        &mut self.storage
    }

    pub(super) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Queues one APDU behind what waits already.
    pub(super) fn push(&mut self, header: Header, apdu: &[u8]) -> Result<(), LinkError> {
        let storage = self.storage.as_mut();
        let limit = storage.len().saturating_sub(Header::LENGTH).min(usize::from(u16::MAX));
        if apdu.len() > limit {
            return Err(LinkError::ApduTooLong { length: apdu.len(), limit });
        }
        if self.start > 0 {
            storage.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end.saturating_sub(self.start));
        }
        let mut writer = Writer::new(storage.get_mut(self.end..).unwrap_or_default());
        encode_datagram(header, apdu, &mut writer).map_err(|_| LinkError::Busy)?;
        self.end = self.end.saturating_add(writer.len());
        Ok(())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Moves as much as fits into `out`.
    pub(super) fn poll(&mut self, out: &mut [u8]) -> Option<usize> {
        let waiting = self.storage.as_ref().get(self.start..self.end).unwrap_or_default();
        let count = waiting.len().min(out.len());
        if count == 0 {
            return None;
        }
        out.get_mut(..count)?.copy_from_slice(waiting.get(..count)?);
        self.start = self.start.saturating_add(count);
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { source: 1, destination: 2, length: 0 };

    #[test]
    fn apdus_leave_in_order_in_pieces_of_any_size() {
        let mut queue = TransmitQueue::new([0; 24]);
        queue.push(HEADER, &[1, 2, 3]).unwrap();
        let mut out = [0; 7];
        assert_eq!(queue.poll(&mut out), Some(7));
        assert_eq!(out, [0, 1, 0, 1, 0, 2, 0]);
        queue.push(HEADER, &[4]).unwrap();
        let mut rest = [0; 32];
        assert_eq!(queue.poll(&mut rest), Some(13));
        assert_eq!(rest[..13], [3, 1, 2, 3, 0, 1, 0, 1, 0, 2, 0, 1, 4]);
        assert_eq!(queue.poll(&mut rest), None);
    }

    #[test]
    fn a_full_queue_refuses_and_keeps_what_it_has() {
        let mut queue = TransmitQueue::new([0; 20]);
        assert_eq!(queue.push(HEADER, &[0; 13]), Err(LinkError::ApduTooLong { length: 13, limit: 12 }));
        assert_eq!(queue.push(HEADER, &[7; 5]), Ok(()));
        assert_eq!(queue.push(HEADER, &[0; 5]), Err(LinkError::Busy));
        let mut out = [0; 32];
        assert_eq!(queue.poll(&mut out), Some(13));
        assert_eq!(out[8..13], [7; 5]);
    }
}
