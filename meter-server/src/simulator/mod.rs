//! Simulated meters.

mod consumption;
