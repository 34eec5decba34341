//! Head-end for DLMS/COSEM meters: reads fleets of meters and offers them over gRPC.
//!
//! The layers, top down:
//!
//! | layer | module |
//! |---|---|
//! | what can be asked of a meter | [`operation`] |
//! | what is known about a meter | [`meter`] |

pub mod meter;
pub mod operation;
pub mod store;
pub mod vault;
