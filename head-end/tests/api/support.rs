//! A running head-end, and simulated meters.

use std::{net::SocketAddr, path::Path, time::Duration};

use dlms_head_end::{
    config::{Config, Options},
    metrics::Metrics,
    node::Node,
};
use dlms_meter_server::simulator::{self, FleetConfig, Keys};
use dlms_proto::v1::{
    self, Meter, data_client::DataClient, meter_registry_client::MeterRegistryClient, reading_client::ReadingClient,
};
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::{Status, transport::Channel};
use tonic_types::{ErrorInfo, StatusExt};

/// Longer than anything takes on a busy machine; a test that hangs ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A head-end with its directory; dropped, it ends.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// The first listener for pushes; port 0 where there is none.
    pub(crate) push: SocketAddr,
    pub(crate) channel: Channel,
    /// The first listener for meters that connect.
    pub(crate) dial_in: Option<SocketAddr>,
    /// The first listener for telegrams.
    pub(crate) telegrams: Option<SocketAddr>,
    figures: Metrics,
    /// Where metrics are read.
    pub(crate) metrics: Option<SocketAddr>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Running {
    /// A head-end on `directory`.
    pub(crate) async fn start(directory: &Path) -> Self {
        Self::with(Config { data_dir: directory.join("data"), ..Config::default() }).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let master_key_file = config.data_dir.join("master.key");
        let listen = "127.0.0.1:0".parse().unwrap();
        let node = Node::open(Config { listen, master_key_file, ..config }, None).await.unwrap();
        let listener = node.listen().await.unwrap();
        let address = listener.local_addr().unwrap();
        let push = node.listeners().addresses().first().copied().unwrap_or(listen);
        let dial_in = node.dial_in().addresses().first().copied();
        let telegrams = node.telegrams().addresses().first().copied();
        let (metrics, figures) = (node.metrics_address(), node.metrics().clone());
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(async move {
            node.serve(listener, async {
                let _ = stopped.await;
            })
            .await
            .unwrap();
        });
        // With TLS a test makes the connections that it wants.
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        Self { address, push, channel, dial_in, telegrams, figures, metrics, stop, ended }
    }

    pub(crate) fn registry(&self) -> MeterRegistryClient<Channel> {
        MeterRegistryClient::new(self.channel.clone())
    }

    pub(crate) fn reading(&self) -> ReadingClient<Channel> {
        ReadingClient::new(self.channel.clone())
    }

    pub(crate) fn data(&self) -> DataClient<Channel> {
        DataClient::new(self.channel.clone())
    }

    /// The page of metrics.
    pub(crate) fn page(&self) -> String {
        self.figures.page().unwrap()
    }

    /// Ends it in order.
    pub(crate) async fn stop(self) {
        drop(self.channel);
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.ended).await.expect("the head-end ends").unwrap();
    }

    pub(crate) async fn create(&self, meter: Meter) -> Result<Meter, Status> {
        let request = v1::CreateMeterRequest { meter: Some(meter), ..Default::default() };
        self.registry().create_meter(request).await.map(tonic::Response::into_inner)
    }
}

/// Default options with short waits.
pub(crate) fn quick(directory: &Path) -> Config {
    let text = "connect_timeout = \"2s\"\nresponse_timeout = \"5s\"\nstore_busy_timeout = \"50ms\"\nstore_patience = \"200ms\"";
    Config { data_dir: directory.join("data"), ..Options::from_toml(text).unwrap().resolve() }
}

/// A public client's meter behind a wrapper at `address`.
pub(crate) fn plain(id: &str, address: &str) -> Meter {
    let kind = v1::link::Kind::TcpWrapper(v1::IpLink { address: address.to_owned() });
    Meter { name: format!("meters/{id}"), link: Some(v1::Link { kind: Some(kind) }), ..Default::default() }
}

/// The management client's meter, with the keys of the simulated ones.
pub(crate) fn managed(id: &str, address: &str) -> Meter {
    Meter {
        client_sap: 1,
        authentication: Some(v1::Authentication {
            mechanism: v1::authentication::Mechanism::HlsGmac.into(),
            ..Default::default()
        }),
        security: Some(v1::Security {
            encryption_key: Keys::DEMONSTRATION_ENCRYPTION.to_vec(),
            authentication_key: Keys::DEMONSTRATION_AUTHENTICATION.to_vec(),
            ..Default::default()
        }),
        ..plain(id, address)
    }
}

/// Simulated meters, each with a TCP port of its own.
pub(crate) async fn simulated(meters: u32) -> simulator::Fleet {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let config = FleetConfig { meters, tcp: Some(any), hdlc_tcp: Some(any), ..FleetConfig::default() };
    simulator::Fleet::start(config).await.unwrap()
}

pub(crate) fn tcp(fleet: &simulator::Fleet, index: usize) -> String {
    fleet.devices()[index].ports().tcp.unwrap().to_string()
}

pub(crate) fn info(status: &Status) -> ErrorInfo {
    status.get_error_details().error_info().cloned().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"))
}

/// Fields that a BadRequest names.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details.bad_request().map(|wrong| wrong.field_violations.clone()).unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}
