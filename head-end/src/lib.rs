//! Head-end for DLMS/COSEM meters: reads fleets of meters and offers them over gRPC.
//!
//! The layers, top down:
//!
//! | layer | module |
//! |---|---|
//! | a whole head-end in one process | [`node`] |
//! | its configuration | [`config`] |
//! | gRPC services | [`api`] |
//! | operations, and what they read kept | [`head_end`] |
//! | one task for each live meter | [`fleet`] |
//! | the meters that are known | [`registry`] |
//! | what can be asked of a meter, and by whom | [`operation`] |
//! | what is known about a meter | [`meter`] |
//! | what must survive | [`store`] |
//! | secrets at rest | [`vault`] |

pub mod api;
pub mod cli;
pub mod config;
pub mod fleet;
pub mod head_end;
pub mod meter;
pub mod node;
pub mod operation;
pub mod registry;
pub mod store;
pub mod vault;

pub use head_end::HeadEnd;
