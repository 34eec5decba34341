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
mod dispatch;
mod general;
mod get;
mod guard;
mod hdlc;
mod lockout;
mod long_request;
mod member;
mod notify;
mod offer;
mod open;
mod outbox;
mod quirk;
mod refused;
mod route;
mod set;
mod short_name;
mod transfer;

pub use association::Association;
pub use connection::{Connection, ServerLink, ServerLinkEvent};
pub use device::{Access, AssociationConfig, AuditEvent, Cursor, Device, PreEstablished, Progress, SecurityConfig};
pub use guard::{AUDIT_WINDOW_MS, AUDITED_FAILURES_MAX, REFUSALS_MAX};
pub use lockout::{Attempts, FailedAttempts, Source};
pub use member::Member;
pub use notify::NotifyError;
pub use offer::Offer;
pub use outbox::{Confirmation, Outbox, PushProtection, PushTo, Queue};
pub use route::{Routed, Routing};
