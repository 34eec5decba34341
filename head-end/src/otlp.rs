//! Spans sent to an OpenTelemetry collector, by OTLP over gRPC.
//!
//! There is a span `session` for each association with a meter, from the connection to the goodbye, and in it one named
//! `operation` for each thing that was done. What is logged meanwhile, from `info` on, goes along as their events.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

/// How long one batch may take to the collector, and the last one at the end.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// The name that the collector knows this program by.
const SERVICE: &str = "dlms-head-end";

/// Sends spans until it is shut down. What the collector does not take in time is dropped: spans are no data.
#[derive(Clone, Debug)]
pub struct Exporter(SdkTracerProvider);

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("cannot send spans to {endpoint}: {reason}")]
pub struct ExporterError {
    /// The collector.
    pub endpoint: String,
    /// Why not.
    pub reason: String,
}

impl Exporter {
    /// An exporter to the collector at `endpoint`, such as `http://127.0.0.1:4317`. Nothing is connected yet: a collector
    /// that is not there costs the spans and nothing else. To be called in a tokio runtime.
    ///
    /// # Errors
    /// [`ExporterError`] for an address that is none.
    pub fn new(endpoint: &str) -> Result<Self, ExporterError> {
        let exporter =
            SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(EXPORT_TIMEOUT).build();
        let exporter =
            exporter.map_err(|error| ExporterError { endpoint: endpoint.to_owned(), reason: error.to_string() })?;
        let resource = Resource::builder_empty().with_service_name(SERVICE).build();
        Ok(Self(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build()))
    }

    /// What hands it the spans of this program, and not those of the libraries below, which its own calls make.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync>(&self) -> impl Layer<S> + use<S> {
        let ours = Targets::new().with_target("dlms_head_end", LevelFilter::INFO);
        tracing_opentelemetry::layer().with_tracer(self.0.tracer(SERVICE)).with_location(false).with_filter(ours)
    }

    /// Sends what waits, in at most five seconds. Blocks.
    pub fn shutdown(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(EXPORT_TIMEOUT) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}
