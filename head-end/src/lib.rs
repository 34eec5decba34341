//! Head-end for DLMS/COSEM meters: reads fleets of meters and offers them over gRPC.
//!
//! The layers, top down:
//!
//! | layer | module |
//! |---|---|
//! | a whole head-end in one process | [`node`] |
//! | its configuration | [`config`] |
//! | what it does, as figures for Prometheus | [`metrics`] |
//! | gRPC services | [`api`] |
//! | who calls, and what they may do | [`access`] |
//! | operations over many meters | [`jobs`] |
//! | operations, and what they read kept | [`head_end`] |
//! | which row of a profile ends which billing period | [`billing`] |
//! | the one way of readings into the store | [`ingest`] |
//! | what meters send by themselves | [`push`] |
//! | meters that connect by themselves | [`dial_in`] |
//! | telegrams of their customer ports | [`telegram`] |
//! | readings and events for an MQTT broker | `mqtt`, with the feature of that name |
//! | captures as files for others | [`export`] |
//! | what captures amount to by hour, day and month | [`series`] |
//! | events and alarms | [`events`] |
//! | one task for each live meter | [`fleet`] |
//! | the meters that are known | [`registry`] |
//! | what can be asked of a meter, and by whom | [`operation`] |
//! | what is known about a meter | [`meter`] |
//! | what must survive | [`store`] |
//! | what of it is forgotten, and when | [`upkeep`] |
//! | secrets at rest | [`vault`] |
//! | counters and histograms | [`measure`] |
//! | what time it is | [`clock`] |

pub mod access;
pub mod api;
pub mod billing;
pub mod cli;
pub mod clock;
pub mod collection;
pub mod config;
pub mod dial_in;
pub mod events;
pub mod export;
pub mod fleet;
pub mod group;
pub mod head_end;
pub mod ingest;
pub mod jobs;
pub mod measure;
pub mod meter;
pub mod metrics;
#[cfg(feature = "mqtt")]
pub mod mqtt;
pub mod node;
pub mod operation;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod plan;
pub mod push;
pub mod registry;
pub mod series;
pub mod store;
pub mod telegram;
pub mod upkeep;
pub mod vault;

pub use head_end::HeadEnd;
