//! COSEM interface classes as objects of a server.
//!
//! Each class is generic over where its values come from: a trait of one or a few methods that the meter's
//! firmware, or the simulator, implements. Numbers, types and versions come from the tables in [`dlms::cosem`], whose
//! `Server` traits the objects implement.

#[macro_use]
mod serve;
mod account;
mod activity_calendar;
mod association;
mod association_sn;
mod charge;
mod clock;
mod constant;
mod credit;
mod disconnect_control;
mod image_transfer;
mod kept;
mod limiter;
mod mbus_client;
mod profile_generic;
mod profile_selection;
mod push_setup;
mod register_activation;
mod register_monitor;
mod sap_assignment;
mod script_table;
mod security_setup;
mod single_action_schedule;
mod special_days_table;
mod token_gateway;
mod values;

pub use account::{Account, PrepaymentState};
pub use activity_calendar::{ActivityCalendar, CalendarState};
pub use association::{Association, AssociationDescription, AssociationOf, AssociationState};
pub use association_sn::AssociationSn;
pub use charge::Charge;
pub use clock::{Clock, ClockSettings, ClockState, PresetTime};
pub use constant::{Constant, ConstantState, Constants};
pub use credit::Credit;
pub use disconnect_control::{DisconnectControl, SupplySwitch, Switch, SwitchEvent, SwitchPlace, SwitchState};
pub use dlms::cosem::disconnect_control::ControlState;
pub use dlms::cosem::profile_generic::CaptureObject;
pub use image_transfer::{
    IMAGE_IDENTIFIER_MAX, ImageReceiver, ImageState, ImageStorage, ImageTransfer, Transfer, Work,
};
pub use kept::{Kept, kept_value};
pub use limiter::{Limiter, LimiterState};
pub use mbus_client::{ChannelValve, MBusClient, MBusReading, MBusState, MBusValue};
pub use profile_generic::{ProfileGeneric, RowRange, Rows};
pub use push_setup::{PushSetup, PushState};
pub use register_activation::{ActivationState, RegisterActivation};
pub use register_monitor::{MonitorState, RegisterMonitor};
pub use sap_assignment::{SapAssignment, SapState};
pub use script_table::{ScriptState, ScriptTable, run_script};
#[cfg(feature = "public-key")]
pub use security_setup::{CERTIFICATE_OCTETS, CERTIFICATES, ClientKey, PUBLIC_KEYS_RECORD, PublicKeys};
pub use security_setup::{NewKeys, SecurityDescription, SecuritySetup, SecurityState};
pub use single_action_schedule::SingleActionSchedule;
pub use special_days_table::{SpecialDaysState, SpecialDaysTable};
pub use token_gateway::TokenGateway;
pub use values::{Captured, DataObject, Demand, DemandRegister, ExtendedRegister, Register, Value};
