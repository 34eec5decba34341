//! Connections, and statements with deadlines.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool_postgres::{
    ClientWrapper, GenericClient, Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime,
    Transaction,
};
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio_postgres::{
    Row,
    types::{FromSql, ToSql},
};

use super::{
    PostgresOptions,
    failure::{Context, late},
    tls,
};
use crate::store::{StoreCounts, StoreError};

/// Parameters of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Statements in one transaction at most take so many times the deadline of one.
const STATEMENTS: u32 = 2;

/// A bounded pool of connections. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    pool: Pool,
    /// Writes that were taken and have not ended.
    writes: Arc<Semaphore>,
    deadline: Duration,
    counts: Arc<StoreCounts>,
}

impl Connections {
    /// A pool; nothing is connected yet.
    pub(super) fn new(options: &PostgresOptions) -> Result<Self, StoreError> {
        let mut config = options.url.config.clone();
        // The one deadline of the pool bounds name resolution, all addresses, TLS and the login together.
        config.connect_timeout(options.connect);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config, tls::connector(&options.url)?, recycling);
        let millis = options.statement.as_millis().max(1);
        // The server ends what takes too long; it knows, where a client that gives up does not.
        let setup = format!(
            "SET statement_timeout = {millis}; SET lock_timeout = {millis}; \
             SET idle_in_transaction_session_timeout = {idle}; SET plan_cache_mode = force_custom_plan; \
             SET standard_conforming_strings = on; SET synchronous_commit = on",
            idle = millis.saturating_mul(STATEMENTS.into()),
        );
        let pool = Pool::builder(manager)
            .max_size(options.connections.max(2))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(options.connect))
            .create_timeout(Some(options.connect))
            .recycle_timeout(Some(options.connect))
            .post_create(Hook::async_fn(move |client: &mut ClientWrapper, _| {
                let setup = setup.clone();
                Box::pin(async move { client.batch_execute(&setup).await.map_err(HookError::Backend) })
            }))
            .build()
            .map_err(|error| StoreError::Unreachable { place: options.url.to_string(), reason: error.to_string() })?;
        let writes = Arc::new(Semaphore::new(options.waiting_writes.max(1)));
        let deadline = options.statement.saturating_mul(STATEMENTS);
        Ok(Self { pool, writes, deadline, counts: Arc::default() })
    }

    /// A connection.
    pub(super) async fn client(&self, action: &'static str) -> Result<Object, StoreError> {
        self.pool.get().await.context(action)
    }

    /// Reads.
    pub(super) async fn read<T: Send>(
        &self,
        action: &'static str,
        work: impl for<'a> FnOnce(&'a Object) -> BoxFuture<'a, Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let client = self.client(action).await?;
        match tokio::time::timeout(self.deadline, work(&client)).await {
            Ok(result) => result,
            Err(_) => {
                discard(client);
                Err(late(action))
            }
        }
    }

    /// Runs `work` in a transaction, to its end also when nobody waits for it any more.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl for<'a> FnOnce(&'a Transaction<'a>) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.writes).try_acquire_owned();
        let permit = permit.map_err(|_| StoreError::Overloaded { what: "writes to the database" })?;
        let connections = self.clone();
        let carried_out = tokio::spawn(async move {
            let began = Instant::now();
            let result = connections.transact(action, work).await;
            // What was refused for what it asks is no failure of the database.
            let failed = |error: &StoreError| error.is_transient() || matches!(error, StoreError::Database { .. });
            let done = !result.as_ref().err().is_some_and(failed);
            connections.counts.control.committed(1, began.elapsed(), done);
            drop(permit);
            result
        });
        // Its task ends without an answer where it panicked, or with the runtime.
        carried_out.await.unwrap_or_else(|error| {
            Err(if error.is_panic() { StoreError::broken(super::PLACE.to_owned()) } else { StoreError::Closed })
        })
    }

    /// Runs `work` in a transaction.
    pub(super) async fn transact<T: Send>(
        &self,
        action: &'static str,
        work: impl for<'a> FnOnce(&'a Transaction<'a>) -> BoxFuture<'a, Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.transact_in(self.deadline, action, work).await
    }

    /// Runs `work` in a transaction that may take as long as `deadline`.
    pub(super) async fn transact_in<T: Send>(
        &self,
        deadline: Duration,
        action: &'static str,
        work: impl for<'a> FnOnce(&'a Transaction<'a>) -> BoxFuture<'a, Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let mut client = self.client(action).await?;
        match tokio::time::timeout(deadline, transaction(&mut client, action, work)).await {
            Ok(result) => result,
            Err(_) => {
                discard(client);
                Err(late(action))
            }
        }
    }

    /// What was written so far.
    pub(super) fn counts(&self) -> &StoreCounts {
        &self.counts
    }

    /// How long a transaction may take.
    pub(super) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Later calls fail with [`StoreError::Closed`].
    pub(super) fn close(&self) {
        self.pool.close();
    }
}

async fn transaction<T>(
    client: &mut Object,
    action: &'static str,
    work: impl for<'a> FnOnce(&'a Transaction<'a>) -> BoxFuture<'a, Result<T, StoreError>> + Send,
) -> Result<T, StoreError> {
    let transaction = client.transaction().await.context(action)?;
    // Dropped without a commit, it is rolled back.
    let result = work(&transaction).await?;
    transaction.commit().await.context(action)?;
    Ok(result)
}

/// Closes a connection that does not answer; the pool makes another.
pub(super) fn discard(client: Object) {
    drop(Object::take(client));
}

/// Rows of a statement whose plan is kept.
pub(super) async fn rows(
    db: &impl GenericClient,
    action: &'static str,
    sql: &str,
    values: Values<'_>,
) -> Result<Vec<Row>, StoreError> {
    let statement = db.prepare_cached(sql).await.context(action)?;
    db.query(&statement, values).await.context(action)
}

/// The row of a statement that has one at most.
pub(super) async fn row(
    db: &impl GenericClient,
    action: &'static str,
    sql: &str,
    values: Values<'_>,
) -> Result<Option<Row>, StoreError> {
    let statement = db.prepare_cached(sql).await.context(action)?;
    db.query_opt(&statement, values).await.context(action)
}

/// Rows that a statement wrote.
pub(super) async fn execute(
    db: &impl GenericClient,
    action: &'static str,
    sql: &str,
    values: Values<'_>,
) -> Result<u64, StoreError> {
    let statement = db.prepare_cached(sql).await.context(action)?;
    db.execute(&statement, values).await.context(action)
}

/// A column of a row.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, StoreError> {
    row.try_get(column).context("reading a row")
}

/// A number that is never below zero.
pub(super) fn unsigned(row: &Row, column: usize) -> Result<u32, StoreError> {
    let number: i64 = get(row, column)?;
    u32::try_from(number).map_err(|_| super::failure::corrupt(format!("{number} where a number of 32 bits belongs")))
}

/// Text without the one character that PostgreSQL cannot hold.
pub(super) fn text(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}").into() } else { text.into() }
}

/// A limit as the database counts.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
