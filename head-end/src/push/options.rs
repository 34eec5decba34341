//! Where and how much is listened.

use std::{net::SocketAddr, time::Duration};

/// Where pushes are listened for, and how much one may send. Without an address nothing is listened for.
#[derive(Clone, Debug)]
pub struct PushOptions {
    /// TCP with the wrapper.
    pub tcp: Vec<SocketAddr>,
    /// UDP with the wrapper.
    pub udp: Vec<SocketAddr>,
    /// HDLC frames in TCP streams.
    pub hdlc_tcp: Vec<SocketAddr>,
    /// Connections at the same time, on all listeners.
    pub connections: usize,
    /// Connections at the same time from one source: an IPv4 address, or an IPv6 network of 64 bits.
    pub connections_per_source: usize,
    /// APDUs a minute from one source, which may come all at once.
    pub rate_per_minute: u32,
    /// Octets of one APDU, joined from frames and general blocks.
    pub apdu_octets: usize,
    /// How long a connection may be silent.
    pub idle: Duration,
    /// How long an APDU may take from its first octet to its last.
    pub read: Duration,
    /// Devices on the list of unclaimed ones.
    pub unclaimed: usize,
    /// How long a push is kept as it came, after it was read.
    pub keep: Duration,
}

impl Default for PushOptions {
    fn default() -> Self {
        Self {
            tcp: Vec::new(),
            udp: Vec::new(),
            hdlc_tcp: Vec::new(),
            connections: 1_024,
            connections_per_source: 256,
            rate_per_minute: 600,
            apdu_octets: 65_535,
            idle: Duration::from_secs(60),
            read: Duration::from_secs(30),
            unclaimed: 10_000,
            keep: Duration::from_secs(7 * 24 * 3600),
        }
    }
}
