//! What a fleet's lines did, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the lines of a fleet count.
#[derive(Debug, Default)]
pub(crate) struct LineCounts {
    pub(crate) opened: Count,
    pub(crate) closed: Count,
    pub(crate) refused_destination: Count,
    pub(crate) refused_full: Count,
    pub(crate) refused_descriptors: Count,
    pub(crate) dial_failures: Count,
    pub(crate) received_octets: Count,
    pub(crate) sent_octets: Count,
    pub(crate) answers: Count,
    pub(crate) datagrams: Count,
    pub(crate) datagrams_dropped: Count,
    pub(crate) clients_forgotten: Count,
    pub(crate) faults: Count,
    pub(crate) meters_made: Count,
}

/// What a fleet did since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections that were accepted or dialled, serial links among them.
    pub connections_opened: u64,
    /// Of those, how many have ended.
    pub connections_closed: u64,
    /// Connections and datagrams to an address that is no meter's.
    pub refused_destination: u64,
    /// Connections beyond what one port of a meter takes.
    pub refused_full: u64,
    /// Connections for which no descriptor was left.
    pub refused_descriptors: u64,
    /// Connections that a meter tried to open in vain.
    pub dial_failures: u64,
    /// Octets received on connections and in datagrams.
    pub received_octets: u64,
    /// Octets sent.
    pub sent_octets: u64,
    /// Things sent: frames over HDLC, APDUs over the wrapper.
    pub answers: u64,
    /// Datagrams received.
    pub datagrams: u64,
    /// Of those, the ones that are no wrapped APDU.
    pub datagrams_dropped: u64,
    /// UDP clients that were forgotten to make room for others.
    pub clients_forgotten: u64,
    /// Faults on demand that happened.
    pub faults: u64,
    /// Meters that somebody has spoken to, and that take memory since then.
    pub meters_made: u64,
}

impl LineCounts {
    /// The numbers now.
    pub(crate) fn snapshot(&self) -> Counts {
        Counts {
            connections_opened: self.opened.get(),
            connections_closed: self.closed.get(),
            refused_destination: self.refused_destination.get(),
            refused_full: self.refused_full.get(),
            refused_descriptors: self.refused_descriptors.get(),
            dial_failures: self.dial_failures.get(),
            received_octets: self.received_octets.get(),
            sent_octets: self.sent_octets.get(),
            answers: self.answers.get(),
            datagrams: self.datagrams.get(),
            datagrams_dropped: self.datagrams_dropped.get(),
            clients_forgotten: self.clients_forgotten.get(),
            faults: self.faults.get(),
            meters_made: self.meters_made.get(),
        }
    }
}
