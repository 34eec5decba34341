//! What meters sent of themselves, the counters they did it with, and devices that nobody knows.

use std::{future::Future, net::IpAddr};

use dlms::{id::SystemTitle, security::Protection};
use jiff::Timestamp;

use super::{StoreError, StoredMeter};
use crate::meter::{CounterId, EquipmentId, MeterId};

/// What meters sent of themselves, the counters they did it with, and devices that nobody knows.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait PushStore: Send + Sync + 'static {
    /// Meters with this system title, in the order of their names, four at most.
    ///
    /// # Errors
    /// The store's own.
    fn meters_by_title(&self, title: SystemTitle) -> impl Future<Output = Result<Vec<StoredMeter>, StoreError>> + Send;

    /// Meters whose plain pushes may come from `address`, in the order of their names, 1000 at most.
    ///
    /// # Errors
    /// The store's own.
    fn meters_by_push_source(
        &self,
        address: IpAddr,
    ) -> impl Future<Output = Result<Vec<StoredMeter>, StoreError>> + Send;

    /// Meters whose customer port prints this equipment identifier, in the order of their names, four at most.
    ///
    /// # Errors
    /// The store's own.
    fn meters_by_equipment(
        &self,
        equipment: EquipmentId,
    ) -> impl Future<Output = Result<Vec<StoredMeter>, StoreError>> + Send;

    /// Meters with this logical device name, in the order of their names, four at most.
    ///
    /// # Errors
    /// The store's own.
    fn meters_by_device_name(&self, name: &str) -> impl Future<Output = Result<Vec<StoredMeter>, StoreError>> + Send;

    /// Keeps a push that was verified, if its counter is above all that were seen; both in one transaction, so that
    /// no counter is used up without its push being kept.
    ///
    /// # Errors
    /// The store's own; then nothing was kept.
    fn accept_push(&self, push: NewPush) -> impl Future<Output = Result<Accepted, StoreError>> + Send;

    /// Pushes that were not read yet, in the order in which they came, from the one behind `after`.
    ///
    /// # Errors
    /// The store's own.
    fn waiting_pushes(
        &self,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<StoredPush>, StoreError>> + Send;

    /// Notes what was made of a push.
    ///
    /// # Errors
    /// The store's own.
    fn finish_push(&self, id: i64, outcome: PushOutcome) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Pushes of a meter, the latest first, from the one before `before`.
    ///
    /// # Errors
    /// The store's own.
    fn list_pushes(
        &self,
        meter: &MeterId,
        before: Option<i64>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<StoredPush>, StoreError>> + Send;

    /// Removes pushes that came before `before` and wait no more, `limit` at most; returns how many.
    ///
    /// # Errors
    /// The store's own.
    fn forget_pushes(&self, before: Timestamp, limit: usize) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Notes that a device was heard that no meter is registered for. With `most` devices on the list, the one that
    /// was not heard of for the longest time makes room. Returns whether it is new on the list.
    ///
    /// # Errors
    /// The store's own.
    fn note_unclaimed(&self, sighting: Sighting, most: usize) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Devices that nobody claimed, in the order of their identities, from the one behind `after`.
    ///
    /// # Errors
    /// The store's own.
    fn list_unclaimed(
        &self,
        after: Option<DeviceIdentity>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<UnclaimedDevice>, StoreError>> + Send;

    /// A device that nobody claimed.
    ///
    /// # Errors
    /// The store's own.
    fn unclaimed(
        &self,
        identity: DeviceIdentity,
    ) -> impl Future<Output = Result<Option<UnclaimedDevice>, StoreError>> + Send;

    /// Takes a device from the list.
    ///
    /// # Errors
    /// The store's own.
    fn forget_unclaimed(&self, identity: DeviceIdentity) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A push that was verified.
#[derive(Clone, Debug)]
pub struct NewPush {
    /// Of which meter.
    pub meter: MeterId,
    /// Its invocation counter, and whose counter that is; `None` where no tag proves one.
    pub counter: Option<(CounterId, u32)>,
    /// The notification in clear.
    pub apdu: Vec<u8>,
    /// Digest of the octets as they came, by which a repetition is told from a replay with other contents.
    pub digest: [u8; 32],
    /// The protection that it was found to have.
    pub protection: Protection,
    /// Where it came from, for people.
    pub source: String,
    /// When it came.
    pub received: Timestamp,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is durable under this number.
    New(i64),
    /// It is the one that was accepted last, octet by octet: its sender did not hear our confirmation.
    Repeated,
    /// Its counter, or a higher one, was seen before.
    Replayed {
        /// The highest counter seen.
        last: u32,
    },
}

/// How far a push has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushState {
    /// It waits to be read.
    Waiting,
    /// Readings or events were made of it.
    Read,
    /// Nobody knows what its values are; it is kept as it came.
    Unread,
}

/// What was made of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushOutcome {
    /// How far it has come.
    pub state: PushState,
    /// By what its values were named, or why they were not.
    pub note: String,
}

/// A push as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredPush {
    /// Its number; later ones have higher numbers.
    pub id: i64,
    /// Of which meter.
    pub meter: MeterId,
    /// The notification in clear.
    pub apdu: Vec<u8>,
    /// The protection that it was found to have.
    pub protection: Protection,
    /// Its invocation counter, where a tag proved it.
    pub counter: Option<u32>,
    /// Where it came from.
    pub source: String,
    /// When it came, to the millisecond.
    pub received: Timestamp,
    /// What was made of it.
    pub outcome: PushOutcome,
}

/// What an unknown device is told from others by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceIdentity {
    /// The system title that its APDUs name, which nothing proves.
    Title(SystemTitle),
    /// The address that its plain APDUs come from.
    Address(IpAddr),
    /// The equipment identifier that its telegrams print.
    Equipment(EquipmentId),
    /// The logical device name that it says when it connects.
    Name(EquipmentId),
}

/// What is written before an equipment identifier.
const EQUIPMENT: &str = "equipment-";
/// What is written before a logical device name.
const NAME: &str = "name-";

impl DeviceIdentity {
    /// As text: 16 hexadecimal digits, an IP address, `equipment-` and an equipment identifier, or `name-` and a
    /// logical device name.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Title(title) => title.to_string(),
            Self::Address(address) => address.to_string(),
            Self::Equipment(equipment) => format!("{EQUIPMENT}{equipment}"),
            Self::Name(name) => format!("{NAME}{name}"),
        }
    }

    /// The identity that [`text`](Self::text) wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        if let Some(equipment) = text.strip_prefix(EQUIPMENT) {
            return equipment.parse().ok().map(Self::Equipment);
        }
        if let Some(name) = text.strip_prefix(NAME) {
            return name.parse().ok().map(Self::Name);
        }
        let mut title = [0; 8];
        match hex::decode_to_slice(text, &mut title) {
            Ok(()) => Some(Self::Title(SystemTitle(title))),
            Err(_) => text.parse().ok().map(Self::Address),
        }
    }
}

/// An unknown device was heard.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// Which one, by its own word.
    pub identity: DeviceIdentity,
    /// Where its octets came from.
    pub source: String,
    /// How often.
    pub count: u64,
    /// When, the last time.
    pub at: Timestamp,
}

/// A device that pushes, calls or sends telegrams, and that no meter is registered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnclaimedDevice {
    /// Which one, by its own word.
    pub identity: DeviceIdentity,
    /// Where its octets came from last.
    pub source: String,
    /// When it was heard first.
    pub first_seen: Timestamp,
    /// When it was heard last.
    pub last_seen: Timestamp,
    /// How often it was heard.
    pub count: u64,
}
