//! A look at a store from outside, which changes nothing.

use std::path::Path;

use rusqlite::OptionalExtension;

use super::{
    SqliteOptions, SqliteStore, control,
    failure::Context,
    file::{self, CONTROL},
    lock,
};
use crate::store::StoreError;

/// What a store is, seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Whether a head-end uses it now.
    pub in_use: bool,
    /// Steps to the newest schema that it has had, and that there are.
    pub schema: (i64, i64),
    /// What only the right master key opens.
    pub key_check: Option<Vec<u8>>,
}

impl SqliteStore {
    /// Looks at the store in `directory`; `None` where there is none yet.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read, or is of a newer version than this program.
    pub fn inspect(directory: &Path, options: SqliteOptions) -> Result<Option<Inspection>, StoreError> {
        let path = directory.join(control::FILE);
        if !path.exists() {
            return Ok(None);
        }
        let in_use = match lock(directory) {
            Ok(_) => false,
            Err(StoreError::InUse { .. }) => true,
            Err(error) => return Err(error),
        };
        let db = file::read_only(&path, options)?;
        let (application, found) = file::versions(&db, control::FILE)?;
        let known = i64::try_from(CONTROL.migrations.len()).unwrap_or(i64::MAX);
        if application != CONTROL.application {
            let reason = format!("its application_id is {application:#X}, not {:#X}", CONTROL.application);
            return Err(StoreError::Corrupt { file: control::FILE.to_owned(), reason });
        }
        if found > known {
            return Err(StoreError::NewerSchema { file: control::FILE.to_owned(), found, known });
        }
        let key_check = db
            .query_row("SELECT value FROM instance WHERE name = 'master-key-check'", [], |row| row.get(0))
            .optional()
            .context(control::FILE, "reading the check of the master key")?;
        Ok(Some(Inspection { in_use, schema: (found, known), key_check }))
    }
}
