//! Telegrams of customer ports: from simulated meters over real sockets and serial lines, and from callers.

use std::{net::SocketAddr, os::fd::AsRawFd, path::Path, time::Duration};

use dlms::p1::{CrcRule, Event, Framer, Telegram};
use dlms_head_end::{
    config::Config,
    telegram::{CheckSum, Frame, Place, Port, TelegramOptions},
};
use dlms_meter_server::simulator::{self, BuiltInModel, FleetConfig, P1Config, P1Dialect, P1Keys};
use dlms_proto::v1::{self, Meter, ingest_telegram_response::Outcome};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tonic::{Code, Status};

use crate::{
    support::{PATIENCE, Running, fields, info, plain},
    tenants,
};

/// Simulated meters with customer ports that send a telegram each simulated second, and where each is.
async fn ports(model: &str, dialect: P1Dialect) -> (simulator::Fleet, Vec<SocketAddr>) {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let model = BuiltInModel::find(model).unwrap().model().unwrap();
    let config = FleetConfig { tcp: Some(any), model: model.into(), ..FleetConfig::default() };
    let fleet = simulator::Fleet::start(config).await.unwrap();
    let p1 = P1Config { tcp: Some(any), interval_seconds: Some(1), ..P1Config::new(dialect) };
    let addresses = fleet.open_p1(&p1).await.unwrap();
    (fleet, addresses)
}

/// The next telegrams of a port.
async fn listen(address: SocketAddr, count: usize) -> Vec<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut framer = Framer::new(vec![0; 8_192], 10_000);
    let (mut telegrams, mut room) = (Vec::new(), [0; 512]);
    while telegrams.len() < count {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut room)).await.unwrap().unwrap();
        assert_ne!(read, 0);
        let mut rest = &room[..read];
        while !rest.is_empty() {
            let used = framer.handle_input(rest, dlms::Instant::from_millis(0));
            rest = &rest[used..];
            if let Some(Event::Telegram | Event::Ciphered) = framer.poll_event() {
                telegrams.push(framer.octets().to_vec());
            }
        }
    }
    telegrams
}

/// The characters of an identifier that a telegram prints.
fn printed(telegram: &[u8], code: &str) -> String {
    let telegram = Telegram::parse(telegram, CrcRule::Required).unwrap();
    let text = telegram.object(code.parse().unwrap()).unwrap().field(0).unwrap().text().to_owned();
    String::from_utf8(hex::decode(text).unwrap()).unwrap()
}

fn with_equipment(id: &str, equipment_id: &str) -> Meter {
    let port = v1::CustomerPort { equipment_id: equipment_id.into(), ..Default::default() };
    Meter { customer_port: Some(port), ..plain(id, "127.0.0.1:1") }
}

async fn start(folder: &Path, interval: u64, places: Vec<Place>) -> Running {
    let port = |place: Place| Port { name: "hall".into(), place, check_sum: CheckSum::Required, meter: None };
    let telegrams = TelegramOptions {
        interval: Duration::from_secs(interval),
        ports: places.into_iter().map(port).collect(),
        ..TelegramOptions::default()
    };
    Running::with(Config { telegrams, data_dir: folder.join("data"), ..Config::default() }).await
}

async fn ingest(running: &Running, telegram: &[u8], meter: &str) -> Result<v1::IngestTelegramResponse, Status> {
    let request = v1::IngestTelegramRequest { meter: meter.into(), telegram: telegram.to_vec(), check_sum: 0 };
    running.data().ingest_telegram(request).await.map(tonic::Response::into_inner)
}

async fn captures(running: &Running, meter: &str) -> Vec<v1::Capture> {
    let request = v1::QueryReadingsRequest { meter: format!("meters/{meter}"), ..Default::default() };
    let mut pages = running.data().query_readings(request).await.unwrap().into_inner();
    let mut captures = Vec::new();
    while let Some(page) = pages.message().await.unwrap() {
        captures.extend(page.captures);
    }
    captures
}

/// Waits until there are so many captures of registers of a meter.
async fn captured(running: &Running, meter: &str, count: usize) -> Vec<v1::Capture> {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let mut found = captures(running, meter).await;
        // Belgian telegrams bring the peaks of past months along, which are a profile.
        found.retain(|capture| capture.profile.is_empty());
        if found.len() >= count {
            return found;
        }
        assert!(tokio::time::Instant::now() < until, "{} of {count}: {found:?}", found.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn unclaimed(running: &Running, name: &str) -> v1::UnclaimedDevice {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let request = v1::ListUnclaimedDevicesRequest::default();
        let listed = running.registry().list_unclaimed_devices(request).await.unwrap().into_inner().devices;
        if let Some(device) = listed.iter().find(|device| device.name == name) {
            return device.clone();
        }
        assert!(tokio::time::Instant::now() < until, "{listed:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Pairs of names and figures of a metric.
fn figure(page: &str, name: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
    line.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_brings_one_capture_of_each_interval_and_the_gas_meter_its_own() {
    let (meters, addresses) = ports("smr5", P1Dialect::Dsmr5).await;
    let first = listen(addresses[0], 1).await.remove(0);
    let (own, gas) = (printed(&first, "0-0:96.1.1"), printed(&first, "0-1:96.1.0"));
    let folder = tempfile::tempdir().unwrap();
    let address = addresses[0].to_string().parse().unwrap();
    let running = start(folder.path(), 2, vec![Place::Connect(address)]).await;
    // Nobody is registered yet: it is on the list, and is claimed from there.
    let device = unclaimed(&running, &format!("unclaimedDevices/equipment-{own}")).await;
    assert_eq!((device.equipment_id.as_str(), device.source.as_str()), (own.as_str(), "hall"));
    running.create(with_equipment("gas", &gas)).await.unwrap();
    let claim = v1::ClaimUnclaimedDeviceRequest {
        name: device.name,
        meter_id: "main".into(),
        meter: Some(Meter { name: String::new(), ..plain("main", "127.0.0.1:1") }),
        request_id: "once".into(),
    };
    let claimed = running.registry().claim_unclaimed_device(claim).await.unwrap().into_inner();
    assert_eq!(claimed.customer_port.unwrap().equipment_id, own);

    let rows = captured(&running, "main", 3).await;
    let intervals: Vec<i64> = rows.iter().map(|row| row.capture_time.unwrap().seconds / 2).collect();
    assert!(intervals.windows(2).all(|pair| pair[0] < pair[1]), "one of each interval: {intervals:?}");
    for row in &rows {
        assert_eq!((row.source(), row.time_basis()), (v1::Source::Telegram, v1::TimeBasis::ConfiguredOffset));
        assert!(row.clock.is_some() && row.profile.is_empty());
        let import = row.readings.iter().find(|reading| reading.obis == "1.0.1.8.1.255").unwrap();
        assert_eq!((import.class_id, import.scaler_unit.as_ref().unwrap().symbol.as_str()), (3, "Wh"));
        assert!(import.decimal.parse::<f64>().unwrap() > 0.0, "{import:?}");
        assert!(row.readings.iter().all(|reading| !reading.obis.starts_with("0.1.24.2.")), "{row:?}");
    }
    let gas = captured(&running, "gas", 1).await;
    assert_eq!((gas[0].source(), gas[0].readings[0].obis.as_str()), (v1::Source::Telegram, "0.1.24.2.1.255"));
    assert_eq!(gas[0].readings[0].scaler_unit.as_ref().unwrap().symbol, "m³");
    running.stop().await;
    meters.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callers_telegram_is_stored_once_and_what_is_wrong_with_others_is_told() {
    let (meters, addresses) = ports("smr5", P1Dialect::Dsmr5).await;
    let telegrams = listen(addresses[0], 2).await;
    let own = printed(&telegrams[0], "0-0:96.1.1");
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), 86_400, Vec::new()).await;
    let unknown = ingest(&running, &telegrams[0], "").await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    assert_eq!(unclaimed(&running, &format!("unclaimedDevices/equipment-{own}")).await.source, "a caller");
    running.create(with_equipment("m1", &own)).await.unwrap();
    running.create(plain("m2", "127.0.0.1:1")).await.unwrap();

    let stored = ingest(&running, &telegrams[0], "").await.unwrap();
    assert_eq!((stored.outcome(), stored.meter.as_str()), (Outcome::Stored, "meters/m1"));
    for telegram in [&telegrams[0], &telegrams[1]] {
        let again = ingest(&running, telegram, "meters/m1").await.unwrap();
        assert_eq!(again.outcome(), Outcome::Unchanged, "the interval is held");
    }
    assert_eq!(captures(&running, "m1").await.len(), 1);

    let refused = async |telegram: &[u8], meter: &str| ingest(&running, telegram, meter).await.unwrap_err();
    let mut flipped = telegrams[0].clone();
    let place = flipped.windows(6).position(|part| part == b"1.8.1(").unwrap();
    flipped[place + 8] ^= 1;
    let status = refused(&flipped, "").await;
    assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec!["telegram".to_owned()]));
    assert!(status.message().contains("computed") || format!("{status:?}").contains("computed"), "{status:?}");
    assert_eq!(refused(&[b'/'; 8_193], "").await.code(), Code::InvalidArgument);
    assert_eq!(refused(b"", "").await.code(), Code::InvalidArgument);
    assert_eq!(refused(b"/XYZ5\r\n\r\n!", "").await.code(), Code::InvalidArgument, "no check sum");
    assert_eq!(refused(&telegrams[0], "meters/none").await.code(), Code::NotFound);
    assert_eq!(refused(&telegrams[0], "m1").await.code(), Code::InvalidArgument);
    // A meter that states no identifier is whatever its caller says; one that states another is not.
    running.create(with_equipment("m3", "OTHER")).await.unwrap();
    let other = refused(&telegrams[0], "meters/m3").await;
    assert_eq!((other.code(), info(&other).reason.as_str()), (Code::FailedPrecondition, "OTHER_METER"));
    assert_eq!(ingest(&running, &telegrams[0], "meters/m2").await.unwrap().outcome(), Outcome::Stored);
    running.create(with_equipment("m4", &own)).await.unwrap();
    assert_eq!(refused(&telegrams[0], "").await.code(), Code::FailedPrecondition, "two meters have the identifier");
    running.stop().await;

    // What was stored is known behind a restart.
    let running = start(folder.path(), 86_400, Vec::new()).await;
    assert_eq!(ingest(&running, &telegrams[1], "meters/m1").await.unwrap().outcome(), Outcome::Unchanged);
    assert_eq!(captures(&running, "m1").await.len(), 1);
    running.stop().await;
    meters.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ciphered_telegrams_are_believed_by_their_tag_alone() {
    let (meters, addresses) = ports("smr5", P1Dialect::Luxembourg).await;
    let telegrams = listen(addresses[0], 2).await;
    let title = telegrams[0][2..10].to_vec();
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), 86_400, Vec::new()).await;
    assert_eq!(ingest(&running, &telegrams[0], "").await.unwrap_err().code(), Code::NotFound);
    unclaimed(&running, &format!("unclaimedDevices/{}", hex::encode_upper(&title))).await;
    let keyed = |id: &str, encryption: [u8; 16], authentication: &[u8]| Meter {
        system_title: title.clone(),
        customer_port: Some(v1::CustomerPort {
            encryption_key: encryption.to_vec(),
            authentication_key: authentication.to_vec(),
            ..Default::default()
        }),
        ..plain(id, "127.0.0.1:1")
    };
    let key = P1Keys::DEMONSTRATION_ENCRYPTION;
    running.create(keyed("wrong", [7; 16], &dlms::p1::LUXEMBOURG_AUTHENTICATION_KEY)).await.unwrap();
    let refused = ingest(&running, &telegrams[0], "").await.unwrap_err();
    assert_eq!((refused.code(), info(&refused).reason.as_str()), (Code::FailedPrecondition, "SECURITY"));
    let made = running.create(keyed("m1", key, &dlms::p1::LUXEMBOURG_AUTHENTICATION_KEY)).await.unwrap();
    let port = made.customer_port.unwrap();
    assert!(port.key_set && port.encryption_key.is_empty() && port.authentication_key.is_empty(), "no key is answered");
    let stored = ingest(&running, &telegrams[0], "").await.unwrap();
    assert_eq!((stored.outcome(), stored.meter.as_str()), (Outcome::Stored, "meters/m1"));
    let mut flipped = telegrams[1].clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(ingest(&running, &flipped, "").await.unwrap_err().code(), Code::FailedPrecondition);
    let rows = captures(&running, "m1").await;
    assert!(rows.len() == 1 && rows[0].readings.iter().any(|reading| reading.obis == "1.0.1.8.0.255"), "{rows:?}");
    // Who has a key sends nothing in clear.
    let (plain_meters, addresses) = ports("smr5", P1Dialect::Dsmr5).await;
    let clear = listen(addresses[0], 1).await.remove(0);
    let refused = ingest(&running, &clear, "meters/m1").await.unwrap_err();
    assert_eq!(info(&refused).reason, "PLAINTEXT");
    let lone = v1::CustomerPort { authentication_key: vec![1; 16], ..Default::default() };
    let lone = Meter { customer_port: Some(lone), ..plain("m9", "127.0.0.1:1") };
    assert_eq!(fields(&running.create(lone).await.unwrap_err()), ["meter.customer_port.authentication_key"]);
    running.stop().await;
    meters.shutdown().await;
    plain_meters.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_connects_is_believed_from_the_address_of_the_meter_and_garbage_costs_it_nothing() {
    let (meters, addresses) = ports("smr5", P1Dialect::Dsmr5).await;
    let telegrams = listen(addresses[0], 2).await;
    let own = printed(&telegrams[0], "0-0:96.1.1");
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), 1, vec![Place::Listen("127.0.0.1:0".parse().unwrap())]).await;
    let push = |from: &str| Some(v1::Push { plaintext_from: from.into(), ..Default::default() });
    running.create(Meter { push: push("192.0.2.1"), ..with_equipment("m1", &own) }).await.unwrap();
    let address = running.telegrams.unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&telegrams[0]).await.unwrap();
    let until = tokio::time::Instant::now() + PATIENCE;
    while figure(&running.page(), "headend_telegrams_refused_total{reason=\"plaintext\"}") == 0 {
        assert!(tokio::time::Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(captures(&running, "m1").await.is_empty(), "from another address than the meter's");
    let meter = Meter { name: "meters/m1".into(), push: push("127.0.0.1"), ..Default::default() };
    let update = v1::UpdateMeterRequest { meter: Some(meter), ..Default::default() };
    running.registry().update_meter(update).await.unwrap();
    // Half a telegram, too much of one, and octets of anything: what follows is taken, on the same connection.
    stream.write_all(&telegrams[0][..100]).await.unwrap();
    stream.write_all(&[b"/".as_slice(), &[b'x'; 20_000]].concat()).await.unwrap();
    stream.write_all(&[0xDB, 8, 0, 0xFF, 0x80, b'!', b'/']).await.unwrap();
    stream.write_all(&telegrams[1]).await.unwrap();
    let rows = captured(&running, "m1", 1).await;
    assert_eq!(rows[0].source(), v1::Source::Telegram);
    let page = running.page();
    assert_eq!(figure(&page, "headend_telegrams_total{outcome=\"stored\"}"), 1);
    assert!(figure(&page, "headend_telegrams_refused_total{reason=\"too_long\"}") >= 1);
    assert!(figure(&page, "headend_telegrams_refused_total{reason=\"malformed\"}") >= 1);
    running.stop().await;
    meters.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serial_port_is_read_and_a_serial_server_that_comes_back_is_connected_to_again() {
    let (meters, addresses) = ports("smr5", P1Dialect::Emucs).await;
    let telegrams = listen(addresses[0], 3).await;
    let own = printed(&telegrams[0], "0-0:96.1.1");
    let folder = tempfile::tempdir().unwrap();
    let (mut line, other) = tokio_serial::SerialStream::pair().unwrap();
    // Kept open by a handle without the lock that a serial port has; its path works without a mounted /dev/pts too.
    let path = |descriptor: &dyn AsRawFd| format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let handle = std::fs::File::options().read(true).write(true).open(path(&other)).unwrap();
    drop(other);
    let device = path(&handle).into();
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap().to_string().parse().unwrap();
    let places = vec![Place::Serial { device, baud: 115_200, frame: Frame::Eight }, Place::Connect(address)];
    let running = start(folder.path(), 1, places).await;
    running.create(with_equipment("m1", &own)).await.unwrap();
    line.write_all(&telegrams[0]).await.unwrap();
    let rows = captured(&running, "m1", 1).await;
    let power = rows[0].readings.iter().find(|reading| reading.obis == "1.0.1.7.0.255").unwrap();
    assert_eq!(power.scaler_unit.as_ref().unwrap().symbol, "W");
    for telegram in &telegrams[1..] {
        let (mut stream, _) = tokio::time::timeout(PATIENCE, server.accept()).await.unwrap().unwrap();
        stream.write_all(telegram).await.unwrap();
        // The server goes away, and is there again.
        drop(stream);
    }
    captured(&running, "m1", 3).await;
    running.stop().await;
    meters.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_bring_telegrams_of_their_own_meters_and_each_is_in_the_audit_log() {
    let (meters, addresses) = ports("smr5", P1Dialect::Dsmr5).await;
    let telegram = listen(addresses[0], 1).await.remove(0);
    let own = printed(&telegram, "0-0:96.1.1");
    let folder = tempfile::tempdir().unwrap();
    let (running, tokens) = tenants::start(folder.path(), "").await;
    tenants::create(&running, &tokens.north, with_equipment("m1", &own)).await.unwrap();
    let ingest = async |token| {
        let request = v1::IngestTelegramRequest { telegram: telegram.clone(), ..Default::default() };
        running.data().ingest_telegram(tenants::by(token, request)).await.map(tonic::Response::into_inner)
    };
    assert_eq!(ingest(&tokens.south).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(ingest(&tokens.north).await.unwrap().outcome(), Outcome::Stored);
    let calls = tenants::audit(&running, &tokens.north, v1::QueryAuditLogRequest::default()).await;
    let shown = calls.iter().map(|call| (call.method.rsplit('/').next().unwrap(), call.outcome.as_str()));
    assert_eq!(shown.collect::<Vec<_>>(), [("IngestTelegram", "OK"), ("CreateMeter", "OK")]);
    running.stop().await;
    meters.shutdown().await;
}
