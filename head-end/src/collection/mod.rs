//! Collection: plans carried out by themselves, again and again, until everything is here.
//!
//! The work with one meter is always the same, whatever happened before: find the gaps since its watermark, ask for
//! them, note what the meter does not have. So a run that was missed, a restart and a meter that was away for days need
//! no case of their own.
//!
//! ```text
//!   Collection (library) ──▶ store: plans, one state row for each meter and plan
//!        │ wakes                        ▲
//!        ▼                              │ due rows, states
//!   Engine: fair between plans ──▶ Visit of one meter ──▶ HeadEnd ──▶ fleet, ingest
//! ```

mod backoff;
mod engine;
mod gaps;
mod members;
mod performance;
mod service;
mod share;
#[cfg(test)]
mod tests;
mod visit;

pub use self::{
    engine::CollectionOptions,
    gaps::{Gap, GapMap},
    performance::{Performance, Timeliness},
    service::{Collection, CollectionError, LONGEST_SPAN},
};
