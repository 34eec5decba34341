//! The fleet against simulated meters on real sockets, and against scripted peers.

mod actors;
mod counters;
mod faults;
mod keys;
mod links;
mod many;
mod profiles;
mod replay;
mod scripted;
mod simulated;
mod support;

pub(in crate::fleet) use support::config;
