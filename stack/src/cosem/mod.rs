//! Interface classes (Blue Book): what attributes and methods there are, and of which types.
//!
//! Each class has one file with one table. From the table come the class's [`Class`] description and, for every
//! attribute and method, a marker type that both sides use: the client to name what it asks for and to read the
//! answer, the server to recognise it and to write the answer.
//!
//! ```
//! use dlms::axdr::{Data, Writer};
//! use dlms::cosem::{Attribute, register};
//! use dlms::obis::ObisCode;
//! use dlms::unit::{self, Unit};
//!
//! let wanted = register::ScalerUnit::of(ObisCode::ACTIVE_IMPORT);
//! assert_eq!((wanted.class, wanted.attribute), (register::CLASS_ID, register::ScalerUnit::ID));
//!
//! let mut buffer = [0; 16];
//! let mut writer = Writer::new(&mut buffer);
//! register::ScalerUnit::encode(&unit::ScalerUnit { scaler: 3, unit: Unit::WATT_HOUR }, &mut writer)?;
//! let value = register::ScalerUnit::decode(Data::from_slice(writer.written())?)?;
//! assert_eq!(value.decimal(593).to_string(), "593000");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Reading is tolerant where meters differ: a number may have any integer type that holds it, a date-time its own tag
//! or that of an octet-string, a structure more members than the class says. Writing follows the class.

#[macro_use]
mod table;
mod array;
mod names;
mod typed;

pub mod association_ln;
pub mod clock;
pub mod data;
pub mod demand_register;
pub mod disconnect_control;
pub mod extended_register;
pub mod profile_generic;
pub mod register;
pub mod sap_assignment;
pub mod security_setup;

#[cfg(test)]
mod tests;

pub use array::{Array, Items};
pub use names::{CLASSES, attribute_name, class, class_name, method_name};
pub use typed::{Any, Enumerated, FromData, Text, ToData, TypeError};

use crate::apdu::{AttributeDescriptor, MethodDescriptor};
use crate::axdr::{BufferFull, Data, Writer};
use crate::id::{AttributeId, ClassId, MethodId};
use crate::obis::ObisCode;

/// `logical_name`, which every class has as its first attribute.
pub const LOGICAL_NAME: AttributeId = AttributeId(1);

/// An attribute of an interface class. Implemented by the marker types of the class modules.
pub trait Attribute {
    /// The class.
    const CLASS_ID: ClassId;
    /// Index within the class.
    const ID: AttributeId;
    /// Name in the Blue Book.
    const NAME: &'static str;
    /// First version of the class that has it.
    const SINCE: u8;
    /// What it holds.
    type Value<'a>: FromData<'a> + ToData;

    /// This attribute of `instance`.
    #[must_use]
    fn of(instance: ObisCode) -> AttributeDescriptor {
        AttributeDescriptor::new(Self::CLASS_ID, instance, Self::ID)
    }

    /// Reads the value.
    ///
    /// # Errors
    /// [`TypeError`] when the data is of another type.
    fn decode(data: Data<'_>) -> Result<Self::Value<'_>, TypeError> {
        FromData::from_data(data)
    }

    /// Writes the value.
    ///
    /// # Errors
    /// [`BufferFull`].
    fn encode(value: &Self::Value<'_>, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        value.to_data(writer)
    }
}

/// A method of an interface class. Implemented by the marker types of the class modules.
pub trait Method {
    /// The class.
    const CLASS_ID: ClassId;
    /// Index within the class.
    const ID: MethodId;
    /// Name in the Blue Book.
    const NAME: &'static str;
    /// First version of the class that has it.
    const SINCE: u8;
    /// What it is called with. `i8` stands for the "integer 0" of methods without parameters.
    type Parameter<'a>: FromData<'a> + ToData;
    /// What it gives back; `()` for nothing.
    type Reply<'a>: FromData<'a> + ToData;

    /// This method of `instance`.
    #[must_use]
    fn of(instance: ObisCode) -> MethodDescriptor {
        MethodDescriptor::new(Self::CLASS_ID, instance, Self::ID)
    }

    /// Reads the parameter.
    ///
    /// # Errors
    /// [`TypeError`] when the data is of another type.
    fn decode(data: Data<'_>) -> Result<Self::Parameter<'_>, TypeError> {
        FromData::from_data(data)
    }

    /// Writes the parameter.
    ///
    /// # Errors
    /// [`BufferFull`].
    fn encode(parameter: &Self::Parameter<'_>, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        parameter.to_data(writer)
    }

    /// Reads the reply.
    ///
    /// # Errors
    /// [`TypeError`] when the data is of another type.
    fn decode_reply(data: Data<'_>) -> Result<Self::Reply<'_>, TypeError> {
        FromData::from_data(data)
    }
}

/// What there is to know about a class without an object of it.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    /// Identifier.
    pub id: ClassId,
    /// Name in the Blue Book.
    pub name: &'static str,
    /// Newest version described here; they count from 0.
    pub version: u8,
    /// Attributes from 2 on; 1 is `logical_name` in every class.
    pub attributes: &'static [Member],
    /// Methods.
    pub methods: &'static [Member],
}

/// An attribute or method of a [`Class`].
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Index within the class.
    pub id: i8,
    /// Name in the Blue Book.
    pub name: &'static str,
    /// First version of the class that has it.
    pub since: u8,
}
