//! Application associations: everything between a user's request and the APDUs on a link.
//!
//! [`client::Connection`] is the head-end's side, [`server::Connection`] the meter's. Both are sans-I/O
//! state machines that negotiate, authenticate, cipher, cut long values into blocks and join them again.

mod blocks;
pub mod client;
pub mod push;
pub mod server;

mod hls_pass;
mod referencing;
mod secret;

pub use blocks::UnconfirmedBlocks;
pub use referencing::Referencing;
pub use secret::{SECRET_BYTES_MAX, Secret};

use crate::apdu::MethodDescriptor;
use crate::id::{ClassId, MethodId};
use crate::obis::ObisCode;

/// `reply_to_HLS_authentication` of the current association: passes 3 and 4 (Green Book, HLS).
pub const REPLY_TO_HLS: MethodDescriptor =
    MethodDescriptor { class: ClassId(15), instance: ObisCode([0, 0, 40, 0, 0, 255]), method: MethodId(1) };

/// The same with short names: method 8 of the Association SN, which is at FA00 (Blue Book, class 12).
pub const REPLY_TO_HLS_SHORT_NAME: i16 = 0xFA58_u16.cast_signed();
