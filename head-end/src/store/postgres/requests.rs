//! Requests that carried a request id, and their answers.

use deadpool_postgres::Transaction;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::{
    PostgresStore,
    pool::{execute, get, row, text},
};
use crate::store::{RequestKey, RequestState, RequestStore, StoreError, requests::KEPT_MS};

impl RequestStore for PostgresStore {
    async fn begin_request(&self, request: RequestKey) -> Result<RequestState, StoreError> {
        let action = "noting a request";
        self.0.connections.write(action, move |db| Box::pin(async move { begin(db, &request).await })).await
    }

    async fn finish_request(&self, request: RequestKey, response: Vec<u8>) -> Result<(), StoreError> {
        let action = "keeping an answer";
        self.0.connections.write(action, move |db| Box::pin(async move { finish(db, &request, &response).await })).await
    }

    async fn abandon_request(&self, request: RequestKey) -> Result<(), StoreError> {
        let action = "forgetting a request";
        self.0
            .connections
            .write(action, move |db| {
                Box::pin(async move {
                    let sql = "DELETE FROM requests WHERE method = $1 AND request_id = $2 AND response IS NULL";
                    execute(db, action, sql, &[&request.method, &text(&request.id)]).await.map(drop)
                })
            })
            .await
    }
}

/// Old answers that are forgotten at a time.
const FORGOTTEN: i64 = 100;

pub(super) async fn begin(db: &Transaction<'_>, request: &RequestKey) -> Result<RequestState, StoreError> {
    let action = "noting a request";
    let now = Timestamp::now().as_millisecond();
    // A few at a time and none that somebody else forgets just now: two that wait for each other would both fail.
    let old = "DELETE FROM requests WHERE ctid = ANY(ARRAY(
                   SELECT ctid FROM requests WHERE begun_ms < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))";
    execute(db, action, old, &[&now.saturating_sub(KEPT_MS), &FORGOTTEN]).await?;
    let id = text(&request.id);
    // Where another transaction has begun the same request, this waits for its end.
    let insert = "INSERT INTO requests (method, request_id, digest, begun_ms) VALUES ($1, $2, $3, $4)
                  ON CONFLICT DO NOTHING";
    if execute(db, action, insert, &[&request.method, &id, &&request.digest[..], &now]).await? > 0 {
        return Ok(RequestState::New);
    }
    // Held, so that it is neither finished nor abandoned between here and the commit.
    let sql = "SELECT digest, response FROM requests WHERE method = $1 AND request_id = $2 FOR UPDATE";
    let Some(row) = row(db, action, sql, &[&request.method, &id]).await? else {
        // It was abandoned in between: whoever repeats it begins anew.
        return Err(StoreError::Locked { file: super::PLACE.to_owned() });
    };
    let (digest, response): (Vec<u8>, Option<Vec<u8>>) = (get(&row, 0)?, get(&row, 1)?);
    if digest != request.digest {
        return Err(StoreError::RequestMismatch(request.id.clone()));
    }
    Ok(response.map_or(RequestState::Unfinished, RequestState::Finished))
}

pub(super) async fn finish(db: &Transaction<'_>, request: &RequestKey, response: &[u8]) -> Result<(), StoreError> {
    let sql = "UPDATE requests SET response = $3 WHERE method = $1 AND request_id = $2";
    execute(db, "keeping an answer", sql, &[&request.method, &text(&request.id), &response]).await.map(drop)
}

/// Does `work` and keeps its result, in one transaction, unless it was done before; whether it was.
pub(super) async fn once<'a, T: Send + 'a>(
    db: &'a Transaction<'a>,
    request: Option<&'a RequestKey>,
    work: impl Future<Output = Result<T, StoreError>> + Send + 'a,
    keep: impl FnOnce(&T) -> Result<Vec<u8>, StoreError> + Send + 'a,
    again: impl FnOnce(Vec<u8>) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'a,
) -> Result<(T, bool), StoreError> {
    let Some(request) = request else { return Ok((work.await?, false)) };
    if let RequestState::Finished(response) = begin(db, request).await? {
        return Ok((again(response).await?, true));
    }
    let result = work.await?;
    finish(db, request, &keep(&result)?).await?;
    Ok((result, false))
}
