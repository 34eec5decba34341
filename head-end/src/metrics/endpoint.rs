//! The HTTP endpoint that Prometheus reads.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Metrics;

/// Connections at the same time; more are closed at once.
const CONNECTIONS: usize = 16;
/// How long a client may take to say what it wants, and how long a connection lives.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// Pause after a connection could not be taken, as when there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);
/// The text format of OpenMetrics.
const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why the endpoint cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for readers of metrics on {address}")]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub source: io::Error,
}

/// Offers `metrics` at `http://address/metrics` on `tasks` until `stop`; returns where it listens.
///
/// Figures are no secrets, but they tell how large a fleet is and how it fares: who listens beyond this machine is
/// warned.
///
/// # Errors
/// [`ListenError`].
pub async fn listen(
    metrics: Metrics,
    address: SocketAddr,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> Result<SocketAddr, ListenError> {
    let failed = |source| ListenError { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    if !bound.ip().to_canonical().is_loopback() {
        tracing::warn!(address = %bound, "metrics are readable by whoever reaches this address");
    }
    tasks.spawn(serve(metrics, listener, tasks.clone(), stop));
    Ok(bound)
}

async fn serve(metrics: Metrics, listener: TcpListener, tasks: TaskTracker, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a reader of metrics could not be taken");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (metrics, stop) = (metrics.clone(), stop.clone());
        tasks.spawn(async move {
            // Whoever does not end is not waited for.
            let answered = tokio::time::timeout(PATIENCE.1, answer(metrics, stream));
            if stop.run_until_cancelled(answered).await.is_some_and(|ended| ended.is_err()) {
                tracing::debug!("a connection of a reader of metrics was closed for its age");
            }
            drop(place);
        });
    }
}

async fn answer(metrics: Metrics, stream: TcpStream) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = respond(&metrics, request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE.0)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a reader of metrics went away");
    }
}

fn respond(metrics: &Metrics, method: &Method, path: &str) -> Response<Full<Bytes>> {
    let (status, kind, body) = match (method, path) {
        (&Method::GET | &Method::HEAD, "/metrics") => match metrics.page() {
            Ok(page) => (StatusCode::OK, FORMAT, page),
            Err(error) => {
                tracing::error!(%error, "metrics could not be written");
                (StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "metrics could not be written\n".to_owned())
            }
        },
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET and HEAD\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "text/plain", "metrics are at /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
    }
    response
}
