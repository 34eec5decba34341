//! The fleet against simulated meters on real sockets, and against scripted peers.

mod simulated;
mod support;

pub(in crate::fleet) use support::config;
