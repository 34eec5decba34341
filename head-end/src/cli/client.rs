//! The way to a running head-end.

use std::time::Duration;

use clap::Args;
use dlms_proto::v1::{
    data_client::DataClient, meter_registry_client::MeterRegistryClient, reading_client::ReadingClient,
};
use tonic::{
    Request,
    transport::{Channel, Endpoint},
};

use super::{Failure, Format};
use crate::{config::Span, meter::MeterId};

/// Options that all clients have.
#[derive(Clone, Debug, Args)]
pub struct ClientOptions {
    /// The head-end to ask
    #[arg(long, env = "HEADEND_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    pub server: String,
    /// How long the call may take
    #[arg(long, env = "HEADEND_TIMEOUT", default_value = "60s", value_name = "TIME")]
    pub timeout: Span,
    /// How to print what comes back
    #[arg(long, env = "HEADEND_FORMAT", default_value = "table")]
    pub format: Format,
}

impl ClientOptions {
    pub(super) async fn registry(&self) -> Result<MeterRegistryClient<Channel>, Failure> {
        Ok(MeterRegistryClient::new(self.connect().await?))
    }

    pub(super) async fn reading(&self) -> Result<ReadingClient<Channel>, Failure> {
        Ok(ReadingClient::new(self.connect().await?))
    }

    pub(super) async fn data(&self) -> Result<DataClient<Channel>, Failure> {
        Ok(DataClient::new(self.connect().await?))
    }

    /// A request with the deadline that the user set.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout.duration());
        request
    }

    async fn connect(&self) -> Result<Channel, Failure> {
        let url = if self.server.contains("://") { self.server.clone() } else { format!("http://{}", self.server) };
        let endpoint = Endpoint::from_shared(url)
            .map_err(|error| Failure::usage(format!("{:?} is not the address of a head-end: {error}", self.server)))?;
        let endpoint = endpoint.connect_timeout(Duration::from_secs(5)).tcp_nodelay(true);
        endpoint.connect().await.map_err(|error| Failure::connect(&self.server, &error))
    }
}

/// A meter as users name it: `m1` or `meters/m1`.
pub(super) fn meter_name(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("meters/").unwrap_or(text);
    MeterId::try_new(id).map(|id| id.resource_name()).map_err(|error| error.to_string())
}

/// An OBIS code, in the form that the API returns.
pub(super) fn obis(text: &str) -> Result<String, String> {
    let parsed: Result<dlms::obis::ObisCode, _> = text.parse();
    parsed.map(|obis| obis.to_string()).map_err(|_| format!("{text:?} is not an OBIS code such as 1-0:1.8.0"))
}
