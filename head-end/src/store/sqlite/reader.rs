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
    permits: Semaphore,
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
        let permits = Semaphore::new(options.readers.max(1));
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
        let permit = self.0.permits.acquire().await.map_err(|_| StoreError::Closed)?;
        let pool = Arc::clone(&self.0);
        let task = tokio::task::spawn_blocking(move || {
            let mut reader = pool.idle.lock().ok().and_then(|mut idle| idle.pop()).unwrap_or_default();
            let result = work(&pool, &mut reader);
            // Connections of a failed read may be part of the failure.
            if let (Ok(mut idle), true) = (pool.idle.lock(), result.is_ok()) {
                idle.push(reader);
            }
            result
        });
        let result = task.await.map_err(|_| StoreError::Closed)?;
        drop(permit);
        result
    }
}
