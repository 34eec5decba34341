//! Requests that arrive in blocks: SET and ACTION parameters longer than one APDU.

use crate::axdr::{Data, DecodeError, Reader};
use crate::link::Storage;
use crate::security::Protection;

/// A request whose value arrives block by block.
///
/// The association's storage holds the first APDU, which names the attributes or methods, and behind it
/// the raw data of all blocks so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct LongRequest {
    /// Octets of the first APDU.
    head: usize,
    /// Octets of raw data behind it.
    raw: usize,
    /// Number of the block that is expected next.
    expected: u32,
    /// How the first block was protected; all others must be as it was, as the last one's rights execute the whole.
    request: Protection,
}

/// Why a block was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockRefused {
    /// Not the block that comes next.
    WrongNumber,
    /// The value is longer than the storage.
    TooLong,
    /// Not protected as the first one was: somebody else's.
    Foreign,
}

impl LongRequest {
    /// Keeps the first APDU and its block.
    pub(super) fn start<B: Storage>(
        storage: &mut B,
        apdu: &[u8],
        number: u32,
        raw: &[u8],
        request: Protection,
    ) -> Result<Self, BlockRefused> {
        if number > 1 {
            return Err(BlockRefused::WrongNumber);
        }
        let room = storage.as_mut().get_mut(..apdu.len()).ok_or(BlockRefused::TooLong)?;
        room.copy_from_slice(apdu);
        // Some clients count from 0 (spec: edge cases); from then on strictly one by one.
        let mut long = Self { head: apdu.len(), raw: 0, expected: number, request };
        long.append(storage, number, raw, request)?;
        Ok(long)
    }

    /// Keeps one more block.
    pub(super) fn append<B: Storage>(
        &mut self,
        storage: &mut B,
        number: u32,
        raw: &[u8],
        request: Protection,
    ) -> Result<(), BlockRefused> {
        if request != self.request {
            return Err(BlockRefused::Foreign);
        }
        if number != self.expected {
            return Err(BlockRefused::WrongNumber);
        }
        let start = self.head.saturating_add(self.raw);
        let end = start.saturating_add(raw.len());
        let room = storage.as_mut().get_mut(start..end).ok_or(BlockRefused::TooLong)?;
        room.copy_from_slice(raw);
        self.raw = self.raw.saturating_add(raw.len());
        self.expected = self.expected.saturating_add(1);
        Ok(())
    }

    /// The first APDU and all raw data as one.
    pub(super) fn whole<'s, B: Storage>(&self, storage: &'s B) -> &'s [u8] {
        storage.as_ref().get(..self.head.saturating_add(self.raw)).unwrap_or_default()
    }

    /// The first APDU and all raw data.
    pub(super) fn parts<'s, B: Storage>(&self, storage: &'s B) -> (&'s [u8], &'s [u8]) {
        let kept = storage.as_ref();
        let head = kept.get(..self.head).unwrap_or_default();
        let raw = kept.get(self.head..self.head.saturating_add(self.raw)).unwrap_or_default();
        (head, raw)
    }
}

/// The values of a list that came in blocks, up to the first that cannot be decoded: nobody knows where the one behind
/// it begins. None at all when octets follow the last: then the list is not what its sender meant.
pub(super) fn values(raw: &[u8]) -> impl Iterator<Item = Result<Data<'_>, DecodeError>> {
    let mut values = Reader::new(raw);
    let count = values.length("values").unwrap_or(0);
    let mut ahead = values;
    let is_whole = (0..count).all(|_| Data::decode(&mut ahead).is_ok());
    let count = if is_whole && !ahead.is_empty() { 0 } else { count };
    (0..count).map_while(move |_| Data::decode(&mut values).ok()).fuse().map(Ok)
}
