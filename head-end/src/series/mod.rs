//! What can be worked out from stored captures without asking a meter: values by hour, day and month in a
//! time zone, and consumption as differences of a register.
//!
//! Nothing is made up. Where captures that a bucket needs are missing, the bucket says so and has no
//! difference; it is not interpolated.

mod bucket;
mod difference;
mod resample;
mod sample;

pub use self::{
    bucket::{Resolution, ResolutionError},
    difference::{Anomaly, Counter},
    resample::{Bucket, Method, Resampler},
    sample::{Channel, Sample},
};

#[cfg(test)]
mod tests;
