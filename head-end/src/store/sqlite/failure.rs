//! Errors of SQLite in the words of the store.

use std::sync::Arc;

use rusqlite::{Error, ErrorCode};

use crate::store::{StoreError, json::JsonError};

/// Adds what was tried, and in which file, to an error of the database.
pub(super) trait Context<T> {
    fn context(self, file: &str, action: &'static str) -> Result<T, StoreError>;
}

impl<T> Context<T> for Result<T, Error> {
    fn context(self, file: &str, action: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| classify(error, file, action))
    }
}

impl<T> Context<T> for Result<T, JsonError> {
    fn context(self, file: &str, action: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::Corrupt { file: file.to_owned(), reason: format!("{action}: {error}") })
    }
}

fn classify(error: Error, file: &str, action: &'static str) -> StoreError {
    let file = file.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Locked { file },
        Some(ErrorCode::DiskFull) => StoreError::Full { file },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly { file },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt { file, reason: error.to_string() }
        }
        _ => StoreError::Database { file, action, source: Arc::new(error) },
    }
}
