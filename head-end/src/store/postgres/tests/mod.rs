//! The store on a real server: the suite of all stores, and what only a server does.
//!
//! The server is the one that `DLMS_TEST_POSTGRES` names by its URL, else one on this machine. Each test has a schema of
//! its own. `DLMS_TEST_POSTGRES=off` leaves these tests out; a server that is not there fails them.

mod faults;
mod together;

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::NoTls;

use super::*;
use crate::store::{AuditBreak, AuditHead, tests::Place, verify_audit};

/// Where a server is looked for that nobody names.
const HERE: &str = "postgres://postgres:postgres@127.0.0.1:5432/postgres";

/// Tests at the same time, so that a server with the usual 100 connections has enough.
static AT_ONCE: Semaphore = Semaphore::const_new(6);

/// A schema of a server.
pub(in crate::store) struct Schema {
    server: String,
    name: String,
    _permit: SemaphorePermit<'static>,
}

/// Executes a statement on a connection of its own.
async fn batch(url: &str, sql: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    let done = client.batch_execute(sql).await;
    drop(client);
    let _ = connection.await;
    done
}

impl Schema {
    pub(super) fn url(&self) -> String {
        let separator = if self.server.contains('?') { '&' } else { '?' };
        format!("{}{separator}options=-csearch_path%3D{name}&application_name={name}", self.server, name = self.name)
    }

    /// Short waits, so that a test of failure takes no longer than it must.
    pub(super) fn options(&self) -> PostgresOptions {
        PostgresOptions {
            connections: 4,
            append_patience: Duration::from_millis(100),
            retry: (Duration::from_millis(10), Duration::from_millis(40)),
            alone: None,
            ..PostgresOptions::new(self.url().parse().unwrap())
        }
    }

    /// A connection behind the store's back.
    pub(super) async fn client(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

impl Place for Schema {
    type Store = PostgresStore;

    async fn new() -> Option<Self> {
        let server = std::env::var("DLMS_TEST_POSTGRES").unwrap_or_else(|_| HERE.to_owned());
        if server == "off" {
            eprintln!("skipped: DLMS_TEST_POSTGRES=off");
            return None;
        }
        let permit = AT_ONCE.acquire().await.unwrap();
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        batch(&server, &format!("CREATE SCHEMA {name}")).await.unwrap_or_else(|error| {
            panic!(
                "no PostgreSQL for the tests ({error:?}): name one in DLMS_TEST_POSTGRES, or switch them off by `off`"
            )
        });
        Some(Self { server, name, _permit: permit })
    }

    async fn open(&self) -> PostgresStore {
        PostgresStore::open(self.options()).await.unwrap()
    }

    async fn execute(&self, sql: &str) -> Result<u64, String> {
        let text = |error: tokio_postgres::Error| {
            error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
        };
        self.client().await.execute(sql, &[]).await.map_err(text)
    }

    async fn unlock_audit(&self) {
        let sql = "DROP TRIGGER audit_stays ON audit; ALTER TABLE audit DROP CONSTRAINT audit_intent";
        self.client().await.batch_execute(sql).await.unwrap();
    }

    async fn verify_audit(&self, through: Option<AuditHead>) -> Result<AuditHead, AuditBreak> {
        let store = self.open().await;
        verify_audit(&store, through).await.unwrap()
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // What a test has left open is ended with it.
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE pid <> pg_backend_pid() AND pid IN (
                 SELECT pid FROM pg_locks JOIN pg_class ON relation = pg_class.oid
                 WHERE relnamespace = '{name}'::regnamespace);
             DROP SCHEMA {name} CASCADE"
        );
        // A thread, as there may be a runtime around this that must not be blocked on.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(batch(&server, &sql))
        });
        if let Ok(Err(error)) = dropped.join() {
            eprintln!("the schema {} stays: {error:?}", self.name);
        }
    }
}
