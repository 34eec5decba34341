//! Requests that change a meter, carried out at most once for each request id.

use std::future::Future;

use prost::Message;
use tonic::Status;

use super::status;
use crate::{
    meter::MeterId,
    store::{RequestKey, RequestState, Store},
};

/// Carries `work` out unless it was before, and keeps its answer.
///
/// `work` returns an error only when nothing was sent to the meter; then the request id is free again.
pub(super) async fn at_most_once<S, R, F>(
    store: &S,
    meter: &MeterId,
    request: RequestKey,
    unknown: impl FnOnce() -> R,
    work: impl FnOnce() -> F,
) -> Result<R, Status>
where
    S: Store,
    R: Message + Default,
    F: Future<Output = Result<R, Status>>,
{
    let failed = |error| status::store(&error, Some(meter));
    match store.begin_request(request.clone()).await.map_err(failed)? {
        RequestState::New => {}
        RequestState::Unfinished => return Ok(unknown()),
        RequestState::Finished(octets) => {
            return R::decode(octets.as_slice()).map_err(|error| {
                Status::internal(format!("the kept answer to request_id {:?} does not decode: {error}", request.id))
            });
        }
    }
    match work().await {
        Ok(response) => {
            // The meter has done it: the caller is told, even if the answer could not be kept.
            if let Err(error) = store.finish_request(request, response.encode_to_vec()).await {
                tracing::error!(%meter, %error, "the answer to a request could not be kept");
            }
            Ok(response)
        }
        Err(error) => {
            if let Err(error) = store.abandon_request(request).await {
                tracing::warn!(%meter, %error, "a request that was not carried out stays noted");
            }
            Err(error)
        }
    }
}
