//! Transaction-ids of general-ciphering and general-signing, kept across restarts.
//!
//! A message with a key of its own, or one that is signed only, is kept from being replayed by its transaction-id alone.
//! So a meter remembers which ids it has taken from whom, and counts those that it gives itself, as it does with
//! invocation counters ([`Counters`](crate::counters::Counters)): own ids are **reserved ahead**, those of others are
//! **written through**, and when the memory does not take what is to be kept, no id is handed out and none is accepted.
//!
//! They belong to system titles and not to keys, so that no key that is replaced lets them begin anew.

use dlms::id::SystemTitle;
use dlms::security::general::{TransactionMemory, VerifiedTransaction};

use crate::journal::{Found, Journal, OVERHEAD, Slots};

/// Own ids that are reserved at once.
pub const RESERVED: u64 = 1_000;
/// Originators whose ids are kept apart; beyond it they share the highest floor that was forgotten.
pub const PEERS: usize = 8;
/// Ids of an originator that may overtake each other.
pub const OVERTAKING: usize = 4;

/// Octets of one originator in a record.
const PEER_OCTETS: usize = 8 + 16;
/// Octets in front of the originators: version, end, floor of the others, number of originators.
const HEAD_OCTETS: usize = 1 + 8 + 16 + 1;
/// Longest record with what is around it.
const ROOM: usize = OVERHEAD + HEAD_OCTETS + PEERS * PEER_OCTETS;
/// Version of the record's layout.
const VERSION: u8 = 1;

/// What was kept cannot be read: nothing that has only its transaction-id may be sent or accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionsLost;

/// The ids that were taken from others, and the count of the own ones.
#[derive(Debug)]
pub struct Transactions<S> {
    journal: Journal<S>,
    next: u64,
    /// The first own id that is not reserved.
    end: u64,
    /// By originator, the one heard last at the end.
    peers: [(SystemTitle, TransactionMemory<OVERTAKING>); PEERS],
    known: usize,
    /// Lowest acceptable id of everybody else.
    others: u128,
    /// The memory failed: nothing is handed out or accepted any more.
    failed: bool,
}

impl<S: Slots> Transactions<S> {
    /// What was kept. When nothing was, own ids begin at `first`.
    ///
    /// # Errors
    /// [`TransactionsLost`].
    pub fn open(slots: S, first: u64) -> Result<Self, TransactionsLost> {
        let mut room = [0; ROOM];
        let (journal, found) = Journal::open(slots, &mut room);
        let mut transactions = Self {
            journal,
            next: first,
            end: first,
            peers: core::array::from_fn(|_| (SystemTitle([0; 8]), TransactionMemory::new(0))),
            known: 0,
            others: 0,
            failed: false,
        };
        match found {
            Found::Nothing => Ok(transactions),
            Found::Record(length) => {
                transactions.restore(room.get(..length).unwrap_or_default()).ok_or(TransactionsLost)?;
                Ok(transactions)
            }
            Found::Lost => Err(TransactionsLost),
        }
    }

    fn restore(&mut self, record: &[u8]) -> Option<()> {
        let (&[VERSION], rest) = record.split_first_chunk::<1>()? else { return None };
        let (end, rest) = rest.split_first_chunk::<8>()?;
        let (others, rest) = rest.split_first_chunk::<16>()?;
        let (&[known], mut rest) = rest.split_first_chunk::<1>()?;
        (self.next, self.end) = (u64::from_be_bytes(*end), u64::from_be_bytes(*end));
        self.others = u128::from_be_bytes(*others);
        self.known = Some(usize::from(known)).filter(|known| *known <= PEERS)?;
        for peer in self.peers.iter_mut().take(self.known) {
            let (title, more) = rest.split_first_chunk::<8>()?;
            let (floor, more) = more.split_first_chunk::<16>()?;
            *peer = (SystemTitle(*title), TransactionMemory::new(u128::from_be_bytes(*floor)));
            rest = more;
        }
        rest.is_empty().then_some(())
    }

    /// Keeps everything, with `end` for the end of what is reserved.
    fn keep(&mut self, end: u64) -> bool {
        let mut room = [0; ROOM];
        let head = [VERSION]
            .into_iter()
            .chain(end.to_be_bytes())
            .chain(self.others.to_be_bytes())
            .chain([u8::try_from(self.known).unwrap_or(0)]);
        let peers = self.peers.iter().take(self.known);
        let peers = peers.flat_map(|(title, memory)| title.0.into_iter().chain(memory.floor().to_be_bytes()));
        let mut length: usize = 0;
        for (to, octet) in room.iter_mut().skip(Journal::<S>::HEAD).zip(head.chain(peers)) {
            *to = octet;
            length = length.saturating_add(1);
        }
        let kept = self.journal.keep(&mut room, length);
        self.failed |= !kept;
        kept
    }

    /// The next own id; `None` when all are used, or the memory failed.
    pub fn take(&mut self) -> Option<u64> {
        if self.failed || self.next == u64::MAX {
            return None;
        }
        if self.next >= self.end {
            let end = self.next.saturating_add(RESERVED);
            if !self.keep(end) {
                return None;
            }
            self.end = end;
        }
        let id = self.next;
        self.next = id.saturating_add(1);
        Some(id)
    }

    /// Remembers an id of `peer`; whether it is new, and kept for good.
    pub fn accept(&mut self, peer: SystemTitle, verified: VerifiedTransaction) -> bool {
        if self.failed {
            return false;
        }
        let at = self.peers.iter().take(self.known).position(|(title, _)| *title == peer);
        let known = at.and_then(|at| self.peers.get(at)).map(|(_, memory)| memory.clone());
        let mut memory = known.unwrap_or_else(|| TransactionMemory::new(self.others));
        if memory.accept(verified).is_err() {
            return false;
        }
        match at {
            Some(at) => {
                let heard = self.peers.get_mut(at..self.known);
                heard.into_iter().for_each(|heard| heard.rotate_left(1));
            }
            None if self.known < PEERS => self.known = self.known.saturating_add(1),
            None => {
                // Whoever is forgotten must not be able to replay: strangers inherit the highest forgotten floor.
                let forgotten = self.peers.first().map_or(0, |(_, memory)| memory.floor());
                self.others = self.others.max(forgotten);
                self.peers.rotate_left(1);
            }
        }
        if let Some(last) = self.known.checked_sub(1).and_then(|last| self.peers.get_mut(last)) {
            *last = (peer, memory);
        }
        self.keep(self.end)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dlms::security::general::{
        Cipher, GeneralKeys, GeneralSession, KeyChoice, LAYERS_BACK, LAYERS_FRONT, Layers, Order, TransactionId,
        protect, unprotect,
    };
    use dlms::security::{Context, KeyEncryptionKey, KeySet, Protection, Random, ReceiveFloor, RustCrypto, Suite};

    use super::*;
    use crate::journal::Forgetful;
    use crate::journal::tests::Cut;

    struct Same;

    impl Random for Same {
        fn fill(&mut self, octets: &mut [u8]) {
            octets.fill(0x5A);
        }
    }

    fn title(number: u8) -> SystemTitle {
        SystemTitle([b'T', b'S', b'T', 0, 0, 0, 0, number])
    }

    /// An id that a tag has proven: there is no other.
    fn verified(number: u64) -> VerifiedTransaction {
        let keys = KeySet::new(Suite::Suite0, &[1; 16], &[2; 16]).unwrap();
        let kek = KeyEncryptionKey::from_slice(Suite::Suite0, &[3; 16]).unwrap();
        let general = GeneralKeys { kek: Some(&kek), ..GeneralKeys::default() };
        let context = |own, peer| {
            let mut context = Context::<RustCrypto>::new(own, &keys).unwrap();
            context.set_peer_title(peer);
            context
        };
        let layers = Layers {
            cipher: Some(Cipher::General(KeyChoice::Wrapped)),
            protection: Protection::AUTHENTICATED_ENCRYPTED,
            order: Order::SignThenCipher,
        };
        let mut buffer = [0; LAYERS_FRONT + 1 + LAYERS_BACK];
        let (id, place) = (TransactionId::new(number), LAYERS_FRONT..LAYERS_FRONT + 1);
        let (from, to) = (context(title(1), title(2)), context(title(2), title(1)));
        let mut session = GeneralSession::new();
        let no_counter = || Ok(0);
        let sent =
            protect(&from, &mut session, &general, &layers, &id, no_counter, &mut Same, &mut buffer, place).unwrap();
        let mut session = GeneralSession::new();
        let opened = unprotect(&to, &mut session, &general, &mut buffer[sent], |_| ReceiveFloor::new(0)).unwrap();
        opened.transaction.unwrap()
    }

    #[test]
    fn an_id_is_taken_once_from_each_originator() {
        let mut transactions = Transactions::open(Forgetful, 7).unwrap();
        assert!(transactions.accept(title(1), verified(41)) && !transactions.accept(title(1), verified(41)));
        assert!(transactions.accept(title(2), verified(41)) && transactions.accept(title(1), verified(40)));
        assert_eq!((transactions.take(), transactions.take()), (Some(7), Some(8)));
        transactions.next = u64::MAX - 1;
        assert_eq!((transactions.take(), transactions.take()), (Some(u64::MAX - 1), None));
    }

    #[test]
    fn a_forgotten_originator_cannot_replay() {
        let mut transactions = Transactions::open(Forgetful, 0).unwrap();
        for number in 0..=u8::try_from(PEERS).unwrap() {
            assert!(transactions.accept(title(number), verified(100 + u64::from(number))), "{number}");
        }
        assert_eq!(transactions.known, PEERS);
        assert!(!transactions.accept(title(0), verified(100)), "the floor of the strangers is above it");
        assert!(transactions.accept(title(0), verified(101)));
    }

    /// What a meter does until its power fails, which it does after every octet that could be written.
    #[test]
    fn no_loss_of_power_repeats_an_id() {
        let ids: Vec<_> = (0..12).map(verified).collect();
        let whole = Cut::default();
        life(&whole, &ids, &mut BTreeSet::new(), &mut BTreeSet::new());
        let total = *whole.written.borrow();
        assert!(total > 300, "{total}");
        for power in 0..total {
            let memory = Cut::default();
            let (mut sent, mut accepted) = (BTreeSet::new(), BTreeSet::new());
            for power in [Some(power), Some(power / 2), None] {
                *memory.left.borrow_mut() = power;
                life(&memory, &ids, &mut sent, &mut accepted);
            }
        }
    }

    fn life(memory: &Cut, ids: &[VerifiedTransaction], sent: &mut BTreeSet<u64>, accepted: &mut BTreeSet<(u8, usize)>) {
        let mut transactions = Transactions::open(memory.clone(), 5).unwrap();
        for (step, id) in ids.iter().enumerate() {
            // The end of what is reserved is crossed twice.
            for _ in 0..200 {
                let Some(id) = transactions.take() else { return };
                assert!(sent.insert(id), "{id} a second time");
            }
            let peer = u8::try_from(step % 3).unwrap();
            if transactions.accept(title(peer), *id) {
                assert!(accepted.insert((peer, step)), "a replay of {step}");
            }
        }
    }

    #[test]
    fn what_is_lost_is_refused() {
        let memory = Cut::default();
        let mut transactions = Transactions::open(memory.clone(), 5).unwrap();
        assert!(transactions.accept(title(1), verified(9)));
        assert_eq!(transactions.take(), Some(5));
        let mut again = Transactions::open(memory.clone(), 5).unwrap();
        assert!(!again.accept(title(1), verified(9)));
        assert_eq!(again.take(), Some(5 + RESERVED));
        memory.slots.borrow_mut().iter_mut().for_each(|slot| slot[8] ^= 1);
        assert_eq!(Transactions::open(memory, 5).map(drop), Err(TransactionsLost));
    }
}
