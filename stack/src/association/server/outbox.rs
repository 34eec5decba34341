//! Notifications that wait to be sent, and those that wait to be confirmed.

use super::guard::REFUSALS_MAX;
use crate::Instant;
use crate::apdu::LongInvokeIdAndPriority;
use crate::axdr::{BufferFull, Writer};
use crate::id::{ClientSap, ServerSap, SystemTitle};
use crate::link::Storage;
use crate::security::general::{Cipher, KeyChoice, Layers};
use crate::security::{Envelope, Protection};

/// Notifications that can wait at once.
const ENTRIES: usize = 8;

/// How a notification is to be protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PushProtection {
    /// In clear.
    #[default]
    Clear,
    /// With the keys of the association that the client has: the dedicated one if there is one, wrapped in the service's
    /// own ciphered form, or in a general one where there is none or `general` asks for it.
    Association {
        /// In general-glo- or general-ded-ciphering in any case.
        general: bool,
    },
    /// With the keys that [`Device::push_security`](super::Device::push_security) gives, also without an association.
    /// [`Envelope::Global`] and [`Envelope::GeneralGlobal`] are possible; only the latter tells who sends.
    Keys(Envelope),
    /// In general-ciphering, general-signing or both. Any key will do but [`KeyChoice::Broadcast`] and
    /// [`KeyChoice::Previous`], which [`NotifyError::Key`](super::NotifyError::Key) refuses; for the party with this system title: with the keys of
    /// [`Device::push_security`](super::Device::push_security) and
    /// [`Device::general_keys`](super::Device::general_keys), and at least as the policy demands.
    Layers {
        /// What ciphers, how strongly, and whether it is signed.
        layers: Layers,
        /// Who is to open it.
        recipient: SystemTitle,
    },
}

impl PushProtection {
    /// Whether random numbers are needed: for a key that is drawn for the message.
    pub(super) const fn draws(self) -> bool {
        let Self::Layers { layers, .. } = self else { return false };
        matches!(layers.cipher, Some(Cipher::General(KeyChoice::Wrapped | KeyChoice::OnePass)))
    }
}

/// How long a confirmation is waited for, and how often a notification is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// Wait for a confirmation, in milliseconds.
    pub timeout_ms: u32,
    /// How often the notification is sent at most, the first time included.
    pub attempts: u8,
}

/// To whom a notification goes, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushTo {
    /// The client.
    pub client: ClientSap,
    /// The logical device that sends.
    pub server: ServerSap,
    /// How it is protected.
    pub protection: PushProtection,
    /// Longest APDU that the client takes, in octets, 0 for no limit: a longer one goes out in blocks (general block
    /// transfer) that nobody acknowledges.
    pub max_pdu: u16,
    /// For a DataNotification whose confirmed bit is set; it stays in the queue until it is confirmed.
    pub confirmation: Option<Confirmation>,
}

/// One notification in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) to: PushTo,
    /// Octets of the plain APDU in the storage, behind those of the entries before.
    length: usize,
    /// The id that a confirmation must have.
    pub(super) awaits: Option<LongInvokeIdAndPriority>,
    /// How often it was sent.
    sent: u8,
    /// When the confirmation must have come; `None` while it is to be sent.
    due: Option<Instant>,
    /// What came since it was sent and was no confirmation.
    refused: u8,
    /// Protection that it was sent with: its confirmation must have at least that.
    protection: Protection,
}

impl Entry {
    /// Whether it was sent and a confirmation of this client is to come.
    fn waits_for(&self, client: ClientSap, server: ServerSap) -> bool {
        self.awaits.is_some() && self.due.is_some() && self.to.client == client && self.to.server == server
    }
}

/// Where a [`Connection`](super::Connection) keeps notifications: nowhere, which is `()` and takes no memory, or in an
/// [`Outbox`].
pub trait Queue: sealed::Sealed {
    /// What holds the notifications.
    type Storage: Storage;

    /// The queue, if there is one.
    fn get(&self) -> Option<&Outbox<Self::Storage>>;

    /// The queue, if there is one, to be changed.
    fn get_mut(&mut self) -> Option<&mut Outbox<Self::Storage>>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl<B> Sealed for super::Outbox<B> {}
}

impl Queue for () {
    type Storage = [u8; 0];

    fn get(&self) -> Option<&Outbox<[u8; 0]>> {
        None
    }

    fn get_mut(&mut self) -> Option<&mut Outbox<[u8; 0]>> {
        None
    }
}

impl<B: Storage> Queue for Outbox<B> {
    type Storage = B;

    fn get(&self) -> Option<&Self> {
        Some(self)
    }

    fn get_mut(&mut self) -> Option<&mut Self> {
        Some(self)
    }
}

/// A bounded queue of notifications: eight of them at most, whose plain APDUs fit into the storage together.
#[derive(Debug)]
pub struct Outbox<B> {
    entries: [Option<Entry>; ENTRIES],
    storage: B,
    used: usize,
    /// The notification that is going out in blocks.
    cut: Option<Cut>,
}

/// A notification that is going out in blocks: whole and protected at the end of the storage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) index: usize,
    length: usize,
    /// Blocks that are out already.
    pub(super) blocks: usize,
    pub(super) protection: Protection,
}

/// What became of a notification that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It is to be sent, first or again.
    Send(usize),
    /// No confirmation came to the last attempt.
    GivenUp(usize),
}

impl<B: Storage> Outbox<B> {
    pub(super) const fn new(storage: B) -> Self {
        Self { entries: [None; ENTRIES], storage, used: 0, cut: None }
    }

    /// Queues the APDU that `encode` writes.
    pub(super) fn push(
        &mut self,
        to: PushTo,
        awaits: Option<LongInvokeIdAndPriority>,
        encode: impl FnOnce(&mut Writer<'_>) -> Result<(), BufferFull>,
    ) -> Result<(), BufferFull> {
        let end = self.storage.as_ref().len().saturating_sub(self.cut.map_or(0, |cut| cut.length));
        let slot = self.entries.iter_mut().find(|entry| entry.is_none()).ok_or(BufferFull)?;
        let mut out = Writer::new(self.storage.as_mut().get_mut(self.used..end).unwrap_or_default());
        encode(&mut out)?;
        let length = out.len();
        *slot = Some(Entry { to, length, awaits, sent: 0, due: None, refused: 0, protection: Protection::NONE });
        self.used = self.used.saturating_add(length);
        Ok(())
    }

    /// The first notification that something has to be done for at `now`.
    pub(super) fn due(&self, now: Instant) -> Option<Due> {
        self.entries.iter().enumerate().find_map(|(index, entry)| {
            let entry = entry.as_ref()?;
            match entry.due {
                None => Some(Due::Send(index)),
                Some(due) if now < due => None,
                Some(_) if entry.sent < attempts(entry) => Some(Due::Send(index)),
                Some(_) => Some(Due::GivenUp(index)),
            }
        })
    }

    /// When something has to be done next, `now` if that is at once.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        if self.cut.is_some() {
            return Some(now);
        }
        self.entries.iter().flatten().map(|entry| entry.due.unwrap_or(now)).min()
    }

    /// Keeps the protected APDU of an entry, to be cut into blocks; `false` when there is no room for it.
    pub(super) fn start_cut(&mut self, index: usize, apdu: &[u8], protection: Protection) -> bool {
        let start = self.storage.as_ref().len().checked_sub(apdu.len()).filter(|start| *start >= self.used);
        let room = start.and_then(|start| self.storage.as_mut().get_mut(start..));
        let Some(room) = room else { return false };
        room.copy_from_slice(apdu);
        self.cut = Some(Cut { index, length: apdu.len(), blocks: 0, protection });
        true
    }

    /// The notification that is going out in blocks, and its octets.
    pub(super) fn cut(&self) -> Option<(Cut, &[u8])> {
        let cut = self.cut?;
        let storage = self.storage.as_ref();
        Some((cut, storage.get(storage.len().saturating_sub(cut.length)..).unwrap_or_default()))
    }

    /// One more block is out; `last` ends the transfer.
    pub(super) fn block_sent(&mut self, last: bool) {
        self.cut = match self.cut {
            Some(cut) if !last => Some(Cut { blocks: cut.blocks.saturating_add(1), ..cut }),
            _ => None,
        };
    }

    pub(super) fn entry(&self, index: usize) -> Option<Entry> {
        self.entries.get(index).copied().flatten()
    }

    /// The plain APDU of an entry.
    pub(super) fn apdu(&self, index: usize) -> &[u8] {
        let start = self.start(index);
        let end = start.saturating_add(self.entry(index).map_or(0, |entry| entry.length));
        self.storage.as_ref().get(start..end).unwrap_or_default()
    }

    fn start(&self, index: usize) -> usize {
        self.entries.iter().take(index).flatten().fold(0, |start, entry| start.saturating_add(entry.length))
    }

    /// An entry was sent: it leaves the queue, or waits for its confirmation.
    pub(super) fn sent(&mut self, index: usize, protection: Protection, now: Instant) {
        match self.entries.get_mut(index).and_then(Option::as_mut) {
            Some(entry) if entry.awaits.is_some() => {
                let wait = entry.to.confirmation.map_or(0, |confirmation| confirmation.timeout_ms);
                entry.sent = entry.sent.saturating_add(1);
                entry.refused = 0;
                entry.due = Some(now.after_ms(u64::from(wait)));
                entry.protection = protection;
            }
            _ => {
                self.remove(index);
            }
        }
    }

    /// Takes an entry out of the queue.
    pub(super) fn remove(&mut self, index: usize) -> Option<Entry> {
        let start = self.start(index);
        let entry = self.entries.get_mut(index)?.take()?;
        let end = start.saturating_add(entry.length);
        if let Some(behind) = self.storage.as_mut().get_mut(..self.used).filter(|used| end <= used.len()) {
            behind.copy_within(end.., start);
        }
        self.used = self.used.saturating_sub(entry.length);
        self.cut = match self.cut {
            Some(cut) if cut.index == index => None,
            Some(cut) if cut.index > index => Some(Cut { index: cut.index.saturating_sub(1), ..cut }),
            cut => cut,
        };
        // Order is kept: the free place goes to the end.
        if let Some(rest) = self.entries.get_mut(index..) {
            rest.rotate_left(1);
        }
        Some(entry)
    }

    /// Whether a confirmation of this client may come: something waits for it, and not too much else has come.
    pub(super) fn awaits(&self, client: ClientSap, server: ServerSap) -> bool {
        self.entries.iter().flatten().any(|entry| entry.waits_for(client, server) && entry.refused < REFUSALS_MAX)
    }

    /// What came from this client was no confirmation. After ten of them none is waited for until it is sent again.
    pub(super) fn refused(&mut self, client: ClientSap, server: ServerSap) {
        let waiting = self.entries.iter_mut().flatten().filter(|entry| entry.waits_for(client, server));
        waiting.for_each(|entry| entry.refused = entry.refused.saturating_add(1));
    }

    /// Takes the notification out that a confirmation with this protection is for.
    pub(super) fn confirm(
        &mut self,
        client: ClientSap,
        server: ServerSap,
        id: LongInvokeIdAndPriority,
        protection: Protection,
    ) -> Option<Entry> {
        let index = self.entries.iter().position(|entry| {
            entry.as_ref().is_some_and(|entry| {
                let same = entry.awaits.is_some_and(|awaited| awaited.matches(id)) && entry.due.is_some();
                let theirs = entry.to.client == client && entry.to.server == server;
                // Whoever could confirm in clear what was ciphered could suppress it.
                same && theirs && protection.covers(entry.protection)
            })
        })?;
        self.remove(index)
    }
}

fn attempts(entry: &Entry) -> u8 {
    entry.to.confirmation.map_or(1, |confirmation| confirmation.attempts.max(1))
}
