//! What the listeners have seen, as numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use super::refused::{Reason, Refused};

/// What the listeners have seen.
#[derive(Debug, Default)]
pub struct Counts {
    connections: AtomicU64,
    connections_refused: AtomicU64,
    accepted: AtomicU64,
    repeated: AtomicU64,
    unclaimed_dropped: AtomicU64,
    read: AtomicU64,
    unread: AtomicU64,
    refused: [AtomicU64; Reason::ALL.len()],
}

/// Counters of a moment, for metrics and tests.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// Connections that were taken.
    pub connections: u64,
    /// Connections that were closed at once, because there are too many.
    pub connections_refused: u64,
    /// Pushes that were verified and kept.
    pub accepted: u64,
    /// Pushes that were kept before and confirmed again.
    pub repeated: u64,
    /// Sightings of unknown devices that found no room.
    pub unclaimed_dropped: u64,
    /// Pushes that readings or events were made of.
    pub read: u64,
    /// Pushes whose values nobody can name; they are kept as they came.
    pub unread: u64,
    /// What was refused, by reason.
    pub refused: Vec<(&'static str, u64)>,
}

impl Seen {
    /// How often something was refused for `reason`.
    #[must_use]
    pub fn refused(&self, reason: &str) -> u64 {
        self.refused.iter().find(|(name, _)| *name == reason).map_or(0, |(_, count)| *count)
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Counts {
    pub(super) fn connection(&self) {
        add(&self.connections);
    }

    pub(super) fn connection_refused(&self) {
        add(&self.connections_refused);
    }

    pub(super) fn accepted(&self) {
        add(&self.accepted);
    }

    pub(super) fn repeated(&self) {
        add(&self.repeated);
    }

    pub(super) fn unclaimed_dropped(&self) {
        add(&self.unclaimed_dropped);
    }

    pub(super) fn read(&self, understood: bool) {
        add(if understood { &self.read } else { &self.unread });
    }

    pub(super) fn refused(&self, refused: &Refused) {
        if let Some(counter) = self.refused.get(refused.kind() as usize) {
            add(counter);
        }
    }

    /// The counters now.
    #[must_use]
    pub fn seen(&self) -> Seen {
        Seen {
            connections: get(&self.connections),
            connections_refused: get(&self.connections_refused),
            accepted: get(&self.accepted),
            repeated: get(&self.repeated),
            unclaimed_dropped: get(&self.unclaimed_dropped),
            read: get(&self.read),
            unread: get(&self.unread),
            refused: Reason::ALL.iter().zip(&self.refused).map(|((_, name), count)| (*name, get(count))).collect(),
        }
    }
}
