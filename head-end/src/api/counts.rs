//! What the API was asked, as numbers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use dashmap::DashMap;
use tonic::Code;

use crate::{
    access::{METHODS, Method},
    measure::Counter,
};

/// Codes of gRPC, in the order of their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What the API was asked, and who follows readings.
#[derive(Debug)]
pub struct ApiCounts {
    /// Calls of each method of the table, by code.
    calls: Vec<[Counter; CODES.len()]>,
    /// Places of subscribers in the order of changes.
    followers: DashMap<u64, Arc<AtomicU64>>,
    next: AtomicU64,
}

impl Default for ApiCounts {
    fn default() -> Self {
        let calls = METHODS.iter().map(|_| std::array::from_fn(|_| Counter::default())).collect();
        Self { calls, followers: DashMap::new(), next: AtomicU64::new(0) }
    }
}

impl ApiCounts {
    /// A call was answered, a stream begun.
    pub(super) fn answered(&self, method: &Method, code: Code) {
        let row = METHODS.iter().position(|other| other.path == method.path).and_then(|row| self.calls.get(row));
        if let Some(counter) = row.and_then(|row| row.get(code as usize)) {
            counter.inc();
        }
    }

    /// Somebody follows readings from `position` on.
    pub(super) fn follow(self: &Arc<Self>, position: u64) -> Follower {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let position = Arc::new(AtomicU64::new(position));
        self.followers.insert(id, Arc::clone(&position));
        Follower { counts: Arc::clone(self), id, position }
    }

    /// Calls that were made, by method and code: those that were not answered so are left out.
    pub fn calls(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        METHODS.iter().zip(&self.calls).flat_map(|(method, row)| {
            let counted = CODES.into_iter().zip(row).map(|(code, count)| (method.path, code, count.get()));
            counted.filter(|(_, code, count)| *count > 0 || *code == "OK")
        })
    }

    /// How many follow readings, and the place of the last of them.
    #[must_use]
    pub fn followers(&self) -> (usize, Option<u64>) {
        let last = self.followers.iter().map(|position| position.load(Ordering::Relaxed)).min();
        (self.followers.len(), last)
    }
}

/// One who follows readings; dropped, it is forgotten.
#[derive(Debug)]
pub(super) struct Follower {
    counts: Arc<ApiCounts>,
    id: u64,
    position: Arc<AtomicU64>,
}

impl Follower {
    /// Everything up to `position` was dealt with.
    pub(super) fn at(&self, position: u64) {
        self.position.store(position, Ordering::Relaxed);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.counts.followers.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_follower_is_told_until_it_leaves() {
        let counts = Arc::new(ApiCounts::default());
        let (slow, quick) = (counts.follow(3), counts.follow(3));
        quick.at(9);
        assert_eq!(counts.followers(), (2, Some(3)));
        drop(slow);
        assert_eq!(counts.followers(), (1, Some(9)));
        drop(quick);
        assert_eq!(counts.followers(), (0, None));
    }

    #[test]
    fn codes_have_the_places_of_their_numbers() {
        let counts = ApiCounts::default();
        counts.answered(&METHODS[0], Code::Unauthenticated);
        counts.answered(&METHODS[0], Code::Ok);
        let counted: Vec<_> = counts.calls().filter(|(_, _, count)| *count > 0).collect();
        assert_eq!(counted, [(METHODS[0].path, "OK", 1), (METHODS[0].path, "UNAUTHENTICATED", 1)]);
    }
}
