mod backup;
mod faults;
mod files;

use std::{path::Path, time::Duration};

use super::*;
use crate::{
    meter::CounterId,
    store::{
        AuditBreak, AuditHead, CounterStore, MeterFilter, MeterStore,
        tests::{
            Place, id, meter,
            readings::{all, append, at, batch, query, row, rows},
        },
    },
};

/// Short waits, so that a test of failure takes no longer than it must.
fn options() -> SqliteOptions {
    SqliteOptions {
        busy_timeout: Duration::from_millis(50),
        append_patience: Duration::from_millis(100),
        retry: (Duration::from_millis(10), Duration::from_millis(40)),
        ..SqliteOptions::default()
    }
}

fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(directory, options()).unwrap()
}

/// A directory of files.
pub(in crate::store) struct Directory(tempfile::TempDir);

impl Directory {
    fn control(&self) -> rusqlite::Connection {
        let db = rusqlite::Connection::open(self.0.path().join("control.sqlite3")).unwrap();
        db.execute_batch("PRAGMA foreign_keys=OFF").unwrap();
        db
    }
}

impl Place for Directory {
    type Store = SqliteStore;

    async fn new() -> Option<Self> {
        Some(Self(tempfile::tempdir().unwrap()))
    }

    async fn open(&self) -> SqliteStore {
        open(self.0.path())
    }

    async fn execute(&self, sql: &str) -> Result<u64, String> {
        self.control().execute(sql, []).map(|rows| rows as u64).map_err(|error| error.to_string())
    }

    async fn unlock_audit(&self) {
        self.control().execute_batch("DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete").unwrap();
    }

    async fn verify_audit(&self, through: Option<AuditHead>) -> Result<AuditHead, AuditBreak> {
        SqliteStore::verify_audit(self.0.path(), options(), through).unwrap()
    }
}
