//! Errors of PostgreSQL in the words of the store.

use std::sync::Arc;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::{Error, error::SqlState};

use super::PLACE;
use crate::store::{StoreError, json::JsonError};

/// Adds what was tried to an error of the database.
pub(super) trait Context<T> {
    fn context(self, action: &'static str) -> Result<T, StoreError>;
}

impl<T> Context<T> for Result<T, Error> {
    fn context(self, action: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| classify(error, action))
    }
}

impl<T> Context<T> for Result<T, PoolError> {
    fn context(self, action: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => match error.code() {
                Some(_) => classify(error, action),
                None => unreachable(&error),
            },
            PoolError::Timeout(TimeoutType::Wait) => StoreError::Overloaded { what: "database connections" },
            PoolError::Timeout(_) => late("connecting"),
            PoolError::Closed => StoreError::Closed,
            other => StoreError::Unreachable { place: PLACE.to_owned(), reason: other.to_string() },
        })
    }
}

impl<T> Context<T> for Result<T, JsonError> {
    fn context(self, action: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| corrupt(format!("{action}: {error}")))
    }
}

/// A row that was never written like this.
pub(super) fn corrupt(reason: impl Into<String>) -> StoreError {
    StoreError::Corrupt { file: PLACE.to_owned(), reason: reason.into() }
}

/// The database did not answer in time.
pub(super) fn late(action: &'static str) -> StoreError {
    StoreError::Late { place: PLACE.to_owned(), action }
}

/// The connection could not be made, or is gone. Texts of such errors name no passwords.
fn unreachable(error: &Error) -> StoreError {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(below) = source {
        reason = format!("{reason}: {below}");
        source = below.source();
    }
    StoreError::Unreachable { place: PLACE.to_owned(), reason }
}

fn classify(error: Error, action: &'static str) -> StoreError {
    let Some(code) = error.code() else {
        // Without a code it is not the server that speaks; what is not a matter of a value is one of the connection.
        let io = std::error::Error::source(&error).is_some_and(|source| source.is::<std::io::Error>());
        return if error.is_closed() || io { unreachable(&error) } else { other(error, action) };
    };
    let place = PLACE.to_owned();
    match code {
        &SqlState::QUERY_CANCELED => late(action),
        &SqlState::LOCK_NOT_AVAILABLE | &SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE => {
            StoreError::Locked { file: place }
        }
        &SqlState::DISK_FULL | &SqlState::OUT_OF_MEMORY => StoreError::Full { file: place },
        &SqlState::TOO_MANY_CONNECTIONS
        | &SqlState::ADMIN_SHUTDOWN
        | &SqlState::CRASH_SHUTDOWN
        | &SqlState::CANNOT_CONNECT_NOW
        | &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => unreachable(&error),
        // A standby, or a database that was set so: after a change of the primary it passes.
        &SqlState::READ_ONLY_SQL_TRANSACTION => StoreError::ReadOnly { file: place },
        code if code.code().starts_with("08") => unreachable(&error),
        &SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED => {
            StoreError::Corrupt { file: place, reason: error.to_string() }
        }
        _ => other(error, action),
    }
}

fn other(error: Error, action: &'static str) -> StoreError {
    StoreError::Database { file: PLACE.to_owned(), action, source: Arc::new(error) }
}
