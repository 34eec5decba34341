//! Models: what a kind of meter is made of, read from a declarative file.

mod classes;
mod compile;
mod error;
mod installation;
mod library;
mod notation;
mod objects;
mod pattern;
mod public_keys;
mod rights;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use dlms::acse::Mechanism;
use dlms::apdu::{Conformance, MemberDescriptor};
use dlms::association::Referencing;
use dlms::id::{ClassId, ClientSap, ShortName, SystemTitle};
use dlms::obis::ObisCode;
use dlms::security::{SecurityPolicy, Suite};

pub(crate) use self::classes::alarms::ModelAlarms;
pub use self::error::{ModelError, ModelPlace};
pub use self::library::{BuiltInModel, MODELS};
pub(crate) use self::public_keys::InitialKeys;
pub(crate) use self::schema::TypeName;

use self::rights::RightsList;
use super::consumption::Installation;
use super::meter::Meter;
use super::meter::events::LogKind;
use super::meter::firmware::ImageBank;
use super::meter::kept::KeptSlot;
use super::meter::mbus::ModelMbus;
use super::meter::prepayment::ModelPrepayment;
use super::meter::push::ModelPush;
use super::meter::supervision::ModelSupervision;
use super::meter::supply::SupplyLimits;
use super::meter::tariff::ModelTariffs;
use super::p1::P1Dialect;
use crate::access::Rights;
use crate::object::Object;
use crate::objects::{ClockSettings, ImageReceiver, SingleActionSchedule, Switch};
use crate::table::{ObjectTable, member};

/// The file of a small meter with short names.
pub const SHORT_NAME_MODEL: &str = include_str!("../../../models/short-names.toml");
/// The file of the built-in model.
pub const DEFAULT_MODEL: &str = include_str!("../../../models/idis-three-phase.toml");

/// An object that many meters share.
type SharedObject = Box<dyn Object<Meter> + Send + Sync>;

/// An association of the model.
#[derive(Clone, Debug)]
pub(crate) struct ModelAssociation {
    pub(crate) name: String,
    pub(crate) client: ClientSap,
    pub(crate) referencing: Referencing,
    pub(crate) mechanism: Mechanism,
    pub(crate) security_setup: Option<u8>,
    /// The only client whose certificate opens it; any whose certificate the meter has when `None`.
    pub(crate) client_title: Option<SystemTitle>,
    pub(crate) conformance: Conformance,
    pub(crate) max_pdu: u16,
}

/// A security setup of the model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModelSetup {
    pub(crate) number: u8,
    pub(crate) policy: SecurityPolicy,
    /// Version of the class.
    pub(crate) version: u8,
    pub(crate) suite: Suite,
}

/// A kind of meter: its objects, access rights, clock and installation. Shared by all meters made from it.
pub struct Model {
    name: String,
    about: String,
    customer_port: Option<P1Dialect>,
    /// Manufacturer and type: the first six characters of each logical device name.
    pub(crate) manufacturer: String,
    pub(crate) device_type: String,
    pub(crate) first_serial: u64,
    pub(crate) clock: ClockSettings,
    pub(crate) drift_ppm: f64,
    pub(crate) clock_error_ms: f64,
    pub(crate) installation: Installation,
    pub(crate) setups: Vec<ModelSetup>,
    /// Of all its setups.
    pub(crate) suite: Suite,
    pub(crate) initial_keys: InitialKeys,
    pub(crate) associations: Vec<ModelAssociation>,
    pub(crate) switch: Switch,
    /// The transfer that meters begin with; without an object of class 18 nobody reaches it.
    pub(crate) image: ImageReceiver<ImageBank, Vec<u8>>,
    pub(crate) tariffs: ModelTariffs,
    pub(crate) supervision: ModelSupervision,
    pub(crate) prepayment: Option<ModelPrepayment>,
    pub(crate) mbus: ModelMbus,
    logs: BTreeMap<u8, u32>,
    /// What its meters judge their supply by until a client writes otherwise.
    pub(crate) limits: SupplyLimits,
    pub(crate) alarms: ModelAlarms,
    pub(crate) schedules: Vec<SingleActionSchedule<KeptSlot>>,
    pub(crate) pushes: Vec<ModelPush>,
    /// Schedules that only push, to nowhere: while a meter is as the model says, they change nothing.
    pub(crate) idle_schedules: Vec<bool>,
    objects: Vec<SharedObject>,
    /// Access rights of each object: number of the set in `access`.
    access_of: Vec<usize>,
    access: Vec<BTreeMap<ClientSap, RightsList>>,
    /// Object numbers by class and logical name.
    index: BTreeMap<(u16, [u8; 6]), usize>,
    /// Object numbers by base name.
    names: BTreeMap<ShortName, usize>,
    /// Base names of the objects that have one.
    bases: Vec<Option<ShortName>>,
}

impl Model {
    /// The built-in model: a three-phase import/export meter in the manner of IDIS package 2.
    ///
    /// # Panics
    /// Never: a test compiles the built-in file.
    #[must_use]
    pub fn built_in() -> Self {
        Self::from_toml(DEFAULT_MODEL).unwrap_or_else(|error| unreachable!("the built-in model is checked: {error}"))
    }

    /// The model that a TOML file describes.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    pub fn from_toml(text: &str) -> Result<Self, ModelError> {
        compile::compile(text)
    }

    /// What the model is, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it follows and what is simplified, for people.
    #[must_use]
    pub fn about(&self) -> &str {
        &self.about
    }

    /// What the customer port sends, if the model says so.
    #[must_use]
    pub const fn customer_port(&self) -> Option<P1Dialect> {
        self.customer_port
    }

    /// Security suite of the meters: how long their keys are.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Number of objects.
    #[must_use]
    pub fn object_count(&self) -> usize {
        self.objects.len()
    }

    /// Names and SAPs of the clients that have an association.
    pub fn clients(&self) -> impl Iterator<Item = (&str, ClientSap)> {
        self.associations.iter().map(|association| (association.name.as_str(), association.client))
    }

    /// How a client proves who it is, and whether it ciphers.
    #[must_use]
    pub fn mechanism(&self, client: ClientSap) -> Option<(Mechanism, bool)> {
        self.association(client).map(|association| (association.mechanism, association.security_setup.is_some()))
    }

    pub(crate) fn association(&self, client: ClientSap) -> Option<&ModelAssociation> {
        self.associations.iter().find(|association| association.client == client)
    }

    /// Entries of an event log; a meter without the log's profile still notes events that other objects show.
    pub(crate) fn log_capacity(&self, kind: LogKind) -> u32 {
        self.logs.get(&kind.group_e()).copied().unwrap_or(16)
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("name", &self.name).field("objects", &self.objects.len()).finish_non_exhaustive()
    }
}

impl ObjectTable<Meter> for Model {
    fn len(&self) -> usize {
        self.objects.len()
    }

    fn object(&self, index: usize) -> Option<&dyn Object<Meter>> {
        self.objects.get(index).map(|object| &**object as &dyn Object<Meter>)
    }

    fn rights(&self, index: usize, client: ClientSap) -> Rights<'_> {
        self.access_of
            .get(index)
            .and_then(|set| self.access.get(*set))
            .and_then(|set| set.get(&client))
            .map_or(Rights::NONE, RightsList::as_rights)
    }

    fn base(&self, index: usize) -> Option<ShortName> {
        self.bases.get(index).copied().flatten()
    }

    fn named(&self, name: ShortName) -> Option<MemberDescriptor> {
        let (base, index) = self.names.range(..=name).next_back()?;
        member(self.object(*index)?, *base, name)
    }

    fn find(&self, class: ClassId, instance: ObisCode) -> Option<usize> {
        self.index.get(&(class.0, instance.0)).copied()
    }
}
