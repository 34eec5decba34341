//! The way to a running head-end.

use std::{
    convert::Infallible,
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::Args;
use dlms_proto::v1::{
    collection_client::CollectionClient, data_client::DataClient, events_client::EventsClient,
    meter_registry_client::MeterRegistryClient, reading_client::ReadingClient,
};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use zeroize::Zeroizing;

use super::{Failure, Format};
use crate::{config::Span, group::GroupId, meter::MeterId};

/// Options that all clients have.
#[derive(Clone, Debug, Args)]
pub struct ClientOptions {
    /// The head-end to ask
    #[arg(long, env = "HEADEND_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    pub server: String,
    /// How long the call may take
    #[arg(long, env = "HEADEND_TIMEOUT", default_value = "60s", value_name = "TIME")]
    pub timeout: Span,
    /// Authorities that sign the head-end's certificate, in PEM [default: those that the system trusts]
    #[arg(long, env = "HEADEND_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Our own certificate in PEM, for a head-end that knows its callers by certificates
    #[arg(long, env = "HEADEND_CLIENT_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, env = "HEADEND_CLIENT_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Our token; better in the environment or a file, where other users of the machine do not see it
    #[arg(long, env = "HEADEND_TOKEN", hide_env_values = true, value_name = "TOKEN", conflicts_with = "token_file")]
    pub token: Option<Token>,
    /// File with our token
    #[arg(long, env = "HEADEND_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
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

    pub(super) async fn collection(&self) -> Result<CollectionClient<Channel>, Failure> {
        Ok(CollectionClient::new(self.connect().await?))
    }

    pub(super) async fn events(&self) -> Result<EventsClient<Channel>, Failure> {
        Ok(EventsClient::new(self.connect().await?))
    }

    /// A request with the deadline that the user set, and with the user's token.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = self.patient(message);
        request.set_timeout(self.timeout.duration());
        request
    }

    /// The same without a deadline, for what goes on until the user ends it.
    pub(super) fn patient<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        // `connect` has looked at the file before; what is no token now is refused by the head-end.
        if let Ok(Some(header)) = self.authorization() {
            request.metadata_mut().insert("authorization", header);
        }
        request
    }

    pub(super) async fn connect(&self) -> Result<Channel, Failure> {
        let url = if self.server.contains("://") { self.server.clone() } else { format!("http://{}", self.server) };
        let secure = url.starts_with("https://");
        let endpoint = Endpoint::from_shared(url)
            .map_err(|error| Failure::usage(format!("{:?} is not the address of a head-end: {error}", self.server)))?;
        if self.authorization()?.is_some() && !secure && !is_this_machine(&endpoint) {
            let message = format!("a token is not sent to {} in clear; say https://", self.server);
            return Err(Failure::usage(message));
        }
        let mut endpoint = endpoint.connect_timeout(Duration::from_secs(5)).tcp_nodelay(true);
        if secure {
            endpoint = endpoint.tls_config(self.tls()?).map_err(|error| Failure::configuration(&error))?;
        }
        endpoint.connect().await.map_err(|error| Failure::connect(&self.server, &error))
    }

    fn authorization(&self) -> Result<Option<MetadataValue<Ascii>>, Failure> {
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) => token.clone(),
            (None, Some(path)) => Token(Zeroizing::new(read(path)?.trim().to_owned())),
            (None, None) => return Ok(None),
        };
        let header = Zeroizing::new(format!("Bearer {}", token.0.as_str()));
        let mut header: MetadataValue<Ascii> =
            header.parse().map_err(|_| Failure::usage("the token has characters that no token has"))?;
        header.set_sensitive(true);
        Ok(Some(header))
    }

    fn tls(&self) -> Result<ClientTlsConfig, Failure> {
        let mut config = ClientTlsConfig::new();
        config = match &self.tls_ca {
            Some(path) => config.ca_certificate(Certificate::from_pem(read(path)?)),
            None => config.with_enabled_roots(),
        };
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        Ok(config)
    }
}

/// A token, which nothing shows.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl FromStr for Token {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
}

fn is_this_machine(endpoint: &Endpoint) -> bool {
    let host = endpoint.uri().host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// A meter as users name it: `m1` or `meters/m1`.
pub(super) fn meter_name(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("meters/").unwrap_or(text);
    MeterId::try_new(id).map(|id| id.resource_name()).map_err(|error| error.to_string())
}

/// A group as users name it: `g1` or `groups/g1`.
pub(super) fn group_name(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("groups/").unwrap_or(text);
    id.parse::<GroupId>().map(|id| id.resource_name()).map_err(|error| error.to_string())
}

/// An OBIS code, in the form that the API returns.
pub(super) fn obis(text: &str) -> Result<String, String> {
    let parsed: Result<dlms::obis::ObisCode, _> = text.parse();
    parsed.map(|obis| obis.to_string()).map_err(|_| format!("{text:?} is not an OBIS code such as 1-0:1.8.0"))
}
