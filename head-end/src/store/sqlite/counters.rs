//! Invocation counters.

use rusqlite::{Connection, OptionalExtension, params};

use super::{SqliteStore, control::FILE, failure::Context};
use crate::{
    meter::CounterId,
    operation::CounterBlock,
    store::{COUNTER_BLOCK, CounterStore, HIGHEST_CLAIM, StoreError, counters::FIRST},
};

impl CounterStore for SqliteStore {
    async fn reserve_counters(&self, counter: CounterId) -> Result<CounterBlock, StoreError> {
        self.0.control.write(move |db| reserve(db, counter)).await
    }

    async fn raise_counter(&self, counter: CounterId, seen: u32) -> Result<(), StoreError> {
        self.0.control.write(move |db| raise(db, counter, seen)).await
    }
}

pub(super) fn reserve(db: &Connection, counter: CounterId) -> Result<CounterBlock, StoreError> {
    let next = stored(db, counter)?.unwrap_or(FIRST);
    let end = next.saturating_add(COUNTER_BLOCK);
    if next == u32::MAX {
        return Err(StoreError::CounterExhausted);
    }
    keep(db, counter, end)?;
    Ok(CounterBlock { next, end })
}

pub(super) fn raise(db: &Connection, counter: CounterId, seen: u32) -> Result<(), StoreError> {
    if seen > HIGHEST_CLAIM {
        return Err(StoreError::CounterClaim(seen));
    }
    let next = stored(db, counter)?.unwrap_or(FIRST);
    if next <= seen { keep(db, counter, seen.saturating_add(1)) } else { Ok(()) }
}

fn stored(db: &Connection, counter: CounterId) -> Result<Option<u32>, StoreError> {
    db.prepare_cached("SELECT next FROM counters WHERE id = ?1")
        .and_then(|mut query| query.query_row([counter.0], |row| row.get(0)).optional())
        .context(FILE, "reading a counter")
}

fn keep(db: &Connection, counter: CounterId, next: u32) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO counters (id, next) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET next = excluded.next",
    )
    .and_then(|mut insert| insert.execute(params![counter.0, next]))
    .map(drop)
    .context(FILE, "reserving counters")
}
