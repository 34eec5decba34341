//! The example of a head-end inside another program, run as it stands.

#[path = "../examples/embed.rs"]
mod embed;

use std::{net::SocketAddr, sync::Arc};

use dlms_meter_server::simulator::{BuiltInModel, Fleet, FleetConfig};

#[tokio::test(flavor = "multi_thread")]
async fn the_library_reads_a_meter_and_keeps_what_it_said_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    // One whose public client may see more than who it is.
    let model = Arc::new(BuiltInModel::find("minimal-public").unwrap().model().unwrap());
    let config = FleetConfig { model, meters: 1, tcp: Some(any), ..FleetConfig::default() };
    let meters = Fleet::start(config).await.unwrap();
    let address = meters.devices()[0].ports().tcp.unwrap().to_string();
    let learned = embed::read(folder.path(), &address).await.unwrap();
    assert_eq!((learned.values.len(), learned.stored), (1, 1));
    assert!(learned.values[0].starts_with("DoubleLongUnsigned("), "{:?}", learned.values);
}
