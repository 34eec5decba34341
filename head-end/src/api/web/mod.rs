//! What browsers and scripts speak, turned into gRPC in front of the gate: JSON over HTTP, and who may come from where.
//! gRPC-Web, between this and the gate, is tonic's.

mod answer;
mod json;
mod origin;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, header};
use prost_reflect::MethodDescriptor;
use tonic::body::Body;
use tower::{Layer, Service};

pub use self::origin::Origins;
use super::schema::Schema;

/// Puts the translation in front of a gRPC service.
#[derive(Clone, Debug)]
pub(super) struct WebLayer {
    pub(super) schema: Schema,
    pub(super) origins: Arc<Origins>,
}

/// A gRPC service that understands JSON over HTTP as well.
#[derive(Clone, Debug)]
pub(super) struct Web<I> {
    inner: I,
    layer: WebLayer,
}

impl<I> Layer<I> for WebLayer {
    type Service = Web<I>;

    fn layer(&self, inner: I) -> Web<I> {
        Web { inner, layer: self.clone() }
    }
}

/// The future of a call.
type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<I> Service<Request<Body>> for Web<I>
where
    I: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    I::Future: Send,
    I::Error: Send,
{
    type Response = Response<Body>;
    type Error = I::Error;
    type Future = Answer<I::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone takes the place of the one that was found ready.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let layer = self.layer.clone();
        Box::pin(async move {
            let origin = match layer.origins.admit(&request) {
                origin::Admitted::Answered(response) => return Ok(response),
                origin::Admitted::From(origin) => origin,
            };
            let mut response = match layer.json_method(&request) {
                None => inner.call(request).await?,
                Some(method) => match json::to_grpc(request, &method).await {
                    Err(status) => answer::error(&status),
                    Ok(request) => answer::from_grpc(inner.call(request).await?, method).await,
                },
            };
            origin::allow(&mut response, origin);
            Ok(response)
        })
    }
}

impl WebLayer {
    /// The method of a request in JSON: its path is that of gRPC, be it behind `/v1`.
    fn json_method(&self, request: &Request<Body>) -> Option<MethodDescriptor> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if request.method() != http::Method::POST || !essence.eq_ignore_ascii_case(JSON) {
            return None;
        }
        let path = request.uri().path();
        self.schema.method(path.strip_prefix("/v1").unwrap_or(path)).cloned()
    }
}

/// One message.
const JSON: &str = "application/json";
/// A message a line.
const LINES: &str = "application/x-ndjson";
