//! The server's side of application associations.
//!
//! [`Association`] is one association, an APDU in and at most one APDU out; [`Device`] is what the meter
//! behind it implements; [`Connection`] is a whole line, framing below and several associations above.

mod access;
mod action;
mod answer;
mod association;
mod connection;
mod device;
mod get;
mod hdlc;
mod long_request;
mod notify;
mod open;
mod outbox;
mod route;
mod set;
mod short_name;
mod transfer;

pub use association::Association;
pub use connection::{Connection, ServerLink, ServerLinkEvent};
pub use device::{Access, AssociationConfig, AuditEvent, Cursor, Device, Progress, SecurityConfig};
pub use notify::NotifyError;
pub use outbox::{Confirmation, PushProtection, PushTo};
pub use route::{Routed, Routing};
