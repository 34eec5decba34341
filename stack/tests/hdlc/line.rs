//! A line with faults, in virtual time, without I/O. Everything comes from a seed.

use std::collections::VecDeque;

use dlms::Instant;

/// A small generator (splitmix64), so that a seed gives the same faults for ever.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub(crate) fn percent(&mut self, chance: u8) -> bool {
        self.below(100) < usize::from(chance)
    }
}

/// What happens to one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Lose,
    Double,
    FlipBit,
    LoseOctet,
    AddFlag,
    JunkBefore,
    CutOff,
}

impl Fault {
    pub(crate) const ALL: [Self; 7] =
        [Self::Lose, Self::Double, Self::FlipBit, Self::LoseOctet, Self::AddFlag, Self::JunkBefore, Self::CutOff];

    fn apply(self, frame: &[u8], random: &mut Random) -> Vec<u8> {
        let at = random.below(frame.len());
        let mut octets = frame.to_vec();
        match self {
            Self::Lose => octets.clear(),
            Self::Double => octets.extend_from_slice(frame),
            Self::FlipBit => octets[at] ^= 1 << random.below(8),
            Self::LoseOctet => drop(octets.remove(at)),
            Self::AddFlag => octets.insert(at, 0x7E),
            Self::JunkBefore => drop(octets.splice(0..0, [0x00, 0xA5, random.next() as u8])),
            Self::CutOff => octets.truncate(at),
        }
        octets
    }
}

/// Which frames of a direction suffer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// The n-th frame of all.
    pub(crate) at: Vec<(usize, Fault)>,
    /// Any frame, with this chance in percent.
    pub(crate) percent: u8,
}

/// One direction of the line.
#[derive(Clone, Debug)]
pub(crate) struct Direction {
    pub(crate) faults: Faults,
    random: Random,
    sent: usize,
    latency_ms: u64,
    flying: VecDeque<(Instant, Vec<u8>)>,
}

impl Direction {
    pub(crate) fn new(faults: Faults, seed: u64) -> Self {
        Self { faults, random: Random::new(seed), sent: 0, latency_ms: 10, flying: VecDeque::new() }
    }

    pub(crate) fn frames_sent(&self) -> usize {
        self.sent
    }

    pub(crate) fn send(&mut self, frame: &[u8], now: Instant) {
        let planned = self.faults.at.iter().find(|(index, _)| *index == self.sent).map(|(_, fault)| *fault);
        let fault = planned.or_else(|| {
            self.random.percent(self.faults.percent).then(|| Fault::ALL[self.random.below(Fault::ALL.len())])
        });
        self.sent += 1;
        let octets = fault.map_or_else(|| frame.to_vec(), |fault| fault.apply(frame, &mut self.random));
        if !octets.is_empty() {
            self.flying.push_back((now.after_ms(self.latency_ms), octets));
        }
    }

    pub(crate) fn next_arrival(&self) -> Option<Instant> {
        self.flying.front().map(|(at, _)| *at)
    }

    /// What arrives at `now`, in pieces of any size.
    pub(crate) fn receive(&mut self, now: Instant) -> Option<Vec<u8>> {
        let (at, octets) = self.flying.front_mut()?;
        if *at > now {
            return None;
        }
        let size = 1 + self.random.below(octets.len() * 2);
        if size >= octets.len() {
            return self.flying.pop_front().map(|(_, octets)| octets);
        }
        Some(octets.drain(..size).collect())
    }
}
