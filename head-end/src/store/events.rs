//! What happened, to meters and to the head-end itself.

use std::{fmt, future::Future};

use dlms::{obis::ObisCode, time::DateTime};
use jiff::Timestamp;

use super::StoreError;
use crate::meter::{MeterId, TimeBasis};

/// What happened, in the order in which we heard of it.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait EventStore: Send + Sync + 'static {
    /// Adds events; one that the store has already (same meter, log, time, code and detail) changes nothing. Returns the
    /// highest sequence number given out, `None` when all were known.
    ///
    /// # Errors
    /// The store's own.
    fn append_events(&self, events: Vec<NewEvent>) -> impl Future<Output = Result<Option<i64>, StoreError>> + Send;

    /// Events in ascending order of their sequence numbers, or descending.
    ///
    /// # Errors
    /// The store's own.
    fn query_events(&self, query: EventQuery) -> impl Future<Output = Result<Vec<Event>, StoreError>> + Send;

    /// The highest sequence number so far; 0 before the first event.
    ///
    /// # Errors
    /// The store's own.
    fn last_event(&self) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Acknowledges an event, unless it is already; returns it as it is then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the store's own.
    fn acknowledge_event(
        &self,
        sequence: i64,
        by: Acknowledgement,
    ) -> impl Future<Output = Result<Event, StoreError>> + Send;

    /// Keeps the value of an alarm register or descriptor, and adds of `events`, one for each bit that stands in it by its
    /// code, those of bits that did not stand before; both in one transaction, so that no alarm is taken for told before
    /// it is. Returns the highest sequence number that was given out.
    ///
    /// # Errors
    /// The store's own; nothing is kept then.
    fn append_alarms(
        &self,
        meter: &MeterId,
        register: ObisCode,
        value: u32,
        events: Vec<NewEvent>,
    ) -> impl Future<Output = Result<Option<i64>, StoreError>> + Send;

    /// Keeps the value of an alarm register or descriptor; returns the one that was kept before, 0 at first.
    ///
    /// # Errors
    /// The store's own.
    fn swap_alarms(
        &self,
        meter: &MeterId,
        register: ObisCode,
        value: u32,
    ) -> impl Future<Output = Result<u32, StoreError>> + Send;
}

/// How we came to know of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventOrigin {
    /// It was read from a log of the meter.
    Log,
    /// The meter sent it.
    Pushed,
    /// A bit of an alarm register that was read.
    AlarmRegister,
    /// The head-end noticed it.
    HeadEnd,
}

macro_rules! categories {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What an event is about.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum EventCategory {
            $($(#[$doc])* $name,)*
        }

        impl EventCategory {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name in the store, in tables and on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

categories! {
    /// Nothing else fits, or the code is not in the meter's table.
    #[default]
    Other = "other",
    /// The supply failed or came back.
    Power = "power",
    /// Voltage, current and harmonics outside their limits.
    Quality = "quality",
    /// The clock was set, or cannot be trusted.
    Clock = "clock",
    /// Somebody may have meddled with the meter.
    Tamper = "tamper",
    /// Keys, logins, protection.
    Security = "security",
    /// Settings and tariffs changed.
    Configuration = "configuration",
    /// Firmware.
    Firmware = "firmware",
    /// Memory, battery, measurement.
    Hardware = "hardware",
    /// The switch of the supply, and limits of it.
    Supply = "supply",
    /// M-Bus devices behind the meter.
    SubMeter = "sub-meter",
    /// Networks and modems.
    Communication = "communication",
    /// Logs and registers were cleared.
    Log = "log",
}

impl EventCategory {
    /// The category of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|category| category.name() == name)
    }
}

impl fmt::Display for EventCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An event to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Of which meter; `None` for the head-end's own that are about no meter.
    pub meter: Option<MeterId>,
    /// When it happened.
    pub time: Timestamp,
    /// Where that time comes from.
    pub time_basis: TimeBasis,
    /// The meter's own octets.
    pub clock: Option<DateTime>,
    /// How we came to know.
    pub origin: EventOrigin,
    /// The log that it is in, or the alarm register.
    pub source: Option<ObisCode>,
    /// Its code, or the number of its bit.
    pub code: Option<u32>,
    /// Its name in the meter's table.
    pub name: String,
    /// What it is about.
    pub category: EventCategory,
    /// EndDeviceEventType of IEC 61968-9, where the meter's table has one; else empty.
    pub iec_code: String,
    /// Whether somebody should look at it.
    pub alarm: bool,
    /// What else is known.
    pub detail: String,
    /// When we heard of it.
    pub received: Timestamp,
}

/// An event as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order in which we heard of events, from 1.
    pub sequence: i64,
    /// What happened.
    pub event: NewEvent,
    /// Who has seen to it.
    pub acknowledged: Option<Acknowledgement>,
}

/// Somebody has seen to an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What they say.
    pub note: String,
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only of these meters; empty: of all, and the head-end's own.
    pub meters: Vec<MeterId>,
    /// Only of these categories; empty: all.
    pub categories: Vec<EventCategory>,
    /// Only with these codes; empty: all.
    pub codes: Vec<u32>,
    /// Only from this log or register.
    pub source: Option<ObisCode>,
    /// Only those that somebody should look at.
    pub alarms_only: bool,
    /// Only those that nobody has acknowledged.
    pub unacknowledged_only: bool,
    /// First moment that is wanted.
    pub from: Option<Timestamp>,
    /// First moment that is no longer wanted.
    pub to: Option<Timestamp>,
}

/// A question to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventQuery {
    /// Which events.
    pub filter: EventFilter,
    /// Only those behind this sequence number, in the order asked.
    pub after: Option<i64>,
    /// The latest first.
    pub descending: bool,
    /// How many.
    pub limit: usize,
}
