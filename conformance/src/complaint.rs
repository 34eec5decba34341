//! Why octets were refused, and by which layer.

use std::fmt;

use serde::Serialize;

use crate::record::Layer;

/// A refusal: which layer, why, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Complaint {
    /// The layer that refused.
    pub layer: Layer,
    /// Its error.
    pub message: String,
    /// Offset in the input, where the error has a place there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
}

impl Complaint {
    /// A refusal by `layer`.
    pub fn new(layer: Layer, message: impl fmt::Display) -> Self {
        Self { layer, message: message.to_string(), offset: None }
    }

    /// States the offset in the input.
    #[must_use]
    pub fn at(self, offset: usize) -> Self {
        Self { offset: Some(offset), ..self }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.layer, self.message)?;
        match self.offset {
            Some(offset) => write!(f, " (octet {offset} of the input)"),
            None => Ok(()),
        }
    }
}
