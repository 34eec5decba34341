//! What can be asked of a meter.

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId, MethodId},
    obis::ObisCode,
};
use jiff::Timestamp;

use super::AttributeRef;

/// One thing to do with one meter, inside one association.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Read values with their scaler, unit, status and capture time; answered by
    /// [`Outcome::Registers`](super::Outcome::Registers), item by item in the order asked.
    ReadRegisters(Vec<RegisterRef>),
    /// Read rows of a profile; answered by [`Outcome::Profile`](super::Outcome::Profile).
    ReadProfile(ReadProfile),
    /// Read attributes as they are; answered by [`Outcome::Attributes`](super::Outcome::Attributes).
    GetAttributes(Vec<GetAttribute>),
    /// Write attributes in order; answered by [`Outcome::Set`](super::Outcome::Set). Never repeated.
    SetAttributes(Vec<SetAttribute>),
    /// Invoke a method; answered by [`Outcome::Method`](super::Outcome::Method). Never repeated.
    InvokeMethod(InvokeMethod),
    /// Read the object list of the association, and the capture objects of its profiles; answered
    /// by [`Outcome::Objects`](super::Outcome::Objects).
    DiscoverObjects,
    /// Ask something that costs the meter nothing, to see whether it answers; answered by
    /// [`Outcome::Pong`](super::Outcome::Pong).
    Ping,
    /// Ask who is there, as the public client in an association of its own: no key and no password is used. Answered by
    /// [`Outcome::Identity`](super::Outcome::Identity). Not in a bundle.
    Identify,
    /// Several operations one after the other inside one association, with nobody else's between them; answered by
    /// [`Outcome::Bundle`](super::Outcome::Bundle), item by item. A bundle in a bundle is refused.
    Bundle {
        /// What is done, in this order.
        operations: Vec<Self>,
        /// Whether one that is not [complete](super::Outcome::is_complete) stops the others. Else only the loss of the
        /// association does.
        stop_on_error: bool,
    },
}

impl Operation {
    /// Several operations in one association, each whatever became of the others.
    #[must_use]
    pub const fn bundle(operations: Vec<Self>) -> Self {
        Self::Bundle { operations, stop_on_error: false }
    }

    /// Whether doing it twice may differ from doing it once.
    #[must_use]
    pub fn is_mutating(&self) -> bool {
        match self {
            Self::SetAttributes(_) | Self::InvokeMethod(_) => true,
            Self::Bundle { operations, .. } => operations.iter().any(Self::is_mutating),
            _ => false,
        }
    }

    /// Names for logs and metrics.
    pub const NAMES: [&'static str; 9] = [
        "read_registers",
        "read_profile",
        "get_attributes",
        "set_attributes",
        "invoke_method",
        "discover_objects",
        "ping",
        "bundle",
        "identify",
    ];

    /// Name for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        Self::NAMES[self.index()]
    }

    /// Place in [`NAMES`](Self::NAMES).
    pub(crate) const fn index(&self) -> usize {
        match self {
            Self::ReadRegisters(_) => 0,
            Self::ReadProfile(_) => 1,
            Self::GetAttributes(_) => 2,
            Self::SetAttributes(_) => 3,
            Self::InvokeMethod(_) => 4,
            Self::DiscoverObjects => 5,
            Self::Ping => 6,
            Self::Bundle { .. } => 7,
            Self::Identify => 8,
        }
    }
}

/// A value object to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterRef {
    /// Its logical name.
    pub obis: ObisCode,
    /// Its interface class (1 data, 3 register, 4 extended register, 5 demand register, 8 clock,
    /// 70 disconnect control and so on); `None` looks it up in the object model, which is
    /// discovered first where it is not known.
    pub class: Option<ClassId>,
}

/// Rows of a profile to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadProfile {
    /// Logical name of the profile generic object.
    pub profile: ObisCode,
    /// Which rows.
    pub selection: ProfileSelection,
}

/// Which rows of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileSelection {
    /// The whole buffer.
    All,
    /// Captured at `from` or later, and before `to`. What the meter returns beyond that, because it
    /// treats bounds in its own way, is trimmed.
    Range {
        /// First moment that is wanted.
        from: Timestamp,
        /// First moment that is no longer wanted.
        to: Timestamp,
    },
    /// By position in the meter's sort order, from 1, both ends included; `to` 0 means the last.
    Entries {
        /// First entry.
        from: u32,
        /// Last entry, or 0.
        to: u32,
    },
    /// So many of those captured last.
    Newest(u32),
}

/// An attribute to read.
#[derive(Clone, Debug, PartialEq)]
pub struct GetAttribute {
    /// Which one.
    pub attribute: AttributeRef,
    /// Selective access.
    pub selection: Option<Selection>,
}

/// Selective access as it goes into the request.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Access selector.
    pub selector: u8,
    /// Access parameters.
    pub parameters: Value,
}

/// An attribute to write.
#[derive(Clone, Debug, PartialEq)]
pub struct SetAttribute {
    /// Which one.
    pub attribute: AttributeRef,
    /// Selective access.
    pub selection: Option<Selection>,
    /// The new value.
    pub value: Value,
}

/// A method to invoke.
#[derive(Clone, Debug, PartialEq)]
pub struct InvokeMethod {
    /// Interface class.
    pub class: ClassId,
    /// Logical name.
    pub obis: ObisCode,
    /// Method index.
    pub method: MethodId,
    /// Its parameter; `None` sends no data at all, which is not the same as null-data.
    pub parameter: Option<Value>,
}

impl AttributeRef {
    /// Attribute `attribute` of the object `obis` of class `class`.
    #[must_use]
    pub const fn new(class: ClassId, obis: ObisCode, attribute: AttributeId) -> Self {
        Self { class, obis, attribute }
    }
}
