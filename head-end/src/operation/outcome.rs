//! What a meter gave.

use std::{sync::Arc, time::Duration};

use dlms::{
    apdu::Conformance,
    axdr::Value,
    id::{AttributeId, ClassId, MethodId, SystemTitle},
    obis::ObisCode,
    time::DateTime,
    unit::ScalerUnit,
};
use jiff::Timestamp;

use super::{AttributeRef, ItemResult, RequestError};
use crate::meter::TimeBasis;

/// Result of an [`Operation`](super::Operation), one variant for each of its variants.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// One result for each register asked, in that order. Registers that were read before the link
    /// was lost are here with their values; those after it hold the error.
    Registers(Vec<ItemResult<RegisterReading>>),
    /// The rows.
    Profile(ProfileReading),
    /// One result for each attribute asked, in that order.
    Attributes(Vec<ItemResult<AttributeValue>>),
    /// One result for each attribute written, in that order.
    Set(Vec<ItemResult<()>>),
    /// What the method returned, if it returned data.
    Method(Option<Value>),
    /// The objects of the association.
    Objects(Arc<ObjectModel>),
    /// One outcome for each operation of the bundle, in that order.
    Bundle(Vec<ItemResult<Self>>),
    /// The meter answered.
    Pong(Pong),
    /// Who the meter says it is.
    Identity(Identity),
}

impl Outcome {
    /// Whether everything that was asked for was done: every item of it, and every row.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        match self {
            Self::Registers(items) => items.iter().all(Result::is_ok),
            Self::Attributes(items) => items.iter().all(Result::is_ok),
            Self::Set(items) => items.iter().all(Result::is_ok),
            Self::Profile(reading) => reading.interrupted.is_none(),
            Self::Bundle(items) => items.iter().all(|item| item.as_ref().is_ok_and(Self::is_complete)),
            Self::Method(_) | Self::Objects(_) | Self::Pong(_) | Self::Identity(_) => true,
        }
    }

    /// Name of the variant, for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Registers(_) => "registers",
            Self::Profile(_) => "profile",
            Self::Attributes(_) => "attributes",
            Self::Set(_) => "set",
            Self::Method(_) => "method",
            Self::Objects(_) => "objects",
            Self::Bundle(_) => "bundle",
            Self::Pong(_) => "pong",
            Self::Identity(_) => "identity",
        }
    }
}

/// What a meter that answered shows of the line and the association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// From the request until its answer.
    pub round_trip: Duration,
    /// How long opening the association took, where it had to be opened for it.
    pub opening: Option<Opening>,
    /// Longest APDU that the meter takes, in octets; 0xFFFF when it stated no limit.
    pub server_max_pdu: u16,
    /// The services that were agreed on.
    pub conformance: Conformance,
    /// The meter's system title, where it gave one with the association.
    pub server_title: Option<SystemTitle>,
}

/// Who a meter says it is, to anybody who asks: nothing of it is proved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its system title, where it tells.
    pub system_title: Option<SystemTitle>,
    /// Its logical device name, where it tells.
    pub logical_device_name: Option<Vec<u8>>,
}

/// How long an association took to be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// All of it: keys and counters, what was tried in vain before, and both that follow.
    pub total: Duration,
    /// The connection: the name's address, and the TCP handshake or the sign-on at a port.
    pub connection: Duration,
    /// The association on it: HDLC link, AARQ to AARE, and authentication.
    pub association: Duration,
}

/// Value of a register, extended register, demand register, data or clock object.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisterReading {
    /// What was read.
    pub attribute: AttributeRef,
    /// The raw value, before the scaler.
    pub value: Value,
    /// Scaler and unit; `None` for classes that have none.
    pub scaler_unit: Option<ScalerUnit>,
    /// Status attribute of an extended or demand register.
    pub status: Option<Value>,
    /// When the meter captured the value, for classes that say so, in its own octets.
    pub capture_time: Option<DateTime>,
    /// When the value reached us.
    pub received: Timestamp,
}

/// Value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeValue {
    /// What was read.
    pub attribute: AttributeRef,
    /// The raw value.
    pub value: Value,
    /// When the value reached us.
    pub received: Timestamp,
}

/// Rows of a profile, with the layout that explains their cells.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileReading {
    /// The layout at the time of reading.
    pub layout: Arc<ProfileLayout>,
    /// The rows in ascending order of capture time, without duplicates.
    pub rows: Vec<CaptureRow>,
    /// Why the rows end before the selection does: what was read before the failure is not lost with it.
    pub interrupted: Option<RequestError>,
    /// When the last of them reached us.
    pub received: Timestamp,
}

/// How a profile generic object (class 7) is set up.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileLayout {
    /// Logical name of the profile.
    pub profile: ObisCode,
    /// Its capture objects in order: what the cells of a row are.
    pub columns: Vec<CaptureColumn>,
    /// Seconds between two captures; 0 for captures on events or by hand.
    pub capture_period_s: u32,
    /// Rows in use when the layout was read.
    pub entries_in_use: Option<u32>,
    /// Rows that the buffer can hold.
    pub profile_entries: Option<u32>,
}

/// One capture object of a profile. Unknown ones stay opaque: their cells are kept as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CaptureColumn {
    /// Interface class.
    pub class: ClassId,
    /// Logical name.
    pub obis: ObisCode,
    /// Attribute; 0 stands for all of them, as one structure.
    pub attribute: AttributeId,
    /// Element within the attribute, from 1; 0 is the whole attribute.
    pub data_index: u16,
    /// Scaler and unit of the captured object, where it has them and they were read.
    pub scaler_unit: Option<ScalerUnit>,
}

/// One row of a profile.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptureRow {
    /// Capture time in UTC, as the meter's time policy gives it.
    pub time: Timestamp,
    /// Where that time comes from.
    pub time_basis: TimeBasis,
    /// The meter's own twelve octets, where the row has a clock column.
    pub clock: Option<DateTime>,
    /// Status column (AMR profile status), where the row has one, as a number.
    pub status: Option<u64>,
    /// The cells as sent, one for each column of the layout, clock and status included. Where the
    /// meter compresses with null-data, the value that it stands for is filled in.
    pub values: Vec<Value>,
}

/// The objects of one association, as discovered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectModel {
    /// Objects in the order of the meter's list.
    pub objects: Vec<ModelObject>,
    /// Layouts of its profiles, as far as they could be read.
    pub profiles: Vec<Arc<ProfileLayout>>,
    /// When it was read.
    pub read: Timestamp,
}

impl ObjectModel {
    /// The object `obis`; where several classes use one name, the first in the meter's list.
    #[must_use]
    pub fn find(&self, obis: ObisCode) -> Option<&ModelObject> {
        self.objects.iter().find(|object| object.obis == obis)
    }

    /// The layout of the profile `obis`.
    #[must_use]
    pub fn profile(&self, obis: ObisCode) -> Option<&Arc<ProfileLayout>> {
        self.profiles.iter().find(|layout| layout.profile == obis)
    }
}

/// One object of an association.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelObject {
    /// Interface class.
    pub class: ClassId,
    /// Version of the class.
    pub version: u8,
    /// Logical name.
    pub obis: ObisCode,
    /// Attributes with the access mode exactly as the meter states it (in versions 0 to 2 of the
    /// association class an enumeration, from version 3 on a bit mask).
    pub attributes: Vec<(AttributeId, u8)>,
    /// Methods with their access mode, likewise.
    pub methods: Vec<(MethodId, u8)>,
    /// Scaler and unit, where they have been read.
    pub scaler_unit: Option<ScalerUnit>,
}
