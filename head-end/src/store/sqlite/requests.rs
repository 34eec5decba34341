//! Requests that carried a request id, and their answers.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{SqliteStore, control::FILE, failure::Context};
use crate::store::{RequestKey, RequestState, RequestStore, StoreError, requests::KEPT_MS};

impl RequestStore for SqliteStore {
    async fn begin_request(&self, request: RequestKey) -> Result<RequestState, StoreError> {
        self.0.control.write(move |db| begin(db, &request)).await
    }

    async fn finish_request(&self, request: RequestKey, response: Vec<u8>) -> Result<(), StoreError> {
        self.0.control.write(move |db| finish(db, &request, &response)).await
    }

    async fn abandon_request(&self, request: RequestKey) -> Result<(), StoreError> {
        self.0.control.write(move |db| abandon(db, &request)).await
    }
}

/// What is known about `request`, without noting it.
pub(super) fn look(db: &Connection, request: &RequestKey) -> Result<Option<RequestState>, StoreError> {
    let row: Option<(Vec<u8>, Option<Vec<u8>>)> = db
        .prepare_cached("SELECT digest, response FROM requests WHERE method = ?1 AND request_id = ?2")
        .and_then(|mut query| {
            query.query_row([request.method, &request.id], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .context(FILE, "looking a request up")?;
    match row {
        None => Ok(None),
        Some((digest, _)) if digest != request.digest => Err(StoreError::RequestMismatch(request.id.clone())),
        Some((_, None)) => Ok(Some(RequestState::Unfinished)),
        Some((_, Some(response))) => Ok(Some(RequestState::Finished(response))),
    }
}

pub(super) fn begin(db: &Connection, request: &RequestKey) -> Result<RequestState, StoreError> {
    let now = Timestamp::now().as_millisecond();
    db.prepare_cached("DELETE FROM requests WHERE begun_ms < ?1")
        .and_then(|mut delete| delete.execute([now.saturating_sub(KEPT_MS)]))
        .context(FILE, "forgetting old requests")?;
    if let Some(known) = look(db, request)? {
        return Ok(known);
    }
    db.prepare_cached("INSERT INTO requests (method, request_id, digest, begun_ms) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut insert| insert.execute(params![request.method, request.id, request.digest, now]))
        .context(FILE, "noting a request")?;
    Ok(RequestState::New)
}

pub(super) fn finish(db: &Connection, request: &RequestKey, response: &[u8]) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE requests SET response = ?3 WHERE method = ?1 AND request_id = ?2")
        .and_then(|mut update| update.execute(params![request.method, request.id, response]))
        .map(drop)
        .context(FILE, "keeping an answer")
}

pub(super) fn abandon(db: &Connection, request: &RequestKey) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM requests WHERE method = ?1 AND request_id = ?2 AND response IS NULL")
        .and_then(|mut delete| delete.execute([request.method, &request.id]))
        .map(drop)
        .context(FILE, "forgetting a request")
}
