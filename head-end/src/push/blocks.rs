//! Notifications that arrive in general blocks.

use dlms::apdu::GeneralBlockTransfer;

use super::Refused;

/// Tag of general-block-transfer.
const TAG: u8 = 0xE0;

/// Joins the blocks of a notification, which nobody acknowledges: they come in order or they are lost.
#[derive(Debug)]
pub(super) struct Blocks {
    gathered: Vec<u8>,
    next: u16,
    limit: usize,
}

impl Blocks {
    /// For APDUs of `limit` octets at most.
    pub(super) const fn new(limit: usize) -> Self {
        Self { gathered: Vec::new(), next: 1, limit }
    }

    /// Whether a transfer is under way.
    pub(super) const fn is_under_way(&self) -> bool {
        self.next > 1
    }

    /// Takes what arrived: a whole APDU is passed on, the last block gives the APDU that it completes.
    pub(super) fn push(&mut self, apdu: Vec<u8>) -> Result<Option<Vec<u8>>, Refused> {
        if apdu.first() != Some(&TAG) {
            return Ok(Some(apdu));
        }
        let block = GeneralBlockTransfer::decode(&apdu).map_err(|_| Refused::Malformed("a general block"))?;
        if block.number == 1 {
            self.reset();
        }
        if block.number != self.next {
            self.reset();
            return Err(Refused::Blocks);
        }
        if self.gathered.len().saturating_add(block.data.len()) > self.limit {
            self.reset();
            return Err(Refused::TooLong { limit: self.limit });
        }
        self.gathered.extend_from_slice(block.data);
        // Numbers go on with 0 behind 65535; the limit of octets ends such a transfer before that.
        self.next = self.next.wrapping_add(1);
        if !block.control.is_last() {
            return Ok(None);
        }
        self.next = 1;
        let whole = std::mem::take(&mut self.gathered);
        // Blocks inside blocks would never end.
        if whole.first() == Some(&TAG) { Err(Refused::Malformed("a general block")) } else { Ok(Some(whole)) }
    }

    fn reset(&mut self) {
        self.gathered = Vec::new();
        self.next = 1;
    }
}

#[cfg(test)]
mod tests {
    use dlms::{apdu::BlockControl, axdr::Writer};

    use super::*;

    fn block(number: u16, last: bool, data: &[u8]) -> Vec<u8> {
        let block = GeneralBlockTransfer { control: BlockControl::new(last, true, 0), number, acknowledged: 0, data };
        let mut room = [0; 256];
        let mut writer = Writer::new(&mut room);
        block.encode(&mut writer).unwrap();
        writer.written().to_vec()
    }

    #[test]
    fn blocks_join_in_order_and_begin_again_with_the_first() {
        let mut blocks = Blocks::new(16);
        assert_eq!(blocks.push(vec![0x0F, 1]).unwrap(), Some(vec![0x0F, 1]));
        assert_eq!(blocks.push(block(1, false, &[9; 4])).unwrap(), None);
        assert!(blocks.is_under_way());
        assert_eq!(blocks.push(block(1, false, &[0x0F, 2])).unwrap(), None);
        assert_eq!(blocks.push(block(2, true, &[3])).unwrap(), Some(vec![0x0F, 2, 3]));
        assert!(!blocks.is_under_way());
    }

    #[test]
    fn a_missing_block_and_too_many_octets_end_a_transfer() {
        let mut blocks = Blocks::new(16);
        blocks.push(block(1, false, &[1])).unwrap();
        assert!(matches!(blocks.push(block(3, true, &[1])), Err(Refused::Blocks)));
        assert!(matches!(blocks.push(block(2, true, &[1])), Err(Refused::Blocks)));
        blocks.push(block(1, false, &[1; 10])).unwrap();
        assert!(matches!(blocks.push(block(2, false, &[1; 10])), Err(Refused::TooLong { limit: 16 })));
        assert!(blocks.gathered.capacity() == 0 && !blocks.is_under_way());
        assert!(matches!(blocks.push(block(1, true, &block(1, true, &[1]))), Err(Refused::Malformed(_))));
        assert!(matches!(blocks.push(vec![TAG, 0x80]), Err(Refused::Malformed(_))));
    }
}
