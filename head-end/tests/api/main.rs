//! The head-end as its callers see it: a real server on loopback, real gRPC clients, the built
//! binary, and simulated meters over real sockets.

mod cli;
mod configuration;
mod data;
#[path = "../../../stack/tests/public_key/der.rs"]
#[allow(dead_code, reason = "certificates made to order, as the stack's own tests make them")]
mod der;
mod dial_in;
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
#[cfg(feature = "otlp")]
mod otlp;
mod pushes;
mod reading;
mod registry;
mod security;
mod server;
mod stop;
mod suites;
mod support;
mod telegrams;
mod tenants;
mod trace;
mod web;

/// What the stack's maker of certificates draws keys from.
mod curves {
    /// Octets that depend on the seed alone.
    pub(crate) struct Noise(pub(crate) u64);

    impl dlms::security::Random for Noise {
        fn fill(&mut self, octets: &mut [u8]) {
            for octet in octets {
                self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *octet = (self.0 >> 33) as u8;
            }
        }
    }
}
