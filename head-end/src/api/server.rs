//! The gRPC server: services, health, reflection, and an orderly end.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use dlms_proto::v1::{
    FILE_DESCRIPTOR_SET,
    admin_server::{self as admin_name, AdminServer},
    collection_server::{self as collection_name, CollectionServer},
    configuration_server::{self as configuration_name, ConfigurationServer},
    control_server::{self as control_name, ControlServer},
    data_server::{self as data_name, DataServer},
    events_server::{self as events_name, EventsServer},
    firmware_server::{self as firmware_name, FirmwareServer},
    jobs_server::{self as jobs_name, JobsServer},
    meter_registry_server::{self as registry_name, MeterRegistryServer},
    meter_security_server::{self as security_name, MeterSecurityServer},
    reading_server::{self as reading_name, ReadingServer},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_web::GrpcWebLayer;

use super::{
    Api, ApiCounts, Service,
    gate::{self, GateLayer, Watch},
    incoming::incoming,
    schema::Schema,
    security::Security,
    web::{Origins, WebLayer},
};
use crate::{
    access::{Limiter, Rate},
    collection::Collection,
    head_end::HeadEnd,
    jobs::Jobs,
    operation::MeterAccess,
    store::Store,
    telegram::Telegrams,
};

/// Limits of the server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Deadline of a call that states none.
    pub default_timeout: Duration,
    /// How long calls may go on after the server was told to stop.
    pub drain: Duration,
    /// Calls on one connection at the same time.
    pub concurrency: usize,
    /// Calls of one caller; who is not asked who they are has no limit.
    pub rate: Rate,
    /// Web pages that may call.
    pub origins: Origins,
}

/// Largest headers of a call together, in octets; a signed token is the longest of them.
const HEADERS: u32 = 32 * 1024;

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            default_timeout: Duration::from_secs(60),
            drain: Duration::from_secs(10),
            concurrency: 256,
            rate: Rate { per_second: 500, burst: 1000 },
            origins: Origins::default(),
        }
    }
}

/// What the services are made of.
#[derive(Debug)]
pub struct Parts<S, A> {
    /// Operations on meters.
    pub head_end: HeadEnd<S, A>,
    /// Plans.
    pub collection: Collection<S, A>,
    /// What takes telegrams of customer ports.
    pub telegrams: Telegrams<S, A>,
    /// Operations over many meters.
    pub jobs: Jobs<S, A>,
    /// Where calls are counted.
    pub counts: Arc<ApiCounts>,
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
    /// So it is.
    #[error("the descriptors of the API do not decode")]
    Descriptors(#[from] prost_reflect::DescriptorError),
}

/// Serves `parts` on `listener` until `stop` is ready; then takes no new calls, lets those that
/// run finish within the drain time, and returns.
///
/// # Errors
/// [`ServeError`].
pub async fn serve<S: Store, A: MeterAccess>(
    parts: Parts<S, A>,
    listener: TcpListener,
    options: ServerOptions,
    security: Security,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    let Parts { head_end, collection, telegrams, jobs, counts } = parts;
    let schema = Schema::new()?;
    let watch = Arc::new(Watch {
        security: security.clone(),
        schema: schema.clone(),
        registry: Arc::clone(head_end.registry()),
        calls: Limiter::new(options.rate),
        refusals: Limiter::new(gate::REFUSALS),
        counts: Arc::clone(&counts),
    });
    let stopping = CancellationToken::new();
    let service = Service(Arc::new(Api {
        head_end,
        collection,
        jobs,
        telegrams,
        counts,
        default_timeout: options.default_timeout,
        stopping: stopping.clone(),
    }));
    let (health, health_service) = tonic_health::server::health_reporter();
    report(&health, ServingStatus::Serving).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let server = Server::builder()
        .concurrency_limit_per_connection(options.concurrency)
        .http2_keepalive_interval(Some(Duration::from_secs(60)))
        .http2_max_header_list_size(HEADERS)
        .accept_http1(true)
        .layer(WebLayer { schema, origins: Arc::new(options.origins.clone()) })
        .layer(GrpcWebLayer::new())
        .layer(GateLayer(watch))
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(AdminServer::new(service.clone()))
        .add_service(MeterRegistryServer::new(service.clone()))
        .add_service(ReadingServer::new(service.clone()))
        .add_service(DataServer::new(service.clone()))
        .add_service(CollectionServer::new(service.clone()))
        .add_service(JobsServer::new(service.clone()))
        .add_service(ControlServer::new(service.clone()))
        .add_service(ConfigurationServer::new(service.clone()))
        .add_service(MeterSecurityServer::new(service.clone()))
        .add_service(EventsServer::new(service.clone()))
        .add_service(FirmwareServer::new(service.clone()))
        .serve_with_incoming_shutdown(incoming(listener, security.tls.clone()), stopping.clone().cancelled_owned());
    tokio::pin!(server);
    let reloading = AbortOnDrop(tokio::spawn(security.reload()).abort_handle());
    let ended = tokio::select! {
        ended = &mut server => Some(ended),
        () = stop => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            report(&health, ServingStatus::NotServing).await;
            stopping.cancel();
            match tokio::time::timeout(options.drain, server).await {
                Ok(ended) => ended,
                Err(_) => {
                    tracing::warn!(drain = ?options.drain, "calls were still running when the drain time ended");
                    Ok(())
                }
            }
        }
    };
    drop(reloading);
    ended.map_err(|source| ServeError::Transport { address, source })
}

/// Ends a task with what it was for, also when that is dropped half way.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tells the health service about every service, and about the server as a whole (the empty name).
async fn report(health: &HealthReporter, status: ServingStatus) {
    for name in [
        "",
        admin_name::SERVICE_NAME,
        registry_name::SERVICE_NAME,
        reading_name::SERVICE_NAME,
        data_name::SERVICE_NAME,
        collection_name::SERVICE_NAME,
        jobs_name::SERVICE_NAME,
        control_name::SERVICE_NAME,
        configuration_name::SERVICE_NAME,
        events_name::SERVICE_NAME,
        firmware_name::SERVICE_NAME,
        security_name::SERVICE_NAME,
    ] {
        health.set_service_status(name, status).await;
    }
}
