//! Events and alarms: what logs and alarm registers of meters say, what meters send, and what the head-end notices.
//!
//! Codes and bits mean different things to different meters: [`EventTables`] are data. All events go through
//! [`EventLog`] into the store, which numbers them; a subscription is a question for what comes behind a number,
//! asked again whenever the log says that there is something.

mod alarms;
pub(crate) mod derive;
mod log;
mod own;
mod table;

pub use self::{
    alarms::{Alarm, AlarmObject, AlarmRegister},
    log::EventLog,
    own::OwnEvent,
    table::{EventTable, EventTables, Meaning, TABLE_LABEL},
};
