//! What the fleet has done, as numbers.

use std::{array, error::Error, time::Duration};

use dlms::{
    association::client::{ConnectionError, ProtocolError, RequestError as StackError},
    deviation::{Deviation, DeviationCounts},
};

use super::transport::TransportError;
use crate::{
    measure::{Counter, Histogram, Inside, Level},
    operation::{MeterAnswer, Operation, RequestError, RequestErrorKind as Kind},
};

/// Outcomes of operations: done, and every kind of failure.
const OUTCOMES: usize = Kind::ALL.len() + 1;

/// Why lines fail.
const LINE_FAILURES: [&str; 10] =
    ["not_called", "resolve", "refused", "timed_out", "reset", "unreachable", "port", "io", "closed", "no_answer"];

/// Why security fails.
const SECURITY_FAILURES: [&str; 7] =
    ["rejected", "proof_refused", "not_authentic", "downgraded", "meter_refused", "answer_refused", "own"];

/// What the fleet has done since it was started.
#[derive(Debug)]
pub struct Counts {
    operations: [[Counter; OUTCOMES]; Operation::NAMES.len()],
    times: [Histogram; Operation::NAMES.len()],
    associations: Level,
    opening: Histogram,
    opened: Counter,
    not_opened: Counter,
    line: [Counter; LINE_FAILURES.len()],
    security: [Counter; SECURITY_FAILURES.len()],
    deviations: [Counter; Deviation::COUNT],
    octets_sent: Counter,
    octets_received: Counter,
    notifications: Counter,
    counters_raised: Counter,
    calls_opened: Counter,
    calls_failed: Counter,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            operations: array::from_fn(|_| array::from_fn(|_| Counter::default())),
            times: array::from_fn(|_| Histogram::of_times()),
            associations: Level::default(),
            opening: Histogram::of_times(),
            opened: Counter::default(),
            not_opened: Counter::default(),
            line: array::from_fn(|_| Counter::default()),
            security: array::from_fn(|_| Counter::default()),
            deviations: array::from_fn(|_| Counter::default()),
            octets_sent: Counter::default(),
            octets_received: Counter::default(),
            notifications: Counter::default(),
            counters_raised: Counter::default(),
            calls_opened: Counter::default(),
            calls_failed: Counter::default(),
        }
    }
}

impl Counts {
    pub(super) fn operation(&self, operation: usize, ended: Result<(), Kind>, after: Duration) {
        let outcome = ended.map_or_else(|kind| kind as usize + 1, |()| 0);
        if let Some(counter) = self.operations.get(operation).and_then(|row| row.get(outcome)) {
            counter.inc();
        }
        if let Some(times) = self.times.get(operation) {
            times.time(after);
        }
    }

    /// An association was opened; it is there until the guard is dropped.
    pub(super) fn opened(&self, after: Duration) -> Inside {
        self.opened.inc();
        self.opening.time(after);
        self.associations.enter()
    }

    pub(super) fn not_opened(&self, error: &RequestError) {
        self.not_opened.inc();
        self.failed(error);
    }

    /// An association was tried on a connection that came in.
    pub(super) fn called(&self, opened: bool) {
        if opened { self.calls_opened.inc() } else { self.calls_failed.inc() }
    }

    /// Associations on connections that meters made, by what became of them.
    #[must_use]
    pub fn calls(&self) -> [(&'static str, u64); 2] {
        [("opened", self.calls_opened.get()), ("failed", self.calls_failed.get())]
    }

    /// A session failed, or was not even begun.
    pub(super) fn failed(&self, error: &RequestError) {
        let counter = match error.kind() {
            Kind::SecurityFailed => self.security.get(security_failure(error)),
            Kind::Unreachable => self.line.get(line_failure(error)),
            _ => None,
        };
        if let Some(counter) = counter {
            counter.inc();
        }
    }

    pub(super) fn deviated(&self, met: &DeviationCounts) {
        for (deviation, count) in met.iter() {
            if let Some(counter) = self.deviations.get(deviation as usize) {
                counter.add(count.into());
            }
        }
    }

    pub(super) fn sent(&self, octets: usize) {
        self.octets_sent.add(octets as u64);
    }

    pub(super) fn received(&self, octets: usize) {
        self.octets_received.add(octets as u64);
    }

    pub(super) fn notification(&self) {
        self.notifications.inc();
    }

    pub(super) fn counter_raised(&self) {
        self.counters_raised.inc();
    }

    /// Operations that ended, by name and outcome.
    pub fn operations(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        Operation::NAMES.into_iter().zip(&self.operations).flat_map(|(name, row)| {
            let outcomes = ["SUCCEEDED"].into_iter().chain(Kind::ALL.into_iter().map(Kind::name));
            outcomes.zip(row).map(move |(outcome, count)| (name, outcome, count.get()))
        })
    }

    /// How long operations took from call to answer, by name.
    pub fn times(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        Operation::NAMES.into_iter().zip(&self.times)
    }

    /// Associations that are open.
    #[must_use]
    pub fn associations(&self) -> u64 {
        self.associations.get()
    }

    /// How long opening took, of associations that were opened.
    #[must_use]
    pub const fn opening(&self) -> &Histogram {
        &self.opening
    }

    /// Associations that were opened, and attempts that failed.
    #[must_use]
    pub fn openings(&self) -> (u64, u64) {
        (self.opened.get(), self.not_opened.get())
    }

    /// Failures of lines, by reason.
    pub fn line_failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        LINE_FAILURES.into_iter().zip(self.line.iter().map(Counter::get))
    }

    /// Failures of security, by reason.
    pub fn security_failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        SECURITY_FAILURES.into_iter().zip(self.security.iter().map(Counter::get))
    }

    /// Deviations of meters from the standard, by name; they are counted when their session ends.
    pub fn deviations(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Deviation::ALL.iter().map(|deviation| deviation.name()).zip(self.deviations.iter().map(Counter::get))
    }

    /// Octets sent to meters and received of them, link layers included.
    #[must_use]
    pub fn octets(&self) -> (u64, u64) {
        (self.octets_sent.get(), self.octets_received.get())
    }

    /// Notifications inside sessions.
    #[must_use]
    pub fn notifications(&self) -> u64 {
        self.notifications.get()
    }

    /// How often an invocation counter was moved up to what a meter said.
    #[must_use]
    pub fn counters_raised(&self) -> u64 {
        self.counters_raised.get()
    }
}

fn cause<E: Error + 'static>(error: &RequestError) -> Option<&E> {
    error.source().and_then(|source| source.downcast_ref())
}

fn place(names: &[&str], name: &str) -> usize {
    names.iter().position(|other| *other == name).unwrap_or(usize::MAX)
}

fn line_failure(error: &RequestError) -> usize {
    let connection = cause::<ConnectionError>(error);
    let name = match cause::<TransportError>(error) {
        Some(TransportError::NotCalled) => "not_called",
        Some(TransportError::Resolve { .. }) => "resolve",
        Some(TransportError::Refused { .. }) => "refused",
        Some(TransportError::TimedOut { .. }) => "timed_out",
        Some(TransportError::Reset) => "reset",
        Some(TransportError::Unreachable { .. }) => "unreachable",
        Some(TransportError::Port { .. }) => "port",
        Some(TransportError::Io { .. }) => "io",
        None if matches!(connection, Some(ConnectionError::ClosedByPeer)) => "closed",
        None => "no_answer",
    };
    place(&LINE_FAILURES, name)
}

fn security_failure(error: &RequestError) -> usize {
    let name = match (cause::<ConnectionError>(error), cause::<StackError>(error)) {
        (Some(ConnectionError::Rejected { .. }), _) => "rejected",
        (Some(ConnectionError::HlsRefused), _) => "proof_refused",
        (Some(ConnectionError::ServerNotAuthentic), _) => "not_authentic",
        (_, Some(StackError::Protocol(ProtocolError::Challenge | ProtocolError::SystemTitle))) => "not_authentic",
        (_, Some(StackError::Protocol(_))) => "downgraded",
        (_, Some(StackError::Exception(_) | StackError::Service(_))) => "meter_refused",
        (_, Some(StackError::Security(_) | StackError::Decode(_))) => "answer_refused",
        _ => match error.answer() {
            Some(MeterAnswer::Exception { .. } | MeterAnswer::ConfirmedService { .. }) => "meter_refused",
            _ => "own",
        },
    };
    place(&SECURITY_FAILURES, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fleet::failure, operation::Layer};

    fn counted(names: impl Iterator<Item = (&'static str, u64)>) -> Vec<(&'static str, u64)> {
        names.filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn failures_are_counted_by_what_caused_them() {
        let counts = Counts::default();
        counts.failed(&failure::from_transport(TransportError::Reset));
        counts.failed(&failure::from_stack(StackError::TimedOut));
        counts.failed(&failure::from_connection(ConnectionError::ClosedByPeer, "x"));
        counts.failed(&failure::from_connection(ConnectionError::HlsRefused, "x"));
        counts.failed(&failure::from_stack(StackError::Protocol(ProtocolError::Unprotected)));
        counts.failed(&RequestError::new(Kind::SecurityFailed, Layer::Security, "the counter jumped"));
        counts.failed(&RequestError::new(Kind::Expired, Layer::HeadEnd, "late"));
        assert_eq!(counted(counts.line_failures()), [("reset", 1), ("closed", 1), ("no_answer", 1)]);
        assert_eq!(counted(counts.security_failures()), [("proof_refused", 1), ("downgraded", 1), ("own", 1)]);
    }

    #[test]
    fn every_operation_and_outcome_has_a_place() {
        let counts = Counts::default();
        for operation in 0..Operation::NAMES.len() {
            counts.operation(operation, Ok(()), Duration::from_millis(3));
            Kind::ALL.into_iter().for_each(|kind| counts.operation(operation, Err(kind), Duration::ZERO));
        }
        assert!(counts.operations().all(|(_, _, count)| count == 1));
        assert_eq!(counts.operations().count(), Operation::NAMES.len() * OUTCOMES);
        assert!(counts.times().all(|(_, times)| times.read().1 == OUTCOMES as u64));
    }
}
