//! Invocation counters of one security setup.

use dlms::id::SystemTitle;
use dlms::security::InvocationCounter;

use crate::moment::Moment;

/// Clients whose counters are kept apart.
const PEERS_MAX: usize = 16;
/// 2026-01-01 00:00 UTC in seconds.
const EPOCH_SECONDS: i64 = 1_767_225_600;
/// Values set aside for each second of the wall clock; 32 bits last for eight years of them.
const PER_SECOND: i64 = 16;

/// The transmit counter and the floors of what was received under one encryption key.
#[derive(Debug)]
pub(crate) struct Counters {
    transmit: InvocationCounter,
    /// Lowest acceptable counter by client, the one heard last at the end.
    peers: Vec<(SystemTitle, u32)>,
    /// Lowest acceptable counter of everybody else.
    others: u32,
}

impl Counters {
    /// Counters of a simulator that starts at the wall-clock moment `now`.
    ///
    /// A simulator remembers nothing across restarts, yet must never use a counter twice with the same key. So
    /// the transmit counter starts from the wall clock, which goes on while the simulator is down; as long as a meter
    /// sends no more than 16 APDUs a second on the average, a restart starts above what was used. Floors start at zero: a
    /// restarted simulator accepts what its predecessor would have called a replay.
    pub(crate) fn new(now: Moment) -> Self {
        let start = now.as_seconds().saturating_sub(EPOCH_SECONDS).max(0).saturating_mul(PER_SECOND);
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        Self { transmit: InvocationCounter::new(start, u32::MAX), peers: Vec::new(), others: 0 }
    }

    /// The next transmit counter.
    pub(crate) fn take(&mut self) -> Option<u32> {
        self.transmit.take().ok()
    }

    /// The lowest counter that is acceptable from `peer`.
    pub(crate) fn floor(&self, peer: SystemTitle) -> u32 {
        self.peers.iter().find(|(known, _)| *known == peer).map_or(self.others, |(_, floor)| *floor)
    }

    /// The lowest counter that is acceptable from anybody.
    pub(crate) fn highest_floor(&self) -> u32 {
        self.peers.iter().map(|(_, floor)| *floor).fold(self.others, u32::max)
    }

    /// `counter` of `peer` was verified.
    pub(crate) fn accept(&mut self, peer: SystemTitle, counter: u32) {
        let floor = self.floor(peer).max(counter.saturating_add(1));
        self.peers.retain(|(known, _)| *known != peer);
        if self.peers.len() >= PEERS_MAX {
            // Whoever is forgotten must not be able to replay: strangers inherit the highest forgotten floor.
            let (_, forgotten) = self.peers.remove(0);
            self.others = self.others.max(forgotten);
        }
        self.peers.push((peer, floor));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(number: u8) -> SystemTitle {
        SystemTitle([b'T', b'S', b'T', 0, 0, 0, 0, number])
    }

    #[test]
    fn a_later_start_never_repeats_a_counter() {
        let start = Moment::from_seconds(1_790_000_000);
        let mut before = Counters::new(start);
        let used = (0..16).filter_map(|_| before.take()).max().unwrap();
        let mut after = Counters::new(start.plus_millis(1_000));
        assert!(after.take().unwrap() > used);
    }

    #[test]
    fn floors_only_rise_and_belong_to_one_client() {
        let mut counters = Counters::new(Moment::from_seconds(0));
        counters.accept(title(1), 41);
        assert_eq!(counters.floor(title(1)), 42);
        assert_eq!(counters.floor(title(2)), 0);
        counters.accept(title(1), 7);
        assert_eq!(counters.floor(title(1)), 42);
        assert_eq!(counters.highest_floor(), 42);
    }

    #[test]
    fn a_forgotten_client_cannot_replay() {
        let mut counters = Counters::new(Moment::from_seconds(0));
        for number in 0..=u8::try_from(PEERS_MAX).unwrap() {
            counters.accept(title(number), 100 + u32::from(number));
        }
        assert_eq!(counters.peers.len(), PEERS_MAX);
        assert_eq!(counters.floor(title(0)), 101);
    }
}
