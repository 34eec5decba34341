//! One head-end on a schema at a time.
//!
//! Two that spoke with the same meters would use each other's counters up and do work twice. A lock of the server,
//! held by a connection of its own, keeps the second one out, and goes with the process that holds it.

use std::{
    path::PathBuf,
    sync::Arc,
    sync::{
        Mutex,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{ClientWrapper, Object};
use tokio::{task::JoinHandle, time::Instant};

use super::{
    DatabaseUrl, PLACE,
    pool::{Connections, get, row},
    schema::LOCKS,
};
use crate::store::StoreError;

/// How often the lock is looked after, and asked for again where it is held by somebody else.
const LOOK: Duration = Duration::from_secs(1);

/// How long an answer about the lock may take.
const ANSWER: Duration = Duration::from_secs(5);

const HELD: u8 = 0;
const LOST: u8 = 1;
const TAKEN: u8 = 2;

/// The lock, where there is one. Nothing that leads to an action may be written while it is not held.
#[derive(Debug)]
pub(super) struct Guard {
    state: Arc<AtomicU8>,
    place: PathBuf,
    watch: Mutex<Option<JoinHandle<()>>>,
}

impl Guard {
    /// No lock: others may work on the schema.
    pub(super) fn none() -> Self {
        Self { state: Arc::new(AtomicU8::new(HELD)), place: PathBuf::new(), watch: Mutex::new(None) }
    }

    /// Takes the lock, and waits for who has it until `patience` is over.
    pub(super) async fn take(
        connections: &Connections,
        url: &DatabaseUrl,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let until = Instant::now() + patience;
        let place = PathBuf::from(url.to_string());
        let client = loop {
            if let Some(client) = acquire(connections).await? {
                break client;
            }
            if Instant::now() >= until {
                return Err(StoreError::InUse { directory: place });
            }
            tokio::time::sleep(LOOK.min(patience)).await;
        };
        let state = Arc::new(AtomicU8::new(HELD));
        let watch = tokio::spawn(look_after(connections.clone(), client, Arc::clone(&state)));
        Ok(Self { state, place, watch: Mutex::new(Some(watch)) })
    }

    /// Whether the lock is held.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.state.load(Ordering::Acquire) {
            HELD => Ok(()),
            TAKEN => Err(StoreError::InUse { directory: self.place.clone() }),
            _ => Err(StoreError::Unreachable {
                place: PLACE.to_owned(),
                reason: "the lock that keeps other head-ends out was lost with its connection".to_owned(),
            }),
        }
    }

    /// Lets another head-end in.
    pub(super) fn release(&self) {
        if let Ok(mut watch) = self.watch.lock()
            && let Some(watch) = watch.take()
        {
            // With its connection the lock goes.
            watch.abort();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.release();
    }
}

/// A connection that holds the lock, unless another one does.
async fn acquire(connections: &Connections) -> Result<Option<ClientWrapper>, StoreError> {
    let action = "asking whether another head-end runs";
    let client = connections.client(action).await?;
    let sql = "SELECT pg_try_advisory_lock($1, hashtext(current_schema() || '/head-end'))";
    let got: bool = match row(&client, action, sql, &[&LOCKS]).await? {
        Some(row) => get(&row, 0)?,
        None => false,
    };
    // Out of the pool, which makes another one in its place.
    Ok(got.then(|| Object::take(client)))
}

async fn look_after(connections: Connections, client: ClientWrapper, state: Arc<AtomicU8>) {
    let mut holder = Some(client);
    loop {
        tokio::time::sleep(LOOK).await;
        if let Some(client) = &holder {
            let alive = tokio::time::timeout(ANSWER, client.simple_query("SELECT 1")).await;
            if matches!(alive, Ok(Ok(_))) {
                continue;
            }
            tracing::error!("the connection that keeps other head-ends out was lost");
            state.store(LOST, Ordering::Release);
            holder = None;
        }
        match acquire(&connections).await {
            Ok(Some(client)) => {
                tracing::info!("other head-ends are kept out again");
                holder = Some(client);
                state.store(HELD, Ordering::Release);
            }
            Ok(None) => {
                if state.swap(TAKEN, Ordering::AcqRel) != TAKEN {
                    tracing::error!("another head-end has taken the schema");
                }
            }
            Err(StoreError::Closed) => return,
            Err(error) => tracing::debug!(%error, "the lock that keeps other head-ends out is asked for again"),
        }
    }
}
