//! Requests of callers, so that a repetition is recognised.

use std::future::Future;

use super::StoreError;

/// How long an answer is kept, in milliseconds: 7 days.
pub(super) const KEPT_MS: i64 = 7 * 24 * 3600 * 1000;

/// Requests of callers, so that a repetition is recognised.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait RequestStore: Send + Sync + 'static {
    /// Notes that a request is about to be carried out, or tells what became of it.
    ///
    /// # Errors
    /// [`StoreError::RequestMismatch`], or the store's own.
    fn begin_request(&self, request: RequestKey) -> impl Future<Output = Result<RequestState, StoreError>> + Send;

    /// Keeps the answer to a request.
    ///
    /// # Errors
    /// The store's own.
    fn finish_request(
        &self,
        request: RequestKey,
        response: Vec<u8>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets a request of which nothing was carried out.
    ///
    /// # Errors
    /// The store's own.
    fn abandon_request(&self, request: RequestKey) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Names one request of one caller, so that a repetition is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// Method of the API.
    pub method: &'static str,
    /// The caller's request id.
    pub id: String,
    /// Keyed digest of the contents.
    pub digest: [u8; 32],
}

/// What is known about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// It is new, and noted now.
    New,
    /// It was begun and has not ended: it is being carried out, or the process ended in the middle of it.
    Unfinished,
    /// It has ended with this answer.
    Finished(Vec<u8>),
}
