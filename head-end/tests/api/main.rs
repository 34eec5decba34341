//! The head-end as its callers see it: a real server on loopback, real gRPC clients, the built
//! binary, and simulated meters over real sockets.

mod cli;
mod data;
mod operations;
mod registry;
mod server;
mod support;
