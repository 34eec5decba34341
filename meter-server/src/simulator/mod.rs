//! Simulated meters: thousands in one process, each with its own state, behind real sockets.

mod consumption;
pub mod meter;
pub mod model;
mod timeline;

pub use meter::{Meter, MeterIdentity};
pub use model::{Model, ModelError};
pub use timeline::Timeline;
