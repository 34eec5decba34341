//! DLMS/COSEM conformance tools: a corpus of captured traffic, a replayer that decodes it with the
//! `dlms` crate and compares every value, a decoder for single frames, and a recorder that makes
//! corpus records of live exchanges.

mod ber;
pub mod collect;
pub mod complaint;
pub mod corpus;
pub mod decode;
pub mod gbt;
pub mod line;
pub mod mbus;
pub mod open;
pub mod p1;
pub mod passes;
pub mod probe;
pub mod readings;
pub mod record;
pub mod recorder;
pub mod replay;
pub mod tree;
pub mod values;
