//! Transmit invocation counters: reserved in the store before they are used.

use std::sync::Arc;

use dlms::security::InvocationCounter;

use super::directory::Directory;
use crate::{
    meter::CounterId,
    operation::{CounterBlock, RequestError},
};

/// Counters that must be left before anything is sent: more than one step of a session ever uses.
pub(super) const COUNTERS_LOW: u32 = 16;

/// Where the counters of one key come from.
#[derive(Clone)]
pub(super) struct CounterSource {
    directory: Arc<dyn Directory>,
    id: CounterId,
}

impl CounterSource {
    pub(super) fn new(directory: Arc<dyn Directory>, id: CounterId) -> Self {
        Self { directory, id }
    }

    /// Reserves a further block for `counter` if it runs low.
    ///
    /// Cancel safety: a block whose reservation was interrupted is lost, and never used twice.
    pub(super) async fn top_up(&self, counter: &mut InvocationCounter) -> Result<(), RequestError> {
        if counter.remaining() < COUNTERS_LOW {
            add(counter, self.directory.reserve_counters(self.id).await?);
        }
        Ok(())
    }

    /// Moves the store's counter above `seen`, which the meter holds against us, and reserves a block from there.
    pub(super) async fn raise(&self, seen: u32, counter: &mut InvocationCounter) -> Result<(), RequestError> {
        self.directory.raise_counter(self.id, seen).await?;
        let block = self.directory.reserve_counters(self.id).await?;
        // What was reserved before lies below what the meter accepts.
        counter.advance(block.next);
        counter.extend(block.end);
        Ok(())
    }
}

/// Adds a block. Values between the old end and the block belong to somebody else, so they are skipped first.
fn add(counter: &mut InvocationCounter, block: CounterBlock) {
    if block.next != counter.end() {
        counter.advance(block.next);
    }
    counter.extend(block.end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lesson_01_a_block_that_does_not_follow_skips_what_is_not_ours() {
        let mut counter = InvocationCounter::new(250, 256);
        add(&mut counter, CounterBlock { next: 256, end: 512 });
        assert_eq!((counter.next(), counter.remaining()), (250, 262));
        add(&mut counter, CounterBlock { next: 1_024, end: 1_280 });
        assert_eq!((counter.take(), counter.remaining()), (Ok(1_024), 255));
    }

    #[test]
    fn lesson_01_a_block_below_the_present_one_changes_nothing() {
        let mut counter = InvocationCounter::new(250, 256);
        add(&mut counter, CounterBlock { next: 0, end: 128 });
        assert_eq!((counter.next(), counter.end()), (250, 256));
    }
}
