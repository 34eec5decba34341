//! Invocation counters.

use deadpool_postgres::Transaction;

use super::{
    PostgresStore,
    pool::{execute, row, unsigned},
};
use crate::{
    meter::CounterId,
    operation::CounterBlock,
    store::{COUNTER_BLOCK, CounterStore, HIGHEST_CLAIM, StoreError, counters::FIRST},
};

impl CounterStore for PostgresStore {
    async fn reserve_counters(&self, counter: CounterId) -> Result<CounterBlock, StoreError> {
        self.0.guard.check()?;
        self.0.connections.write("reserving counters", move |db| Box::pin(reserve(db, counter))).await
    }

    async fn raise_counter(&self, counter: CounterId, seen: u32) -> Result<(), StoreError> {
        if seen > HIGHEST_CLAIM {
            return Err(StoreError::CounterClaim(seen));
        }
        self.0.connections.write("raising a counter", move |db| Box::pin(raise(db, counter, seen))).await
    }
}

async fn reserve(db: &Transaction<'_>, counter: CounterId) -> Result<CounterBlock, StoreError> {
    let action = "reserving counters";
    // The row is held from here to the commit, also against a head-end that believes to be the only one.
    let mut stored = held(db, counter).await?;
    if stored.is_none() {
        let sql = "INSERT INTO counters (id, next) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
        execute(db, action, sql, &[&&counter.0[..], &i64::from(FIRST)]).await?;
        stored = held(db, counter).await?;
    }
    let next = stored.ok_or_else(|| super::failure::corrupt("a counter that was written is not there"))?;
    if next == u32::MAX {
        return Err(StoreError::CounterExhausted);
    }
    let end = next.saturating_add(COUNTER_BLOCK);
    let sql = "UPDATE counters SET next = $3 WHERE id = $1 AND next = $2";
    if execute(db, action, sql, &[&&counter.0[..], &i64::from(next), &i64::from(end)]).await? != 1 {
        return Err(StoreError::Locked { file: super::PLACE.to_owned() });
    }
    Ok(CounterBlock { next, end })
}

async fn held(db: &Transaction<'_>, counter: CounterId) -> Result<Option<u32>, StoreError> {
    let sql = "SELECT next FROM counters WHERE id = $1 FOR UPDATE";
    row(db, "reading a counter", sql, &[&&counter.0[..]]).await?.map(|row| unsigned(&row, 0)).transpose()
}

async fn raise(db: &Transaction<'_>, counter: CounterId, seen: u32) -> Result<(), StoreError> {
    let next = i64::from(seen.saturating_add(1).max(FIRST));
    let sql = "INSERT INTO counters (id, next) VALUES ($1, $2)
               ON CONFLICT (id) DO UPDATE SET next = excluded.next WHERE counters.next < excluded.next";
    execute(db, "raising a counter", sql, &[&&counter.0[..], &next]).await.map(drop)
}
