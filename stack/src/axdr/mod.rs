//! A-XDR (IEC 61334-6): the encoding of xDLMS services and of COSEM data.
//!
//! Facts and tags: `spec/axdr.md`. [`Reader`] and [`Writer`] are cursors without policy; every other
//! layer is built on them.

mod error;
mod reader;
mod writer;

pub use error::{BufferFull, DecodeError, DecodeErrorKind};
pub use reader::Reader;
pub use writer::Writer;
