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
    let next = next_of(db, counter)?;
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
    let next = next_of(db, counter)?;
    if next <= seen { keep(db, counter, seen.saturating_add(1)) } else { Ok(()) }
}

/// Name of the value below which no counter of a new key begins: it is there once the store was made from a backup, which
/// may not know all keys that were used.
const FLOOR: &str = "counter-floor";

fn next_of(db: &Connection, counter: CounterId) -> Result<u32, StoreError> {
    match stored(db, counter)? {
        Some(next) => Ok(next),
        None => Ok(FIRST.saturating_add(floor(db)?)),
    }
}

fn floor(db: &Connection) -> Result<u32, StoreError> {
    let kept: Option<[u8; 4]> = db
        .prepare_cached("SELECT value FROM instance WHERE name = ?1")
        .and_then(|mut query| query.query_row([FLOOR], |row| row.get(0)).optional())
        .context(FILE, "reading the first counter")?;
    Ok(kept.map_or(0, u32::from_be_bytes))
}

/// Moves the first counters of new keys up.
pub(super) fn raise_floor(db: &Connection, by: u32) -> Result<(), StoreError> {
    let floor = floor(db)?.saturating_add(by).to_be_bytes();
    db.execute(
        "INSERT INTO instance (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        params![FLOOR, floor],
    )
    .map(drop)
    .context(FILE, "moving the first counter up")
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
