//! What every store must do: the same tests on each of them.

use std::sync::Arc;

use dlms::obis::ObisCode;
use jiff::Timestamp;

use super::*;
use crate::{
    meter::{CounterId, MeterId, MeterRecord, MeterSettings},
    operation::{CounterBlock, ObjectModel, ProfileLayout},
};

/// Where a store lives during a test. What it holds goes when this is dropped.
pub(super) trait Place: Sized {
    type Store: Store + Clone;

    /// A new place; `None` where tests of such stores are switched off.
    async fn new() -> Option<Self>;

    /// The store in it, as a process has it that begins now.
    async fn open(&self) -> Self::Store;

    /// Executes a statement behind the store's back; what the database says against it.
    async fn execute(&self, sql: &str) -> Result<u64, String>;

    /// Takes away what keeps rows of the audit log from being changed.
    async fn unlock_audit(&self);

    /// Checks the chain of the audit log.
    async fn verify_audit(&self, through: Option<AuditHead>) -> Result<AuditHead, AuditBreak>;
}

/// Makes a test on each store of functions that take a [`Place`].
macro_rules! on_every_store {
    ($($test:ident)*) => {
        mod on_sqlite {
            use crate::store::{sqlite::tests::Directory, tests::Place};
            $(#[tokio::test]
            async fn $test() {
                super::$test(&Directory::new().await.unwrap()).await;
            })*
        }

        #[cfg(feature = "postgres")]
        mod on_postgres {
            use crate::store::{postgres::tests::Schema, tests::Place};
            $(#[tokio::test]
            async fn $test() {
                if let Some(schema) = Schema::new().await {
                    super::$test(&schema).await;
                }
            })*
        }
    };
}

pub(super) mod audit;
pub(super) mod counters;
pub(super) mod coverage;
mod cursors;
pub(super) mod events;
pub(super) mod firmware;
pub(super) mod jobs;
mod keys;
pub(super) mod meters;
mod plans;
mod push;
pub(super) mod readings;
mod templates;
mod upkeep;

pub(super) fn id(text: &str) -> MeterId {
    MeterId::try_new(text).unwrap()
}

pub(super) fn meter(name: &str, revision: u64) -> NewMeter {
    let moment = "2026-11-20T12:00:00Z".parse().unwrap();
    NewMeter {
        record: MeterRecord {
            id: id(name),
            revision,
            created: moment,
            updated: moment,
            settings: MeterSettings::default(),
            encryption_key_set: false,
            authentication_key_set: false,
            password_set: false,
            customer_port_key_set: false,
        },
        secrets: Vec::new(),
    }
}

fn request(id: &str, digest: u8) -> RequestKey {
    RequestKey { method: "Test", id: id.to_owned(), digest: [digest; 32] }
}
