//! The store in SQLite files inside this process.
//!
//! `control.sqlite3` holds everything but readings; `readings/readings-YYYY-MM.sqlite3` holds the
//! captures of one month. Each of the two sorts has one writer thread with a bounded queue in front,
//! which commits what waits together; readers are a small pool. All files are in WAL mode with
//! `synchronous=FULL`: what is acknowledged has been synchronised to the disk.

mod audit;
mod backup;
mod changes;
mod control;
mod counters;
mod coverage;
mod cursors;
mod events;
mod failure;
mod file;
mod firmware;
mod groups;
mod insert;
mod inspect;
mod jobs;
mod keys;
mod meters;
mod models;
mod month;
mod options;
mod plans;
mod push;
mod query;
mod reader;
mod readings;
mod requests;
mod states;
mod templates;
mod upkeep;

use std::{
    fs::{File, TryLockError},
    ops::Range,
    path::Path,
    sync::Arc,
};

use dlms::obis::ObisCode;
use jiff::Timestamp;
use tokio::sync::watch;

pub use self::{
    backup::{BackupError, BackupFile, BackupManifest, RESTORE_JUMP, Restored},
    inspect::Inspection,
    options::SqliteOptions,
};
use self::{control::Control, reader::Readers};
use super::{
    AppendOutcome, Arrival, CaptureBatch, CapturePage, CaptureQuery, Change, ReadingStore, Store, StoreCounts,
    StoreError, StoredCapture, writer::Readings,
};
use crate::meter::MeterId;

/// A store in a directory of SQLite files. Clones share it.
#[derive(Clone, Debug)]
pub struct SqliteStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    control: Control,
    readings: Readings,
    readers: Readers,
    counts: Arc<StoreCounts>,
    /// Held locked as long as the store lives, so that no second head-end works on the directory.
    _lock: File,
}

impl SqliteStore {
    /// Opens the store in `directory`, which is made if it is not there.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another head-end has it; [`StoreError`] when a file cannot be used.
    pub fn open(directory: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let readings_directory = directory.join("readings");
        std::fs::create_dir_all(&readings_directory).map_err(file::io("make", &readings_directory))?;
        let lock = lock(directory)?;
        let control_path = directory.join("control.sqlite3");
        let counts = Arc::new(StoreCounts::default());
        let control = Control::start(&control_path, options, Arc::clone(&counts))?;
        let readings = readings::start(&readings_directory, options, Arc::clone(&counts))?;
        let readers = Readers::new(control_path, readings_directory, options);
        Ok(Self(Arc::new(Inner { control, readings, readers, counts, _lock: lock })))
    }
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(file::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(error)) => Err(file::io("lock", &path)(error)),
    }
}

impl ReadingStore for SqliteStore {
    async fn append(&self, batch: CaptureBatch) -> Result<AppendOutcome, StoreError> {
        self.0.readings.append(batch).await
    }

    async fn changes(&self, after: u64, limit: usize) -> Result<Vec<Change>, StoreError> {
        // Read before the files are: what is committed meanwhile waits for the next call, in its order.
        let newest = *self.0.readings.newest().borrow();
        self.0.readers.months(move |months| changes::behind(months, after, newest, limit)).await
    }

    fn newest_change(&self) -> watch::Receiver<u64> {
        self.0.readings.newest()
    }

    async fn query(&self, query: CaptureQuery) -> Result<CapturePage, StoreError> {
        self.0.readers.months(move |months| query::page(months, &query)).await
    }

    async fn latest(
        &self,
        meter: &MeterId,
        profile: Option<ObisCode>,
        before: Timestamp,
    ) -> Result<Option<StoredCapture>, StoreError> {
        let meter = meter.clone();
        self.0.readers.months(move |months| query::latest(months, &meter, profile, before)).await
    }

    async fn arrivals(
        &self,
        meter: &MeterId,
        profile: ObisCode,
        span: Range<Timestamp>,
    ) -> Result<Vec<Arrival>, StoreError> {
        let meter = meter.clone();
        self.0.readers.months(move |months| query::arrivals(months, &meter, profile, &span)).await
    }
}

impl Store for SqliteStore {
    async fn close(&self) {
        self.0.readings.close().await;
        self.0.control.close().await;
    }

    fn counts(&self) -> Option<&StoreCounts> {
        Some(&self.0.counts)
    }
}

#[cfg(test)]
pub(super) mod tests;
