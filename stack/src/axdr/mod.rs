//! A-XDR (IEC 61334-6): the encoding of xDLMS services and of COSEM data.
//!
//! [`Reader`] and [`Writer`] are cursors without policy; every other layer is built on them. [`Data`] is a COSEM
//! value borrowed from received octets: checked once, then read without failing. Values are written with the typed
//! helpers of [`Writer`], without building them first.

mod access;
mod bits;
mod check;
mod compact;
mod compress;
mod data;
mod encode;
mod error;
mod reader;
mod sequence;
#[cfg(feature = "alloc")]
pub(crate) mod stream;
pub(crate) mod tag;
#[cfg(test)]
mod tests;
#[cfg(feature = "alloc")]
mod value;
mod walk;
mod writer;

pub use bits::BitString;
pub use compact::{COMPACT_VALUES_PER_OCTET, CompactArray};
pub use data::Data;
pub use error::{BufferFull, DecodeError, DecodeErrorKind};
pub use reader::Reader;
pub use sequence::{Elements, Sequence};
#[cfg(feature = "alloc")]
pub use value::{BitBuf, CompactBuf, Value};
pub use walk::{Container, Visitor, walk, walk_values};
pub use writer::Writer;

/// How deeply arrays and structures may be nested. The deepest attributes of the Blue Book need half of it.
pub const MAX_DEPTH: usize = 16;
