//! A bounded set of clients that have no connection, and who is forgotten first.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Clients by key, the ones heard last at the end. Those without an association come before all others: whoever only sends
/// datagrams must not drive out whoever is served.
#[derive(Debug)]
pub(super) struct Clients<K, V> {
    limit: usize,
    known: HashMap<K, (Rank, V)>,
    order: BTreeMap<Rank, K>,
    next: u64,
}

/// Whether it is associated, and when it was heard.
type Rank = (bool, u64);

impl<K: Copy + Eq + Hash, V> Clients<K, V> {
    /// Room for `limit` clients.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, known: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }

    /// Takes a client out.
    pub(super) fn take(&mut self, key: K) -> Option<V> {
        let (rank, client) = self.known.remove(&key)?;
        self.order.remove(&rank);
        Some(client)
    }

    /// Puts a client in that is not there. Returns who is forgotten for it.
    pub(super) fn put(&mut self, key: K, associated: bool, client: V) -> Option<V> {
        let full = self.known.len() >= self.limit;
        let forgotten = full.then(|| self.order.first_key_value().map(|(_, key)| *key)).flatten();
        let forgotten = forgotten.and_then(|key| self.take(key));
        let rank = (associated, self.next);
        self.next += 1;
        self.order.insert(rank, key);
        self.known.insert(key, (rank, client));
        forgotten
    }

    /// Takes out the client heard before all others with or without an association, if `is_over`.
    pub(super) fn take_first(&mut self, associated: bool, is_over: impl FnOnce(&V) -> bool) -> Option<V> {
        let (_, key) = self.order.range((associated, 0)..=(associated, u64::MAX)).next()?;
        let key = *key;
        let (_, client) = self.known.get(&key)?;
        if is_over(client) { self.take(key) } else { None }
    }

    /// All clients, to be closed.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = V> {
        self.order.clear();
        self.known.drain().map(|(_, (_, client))| client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_without_association_are_forgotten_first_and_the_silent_ones_before_the_others() {
        let mut clients = Clients::new(4);
        for (key, associated) in [('a', true), ('b', false), ('c', true), ('d', false)] {
            assert_eq!(clients.put(key, associated, key), None);
        }
        // Heard again.
        assert_eq!(clients.take('b'), Some('b'));
        assert_eq!(clients.put('b', false, 'b'), None);
        assert_eq!(clients.put('e', false, 'e'), Some('d'));
        assert_eq!(clients.put('f', true, 'f'), Some('b'));
        assert_eq!(clients.put('g', true, 'g'), Some('e'));
        assert_eq!(clients.put('h', false, 'h'), Some('a'), "all others are associated, too");
        assert_eq!(clients.put('i', false, 'i'), Some('h'));
        assert_eq!(clients.take('h'), None);
        assert_eq!(clients.take_first(true, |_| false), None);
        assert_eq!(clients.take_first(true, |_| true), Some('c'));
        let mut left: Vec<_> = clients.drain().collect();
        left.sort_unstable();
        assert_eq!(left, ['f', 'g', 'i']);
    }
}
