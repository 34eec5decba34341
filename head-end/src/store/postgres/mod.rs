//! The store in a PostgreSQL database, version 14 or later.
//!
//! The logical schema is that of the files, in one schema of one database: the first of the connection's `search_path`.
//! Readings are in a partition for each month. Writes are transactions on a bounded pool of connections, and what must
//! come one after the other does so by locks of rows: numbers that readers go by are given out in the order of commits.
//! Every statement has a deadline, at the server and here.

mod audit;
mod counters;
mod coverage;
mod cursors;
mod events;
mod failure;
mod firmware;
mod groups;
mod guard;
mod jobs;
mod keys;
mod meters;
mod models;
mod options;
mod plans;
mod pool;
mod push;
mod query;
mod readings;
mod requests;
mod schema;
mod states;
mod templates;
mod tls;
mod upkeep;
mod url;

use std::{ops::Range, sync::Arc};

use dlms::obis::ObisCode;
use jiff::Timestamp;
use tokio::sync::watch;

use self::{guard::Guard, pool::Connections};
pub use self::{
    options::PostgresOptions,
    url::{DatabaseUrl, DatabaseUrlError},
};
use super::{
    AppendOutcome, Arrival, CaptureBatch, CapturePage, CaptureQuery, Change, ReadingStore, Store, StoreCounts,
    StoreError, StoredCapture, writer::Readings,
};
use crate::meter::MeterId;

/// Name of the database in errors.
const PLACE: &str = "the PostgreSQL database";

/// A store in a PostgreSQL database. Clones share it.
#[derive(Clone, Debug)]
pub struct PostgresStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connections: Connections,
    readings: Readings,
    guard: Guard,
}

impl PostgresStore {
    /// Opens the store, and brings its schema to the newest version. To be called inside a tokio runtime, which must live
    /// as long as the store.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`]; [`StoreError::InUse`] when another head-end has the schema;
    /// [`StoreError::NewerSchema`]; the database's own.
    pub async fn open(options: PostgresOptions) -> Result<Self, StoreError> {
        let connections = Connections::new(&options)?;
        let guard = match options.alone {
            Some(patience) => Guard::take(&connections, &options.url, patience).await?,
            None => Guard::none(),
        };
        schema::migrate(&connections).await?;
        let readings = readings::start(&connections, &options).await?;
        Ok(Self(Arc::new(Inner { connections, readings, guard })))
    }
}

impl ReadingStore for PostgresStore {
    async fn append(&self, batch: CaptureBatch) -> Result<AppendOutcome, StoreError> {
        self.0.readings.append(batch).await
    }

    async fn changes(&self, after: u64, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.0.connections.read("reading changes", move |db| Box::pin(query::changes(db, after, limit))).await
    }

    fn newest_change(&self) -> watch::Receiver<u64> {
        self.0.readings.newest()
    }

    async fn query(&self, query: CaptureQuery) -> Result<CapturePage, StoreError> {
        self.0.connections.read("reading captures", move |db| Box::pin(query::page(db, query))).await
    }

    async fn latest(
        &self,
        meter: &MeterId,
        profile: Option<ObisCode>,
        before: Timestamp,
    ) -> Result<Option<StoredCapture>, StoreError> {
        let meter = meter.clone();
        self.0
            .connections
            .read("reading the latest capture", move |db| Box::pin(query::latest(db, meter, profile, before)))
            .await
    }

    async fn arrivals(
        &self,
        meter: &MeterId,
        profile: ObisCode,
        span: Range<Timestamp>,
    ) -> Result<Vec<Arrival>, StoreError> {
        let meter = meter.clone();
        self.0.connections.read("reading arrivals", move |db| Box::pin(query::arrivals(db, meter, profile, span))).await
    }
}

impl Store for PostgresStore {
    async fn close(&self) {
        self.0.readings.close().await;
        self.0.connections.close();
        self.0.guard.release();
    }

    fn counts(&self) -> Option<&StoreCounts> {
        Some(self.0.connections.counts())
    }
}

#[cfg(test)]
pub(super) mod tests;
