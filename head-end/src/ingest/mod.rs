//! The one way of readings into the store, however they came: polled, pushed, or by telegram.
//!
//! Each capture is looked at beside the one before it and gets flags that say what was noticed; values are never
//! altered, and nothing is thrown away. Rows, flags and coverage are written in one transaction.

mod registers;
mod validate;

use crate::store::{AppendOutcome, CaptureBatch, Store, StoreError};

/// What became of readings in the store.
pub type Kept = Result<AppendOutcome, StoreError>;

/// Validates captures and keeps them. Flags that `batch` brings along stay.
///
/// # Errors
/// As [`ReadingStore::append`](crate::store::ReadingStore::append).
pub async fn keep<S: Store>(store: &S, mut batch: CaptureBatch) -> Kept {
    let Some(first) = batch.rows.iter().map(|row| row.time).min() else {
        return Ok(AppendOutcome::Stored(Default::default()));
    };
    let meter = batch.meter.clone();
    let before = match store.latest(&meter, batch.profile, first).await {
        Ok(before) => before,
        Err(error) => {
            // Readings are worth more than what can be said about the first of them.
            tracing::warn!(%meter, %error, "the capture before is not known");
            None
        }
    };
    validate::flag(&mut batch, before.as_ref());
    let kept = store.append(batch).await;
    match &kept {
        Ok(AppendOutcome::Stored(_)) => {}
        Ok(AppendOutcome::Kept(error)) => tracing::warn!(%meter, %error, "readings wait in memory"),
        Err(error) => tracing::error!(%meter, %error, "readings were not taken by the store"),
    }
    kept
}
