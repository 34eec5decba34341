//! The store in SQLite files inside this process.
//!
//! `control.sqlite3` holds everything but readings; `readings/readings-YYYY-MM.sqlite3` holds the
//! captures of one month. Each of the two sorts has one writer thread with a bounded queue in front,
//! which commits what waits together; readers are a small pool. All files are in WAL mode with
//! `synchronous=FULL`: what is acknowledged has been synchronised to the disk.

mod control;
mod counters;
mod failure;
mod file;
mod meters;
mod models;
mod month;
mod options;
mod query;
mod reader;
mod readings;
mod requests;

use std::{
    fs::{File, TryLockError},
    path::Path,
    sync::Arc,
};

use dlms::obis::ObisCode;

pub use self::options::SqliteOptions;
use self::{control::Control, reader::Readers, readings::Readings};
use super::{
    AppendOutcome, CaptureBatch, CapturePage, CaptureQuery, MeterFilter, NewMeter, RequestKey, RequestState, Store,
    StoreError, StoredMeter, Written,
};
use crate::{
    meter::{CounterId, MeterId, MeterRecord},
    operation::{CounterBlock, ObjectModel, ProfileLayout},
};

/// A store in a directory of SQLite files. Clones share it.
#[derive(Clone, Debug)]
pub struct SqliteStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    control: Control,
    readings: Readings,
    readers: Readers,
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
        let control = Control::start(&control_path, options)?;
        let readings = Readings::start(&readings_directory, options)?;
        let readers = Readers::new(control_path, readings_directory, options);
        Ok(Self(Arc::new(Inner { control, readings, readers, _lock: lock })))
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

impl Store for SqliteStore {
    async fn create_meter(&self, meter: NewMeter, request: Option<RequestKey>) -> Result<Written, StoreError> {
        self.0.control.write(move |db| meters::create(db, &meter, request.as_ref())).await
    }

    async fn meter(&self, id: &MeterId) -> Result<Option<StoredMeter>, StoreError> {
        let id = id.clone();
        self.0.readers.control(move |db| meters::get(db, &id)).await
    }

    async fn list_meters(
        &self,
        after: Option<MeterId>,
        filter: MeterFilter,
        limit: usize,
    ) -> Result<Vec<MeterRecord>, StoreError> {
        self.0.readers.control(move |db| meters::list(db, after.as_ref(), &filter, limit)).await
    }

    async fn update_meter(&self, meter: NewMeter, request: Option<RequestKey>) -> Result<Written, StoreError> {
        self.0.control.write(move |db| meters::update(db, &meter, request.as_ref())).await
    }

    async fn delete_meter(
        &self,
        id: &MeterId,
        revision: Option<u64>,
        request: Option<RequestKey>,
    ) -> Result<(), StoreError> {
        let id = id.clone();
        self.0.control.write(move |db| meters::delete(db, &id, revision, request.as_ref())).await
    }

    async fn begin_request(&self, request: RequestKey) -> Result<RequestState, StoreError> {
        self.0.control.write(move |db| requests::begin(db, &request)).await
    }

    async fn finish_request(&self, request: RequestKey, response: Vec<u8>) -> Result<(), StoreError> {
        self.0.control.write(move |db| requests::finish(db, &request, &response)).await
    }

    async fn abandon_request(&self, request: RequestKey) -> Result<(), StoreError> {
        self.0.control.write(move |db| requests::abandon(db, &request)).await
    }

    async fn reserve_counters(&self, counter: CounterId) -> Result<CounterBlock, StoreError> {
        self.0.control.write(move |db| counters::reserve(db, counter)).await
    }

    async fn raise_counter(&self, counter: CounterId, seen: u32) -> Result<(), StoreError> {
        self.0.control.write(move |db| counters::raise(db, counter, seen)).await
    }

    async fn object_model(&self, id: &MeterId) -> Result<Option<ObjectModel>, StoreError> {
        let id = id.clone();
        self.0.readers.control(move |db| models::get(db, &id)).await
    }

    async fn save_object_model(&self, id: &MeterId, model: Arc<ObjectModel>) -> Result<(), StoreError> {
        let id = id.clone();
        self.0.control.write(move |db| models::save(db, &id, &model)).await
    }

    async fn profile_layout(&self, id: &MeterId, profile: ObisCode) -> Result<Option<ProfileLayout>, StoreError> {
        let id = id.clone();
        self.0.readers.control(move |db| models::layout(db, &id, profile)).await
    }

    async fn save_profile_layout(&self, id: &MeterId, layout: Arc<ProfileLayout>) -> Result<(), StoreError> {
        let id = id.clone();
        self.0.control.write(move |db| models::save_layout(db, &id, &layout)).await
    }

    async fn append(&self, batch: CaptureBatch) -> Result<AppendOutcome, StoreError> {
        self.0.readings.append(batch).await
    }

    async fn query(&self, query: CaptureQuery) -> Result<CapturePage, StoreError> {
        self.0.readers.months(move |months| query::page(months, &query)).await
    }

    async fn instance_value(&self, name: &'static str, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        self.0.control.write(move |db| models::instance_value(db, name, &value)).await
    }

    async fn close(&self) {
        self.0.readings.close().await;
        self.0.control.close().await;
    }
}

#[cfg(test)]
mod tests;
