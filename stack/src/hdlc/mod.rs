//! The HDLC data link (IEC 62056-46): frame format type 3, LLC header, both stations.
//!
//! | layer | items |
//! |---|---|
//! | octets | [`Fcs`], [`Address`], [`Control`] |
//! | frames | [`Frame`] (received), [`Repr`] (to be sent), [`Deframer`] (out of a stream) |
//! | link | [`Parameters`], [`client::Session`], [`server::Session`], [`server::Station`], [`Listener`] |
//!
//! The link is half duplex: the client owns the right to send. A frame with P set hands it to the server, a
//! frame with F set hands it back. Both stations keep an APDU until it is acknowledged and send the same octets
//! again when they are not.

mod address;
pub mod client;
mod control;
mod deframer;
mod echo;
mod fcs;
mod frame;
mod listener;
mod parameters;
mod receiver;
pub mod scanner;
mod sender;
pub mod server;
mod station;

pub use address::{Address, Width};
pub use control::{Control, Kind, Sequence};
pub use deframer::Deframer;
pub use fcs::Fcs;
pub use frame::{FLAG, FRAME_MAX, Frame, FrameError, LENGTH_MAX, OVERHEAD_MAX, Repr};
pub use listener::{Listener, Push};
pub use parameters::Parameters;

/// The LLC header of an APDU from the client, in the first segment only.
pub const LLC_COMMAND: [u8; 3] = [0xE6, 0xE6, 0x00];

/// The LLC header of an APDU from the server, in the first segment only.
pub const LLC_RESPONSE: [u8; 3] = [0xE6, 0xE7, 0x00];
