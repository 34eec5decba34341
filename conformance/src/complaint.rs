//! Why octets were refused, and by which layer.

use crate::record::Layer;

/// A refusal: which layer, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The layer that refused.
    pub layer: Layer,
    /// Its error.
    pub message: String,
}

impl Complaint {
    /// A refusal by `layer`.
    pub fn new(layer: Layer, message: impl std::fmt::Display) -> Self {
        Self { layer, message: message.to_string() }
    }
}
