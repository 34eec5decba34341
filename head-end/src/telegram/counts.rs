//! What became of telegrams, as numbers.

use super::{Refused, Taken, refused::REASONS};
use crate::measure::Counter;

/// What became of telegrams.
#[derive(Debug, Default)]
pub struct Counts {
    stored: Counter,
    unchanged: Counter,
    refused: [Counter; REASONS.len()],
    connections: Counter,
    connections_refused: Counter,
    unclaimed_dropped: Counter,
}

impl Counts {
    pub(super) fn ended(&self, result: &Result<Taken, Refused>) {
        let counter = match result {
            Ok(taken) if taken.stored => Some(&self.stored),
            Ok(_) => Some(&self.unchanged),
            Err(refused) => {
                let place = REASONS.iter().position(|reason| *reason == refused.reason());
                place.and_then(|place| self.refused.get(place))
            }
        };
        counter.map(Counter::inc);
    }

    pub(super) fn connected(&self, taken: bool) {
        if taken { self.connections.inc() } else { self.connections_refused.inc() }
    }

    pub(super) fn unclaimed_dropped(&self) {
        self.unclaimed_dropped.inc();
    }

    /// Telegrams that were taken, by outcome.
    #[must_use]
    pub fn taken(&self) -> [(&'static str, u64); 2] {
        [("stored", self.stored.get()), ("unchanged", self.unchanged.get())]
    }

    /// Telegrams that were refused, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS.into_iter().zip(self.refused.iter().map(Counter::get))
    }

    /// Connections to listening ports, by outcome.
    #[must_use]
    pub fn connections(&self) -> [(&'static str, u64); 2] {
        [("taken", self.connections.get()), ("refused", self.connections_refused.get())]
    }

    /// Sightings of unknown devices that found no room.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.unclaimed_dropped.get()
    }
}
