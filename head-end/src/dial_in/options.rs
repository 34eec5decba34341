//! Where meters connect to, and how many may.

use std::{net::SocketAddr, time::Duration};

/// Where meters connect to the head-end. Without an address nothing is listened for.
#[derive(Clone, Debug)]
pub struct DialInOptions {
    /// TCP with the wrapper.
    pub listen: Vec<SocketAddr>,
    /// Connections at the same time.
    pub connections: usize,
    /// Connections at the same time from one source: an IPv4 address, or an IPv6 network of 64 bits.
    pub connections_per_source: usize,
    /// How long a meter may be silent before it is asked who it is.
    pub first: Duration,
    /// How long it may take until it is known who it claims to be.
    pub identify: Duration,
}

impl Default for DialInOptions {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            connections: 10_000,
            connections_per_source: 256,
            first: Duration::from_secs(2),
            identify: Duration::from_secs(30),
        }
    }
}
