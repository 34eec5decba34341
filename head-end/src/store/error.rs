//! Why the store did not do what was asked.

use std::{path::PathBuf, sync::Arc};

/// Why the store did not do what was asked. Cheap to clone, because one failed commit answers many.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process holds the database file locked.
    #[error("{file} is locked by another process")]
    Locked {
        /// Which file.
        file: String,
    },
    /// No room: the disk is full or the file has reached its limit.
    #[error("no room for {file}: the disk is full or the file has reached its limit")]
    Full {
        /// Which file.
        file: String,
    },
    /// The file may not be written.
    #[error("{file} may not be written")]
    ReadOnly {
        /// Which file.
        file: String,
    },
    /// The file is not a database, or is damaged.
    #[error("{file} is damaged or not a database of the head-end: {reason}")]
    Corrupt {
        /// Which file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The file was written by a newer version of the head-end.
    #[error("{file} has schema {found}, this version knows up to {known}")]
    NewerSchema {
        /// Which file.
        file: String,
        /// Schema of the file.
        found: i64,
        /// Newest schema this version knows.
        known: i64,
    },
    /// Another head-end runs on the same directory.
    #[error("another head-end uses {}", directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory or a file in it cannot be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: Arc<std::io::Error>,
    },
    /// The name is taken.
    #[error("{0} is registered already")]
    AlreadyExists(String),
    /// There is nothing of that name.
    #[error("{0} is not registered")]
    NotFound(String),
    /// It was changed by somebody else in the meantime.
    #[error("{name} was changed in the meantime: it has revision {found}, not {expected}")]
    Conflict {
        /// What was changed.
        name: String,
        /// Revision it has.
        found: u64,
        /// Revision the caller knew.
        expected: u64,
    },
    /// The request id was used before with other contents.
    #[error("request_id {0:?} was used before with other contents")]
    RequestMismatch(String),
    /// All counters of a key have been used.
    #[error("the invocation counter of the encryption key is used up; the key must be replaced")]
    CounterExhausted,
    /// A meter claims to have seen a counter that would use the key up.
    #[error("the meter claims to have seen invocation counter {0}, too high to be believed")]
    CounterClaim(u32),
    /// Too much waits already.
    #[error("too many {what} wait to be written")]
    Overloaded {
        /// What waits.
        what: &'static str,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The server of the database cannot be reached.
    #[error("{place} cannot be reached: {reason}")]
    Unreachable {
        /// Which database.
        place: String,
        /// Why not.
        reason: String,
    },
    /// The server of the database did not answer in time.
    #[error("{action} in {place} took too long")]
    Late {
        /// Which database.
        place: String,
        /// What was tried.
        action: &'static str,
    },
    /// Anything else the database reports.
    #[error("{file}: {action} failed")]
    Database {
        /// Which file.
        file: String,
        /// What was tried.
        action: &'static str,
        /// What the database says.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// A write that panicked.
    pub(super) fn broken(file: String) -> Self {
        let source = std::io::Error::other("it was broken off inside the head-end");
        Self::Database { file, action: "writing", source: Arc::new(source) }
    }

    /// Whether it may pass without anybody changing the request.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Locked { .. }
                | Self::Full { .. }
                | Self::Overloaded { .. }
                | Self::Closed
                | Self::Unreachable { .. }
                | Self::Late { .. }
        )
    }
}
