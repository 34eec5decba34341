//! The gRPC server: services, health, reflection, and an orderly end.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use dlms_proto::v1::{
    FILE_DESCRIPTOR_SET,
    data_server::{self as data_name, DataServer},
    meter_registry_server::{self as registry_name, MeterRegistryServer},
    reading_server::{self as reading_name, ReadingServer},
};
use tokio::{net::TcpListener, sync::oneshot};
use tonic::transport::{Server, server::TcpIncoming};
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{Api, Service};
use crate::{head_end::HeadEnd, operation::MeterAccess, store::Store};

/// Limits of the server.
#[derive(Clone, Copy, Debug)]
pub struct ServerOptions {
    /// Deadline of a call that states none.
    pub default_timeout: Duration,
    /// How long calls may go on after the server was told to stop.
    pub drain: Duration,
    /// Calls on one connection at the same time.
    pub concurrency: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { default_timeout: Duration::from_secs(60), drain: Duration::from_secs(10), concurrency: 256 }
    }
}

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The sockets or the protocol below failed.
    #[error("the gRPC server on {address} failed")]
    Transport {
        /// Where it listened.
        address: SocketAddr,
        /// Why it failed.
        source: tonic::transport::Error,
    },
    /// The listening socket is not usable.
    #[error("the listening socket is not usable")]
    Listener(#[from] std::io::Error),
    /// The descriptors of the API do not decode: the build is broken.
    #[error("the descriptors of the API do not decode")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Serves `head_end` on `listener` until `stop` is ready; then takes no new calls, lets those that
/// run finish within the drain time, and returns.
///
/// # Errors
/// [`ServeError`].
pub async fn serve<S: Store, A: MeterAccess>(
    head_end: HeadEnd<S, A>,
    listener: TcpListener,
    options: ServerOptions,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    let service = Service(Arc::new(Api { head_end, default_timeout: options.default_timeout }));
    let (health, health_service) = tonic_health::server::health_reporter();
    report(&health, ServingStatus::Serving).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (stopping, stopped) = oneshot::channel::<()>();
    let server = Server::builder()
        .concurrency_limit_per_connection(options.concurrency)
        .http2_keepalive_interval(Some(Duration::from_secs(60)))
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(MeterRegistryServer::new(service.clone()))
        .add_service(ReadingServer::new(service.clone()))
        .add_service(DataServer::new(service.clone()))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), async {
            // An error means that the sender is gone, which is a stop as well.
            let _ = stopped.await;
        });
    tokio::pin!(server);
    let ended = tokio::select! {
        ended = &mut server => Some(ended),
        () = stop => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            report(&health, ServingStatus::NotServing).await;
            drop(stopping);
            match tokio::time::timeout(options.drain, server).await {
                Ok(ended) => ended,
                Err(_) => {
                    tracing::warn!(drain = ?options.drain, "calls were still running when the drain time ended");
                    Ok(())
                }
            }
        }
    };
    ended.map_err(|source| ServeError::Transport { address, source })
}

/// Tells the health service about every service, and about the server as a whole (the empty name).
async fn report(health: &HealthReporter, status: ServingStatus) {
    for name in ["", registry_name::SERVICE_NAME, reading_name::SERVICE_NAME, data_name::SERVICE_NAME] {
        health.set_service_status(name, status).await;
    }
}
