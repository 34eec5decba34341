//! Joining general-block-transfer blocks of a notification or a recorded exchange.

use dlms::apdu::GeneralBlockTransfer;
use serde_json::{Value, json};

use crate::complaint::Complaint;
use crate::record::Layer;

/// What a block did to the transfer it belongs to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// More blocks are needed.
    More,
    /// The APDU is complete.
    Complete(Vec<u8>),
    /// The block belongs to a transfer whose beginning is not there.
    Unknown,
}

/// One direction's transfer.
#[derive(Debug, Default)]
pub struct Joiner {
    gathered: Vec<u8>,
    next: u16,
}

impl Joiner {
    /// Takes a block. Returns also whether a transfer was abandoned: a block 1 while another was under way.
    pub fn push(&mut self, block: &GeneralBlockTransfer<'_>) -> Result<(Step, bool), Complaint> {
        let under_way = self.next > 1;
        let abandoned = under_way && block.number == 1;
        if block.number == 1 {
            self.gathered.clear();
        } else if !under_way {
            return Ok((Step::Unknown, false));
        } else if block.number != self.next {
            let message = format!("transfer block {} instead of {}", block.number, self.next);
            return Err(Complaint::new(Layer::Transfer, message));
        }
        self.gathered.extend_from_slice(block.data);
        if block.control.is_last() {
            self.next = 0;
            Ok((Step::Complete(std::mem::take(&mut self.gathered)), abandoned))
        } else {
            self.next = block.number.wrapping_add(1);
            Ok((Step::More, abandoned))
        }
    }

    /// Whether blocks are still missing.
    pub const fn is_under_way(&self) -> bool {
        self.next > 1
    }
}

/// The flags of a block as corpus records write them.
pub fn flags(block: &GeneralBlockTransfer<'_>) -> Value {
    json!({
        "last": block.control.is_last(),
        "streaming": block.control.is_streaming(),
        "window": block.control.window(),
        "block": block.number,
        "block-ack": block.acknowledged,
    })
}

#[cfg(test)]
mod tests {
    use dlms::apdu::BlockControl;

    use super::*;

    fn push(joiner: &mut Joiner, number: u16, last: bool) -> Result<(Step, bool), Complaint> {
        let data = [u8::try_from(number).unwrap()];
        let control = BlockControl::new(last, true, 0);
        joiner.push(&GeneralBlockTransfer { control, number, acknowledged: 0, data: &data })
    }

    #[test]
    fn blocks_join_in_order_and_restart_at_one() {
        let mut joiner = Joiner::default();
        assert_eq!(push(&mut joiner, 1, false), Ok((Step::More, false)));
        assert_eq!(push(&mut joiner, 2, false), Ok((Step::More, false)));
        assert_eq!(push(&mut joiner, 1, false), Ok((Step::More, true)));
        assert_eq!(push(&mut joiner, 2, true), Ok((Step::Complete(vec![1, 2]), false)));
        assert!(!joiner.is_under_way());
    }

    #[test]
    fn a_repeated_or_skipped_block_is_refused() {
        let mut joiner = Joiner::default();
        push(&mut joiner, 1, false).unwrap();
        assert_eq!(push(&mut joiner, 3, true).unwrap_err().layer, Layer::Transfer);
        assert_eq!(push(&mut joiner, 1, true).unwrap().0, Step::Complete(vec![1]));
        assert_eq!(push(&mut joiner, 4, true), Ok((Step::Unknown, false)));
    }
}
