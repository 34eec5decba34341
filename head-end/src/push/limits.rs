//! How much one source may send, in a table of fixed size.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Mutex,
    time::Duration,
};

use tokio::time::Instant;

/// Sources that are remembered. A source that has been quiet makes room.
const SOURCES: usize = 16_384;

/// How often a full table is looked through, at most.
const SWEEP: Duration = Duration::from_secs(1);

/// A bucket of tokens for each source, and its open connections.
#[derive(Debug)]
pub(crate) struct Limits {
    per_minute: u32,
    connections: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    sources: HashMap<IpAddr, Source>,
    /// When it was full and looked through last.
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Source {
    tokens: f64,
    at: Instant,
    connections: usize,
}

impl Source {
    fn take(&mut self, per_minute: u32) -> bool {
        let now = Instant::now();
        let full = f64::from(per_minute);
        let refill = now.saturating_duration_since(self.at).as_secs_f64() * full / 60.0;
        self.tokens = (self.tokens + refill).min(full);
        self.at = now;
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}

impl Limits {
    /// Each source may send `per_minute` APDUs a minute, all of them at once if it likes, and hold `connections`
    /// connections.
    pub(crate) fn new(per_minute: u32, connections: usize) -> Self {
        Self { per_minute, connections, table: Mutex::default() }
    }

    /// Whether `source` may send one more APDU.
    pub(crate) fn take(&self, source: IpAddr) -> bool {
        self.with(source, |limits, source| source.take(limits.per_minute))
    }

    /// The same of a source that has an entry already.
    pub(crate) fn take_known(&self, source: IpAddr) -> Option<bool> {
        let mut table = self.table.lock().ok()?;
        Some(table.sources.get_mut(&network(source))?.take(self.per_minute))
    }

    /// Notes one more connection of `source`, unless it has too many.
    pub(crate) fn connect(&self, source: IpAddr) -> bool {
        self.with(source, |limits, source| {
            let free = source.connections < limits.connections;
            source.connections += usize::from(free);
            free
        })
    }

    /// A connection of `source` has ended.
    pub(crate) fn disconnect(&self, source: IpAddr) {
        self.with(source, |_, source| {
            source.connections = source.connections.saturating_sub(1);
            true
        });
    }

    fn with(&self, source: IpAddr, act: impl FnOnce(&Self, &mut Source) -> bool) -> bool {
        let Ok(mut table) = self.table.lock() else { return false };
        let Table { sources, swept } = &mut *table;
        let key = network(source);
        if sources.len() >= SOURCES && !sources.contains_key(&key) {
            let now = Instant::now();
            // Not for each of many strangers: looking through all takes its time.
            if swept.is_none_or(|swept| now - swept >= SWEEP) {
                *swept = Some(now);
                sources.retain(|_, source| source.connections > 0 || now - source.at < Duration::from_secs(60));
            }
            if sources.len() >= SOURCES {
                return false;
            }
        }
        let fresh = || Source { tokens: f64::from(self.per_minute), at: Instant::now(), connections: 0 };
        act(self, sources.entry(key).or_insert_with(fresh))
    }
}

/// What counts as one source: an IPv4 address, or the network that one IPv6 host can draw its addresses from.
fn network(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => IpAddr::V4(mapped),
            None => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_gets_its_share_and_no_more() {
        let limits = Limits::new(60, 1);
        assert!((0..60).all(|_| limits.take(v4(1))));
        assert!(!limits.take(v4(1)));
        assert!(limits.take(v4(2)), "others are not concerned");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(limits.take(v4(1)) && limits.take(v4(1)) && !limits.take(v4(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_of_one_ipv6_network_are_one_source() {
        let limits = Limits::new(1, 1);
        assert!(limits.take("2001:db8::1".parse().unwrap()));
        assert!(!limits.take("2001:db8::2".parse().unwrap()));
        assert!(limits.take("2001:db8:0:1::2".parse().unwrap()));
        assert!(limits.take(v4(7)));
        assert!(!limits.take("::ffff:0.0.0.7".parse().unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_does_not_grow_and_quiet_sources_make_room() {
        let limits = Limits::new(10, 1);
        let most = u32::try_from(SOURCES).unwrap();
        assert!((0..most).all(|n| limits.take(v4(n))));
        assert!(!limits.take(v4(most)));
        assert!(limits.connect(v4(3)) && !limits.connect(v4(3)));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(limits.take(v4(most)));
        assert_eq!(limits.table.lock().unwrap().sources.len(), 2, "the one with a connection, and the new one");
        limits.disconnect(v4(3));
        assert!(limits.connect(v4(3)));
    }
}
