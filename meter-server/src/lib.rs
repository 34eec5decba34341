//! meter-server
#![cfg_attr(not(feature = "simulator"), no_std)]
#[cfg(feature = "simulator")]
pub mod simulator;
