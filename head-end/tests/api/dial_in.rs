//! Meters that connect to the head-end, over real sockets.

use std::{net::SocketAddr, time::Duration};

use dlms_head_end::config::Config;
use dlms_meter_server::simulator::{self, DialConfig, FleetConfig};
use dlms_proto::v1::{self, Meter};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tonic::{Code, Request, Status};

use crate::support::{PATIENCE, Running, info, managed, quick};

/// Simulated meters that connect to `to`, with or without a line of text first.
async fn dialling(to: SocketAddr, meters: u32, banner: bool) -> simulator::Fleet {
    dialling_again(to, meters, banner, (Duration::from_millis(200), Duration::from_secs(1))).await
}

/// The same with other pauses before they connect again.
async fn dialling_again(to: SocketAddr, meters: u32, banner: bool, pause: (Duration, Duration)) -> simulator::Fleet {
    let dial = DialConfig { banner, spread: Duration::ZERO, pause, ..DialConfig::new(to) };
    simulator::Fleet::start(FleetConfig { meters, dial: Some(dial), ..FleetConfig::default() }).await.unwrap()
}

async fn start(folder: &tempfile::TempDir) -> (Running, SocketAddr) {
    let mut config: Config = quick(folder.path());
    config.dial_in.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.dial_in.first = Duration::from_millis(300);
    config.dial_in.connections_per_source = 8;
    let running = Running::with(config).await;
    let address = running.dial_in.unwrap();
    (running, address)
}

/// A meter that connects by itself, known by its name.
fn called(id: &str, name: &str) -> Meter {
    let link = v1::Link { kind: Some(v1::link::Kind::DialIn(v1::DialInLink {})) };
    Meter { link: Some(link), logical_device_name: name.into(), ..managed(id, "127.0.0.1:1") }
}

async fn read(running: &Running, id: &str, within: Duration) -> Result<v1::ReadRegistersResponse, Status> {
    let registers = vec![v1::RegisterSelector { obis: "1-0:1.8.0".into(), ..Default::default() }];
    let mut request = Request::new(v1::ReadRegistersRequest { meter: format!("meters/{id}"), registers });
    request.set_timeout(within);
    running.reading().read_registers(request).await.map(tonic::Response::into_inner)
}

/// The name of the first device on the list of unknown ones that begins with `prefix`.
async fn unclaimed(running: &Running, prefix: &str) -> v1::UnclaimedDevice {
    let until = Instant::now() + PATIENCE;
    loop {
        let request = v1::ListUnclaimedDevicesRequest::default();
        let listed = running.registry().list_unclaimed_devices(request).await.unwrap().into_inner().devices;
        if let Some(device) = listed.iter().find(|device| device.name.starts_with(prefix)) {
            return device.clone();
        }
        assert!(Instant::now() < until, "{listed:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until_figure(running: &Running, name: &str, least: u64) {
    let until = Instant::now() + PATIENCE;
    loop {
        let page = running.page();
        let line = page.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
        if line.trim().parse::<u64>().unwrap() >= least {
            return;
        }
        assert!(Instant::now() < until, "{name}{line}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_meter_that_connects_is_asked_who_it_is_claimed_and_read_on_its_connection() {
    let folder = tempfile::tempdir().unwrap();
    let (running, address) = start(&folder).await;
    // Silent at first: it is asked by the public client.
    let meters = dialling(address, 1, false).await;
    let device = unclaimed(&running, "unclaimedDevices/name-").await;
    assert!(!device.logical_device_name.is_empty());
    let claim = v1::ClaimUnclaimedDeviceRequest {
        name: device.name.clone(),
        meter_id: "m1".into(),
        meter: Some(Meter { name: String::new(), ..called("m1", "") }),
        request_id: "once".into(),
    };
    let claimed = running.registry().claim_unclaimed_device(claim).await.unwrap().into_inner();
    assert_eq!(claimed.logical_device_name, device.logical_device_name);
    for _ in 0..3 {
        let answer = read(&running, "m1", PATIENCE).await.unwrap();
        assert_eq!(answer.results[0].result(), v1::Result::Succeeded, "{answer:?}");
    }
    until_figure(&running, "headend_dial_in_connections_total{outcome=\"identified\"}", 1).await;
    running.stop().await;
    meters.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_waits_until_the_meter_connects_and_is_unreachable_until_then() {
    let folder = tempfile::tempdir().unwrap();
    let (running, address) = start(&folder).await;
    // The name of the first simulated meter, as it says it itself.
    let probe = dialling(address, 1, true).await;
    let name = unclaimed(&running, "unclaimedDevices/name-").await.logical_device_name;
    probe.shutdown().await;
    running.create(called("m1", &name)).await.unwrap();
    let status = read(&running, "m1", Duration::from_secs(2)).await.unwrap_err();
    assert_eq!((status.code(), info(&status).reason.as_str()), (Code::Unavailable, "UNREACHABLE"), "{status:?}");
    let (answer, meters) = tokio::join!(read(&running, "m1", PATIENCE), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        dialling(address, 1, true).await
    });
    assert_eq!(answer.unwrap().results[0].result(), v1::Result::Succeeded);
    running.stop().await;
    meters.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_claim_takes_no_connection_away_and_too_many_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (running, address) = start(&folder).await;
    let meters = dialling(address, 1, true).await;
    let name = unclaimed(&running, "unclaimedDevices/name-").await.logical_device_name;
    running.create(called("m1", &name)).await.unwrap();
    assert_eq!(read(&running, "m1", PATIENCE).await.unwrap().results[0].result(), v1::Result::Succeeded);
    // Somebody says the name, hears the request for an association, and cannot answer it as the meter.
    let mut liar = TcpStream::connect(address).await.unwrap();
    liar.write_all(format!("{name}\n").as_bytes()).await.unwrap();
    let mut heard = [0; 64];
    let count = tokio::time::timeout(PATIENCE, liar.read(&mut heard)).await.unwrap().unwrap();
    assert!(count > 8 && heard[..2] == [0, 1] && heard[8] == 0x60, "an AARQ: {heard:02X?}");
    // An AARE that accepts everything, without a tag.
    let aare = "6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F040000301D00C80007";
    let aare = hex::decode(aare).unwrap();
    let head = [0, 1, 0, 1, 0, 1, 0, aare.len() as u8];
    liar.write_all(&[&head[..], &aare].concat()).await.unwrap();
    until_figure(&running, "headend_dial_in_associations_total{outcome=\"failed\"}", 1).await;
    assert_eq!(read(&running, "m1", PATIENCE).await.unwrap().results[0].result(), v1::Result::Succeeded);
    // The connection of the liar is closed.
    while tokio::time::timeout(PATIENCE, liar.read(&mut heard)).await.unwrap().is_ok_and(|count| count > 0) {}
    // Eight of one address, and no more; what is no meter's is not kept for long.
    let mut crowd = Vec::new();
    for _ in 0..12 {
        crowd.push(TcpStream::connect(address).await.unwrap());
    }
    until_figure(&running, "headend_dial_in_connections_total{outcome=\"too_many\"}", 4).await;
    for stream in &mut crowd {
        let _ = stream
            .write_all(b"GET / HTTP/1.1 and a line that is far longer than any name of a meter would be\r\n")
            .await;
    }
    until_figure(&running, "headend_dial_in_connections_total{outcome=\"silent\"}", 4).await;
    assert_eq!(read(&running, "m1", PATIENCE).await.unwrap().results[0].result(), v1::Result::Succeeded);
    running.stop().await;
    meters.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_the_meter_makes_anew_replaces_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let (running, address) = start(&folder).await;
    let unknown = dialling(address, 1, true).await;
    let name = unclaimed(&running, "unclaimedDevices/name-").await.logical_device_name;
    unknown.shutdown().await;
    running.create(called("m1", &name)).await.unwrap();
    // It does not connect again: the two are one meter, but each counts for itself.
    let late = 20 * PATIENCE;
    let first = dialling_again(address, 1, true, (late, late)).await;
    assert_eq!(read(&running, "m1", PATIENCE).await.unwrap().results[0].result(), v1::Result::Succeeded);
    // The same meter once more, as behind a modem whose old connection nobody has closed.
    let second = dialling(address, 1, true).await;
    until_figure(&running, "headend_dial_in_associations_total{outcome=\"opened\"}", 2).await;
    assert_eq!(read(&running, "m1", PATIENCE).await.unwrap().results[0].result(), v1::Result::Succeeded);
    first.shutdown().await;
    assert_eq!(read(&running, "m1", PATIENCE).await.unwrap().results[0].result(), v1::Result::Succeeded);
    second.shutdown().await;
    running.stop().await;
}
