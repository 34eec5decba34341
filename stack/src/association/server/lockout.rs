//! Back-off after failed authentications.
//!
//! Passwords are guessed, so failures must slow down whoever fails; but whoever fails on purpose must not keep out the
//! client that knows the password. Failures are therefore counted for each client and each [`Source`], as far as the
//! meter can tell sources apart, and nobody is locked out for good. [`Attempts`] bounds what an attacker with many
//! sources gets: all of them together have as many guesses as there are places in it. Meanwhile they can keep out a
//! client that comes from a new source, but not one that comes from where it succeeded last.

use core::net::IpAddr;

use crate::Instant;
use crate::acse::Mechanism;

/// Where a client's octets come from: as much of it as the meter can tell, and a peer cannot choose.
///
/// A line of its own, such as an optical port, is one source; behind a TCP port each address is one. A UDP peer can
/// forge its address, though it gets no answer then: it may lock out the address that it forged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(pub u64);

impl Source {
    /// A peer with an IP address. Of version 6 the network counts alone (64 bits): its hosts choose the rest.
    #[must_use]
    pub const fn of_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address.to_bits()),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => Self::of_v4(address.to_bits()),
                None => {
                    let [a, b, c, d, e, f, g, h, ..] = address.octets();
                    Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
                }
            },
        }
    }

    /// Apart from the numbers of lines below, and from networks of version 6, none of which begins like this.
    const fn of_v4(bits: u32) -> Self {
        let [a, b, c, d] = bits.to_be_bytes();
        Self(u64::from_be_bytes([0, 0, 0, 1, a, b, c, d]))
    }
}

/// Failures in a row that have no consequence: a mistyped password, twice.
const FREE_FAILURES: u32 = 2;
/// The first back-off, in milliseconds; each further failure doubles it.
const FIRST_BACK_OFF_MS: u64 = 10_000;
/// The longest back-off, in milliseconds: a client is never locked out for good.
const BACK_OFF_MAX_MS: u64 = 15 * 60_000;

/// Failed authentications of one client from one source in a row, and when the last one was.
///
/// From the third on the client is locked out for ten seconds, then for twice as long with each further failure, for at
/// most a quarter of an hour. A success ends it. The protocol has no rule for this; the figures are this server's own.
///
/// Only passwords and secrets are counted: keys cannot be guessed, and whoever fails with them would do no more than lock
/// out the client that has them.
///
/// A device that keeps the count across restarts gives it back with the moment of the restart as `last`: time that went by
/// without power does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailedAttempts {
    /// Failures since the last success.
    pub count: u32,
    /// When the last one was.
    pub last: Instant,
}

impl FailedAttempts {
    /// None since the last success.
    pub const NONE: Self = Self { count: 0, last: Instant::from_millis(0) };

    /// Whether failures with this mechanism count: what it proves could be guessed.
    pub(super) const fn count_with(mechanism: Mechanism) -> bool {
        !matches!(mechanism, Mechanism::Lowest | Mechanism::Gmac | Mechanism::Ecdsa)
    }

    /// With one more failure.
    #[must_use]
    pub const fn another(self, now: Instant) -> Self {
        Self { count: self.count.saturating_add(1), last: now }
    }

    /// How long the client is locked out after the last failure, in milliseconds.
    #[must_use]
    pub const fn back_off_ms(self) -> u64 {
        let Some(doublings) = self.count.checked_sub(FREE_FAILURES + 1) else { return 0 };
        let factor = match 1_u64.checked_shl(doublings) {
            Some(factor) => factor,
            None => u64::MAX,
        };
        let ms = FIRST_BACK_OFF_MS.saturating_mul(factor);
        if ms < BACK_OFF_MAX_MS { ms } else { BACK_OFF_MAX_MS }
    }

    /// Whether an attempt is refused unseen at this moment.
    #[must_use]
    pub fn is_locked_out(self, now: Instant) -> bool {
        now < self.last.after_ms(self.back_off_ms())
    }
}

/// Failed attempts of one client, for the source that succeeded last and each of the `N` others that failed last.
///
/// ```text
/// get(source) ─▶ the source's own count; with none, and no place left, that of the place it would take
/// ```
///
/// The source that succeeded last has a place of its own, which no failure of others takes: it is remembered even when
/// nobody fails, so what is to protect a client must not be thrown away then. The others compete. A source for which there
/// is no place inherits the count of the place whose back-off ends first, and waits for that: a thousand sources have no
/// more guesses than `N` of them. One that succeeded earlier, while others failed, keeps its place among them as long as
/// there is any other to be had.
#[derive(Clone, Copy, Debug)]
pub struct Attempts<const N: usize> {
    /// The source that succeeded last, and its failures since.
    succeeded: Option<Entry>,
    entries: [Option<Entry>; N],
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    source: Source,
    attempts: FailedAttempts,
}

impl<const N: usize> Default for Attempts<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Attempts<N> {
    /// Nobody has failed yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { succeeded: None, entries: [None; N] }
    }

    /// What counts for this source.
    #[must_use]
    pub fn get(&self, source: Source) -> FailedAttempts {
        let own = self.succeeded.filter(|entry| entry.source == source);
        let entry = own.or_else(|| self.place(source).and_then(|place| self.entries.get(place)).copied().flatten());
        entry.map_or(FailedAttempts::NONE, |entry| entry.attempts)
    }

    /// Keeps what counts for this source from now on.
    pub fn set(&mut self, source: Source, attempts: FailedAttempts) {
        let entry = Some(Entry { source, attempts });
        if self.succeeded.is_some_and(|succeeded| succeeded.source == source) {
            self.succeeded = entry;
        } else {
            // Who succeeded before gives up its own place, and takes the one that the new source had or was to have.
            let success = attempts == FailedAttempts::NONE;
            let competes = if success { core::mem::replace(&mut self.succeeded, entry) } else { entry };
            let known = self.entries.iter().flatten().any(|entry| entry.source == source);
            if let Some(place) = self.place(source).and_then(|place| self.entries.get_mut(place))
                && (known || competes.is_some())
            {
                *place = competes;
            }
        }
        if !self.is_failing() {
            self.entries = [None; N];
        }
    }

    /// Sources and their failures, to be kept across restarts: after one, [`set`](Self::set) the source that
    /// [`succeeded`](Self::succeeded) to [`FailedAttempts::NONE`] first, then those that have failed.
    pub fn iter(&self) -> impl Iterator<Item = (Source, FailedAttempts)> + '_ {
        self.succeeded.iter().chain(self.entries.iter().flatten()).map(|entry| (entry.source, entry.attempts))
    }

    /// The source that succeeded last.
    #[must_use]
    pub fn succeeded(&self) -> Option<Source> {
        self.succeeded.map(|entry| entry.source)
    }

    /// Whether any source has failed since it last succeeded.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.iter().any(|(_, attempts)| attempts != FailedAttempts::NONE)
    }

    /// The place of a source: its own, a free one, or the one that is to be had first.
    fn place(&self, source: Source) -> Option<usize> {
        let own = |entry: &Option<Entry>| entry.is_some_and(|entry| entry.source == source);
        let places = || self.entries.iter().enumerate();
        self.entries.iter().position(own).or_else(|| self.entries.iter().position(Option::is_none)).or_else(|| {
            let failing = places().filter_map(|(place, entry)| Some((place, entry.as_ref()?.attempts)));
            let first = failing
                .filter(|(_, attempts)| *attempts != FailedAttempts::NONE)
                .min_by_key(|(_, attempts)| attempts.last.after_ms(attempts.back_off_ms()));
            first.map(|(place, _)| place).or(N.checked_sub(1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u64) -> Source {
        Source(number)
    }

    #[test]
    fn one_source_that_fails_locks_out_no_other() {
        let mut attempts = Attempts::<4>::new();
        let now = Instant::from_millis(5_000);
        for _ in 0..50 {
            attempts.set(source(1), attempts.get(source(1)).another(now));
        }
        assert!(attempts.get(source(1)).is_locked_out(now.after_ms(BACK_OFF_MAX_MS - 1)));
        assert_eq!(attempts.get(source(2)), FailedAttempts::NONE);
        // A success from there is remembered while the other fails; when nobody does, the last one.
        attempts.set(source(2), FailedAttempts::NONE);
        assert_eq!(attempts.iter().count(), 2);
        attempts.set(source(3), FailedAttempts::NONE);
        assert_eq!(attempts.iter().count(), 3);
        attempts.set(source(1), FailedAttempts::NONE);
        let remembered = attempts.iter().map(|(source, _)| source);
        assert_eq!(
            (remembered.collect::<std::vec::Vec<_>>(), attempts.succeeded()),
            (std::vec![source(1)], Some(source(1)))
        );
    }

    /// The client succeeded when nobody failed; then whoever fails has as many sources as there are places, and more.
    #[test]
    fn the_source_that_succeeded_last_is_kept_out_by_no_other() {
        let mut attempts = Attempts::<8>::new();
        let now = Instant::from_millis(5_000);
        attempts.set(source(1), FailedAttempts::NONE);
        for number in (100..120).cycle().take(200) {
            attempts.set(source(number), attempts.get(source(number)).another(now));
        }
        assert!(attempts.get(source(2)).is_locked_out(now));
        assert_eq!(attempts.get(source(1)), FailedAttempts::NONE);
        // Its own failures count, and who succeeds elsewhere does not make them forgotten.
        for _ in 0..5 {
            attempts.set(source(1), attempts.get(source(1)).another(now));
        }
        assert_eq!(attempts.get(source(1)).count, 5);
        attempts.set(source(2), FailedAttempts::NONE);
        assert_eq!((attempts.get(source(1)).count, attempts.get(source(2)).count), (5, 0));
    }

    /// However many sources guess, in a day they have few guesses; a source that has succeeded goes on, and a new one gets
    /// its turn within the longest back-off.
    #[test]
    fn many_sources_guess_no_faster_than_there_are_places() {
        let mut attempts = Attempts::<8>::new();
        let mut now = Instant::from_millis(0);
        attempts.set(source(900), FailedAttempts::NONE.another(now));
        attempts.set(source(1_000), FailedAttempts::NONE);
        let (mut guesses, mut waited, mut longest) = (0_u32, 0, 0);
        const DAY_MS: u64 = 24 * 3_600_000;
        while now < Instant::from_millis(DAY_MS) {
            // Every ten seconds another fifty sources try.
            let mut any = false;
            for number in 0..50 {
                let found = attempts.get(source(2_000 + now.as_millis() + number));
                if !found.is_locked_out(now) {
                    attempts.set(source(2_000 + now.as_millis() + number), found.another(now));
                    guesses += 1;
                    any = true;
                }
            }
            waited = if any { 0 } else { waited + 10_000 };
            longest = longest.max(waited);
            assert!(!attempts.get(source(1_000)).is_locked_out(now));
            now = now.after_ms(10_000);
        }
        assert!(guesses < 8 * (24 * 4 + 20), "{guesses} guesses");
        assert!(longest <= BACK_OFF_MAX_MS, "{longest} ms");
    }

    #[test]
    fn a_table_of_no_places_and_one_of_successes_alone() {
        let mut none = Attempts::<0>::new();
        none.set(source(1), FailedAttempts::NONE.another(Instant::from_millis(1)));
        assert_eq!(none.get(source(1)), FailedAttempts::NONE);
        let mut one = Attempts::<1>::new();
        let failed = FailedAttempts::NONE.another(Instant::from_millis(1));
        one.set(source(1), failed);
        // The next source takes the place, and its count.
        assert_eq!(one.get(source(2)), failed);
        one.set(source(2), failed.another(Instant::from_millis(2)));
        assert_eq!(
            one.iter().map(|(source, attempts)| (source.0, attempts.count)).collect::<std::vec::Vec<_>>(),
            [(2, 2)]
        );
    }

    #[test]
    fn addresses_of_one_network_are_one_source() {
        let of = |text: &str| Source::of_address(text.parse().unwrap());
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_ne!(of("0.0.0.7"), Source(7));
    }

    #[test]
    fn the_back_off_doubles_from_the_third_failure_and_is_capped() {
        let mut attempts = FailedAttempts::NONE;
        assert!(!attempts.is_locked_out(Instant::from_millis(0)));
        let mut now = Instant::from_millis(1_000);
        let expected = [0, 0, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900];
        for seconds in expected {
            attempts = attempts.another(now);
            assert_eq!(attempts.back_off_ms(), seconds * 1_000);
            if seconds > 0 {
                assert!(attempts.is_locked_out(now.after_ms(seconds * 1_000 - 1)));
            }
            now = now.after_ms(seconds * 1_000);
            assert!(!attempts.is_locked_out(now));
        }
        let many = FailedAttempts { count: u32::MAX, last: now };
        assert_eq!(many.another(now).back_off_ms(), BACK_OFF_MAX_MS);
    }
}
