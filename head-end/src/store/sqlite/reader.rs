//! Readers: a few connections, used off the runtime's threads.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{
    SqliteOptions, file,
    month::{self, OpenMonths},
};
use crate::store::{StoreError, month::Month};

/// The pool.
#[derive(Debug)]
pub(super) struct Readers(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    control_path: PathBuf,
    readings: PathBuf,
    options: SqliteOptions,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Reader>>,
}

#[derive(Debug, Default)]
struct Reader {
    control: Option<Connection>,
    months: OpenMonths,
}

/// The months of readings, to one reader.
pub(super) struct Months<'a> {
    pool: &'a Pool,
    open: &'a mut OpenMonths,
}

impl Months<'_> {
    /// Months that have a file, in order.
    pub(super) fn stored(&self) -> Result<Vec<Month>, StoreError> {
        month::stored(&self.pool.readings)
    }

    /// The connection to a month that has a file.
    pub(super) fn get(&mut self, month: Month) -> Result<&Connection, StoreError> {
        let path = month::path(month, &self.pool.readings);
        self.open.get(month, || file::open_reader(&path, &file::MONTH, self.pool.options)).map(|db| &*db)
    }
}

impl Readers {
    pub(super) fn new(control_path: PathBuf, readings: PathBuf, options: SqliteOptions) -> Self {
        let permits = Arc::new(Semaphore::new(options.readers.max(1)));
        Self(Arc::new(Pool { control_path, readings, options, permits, idle: Mutex::new(Vec::new()) }))
    }

    /// Reads the control database.
    pub(super) async fn control<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(move |pool, reader| {
            let db = match reader.control.take() {
                Some(db) => db,
                None => file::open_reader(&pool.control_path, &file::CONTROL, pool.options)?,
            };
            let result = read(&db);
            reader.control = Some(db);
            result
        })
        .await
    }

    /// Reads readings.
    pub(super) async fn months<T: Send + 'static>(
        &self,
        read: impl FnOnce(Months<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(move |pool, reader| read(Months { pool, open: &mut reader.months })).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Pool, &mut Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.0.permits).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let pool = Arc::clone(&self.0);
        let task = tokio::task::spawn_blocking(move || {
            // Held until the reading has ended, also where nobody waits for it any more: it cannot be broken off.
            let _permit = permit;
            let mut reader = pool.idle.lock().ok().and_then(|mut idle| idle.pop()).unwrap_or_default();
            let result = work(&pool, &mut reader);
            // Connections of a failed read may be part of the failure.
            if let (Ok(mut idle), true) = (pool.idle.lock(), result.is_ok()) {
                idle.push(reader);
            }
            result
        });
        task.await.map_err(|_| StoreError::Closed)?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    #[tokio::test]
    async fn callers_who_go_away_make_no_more_readers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sqlite3");
        drop(file::open_writer(&path, &file::CONTROL, SqliteOptions::default()).unwrap());
        let options = SqliteOptions { readers: 2, ..SqliteOptions::default() };
        let readers = Readers::new(path, folder.path().to_owned(), options);
        let begun = Arc::new(AtomicUsize::new(0));
        let mut held = Vec::new();
        for _ in 0..6 {
            let (release, released) = mpsc::channel::<()>();
            held.push(release);
            let begun = Arc::clone(&begun);
            let read = readers.control(move |_| {
                begun.fetch_add(1, Ordering::AcqRel);
                // The end of the test lets it go.
                let _ = released.recv();
                Ok(())
            });
            let patience = std::time::Duration::from_millis(200);
            assert!(tokio::time::timeout(patience, read).await.is_err());
        }
        assert_eq!(begun.load(Ordering::Acquire), 2);
        drop(held);
        readers.control(|_| Ok(())).await.unwrap();
    }
}
