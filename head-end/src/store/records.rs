//! Records of meters and plans as JSON.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use super::StoreError;

/// The record in `text`; `what` it is of, and where it is kept, for errors.
pub(super) fn parse<T: DeserializeOwned>(text: &str, what: &str, place: &str) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Corrupt { file: place.to_owned(), reason: format!("{what}'s record: {error}") })
}

/// A record as text.
pub(super) fn to_json<T: Serialize>(record: &T, place: &str) -> Result<String, StoreError> {
    serde_json::to_string(record).map_err(|error| StoreError::Database {
        file: place.to_owned(),
        action: "encoding a record",
        source: Arc::new(error),
    })
}
