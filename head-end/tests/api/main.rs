//! The head-end as its callers see it: a real server on loopback, real gRPC clients, the built
//! binary, and simulated meters over real sockets.

mod cli;
mod configuration;
mod data;
mod firmware;
mod guards;
mod import;
mod jobs;
mod keeping;
mod keys;
mod lifecycle;
mod metrics;
#[cfg(feature = "mqtt")]
mod mqtt;
mod operations;
mod pushes;
mod reading;
mod registry;
mod security;
mod server;
mod support;
mod tenants;
mod trace;
mod web;
