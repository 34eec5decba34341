//! Interface classes (Blue Book): what attributes and methods there are, and of which types.
//!
//! Each class has one file with one table for all its versions. From the table come the class's [`Class`] description
//! with its documentation and, for every attribute and method, a marker type that both sides use: the client to name
//! what it asks for and to read the answer, the server to recognise it and to write the answer. What changed its type or
//! meaning between versions has one marker type for each. Classes and versions that are not described here are read as
//! [`Data`].
//!
//! For servers the table makes the trait `Server` with one function for each attribute and method, and `dispatch_get`,
//! `dispatch_set` and `dispatch_invoke`, which decode, refuse what is of the wrong type, and call them.
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
mod class;
mod names;
pub mod server;
mod tagged;
mod typed;

pub mod account;
pub mod action;
pub mod activity_calendar;
pub mod arbitrator;
pub mod array_manager;
pub mod association_ln;
pub mod association_sn;
pub mod auto_answer;
pub mod auto_connect;
pub mod charge;
pub mod clock;
pub mod coap_diagnostic;
pub mod coap_setup;
pub mod common;
pub mod communication_port_protection;
pub mod compact_data;
pub mod credit;
pub mod data;
pub mod data_protection;
pub mod demand_register;
pub mod disconnect_control;
pub mod extended_register;
pub mod function_control;
pub mod gprs_modem_setup;
pub mod gsm_diagnostic;
pub mod hdlc_setup;
pub mod image_transfer;
pub mod ipv4_setup;
pub mod ipv6_setup;
pub mod key_transfer;
pub mod limiter;
pub mod local_port_setup;
pub mod lte_monitoring;
pub mod mac_address_setup;
pub mod mbus_client;
pub mod mbus_diagnostic;
pub mod mbus_master_port_setup;
pub mod mbus_port_setup;
pub mod mbus_slave_port_setup;
pub mod measurement_data_monitoring;
pub mod modem_configuration;
pub mod ntp_setup;
pub mod parameter_monitor;
pub mod ppp_setup;
pub mod profile_generic;
pub mod push_setup;
pub mod register;
pub mod register_activation;
pub mod register_monitor;
pub mod register_table;
pub mod sap_assignment;
pub mod schedule;
pub mod script_table;
pub mod security_setup;
pub mod sensor_manager;
pub mod short_name;
pub mod single_action_schedule;
pub mod smtp_setup;
pub mod special_days_table;
pub mod status_mapping;
pub mod sts_attributes;
pub mod tcp_udp_setup;
pub mod token_gateway;
pub mod twisted_pair_setup;
pub mod utility_tables;

#[cfg(test)]
mod tests;

pub use array::{Array, Items};
pub use class::{AttributeInfo, Class, ClassVersion, MethodInfo, Nature, Shape};
pub use names::{CLASSES, attribute_name, class, class_name, class_version, method_name};
pub use server::{Answer, Part, Reply};
pub use tagged::Tagged;
pub use typed::{Any, Enumerated, FromData, Text, ToData, TypeError, Utf8, Zero};

use core::ops::RangeInclusive;

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
    /// The versions of the class that have it, with this type and meaning.
    const VERSIONS: RangeInclusive<u8>;
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
        FromData::from_data(data).map_err(|error: TypeError| error.of(Self::NAME))
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
    /// The versions of the class that have it, with this type and meaning.
    const VERSIONS: RangeInclusive<u8>;
    /// What it is called with; [`Zero`] for nothing.
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
        FromData::from_data(data).map_err(|error: TypeError| error.of(Self::NAME))
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
        FromData::from_data(data).map_err(|error: TypeError| error.of(Self::NAME))
    }
}
